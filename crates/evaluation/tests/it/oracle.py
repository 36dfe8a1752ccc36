"""Reads cases as JSON from standard input and writes the results of scikit-learn, SciPy and NumPy.

An undefined metric is null.
"""

import json
import sys
import warnings
import xml.etree.ElementTree as xml

import numpy as np
from sklearn import datasets, metrics
from sklearn.calibration import calibration_curve

warnings.filterwarnings("ignore")


def defined(value):
    value = float(value)
    return value if np.isfinite(value) else None


def calibration_error(outcomes, scores):
    share, mean = calibration_curve(outcomes, scores, n_bins=10, strategy="uniform")
    edges = np.linspace(0.0, 1.0, 11)
    rows = np.bincount(np.searchsorted(edges[1:-1], scores), minlength=10)
    rows = rows[rows > 0]
    return float(np.sum(np.abs(share - mean) * rows) / np.sum(rows))


def binary(case):
    scores, outcomes = np.array(case["scores"]), np.array(case["outcomes"], dtype=int)
    predictions = (scores > 0.5).astype(int)
    both = len(np.unique(outcomes)) == 2
    nan = {"zero_division": np.nan}
    result = {
        "auc": defined(metrics.roc_auc_score(outcomes, scores)) if both else None,
        "log_loss": defined(metrics.log_loss(outcomes, scores, labels=[0, 1])),
        "accuracy": defined(metrics.accuracy_score(outcomes, predictions)),
        "precision": defined(metrics.precision_score(outcomes, predictions, **nan)),
        "recall": defined(metrics.recall_score(outcomes, predictions, **nan)),
        "f1": defined(metrics.f1_score(outcomes, predictions, **nan)),
        "brier": defined(metrics.brier_score_loss(outcomes, scores, labels=[0, 1])),
        "calibration_error": calibration_error(outcomes, scores),
        "positive_rate": defined(np.mean(outcomes)),
        "confusion": metrics.confusion_matrix(outcomes, predictions, labels=[0, 1]).tolist(),
        "average_precision": defined(metrics.average_precision_score(outcomes, scores)) if outcomes.any() else None,
        "roc": None,
    }
    if both:
        false, true, _ = metrics.roc_curve(outcomes, scores, drop_intermediate=False)
        result["roc"] = [false.tolist(), true.tolist()]
    return result


def multiclass(case):
    known = len(case["scores"][0])
    classes = max(known, 1 + max(case["outcomes"]))
    scores = np.zeros((len(case["scores"]), classes))
    scores[:, :known] = case["scores"]
    outcomes = np.array(case["outcomes"], dtype=int)
    predictions = np.argmax(scores, axis=1)
    labels = list(range(classes))
    over = {"labels": labels, "average": "macro", "zero_division": np.nan}
    each = {"labels": labels, "average": None, "zero_division": np.nan}
    present = [label for label in labels if 0 < np.sum(outcomes == label) < len(outcomes)]
    areas = {label: metrics.roc_auc_score(outcomes == label, scores[:, label]) for label in present}
    if len(present) == classes > 2:
        macro_auc = metrics.roc_auc_score(outcomes, scores, multi_class="ovr", average="macro", labels=labels)
    else:
        macro_auc = np.mean(list(areas.values())) if areas else np.nan
    precision = metrics.precision_score(outcomes, predictions, **each)
    recall = metrics.recall_score(outcomes, predictions, **each)
    f1 = metrics.f1_score(outcomes, predictions, **each)
    return {
        "accuracy": defined(metrics.accuracy_score(outcomes, predictions)),
        "macro_f1": defined(metrics.f1_score(outcomes, predictions, **over)),
        "macro_precision": defined(metrics.precision_score(outcomes, predictions, **over)),
        "macro_recall": defined(metrics.recall_score(outcomes, predictions, **over)),
        "log_loss": defined(metrics.log_loss(outcomes, scores, labels=labels)),
        "macro_auc": defined(macro_auc),
        "confusion": metrics.confusion_matrix(outcomes, predictions, labels=labels).tolist(),
        "classes": [
            {
                "precision": defined(precision[label]),
                "recall": defined(recall[label]),
                "f1": defined(f1[label]),
                "auc": defined(areas[label]) if label in areas else None,
            }
            for label in labels
        ],
    }


def regression(case):
    predictions, outcomes = np.array(case["scores"]), np.array(case["outcomes"])
    return {
        "rmse": defined(metrics.root_mean_squared_error(outcomes, predictions)),
        "mae": defined(metrics.mean_absolute_error(outcomes, predictions)),
        "r2": defined(metrics.r2_score(outcomes, predictions, force_finite=False)) if len(np.unique(outcomes)) > 1 else None,
        "bias": defined(np.mean(predictions - outcomes)),
    }


def column_auc(case):
    area = metrics.roc_auc_score(np.array(case["outcomes"], dtype=int), np.array(case["column"]))
    return {"auc": max(area, 1.0 - area)}


def column_r2(case):
    return {"r2": float(np.corrcoef(case["column"], case["outcomes"])[0, 1] ** 2)}


def texts(case):
    """The text elements of an SVG; fails unless it is well-formed XML."""
    return ["".join(node.itertext()) for node in xml.fromstring(case["svg"]).iter("{http://www.w3.org/2000/svg}text")]


def teaching_set(case):
    """The columns of a data set for teaching, and its outcome."""
    loaded = getattr(datasets, f"load_{case['name']}")()
    columns = loaded.data.T.tolist()
    target = loaded.target if loaded.target.ndim == 1 else loaded.target[:, 0]
    return {"names": [str(name) for name in loaded.feature_names], "columns": columns, "target": target.tolist()}


KINDS = {f.__name__: f for f in (binary, multiclass, regression, column_auc, column_r2, texts, teaching_set)}

json.dump([KINDS[case["kind"]](case) for case in json.load(sys.stdin)], sys.stdout)
