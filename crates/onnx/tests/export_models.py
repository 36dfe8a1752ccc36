"""Exports models of common libraries to ONNX and records ONNX Runtime's outputs.

    python export_models.py OUT [SCALE]

For each model, OUT receives `<name>.onnx` and `<name>.json`: the inputs and ONNX Runtime's outputs
as lists of texts or numbers, in which `nan`, `inf` and `-inf` are texts. With a SCALE the models have
the sizes of the benchmark instead of those of the tests.
"""

import sys
import warnings
from pathlib import Path

import lightgbm
import numpy as np
import pandas as pd
import skl2onnx.common._container as skl_container
import xgboost
from handmade_models import encoders, handmade, small_operators, tree_ensemble_v5, two_classes, write
from onnxmltools import convert_lightgbm, convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType as ToolsFloat
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, Normalizer, OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.svm import SVR
from sklearn.tree import DecisionTreeClassifier

warnings.filterwarnings("ignore")

NUMBERS = [f"number_{i}" for i in range(12)]
TEXTS = {"carrier": 16, "origin": 3, "destination": 40}
FEATURES = NUMBERS + list(TEXTS)
ROWS = 1_000


def convert_numpy_attributes():
    """Converts NumPy integers and booleans that skl2onnx passes to `onnx`, whose newer versions refuse them."""
    make_node = skl_container.make_node

    def tolerant(op_type, inputs, outputs, **attributes):
        for name, value in attributes.items():
            if isinstance(value, (list, np.ndarray)) and len(value) and isinstance(value[0], (bool, np.bool_, np.integer)):
                attributes[name] = [int(item) for item in value]
        return make_node(op_type, inputs, outputs, **attributes)

    skl_container.make_node = tolerant


def data(rows, seed):
    """Generates numbers with missing values, categorical texts, and targets of three tasks."""
    draw = np.random.default_rng(seed)
    frame = pd.DataFrame(draw.normal(size=(rows, len(NUMBERS))).astype(np.float32), columns=NUMBERS)
    frame["number_3"] = draw.integers(0, 30, rows).astype(np.float32)
    frame["number_4"] = draw.exponential(500, rows).astype(np.float32)
    signal = np.zeros(rows)
    for text, count in TEXTS.items():
        codes = np.minimum(draw.geometric(3 / count, rows) - 1, count - 1)
        frame[text] = [f"{text}_{code}" for code in codes]
        signal += np.sin(codes * 1.7)
    signal += frame["number_0"] + frame["number_1"] * frame["number_2"] + np.log1p(frame["number_4"]) / 3
    signal += (frame["number_3"] % 7 == 2) * 1.5 + draw.normal(scale=0.7, size=rows)
    for name in NUMBERS[:8]:
        frame.loc[draw.random(rows) < 0.06, name] = np.nan
    return frame, signal.to_numpy()


def coded(frame):
    """Encodes texts by their alphabetical index; texts unseen in training are missing."""
    coded = frame.copy()
    for text, count in TEXTS.items():
        places = {f"{text}_{i}": i for i in range(count)}
        coded[text] = frame[text].map(places)
    return coded[FEATURES].to_numpy(dtype=np.float32)


def unseen(frame):
    """Generates the test rows, with some unseen categories and some missing texts."""
    frame = frame.copy()
    for i, text in enumerate(TEXTS):
        frame.loc[frame.index % 17 == i, text] = "never seen"
        frame.loc[frame.index % 19 == i, text] = ""
    return frame


def matrix(values):
    return {"input": values}


def named(frame):
    numbers = {name: frame[[name]].to_numpy(dtype=np.float32) for name in NUMBERS}
    return numbers | {name: frame[[name]].to_numpy(dtype=object) for name in TEXTS}


def transformer():
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    return ColumnTransformer(
        [("numbers", numbers, NUMBERS), ("texts", OneHotEncoder(handle_unknown="ignore"), list(TEXTS))]
    )


