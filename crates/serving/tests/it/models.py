"""Writes models that need ONNX Runtime into a folder, and what it answers in Python.

usage: models.py FOLDER
"""

import json
import pathlib
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

FOLDER = pathlib.Path(sys.argv[1])
NUMBERS = np.array([[0.5, -1.25, 3.0], [np.nan, 0.0, 1.0], [2.0, 2.0, -2.0]], dtype=np.float32)
TEXTS = np.array([["UA"], ["AA"], [""]])


def save(name, nodes, inputs, outputs, given):
    graph = helper.make_graph(nodes, name, inputs, outputs)
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    onnx.checker.check_model(model)
    (FOLDER / f"{name}.onnx").write_bytes(model.SerializeToString())
    answered = onnxruntime.InferenceSession(model.SerializeToString()).run(None, given)[-1]
    rows = [list(row.values()) for row in answered] if isinstance(answered, list) else np.asarray(answered).tolist()
    return [[None if np.isnan(value) else float(value) for value in row] for row in rows]


def tensor(name, kind, width):
    return helper.make_tensor_value_info(name, kind, ["rows", width])


def mapped(name, key):
    kind = helper.make_sequence_type_proto(helper.make_map_type_proto(key, helper.make_tensor_type_proto(TensorProto.FLOAT, [])))
    return helper.make_value_info(name, kind)


# Erf is an operator that the built-in evaluator does not have.
ERF = helper.make_node("Erf", ["x"], ["e"])
SUM = helper.make_node("ReduceSum", ["e"], ["y"], keepdims=1)
SOFTMAX = helper.make_node("Softmax", ["e"], ["p"], axis=1)
X = tensor("x", TensorProto.FLOAT, 3)
expected = {
    "matrix": save(
        "matrix",
        [ERF, SOFTMAX],
        [X],
        [tensor("p", TensorProto.FLOAT, 3)],
        {"x": NUMBERS},
    ),
    "zipmap": save(
        "zipmap",
        [
            ERF,
            SOFTMAX,
            helper.make_node("ZipMap", ["p"], ["z"], domain="ai.onnx.ml", classlabels_strings=["low", "high", "mid"]),
        ],
        [X],
        [mapped("z", TensorProto.STRING)],
        {"x": NUMBERS},
    ),
    "named": save(
        "named",
        [
            ERF,
            helper.make_node(
                "LabelEncoder",
                ["carrier"],
                ["c"],
                domain="ai.onnx.ml",
                keys_strings=["AA", "UA", ""],
                values_floats=[1.0, 2.0, 4.0],
            ),
            helper.make_node("Add", ["e", "c"], ["a"]),
            helper.make_node("Cast", ["count"], ["n"], to=TensorProto.FLOAT),
            helper.make_node("Mul", ["a", "n"], ["y"]),
        ],
        [tensor("x", TensorProto.FLOAT, 1), tensor("carrier", TensorProto.STRING, 1), tensor("count", TensorProto.INT64, 1)],
        [tensor("y", TensorProto.FLOAT, 1)],
        {"x": NUMBERS[:, :1], "carrier": TEXTS, "count": np.array([[10], [20], [30]])},
    ),
    "binary": save(
        "binary",
        [
            helper.make_node("Erf", ["x"], ["e"]),
            SOFTMAX,
        ],
        [tensor("x", TensorProto.FLOAT, 2)],
        [tensor("p", TensorProto.FLOAT, 2)],
        {"x": NUMBERS[:, :2]},
    ),
    "flipped": save(
        "flipped",
        [ERF, SOFTMAX, helper.make_node("ZipMap", ["p"], ["z"], domain="ai.onnx.ml", classlabels_int64s=[1, 0])],
        [tensor("x", TensorProto.FLOAT, 2)],
        [mapped("z", TensorProto.INT64)],
        {"x": NUMBERS[:, :2]},
    ),
    "unnamed": save(
        "unnamed",
        [ERF, SOFTMAX, helper.make_node("ZipMap", ["p"], ["z"], domain="ai.onnx.ml", classlabels_strings=["bad", "good"])],
        [tensor("x", TensorProto.FLOAT, 2)],
        [mapped("z", TensorProto.STRING)],
        {"x": NUMBERS[:, :2]},
    ),
    # One that the built-in evaluator has every operator of.
    "classical": save(
        "classical",
        [helper.make_node("Sigmoid", ["x"], ["y"])],
        [tensor("x", TensorProto.FLOAT, 1)],
        [tensor("y", TensorProto.FLOAT, 1)],
        {"x": NUMBERS[:, :1]},
    ),
}
capi = pathlib.Path(onnxruntime.__file__).parent / "capi"
library = next(str(path) for path in capi.iterdir() if path.name.startswith("libonnxruntime.so"))
print(json.dumps({"library": library, "expected": expected}))
