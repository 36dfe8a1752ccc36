"""Trains LightGBM with 500 trees on the flights, and writes it as ONNX and in LightGBM's own format.

This is a `run` step. The trees receive texts as codes. The ONNX file contains the encoder, so its inputs are the
original features. Requests to LightGBM itself need the codes in `codes.json`.
"""

import json
import os
from pathlib import Path

import lightgbm
import pandas as pd
from onnxmltools.convert.lightgbm.operator_converters.LightGbm import convert_lightgbm
from skl2onnx import to_onnx, update_registered_converter
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from skl2onnx.common.shape_calculator import calculate_linear_classifier_output_shapes
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OrdinalEncoder

NO_FEATURES = ["flight_id", "time_hour", "tailnum", "late"]
TEXTS = ["carrier", "origin", "dest"]
# The newest operator sets that the converter of `LGBMClassifier` supports.
OPSETS = {"": 17, "ai.onnx.ml": 3}


def main() -> None:
    rows = pd.read_parquet(os.environ["PERENNIAL_INPUT_FEATURES_TRAIN"])
    numbers = [name for name in rows if name not in [*NO_FEATURES, *TEXTS]]
    features = rows[TEXTS + numbers].astype({name: "float32" for name in numbers})
    late = rows["late"].astype(int)

    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    trees = lightgbm.LGBMClassifier(n_estimators=500, learning_rate=0.05, verbose=-1, deterministic=True, force_row_wise=True)
    model = Pipeline([
        ("columns", ColumnTransformer([("codes", codes, TEXTS)], remainder="passthrough")),
        ("trees", trees),
    ]).fit(features, late)

    folder = Path(os.environ["PERENNIAL_OUTPUT_MODEL"])
    folder.mkdir(parents=True)
    trees.booster_.save_model(folder / "model.bst")
    known = model.named_steps["columns"].named_transformers_["codes"].categories_
    order = {"columns": list(features), "codes": {name: list(values) for name, values in zip(TEXTS, known)}}
    (folder / "codes.json").write_text(json.dumps(order))
    (folder / "model.onnx").write_bytes(onnx(model, features))


def onnx(model: Pipeline, features: pd.DataFrame) -> bytes:
    """Converts the model: one input per feature, by name; probabilities as one tensor."""
    update_registered_converter(
        lightgbm.LGBMClassifier,
        "LightGbmLGBMClassifier",
        calculate_linear_classifier_output_shapes,
        convert_lightgbm,
        options={"nocl": [True, False], "zipmap": [True, False, "columns"]},
    )
    inputs = [(name, (StringTensorType if name in TEXTS else FloatTensorType)([None, 1])) for name in features]
    made = to_onnx(model, initial_types=inputs, target_opset=OPSETS, options={"zipmap": False})
    return made.SerializeToString()


if __name__ == "__main__":
    main()