def named_types():
    numbers = [(name, FloatTensorType([None, 1])) for name in NUMBERS]
    return numbers + [(name, StringTensorType([None, 1])) for name in TEXTS]


def skl(model, types=None, zipmap=False, **options):
    types = types or [("input", FloatTensorType([None, len(FEATURES)]))]
    if not zipmap and hasattr(model, "predict_proba"):
        options["zipmap"] = False
    return convert_sklearn(model, initial_types=types, options={id(model): options} if options else None)


def the_seven(out, frame, signal, rows, sizes):
    """The models that the evaluator must support."""
    late = (signal > np.quantile(signal, 0.7)).astype(int)
    x, inputs = coded(frame), matrix(coded(rows))
    types = [("input", ToolsFloat([None, len(FEATURES)]))]
    trees = {"n_estimators": sizes["lightgbm"], "verbose": -1, "n_jobs": 1}

    model = lightgbm.LGBMClassifier(**trees).fit(x, late)
    write(out, "lightgbm", convert_lightgbm(model, initial_types=types, zipmap=False), inputs)
    places = [FEATURES.index(text) for text in TEXTS]
    model = lightgbm.LGBMClassifier(**trees).fit(x, late, categorical_feature=places)
    write(out, "lightgbm_categories", convert_lightgbm(model, initial_types=types), inputs)
    model = xgboost.XGBClassifier(n_estimators=sizes["xgboost"], n_jobs=1).fit(x, late)
    write(out, "xgboost", convert_xgboost(model, initial_types=types), inputs)
    model = RandomForestClassifier(sizes["forest"], random_state=1, n_jobs=2).fit(x, late)
    write(out, "random_forest", skl(model), inputs)
    model = HistGradientBoostingClassifier(max_iter=sizes["hist"], early_stopping=False).fit(x, late)
    write(out, "hist_gradient_boosting", skl(model), inputs)
    model = make_pipeline(transformer(), LogisticRegression(max_iter=200)).fit(frame[FEATURES], late)
    write(out, "logistic_pipeline", skl(model, named_types()), named(rows))
    model = make_pipeline(SimpleImputer(), StandardScaler(), MLPClassifier((32, 16), max_iter=20, random_state=1))
    write(out, "mlp", skl(model.fit(x, late)), inputs)


