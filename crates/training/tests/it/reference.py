"""Predictions of ONNX Runtime and scikit-learn, for the tests of the trainers.

    reference.py onnx MODEL INPUT OUTPUT      INPUT: {input name: list of values}
    reference.py scikit TASK INPUT OUTPUT     INPUT: {"l2", "columns", "target"}

INPUT and OUTPUT are JSON files. OUTPUT receives a list of rows of scores.
"""

import json
import sys

import numpy as np


def onnx(model: str, columns: dict) -> np.ndarray:
    import onnxruntime

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    feeds = {}
    for model_input in session.get_inputs():
        values = columns[model_input.name]
        if model_input.type == "tensor(string)":
            array = np.array(values, dtype=object)
        else:
            array = np.array([np.nan if v is None else v for v in values], dtype=np.float32)
        feeds[model_input.name] = array.reshape(-1, 1)
    names = [output.name for output in session.get_outputs()]
    if names == ["variable"]:
        return session.run(names, feeds)[0]
    assert names == ["label", "probabilities"], names
    labels, scores = session.run(names, feeds)
    classes = scores.argmax(axis=1)
    if labels.dtype == np.int64:
        assert scores.shape[1] == 2
        decided = np.abs(scores[:, 1] - 0.5) > 1e-6
        assert (labels == classes)[decided].all()
        return scores[:, 1:]
    assert len(set(zip(classes, labels))) == len(set(labels))
    return scores


def scikit(task: str, given: dict) -> np.ndarray:
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    x = np.array(list(given["columns"].values()), dtype=np.float64).T
    y = np.array(given["target"])
    if task == "regression":
        return make_pipeline(StandardScaler(), Ridge(alpha=given["l2"])).fit(x, y).predict(x).reshape(-1, 1)
    model = LogisticRegression(C=1 / given["l2"], tol=1e-10, max_iter=10_000)
    scores = make_pipeline(StandardScaler(), model).fit(x, y).predict_proba(x)
    return scores[:, 1:] if task == "binary" else scores


if __name__ == "__main__":
    command, argument, source, out = sys.argv[1:]
    with open(source, encoding="utf-8") as file:
        given = json.load(file)
    scores = {"onnx": onnx, "scikit": scikit}[command](argument, given)
    with open(out, "w", encoding="utf-8") as file:
        json.dump(scores.tolist(), file)
