"""Trains the model that predicts late flights, and writes it as ONNX.

Perennial runs this script in its own folder. Environment variables give the training rows, the
parameters, the path of the model, and the tracking server. To run the script without Perennial,
set the same variables.
"""

import json
import os
from pathlib import Path

import mlflow
import pandas as pd
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OrdinalEncoder

# These columns are not features; see `[task]` in perennial.toml.
KEY, TIME, TARGET, IGNORED = "flight_id", "time_hour", "late", ["tailnum"]

# The share of the newest training rows that the script holds back for its own metrics. The
# `evaluate` step computes the metrics for the gates, on rows that this script does not get.
HELD_BACK = 0.1


def main() -> None:
    params = json.loads(os.environ["PERENNIAL_PARAMS"])
    rows = pd.read_parquet(os.environ["PERENNIAL_INPUT_FEATURES_TRAIN"]).sort_values([TIME, KEY])
    features = features_of(rows)
    late = rows[TARGET].astype(bool).to_numpy()
    print(f"training on {len(rows):,} flights with {features.shape[1]} features")

    with mlflow.start_run():  # opens the run of this step, which MLFLOW_RUN_ID names
        mlflow.log_params({**params, "rows": len(rows), "features": features.shape[1]})

        older = int(len(rows) * (1 - HELD_BACK))
        trial = pipeline(features, params).fit(features[:older], late[:older])
        chance = trial.predict_proba(features[older:])[:, 1]
        auc = roc_auc_score(late[older:], chance)
        mlflow.log_metrics({"held_back_auc": auc, "held_back_log_loss": log_loss(late[older:], chance)})
        print(f"AUC on the newest {len(rows) - older:,} rows, held back: {auc:.4f}")

        model = pipeline(features, params).fit(features, late)
        save(model, features, Path(os.environ["PERENNIAL_OUTPUT_MODEL"]))
        mlflow.log_dict({"columns": list(features), "categories": text_columns(features)}, "features.json")


def features_of(rows: pd.DataFrame) -> pd.DataFrame:
    """All columns except key, time, target and ignored ones: texts without nulls, numbers as 32-bit floats."""
    features = rows.drop(columns=[KEY, TIME, TARGET, *IGNORED])
    text = text_columns(features)
    return features.astype({name: "str" if name in text else "float32" for name in features}).fillna(
        {name: "" for name in text}  # a text tensor of ONNX has no null
    )


def text_columns(features: pd.DataFrame) -> list[str]:
    return [name for name in features if not pd.api.types.is_numeric_dtype(features[name])]


def pipeline(features: pd.DataFrame, params: dict) -> Pipeline:
    text = text_columns(features)
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    return Pipeline([
        ("columns", ColumnTransformer([("codes", codes, text)], remainder="passthrough")),
        ("trees", HistGradientBoostingClassifier(
            max_iter=params["trees"],
            learning_rate=params["learning_rate"],
            max_leaf_nodes=params["leaves"],
            early_stopping=False,
            random_state=0,
        )),
    ])


def save(model: Pipeline, features: pd.DataFrame, folder: Path) -> None:
    """Writes `model.onnx`: one input per feature, by name; probabilities as one tensor."""
    text = text_columns(features)
    inputs = [
        (name, (StringTensorType if name in text else FloatTensorType)([None, 1])) for name in features
    ]
    onnx = to_onnx(model, initial_types=inputs, options={"zipmap": False})
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(onnx.SerializeToString())


if __name__ == "__main__":
    main()