def the_others(out, frame, signal, rows):
    """Further models: regressions, several classes, texts as labels, maps, and other operators."""
    grade = np.digitize(signal, np.quantile(signal, [0.3, 0.6, 0.85]))
    words = np.array(["early", "on time", "late", "very late"])[grade]
    late = (signal > np.quantile(signal, 0.7)).astype(int)
    x, inputs = coded(frame), matrix(coded(rows))
    filled = np.nan_to_num(x)
    filled_inputs = matrix(np.nan_to_num(coded(rows)))
    types = [("input", ToolsFloat([None, len(FEATURES)]))]
    small = {"n_estimators": 20, "verbose": -1, "n_jobs": 1}

    write(out, "lightgbm_regression", convert_lightgbm(lightgbm.LGBMRegressor(**small).fit(x, signal), initial_types=types), inputs)
    write(out, "lightgbm_classes", convert_lightgbm(lightgbm.LGBMClassifier(**small).fit(x, grade), initial_types=types), inputs)
    large = lightgbm.LGBMClassifier(**small, num_leaves=200).fit(x, late, categorical_feature=[12, 14])
    write(out, "lightgbm_large_categories", convert_lightgbm(large, initial_types=types), inputs)
    forest = lightgbm.LGBMClassifier(**small, boosting_type="rf", bagging_freq=1, bagging_fraction=0.7).fit(x, late)
    write(out, "lightgbm_forest", convert_lightgbm(forest, initial_types=types), inputs)
    boosted = xgboost.XGBRegressor(n_estimators=30, max_depth=9).fit(x, signal)
    write(out, "xgboost_regression", convert_xgboost(boosted, initial_types=types), inputs)
    write(out, "xgboost_classes", convert_xgboost(xgboost.XGBClassifier(n_estimators=20).fit(x, grade), initial_types=types), inputs)

    models = {
        "hist_regression": HistGradientBoostingRegressor(max_iter=40).fit(x, signal),
        "hist_classes": HistGradientBoostingClassifier(max_iter=15).fit(x, grade),
        "forest_regression": RandomForestRegressor(15, max_depth=9, random_state=2).fit(x, signal),
        "forest_words": RandomForestClassifier(12, max_depth=7, random_state=3).fit(x, words),
        "extra_trees": ExtraTreesClassifier(12, max_depth=9, random_state=3).fit(filled, grade),
        "decision_tree": DecisionTreeClassifier(max_depth=6, random_state=3).fit(x, words),
        "gradient_boosting": GradientBoostingClassifier(n_estimators=15).fit(filled, late),
        "ridge": make_pipeline(SimpleImputer(), MinMaxScaler(), Ridge()).fit(x, signal),
        "mlp_classes": make_pipeline(SimpleImputer(), StandardScaler(), MLPClassifier((16,), activation="tanh", max_iter=15)).fit(x, words),
        "mlp_logistic": make_pipeline(SimpleImputer(), StandardScaler(), MLPRegressor(hidden_layer_sizes=(16, 8), activation="logistic", max_iter=15)).fit(x, signal),
        "svr": make_pipeline(SimpleImputer(), StandardScaler(), Normalizer(), SVR()).fit(x[:800], signal[:800]),
    }
    for name, model in models.items():
        needs_numbers = name in ("extra_trees", "gradient_boosting")
        write(out, name, skl(model), filled_inputs if needs_numbers else inputs)
    write(out, "zipped_words", skl(models["forest_words"], zipmap=True), inputs)
    isolation = IsolationForest(n_estimators=20, random_state=1).fit(filled)
    write(out, "isolation_forest", convert_sklearn(isolation, initial_types=[("input", FloatTensorType([None, len(FEATURES)]))], target_opset={"": 17, "ai.onnx.ml": 3}), filled_inputs)

    numbers = [(name, FloatTensorType([None, 1])) for name in NUMBERS]
    ordinal = ColumnTransformer(
        [
            ("numbers", SimpleImputer(strategy="mean"), NUMBERS),
            ("texts", OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), list(TEXTS)),
        ]
    )
    model = make_pipeline(ordinal, GradientBoostingClassifier(n_estimators=15)).fit(frame[FEATURES], late)
    write(out, "ordinal_pipeline", skl(model, named_types()), named(rows))
    model = make_pipeline(transformer(), LogisticRegression(max_iter=100)).fit(frame[FEATURES], words)
    write(out, "logistic_classes", skl(model, named_types(), zipmap=True), named(rows))
    whole = ColumnTransformer([("codes", OneHotEncoder(handle_unknown="ignore"), ["number_3"])], remainder="drop")
    codes = frame[["number_3"]].fillna(-1).astype(np.int64)
    model = make_pipeline(whole, LogisticRegression()).fit(codes, late)
    asked = rows[["number_3"]].fillna(77).astype(np.int64).to_numpy()
    write(out, "whole_numbers", skl(model, [("number_3", Int64TensorType([None, 1]))]), {"number_3": asked})


def main():
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    convert_numpy_attributes()
    if len(sys.argv) > 2:
        frame, signal = data(60_000, 1)
        rows, _ = data(ROWS, 2)
        the_seven(out, frame, signal, unseen(rows), {"lightgbm": 500, "xgboost": 300, "forest": 100, "hist": 300})
        return
    frame, signal = data(4_000, 1)
    rows, _ = data(ROWS, 2)
    rows = unseen(rows)
    the_seven(out, frame, signal, rows, {"lightgbm": 100, "xgboost": 60, "forest": 30, "hist": 60})
    the_others(out, frame, signal, rows)
    handmade(out)
    two_classes(out)
    tree_ensemble_v5(out)
    encoders(out)
    small_operators(out)


main()
