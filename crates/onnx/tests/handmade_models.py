"""Models that no library exports: every mode of the tree operators, and every small operator.

Called by `export_models.py`.
"""

import json
import math
import sys

import numpy as np
import onnxruntime
from onnx import TensorProto, helper


def tensor(array):
    array = np.asarray(array)
    if array.dtype.kind in "OUS":
        values = [str(value) for value in array.ravel()]
    elif array.dtype.kind == "f":
        values = [float(value) if math.isfinite(value) else str(value) for value in array.ravel()]
    else:
        values = [int(value) for value in array.ravel()]
    return {"type": str(array.dtype) if array.dtype.kind not in "OUS" else "text", "shape": list(array.shape), "values": values}


def run(session, inputs):
    outputs = {}
    for output, value in zip(session.get_outputs(), session.run(None, inputs)):
        if isinstance(value, list):  # ZipMap: a list of maps
            value = np.array([list(row.values()) for row in value], dtype=np.float32)
        outputs[output.name] = value
    return outputs


def write(out, name, model, inputs):
    data = model.SerializeToString()
    (out / f"{name}.onnx").write_bytes(data)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    outputs = run(session, inputs)
    record = {
        "inputs": {key: tensor(value) for key, value in inputs.items()},
        "outputs": {key: tensor(value) for key, value in outputs.items()},
    }
    (out / f"{name}.json").write_text(json.dumps(record))
    print(f"{name}: {len(data):,} bytes", file=sys.stderr)


def random_tree(draw, nodes_max, features, modes, values):
    """A random tree as rows (feature, mode, value, true child, false child, missing tracks true)."""
    tree, open_nodes = [None], [0]
    while open_nodes:
        at = open_nodes.pop(0)
        if len(tree) + 2 > nodes_max or (at > 2 and draw.random() < 0.25):
            tree[at] = (0, "LEAF", 0.0, 0, 0, 0)
            continue
        true_child, false_child = len(tree), len(tree) + 1
        tree += [None, None]
        open_nodes += [true_child, false_child]
        value = float(draw.choice(values))
        tree[at] = (int(draw.integers(features)), str(draw.choice(modes)), value, true_child, false_child, int(draw.integers(2)))
    return tree


def handmade(out):
    """Tree ensembles with every mode, aggregate, transform and number of base values."""
    draw = np.random.default_rng(5)
    all_modes = ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ"]
    values = np.array([-2.0, -1.0, -0.5, 0.0, 0.25, 1.0, 2.0, np.inf, -np.inf])
    features = 4
    x = draw.choice(np.append(values, [np.nan, 0.5, 3.0, -3.0]), size=(600, features)).astype(np.float32)
    cases = [
        (kind, outputs, modes, size, transform, aggregate, bases, double)
        for kind, outputs in (("class", 2), ("class", 3), ("target", 1), ("target", 3))
        for modes in (all_modes, ["BRANCH_LEQ"], ["BRANCH_EQ"])
        for size in (1, 15, 151)
        for transform in ("NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO", "PROBIT")
        for aggregate in (("SUM",) if kind == "class" else ("SUM", "AVERAGE", "MIN", "MAX"))
        for bases in sorted({0, 1, outputs} if outputs < 3 else {0, outputs})
        for double in (False, True)
    ]
    chosen = draw.choice(len(cases), size=160, replace=False)
    for number, case in enumerate(sorted(chosen)):
        kind, outputs, modes, size, transform, aggregate, bases, double = cases[case]
        positive = draw.random() < 0.4 or transform == "PROBIT"
        single_target = kind == "class" and outputs == 2 and draw.random() < 0.7
        side = int(draw.integers(outputs))
        several_weights = draw.random() < 0.3
        nodes, leaves = [], []
        trees = int(draw.choice([1, 3, 20]))
        for tree in range(trees):
            for at, node in enumerate(random_tree(draw, size, features, modes, values)):
                nodes.append((tree, at, *node))
                if node[1] == "LEAF":
                    count = outputs if several_weights and not single_target else 1
                    targets = [side] if single_target else draw.choice(outputs, size=count, replace=False)
                    weight = draw.random(count) / trees if positive else draw.normal(size=count)
                    leaves += [(tree, at, int(target), float(w)) for target, w in zip(targets, weight)]
        tree_ids, node_ids, feature_ids, mode, value, true_ids, false_ids, missing = (list(column) for column in zip(*nodes))
        leaf_trees, leaf_nodes, leaf_targets, weights = (list(column) for column in zip(*leaves))
        base = [float(b) for b in (draw.random(bases) / 10 if positive else draw.normal(size=bases))]
        width = np.float64 if double else np.float32

        def array(name, items):
            if double:
                return {f"{name}_as_tensor": helper.make_tensor(name, TensorProto.DOUBLE, [len(items)], items)}
            return {name: items}

        attributes = dict(
            nodes_treeids=tree_ids, nodes_nodeids=node_ids, nodes_featureids=feature_ids, nodes_modes=mode,
            nodes_truenodeids=true_ids, nodes_falsenodeids=false_ids, nodes_missing_value_tracks_true=missing,
            post_transform=transform,
            **{f"{kind}_treeids": leaf_trees, f"{kind}_nodeids": leaf_nodes, f"{kind}_ids": leaf_targets},
            **array("nodes_values", value), **array(f"{kind}_weights", weights),
            **(array("base_values", base) if base else {}),
        )  # fmt: skip
        if kind == "class":
            labels = ["x", "y", "z"][:outputs]
            # ONNX Runtime returns 0 and 1 for two classes, regardless of their labels, unless all leaves have one target.
            first = 0 if outputs == 2 and not single_target else 5
            attributes |= {"classlabels_strings": labels} if draw.random() < 0.5 else {"classlabels_int64s": list(range(first, first + outputs))}
            names = ["label", "scores"]
            texts = "classlabels_strings" in attributes
            results = [
                helper.make_tensor_value_info("label", TensorProto.STRING if texts else TensorProto.INT64, [None]),
                helper.make_tensor_value_info("scores", TensorProto.FLOAT, [None, outputs]),
            ]
        else:
            attributes |= {"aggregate_function": aggregate, "n_targets": outputs}
            names = ["scores"]
            results = [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [None, outputs])]
        operator = "TreeEnsembleClassifier" if kind == "class" else "TreeEnsembleRegressor"
        node = helper.make_node(operator, ["input"], names, domain="ai.onnx.ml", **attributes)
        element = TensorProto.DOUBLE if double else TensorProto.FLOAT
        source = helper.make_tensor_value_info("input", element, [None, features])
        graph = helper.make_graph([node], "handmade", [source], results)
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
        name = f"handmade_{number}_{kind}{outputs}_{transform}_{aggregate}_{bases}{'_double' if double else ''}"
        try:
            write(out, name.lower(), model, {"input": x.astype(width)})
        except Exception as error:  # ONNX Runtime refuses this model itself
            (out / f"{name.lower()}.onnx").unlink()
            print(f"{name}: left out, {str(error).splitlines()[0]}", file=sys.stderr)


def two_classes(out):
    """Two classes with every combination of targets, signs of the weights, base values and transform."""
    targets = {"first": [(0, 0), (0, 0)], "second": [(1, 1), (1, 1)], "both": [(0, 0), (1, 1)], "mixed": [(0, 1), (1, 0)]}
    signs = {
        "positive": [(0.2, 0.9), (0.1, 0.3)], "zero": [(0.0, 0.9), (0.0, 0.0)],
        "any": [(-0.2, 0.9), (0.1, -0.3)], "negative": [(-0.2, -0.9), (-0.1, -0.3)],
    }  # fmt: skip
    x = np.array([[0.0], [1.0], [np.nan]], dtype=np.float32)
    cases = [
        (target, sign, base, transform)
        for target in targets
        for sign in signs
        for base in ([], [0.25], [-0.3], [0.25, -0.4])
        for transform in ("NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO", "PROBIT")
        # ONNX Runtime writes one of the two scores and leaves the other uninitialized.
        if not (target == "first" and len(base) < 2 and transform == "PROBIT")
    ]
    for number, (target, sign, base, transform) in enumerate(cases):
        # Two trees with one split at 0.5.
        leaves = [
            (tree, 1 + side, targets[target][tree][side], signs[sign][tree][side]) for tree in (0, 1) for side in (0, 1)
        ]
        leaf_trees, leaf_nodes, class_ids, weights = (list(column) for column in zip(*leaves))
        attributes = dict(
            nodes_treeids=[0, 0, 0, 1, 1, 1], nodes_nodeids=[0, 1, 2] * 2, nodes_featureids=[0] * 6,
            nodes_values=[0.5, 0.0, 0.0] * 2, nodes_modes=["BRANCH_LEQ", "LEAF", "LEAF"] * 2,
            nodes_truenodeids=[1, 0, 0] * 2, nodes_falsenodeids=[2, 0, 0] * 2, post_transform=transform,
            class_treeids=leaf_trees, class_nodeids=leaf_nodes, class_ids=class_ids, class_weights=weights,
            classlabels_int64s=[0, 1], **({"base_values": base} if base else {}),
        )  # fmt: skip
        node = helper.make_node("TreeEnsembleClassifier", ["input"], ["label", "scores"], domain="ai.onnx.ml", **attributes)
        source = helper.make_tensor_value_info("input", TensorProto.FLOAT, [None, 1])
        results = [
            helper.make_tensor_value_info("label", TensorProto.INT64, [None]),
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, [None, 2]),
        ]
        graph = helper.make_graph([node], "two_classes", [source], results)
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
        write(out, f"two_classes_{number}_{target}_{sign}_{len(base)}_{transform}".lower(), model, {"input": x})


def tree_ensemble_v5(out):
    """`TreeEnsemble` of operator set 5, with membership tests."""
    draw = np.random.default_rng(6)
    for number in range(8):
        features, nodes, leaves, members, roots = 3, [], [], [], []

        def grow(depth):
            at = len(nodes)
            nodes.append(None)
            mode = int(draw.integers(7))
            if mode == 6:
                members.extend([*draw.choice(8, size=int(draw.integers(1, 5)), replace=False).astype(float), np.nan])
            children = []
            for _ in range(2):
                if depth == 0 or draw.random() < 0.2:
                    leaves.append((int(draw.integers(2)), float(draw.normal())))
                    children.append((len(leaves) - 1, 1))
                else:
                    children.append((grow(depth - 1), 0))
            nodes[at] = (int(draw.integers(features)), mode, float(draw.integers(8)), *children, int(draw.integers(2)))
            return at

        # Sets are listed in the order of their nodes, so parents are generated before their children.
        for _ in range(4):
            roots.append(grow(4 if number % 2 else 6))
        as_tensor = lambda name, kind, items: helper.make_tensor(name, kind, [len(items)], items)
        node = helper.make_node(
            "TreeEnsemble", ["input"], ["scores"], domain="ai.onnx.ml", n_targets=2,
            aggregate_function=1, post_transform=0, tree_roots=roots,
            nodes_featureids=[n[0] for n in nodes],
            nodes_modes=as_tensor("modes", TensorProto.UINT8, [n[1] for n in nodes]),
            nodes_splits=as_tensor("splits", TensorProto.FLOAT, [n[2] for n in nodes]),
            nodes_truenodeids=[n[3][0] for n in nodes], nodes_trueleafs=[n[3][1] for n in nodes],
            nodes_falsenodeids=[n[4][0] for n in nodes], nodes_falseleafs=[n[4][1] for n in nodes],
            nodes_missing_value_tracks_true=[n[5] for n in nodes],
            leaf_targetids=[leaf[0] for leaf in leaves],
            leaf_weights=as_tensor("weights", TensorProto.FLOAT, [leaf[1] for leaf in leaves]),
            **({"membership_values": as_tensor("members", TensorProto.FLOAT, members)} if members else {}),
        )  # fmt: skip
        source = helper.make_tensor_value_info("input", TensorProto.FLOAT, [None, features])
        result = helper.make_tensor_value_info("scores", TensorProto.FLOAT, [None, 2])
        graph = helper.make_graph([node], "tree_ensemble_v5", [source], [result])
        opsets = [helper.make_opsetid("", 21), helper.make_opsetid("ai.onnx.ml", 5)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
        x = np.append(np.arange(8.0), [np.nan, 2.5, -1.0, 9.0])
        write(out, f"tree_ensemble_v5_{number}", model, {"input": draw.choice(x, size=(500, features)).astype(np.float32)})


def encoders(out):
    """`LabelEncoder` with all types of keys and values, and other small operators."""
    keys = {
        "text": ("keys_strings", ["a", "b", "c"], TensorProto.STRING, np.array(["c", "x", "", "a"], dtype=object)),
        "whole": ("keys_int64s", [1, 2, 3], TensorProto.INT64, np.array([3, 0, -1, 1])),
        "float": ("keys_floats", [1.5, 0.0, 3.0], TensorProto.FLOAT, np.array([3.0, np.nan, -0.0, 1.5], dtype=np.float32)),
    }
    values = {
        "text": ("values_strings", ["p", "q", "r"], TensorProto.STRING),
        "whole": ("values_int64s", [7, 8, 9], TensorProto.INT64),
        "float": ("values_floats", [0.5, -1.0, 2.0], TensorProto.FLOAT),
    }
    for version in (2, 4):
        for key, (keys_name, keys_list, key_type, asked) in keys.items():
            for value, (values_name, values_list, value_type) in values.items():
                node = helper.make_node("LabelEncoder", ["input"], ["output"], domain="ai.onnx.ml", **{keys_name: keys_list, values_name: values_list})
                source = helper.make_tensor_value_info("input", key_type, [None])
                result = helper.make_tensor_value_info("output", value_type, [None])
                graph = helper.make_graph([node], "encoder", [source], [result])
                opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", version)]
                model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
                try:
                    write(out, f"encoder_{version}_{key}_{value}", model, {"input": asked})
                except Exception as error:
                    (out / f"encoder_{version}_{key}_{value}.onnx").unlink()
                    print(f"left out: {str(error).splitlines()[0]}", file=sys.stderr)
    keys = helper.make_tensor("keys", TensorProto.FLOAT, [3], [1.0, float("nan"), 2.0])
    values = helper.make_tensor("values", TensorProto.INT64, [3], [10, 20, 30])
    default = helper.make_tensor("default", TensorProto.INT64, [1], [99])
    node = helper.make_node("LabelEncoder", ["input"], ["output"], domain="ai.onnx.ml", keys_tensor=keys, values_tensor=values, default_tensor=default)
    operators(out, "encoder_missing", [node], {"input": np.array([2, np.nan, 5, 1], dtype=np.float32)}, {"output": TensorProto.INT64}, ml=4)


def operators(out, name, nodes, inputs, results, opset=17, ml=3, constants=()):
    types = {"f": TensorProto.FLOAT, "O": TensorProto.STRING, "i": TensorProto.INT64, "b": TensorProto.BOOL}
    kind = lambda value: TensorProto.DOUBLE if value.dtype == np.float64 else types[value.dtype.kind]
    sources = [helper.make_tensor_value_info(key, kind(value), [None] * value.ndim) for key, value in inputs.items()]
    graph = helper.make_graph(
        nodes, name, sources, [helper.make_tensor_value_info(key, element, None) for key, element in results.items()], list(constants)
    )
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("ai.onnx.ml", ml)]
    write(out, name, helper.make_model(graph, opset_imports=opsets, ir_version=8), inputs)


def small_operators(out):
    """A graph for each operator of `ai.onnx`, with broadcasting and missing values."""
    draw = np.random.default_rng(7)
    a = draw.normal(size=(5, 4)).astype(np.float32)
    a[0, 1] = np.nan
    row, column = draw.normal(size=4).astype(np.float32), draw.normal(size=(5, 1)).astype(np.float32)
    make, f, i, b, s = helper.make_node, TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL, TensorProto.STRING
    whole = lambda name, values: helper.make_tensor(name, i, [len(values)], values)
    for operator in ("Add", "Sub", "Mul", "Div", "Max", "Min"):
        nodes = [make(operator, ["a", "row"], ["x"]), make(operator, ["column", "x"], ["y"]), make(operator, ["row", "column"], ["z"])]
        operators(out, f"operator_{operator.lower()}", nodes, {"a": a, "row": row, "column": column}, {"x": f, "y": f, "z": f})
    for operator in ("Equal", "Less", "Greater", "LessOrEqual", "GreaterOrEqual"):
        operators(out, f"operator_{operator.lower()}", [make(operator, ["a", "row"], ["x"])], {"a": a, "row": row}, {"x": b})
    for operator in ("Relu", "Sigmoid", "Tanh", "Exp", "Abs", "Neg", "Floor", "Ceil", "Round", "Softplus", "LeakyRelu", "Elu", "HardSigmoid", "Sign", "Sqrt", "Reciprocal"):
        operators(out, f"operator_{operator.lower()}", [make(operator, ["a"], ["x"])], {"a": a}, {"x": f})
    for opset in (11, 17):
        for axis in (0, 1):
            nodes = [make("Softmax", ["a"], ["x"], axis=axis), make("LogSoftmax", ["a"], ["y"], axis=axis)]
            operators(out, f"operator_softmax_{opset}_{axis}", nodes, {"a": a[1:]}, {"x": f, "y": f}, opset=opset)
    operators(out, "operator_isnan", [make("IsNaN", ["a"], ["n"]), make("Not", ["n"], ["m"]), make("Where", ["n", "row", "a"], ["x"])], {"a": a, "row": row}, {"n": b, "m": b, "x": f})
    for keep in (0, 1):
        nodes = [
            make("ReduceSum", ["a", "axes"], ["x"], keepdims=keep), make("ReduceMean", ["a"], ["y"], axes=[0], keepdims=keep),
            make("ReduceMax", ["a"], ["z"], axes=[-1], keepdims=keep), make("ReduceL2", ["a"], ["w"], axes=[1], keepdims=keep),
            make("ArgMax", ["a"], ["u"], axis=1, keepdims=keep), make("ArgMin", ["a"], ["v"], axis=0, keepdims=keep),
        ]  # fmt: skip
        operators(out, f"operator_reduce_{keep}", nodes, {"a": a[1:]}, {"x": f, "y": f, "z": f, "w": f, "u": i, "v": i}, constants=[whole("axes", [1])])
    nodes = [
        make("Shape", ["a"], ["shape"]), make("Slice", ["a", "from", "to", "axes", "steps"], ["slice"]), make("Gather", ["a", "places"], ["gather"], axis=1),
        make("Unsqueeze", ["a", "one"], ["wide"]), make("Squeeze", ["wide", "one"], ["narrow"]), make("Transpose", ["a"], ["turned"]),
        make("Flatten", ["wide"], ["flat"]), make("Reshape", ["a", "as"], ["shaped"]), make("Concat", ["a", "column"], ["joined"], axis=1),
        make("Clip", ["a", "low", "high"], ["clipped"]), make("Expand", ["column", "size"], ["expanded"]), make("Split", ["a"], ["left", "right"], axis=1),
        make("TopK", ["a", "one"], ["top", "place"], axis=1),
    ]  # fmt: skip
    constants = [
        whole("from", [-1, 0]), whole("to", [-10, 3]), whole("axes", [0, 1]), whole("steps", [-2, 1]), whole("places", [3, -4]), whole("one", [1]),
        whole("as", [0, 2, -1]), whole("size", [5, 3]), helper.make_tensor("low", f, [], [-0.5]), helper.make_tensor("high", f, [], [0.5]),
    ]  # fmt: skip
    names = ["slice", "gather", "wide", "narrow", "turned", "flat", "shaped", "joined", "clipped", "expanded", "left", "right", "top"]
    operators(out, "operator_shape", nodes, {"a": a[1:], "column": column[1:]} | {}, {"shape": i, "place": i} | {name: f for name in names}, constants=[*constants[:7], whole("size", [4, 3]), *constants[8:]])
    nodes = [make("MatMul", ["a", "m"], ["x"]), make("Gemm", ["a", "m", "c"], ["y"], alpha=0.5, beta=2.0), make("Gemm", ["a", "t"], ["z"], transB=1), make("MatMul", ["a", "row"], ["w"])]
    matrices = [helper.make_tensor(name, f, shape, draw.normal(size=int(np.prod(shape)))) for name, shape in (("m", [4, 3]), ("c", [3]), ("t", [3, 4]))]
    operators(out, "operator_matrix", nodes, {"a": a[1:], "row": row}, {name: f for name in "xyzw"}, constants=matrices)
    numbers = np.array([[0.1, 1e-7, 123456789.0], [2.0, -3.5, 1e20], [0.30000001, 1234.5678, 0.0]], dtype=np.float32)
    nodes = [make("Cast", ["a"], ["text"], to=s), make("Cast", ["text"], ["back"], to=f), make("Cast", ["a"], ["yes"], to=b), make("Cast", ["w"], ["words"], to=s), make("Cast", ["w"], ["floats"], to=f)]
    operators(out, "operator_cast", nodes, {"a": numbers, "w": np.array([1, -5, 0])}, {"text": s, "back": f, "yes": b, "words": s, "floats": f})
    nodes = [
        make("Normalizer", ["a"], ["l1"], norm="L1", domain="ai.onnx.ml"), make("Normalizer", ["a"], ["l2"], norm="L2", domain="ai.onnx.ml"), make("Normalizer", ["a"], ["max"], norm="MAX", domain="ai.onnx.ml"),
        make("Binarizer", ["a"], ["binary"], threshold=0.25, domain="ai.onnx.ml"), make("ArrayFeatureExtractor", ["a", "places"], ["picked"], domain="ai.onnx.ml"),
        make("FeatureVectorizer", ["a", "column"], ["vector"], inputdimensions=[4, 1], domain="ai.onnx.ml"), make("Scaler", ["a"], ["scaled"], offset=[0.5], scale=[2.0], domain="ai.onnx.ml"),
        make("Imputer", ["a"], ["imputed"], imputed_value_floats=[1.0, 2.0, 3.0, 4.0], replaced_value_float=0.0, domain="ai.onnx.ml"),
    ]  # fmt: skip
    positive = np.abs(a[1:])
    positive[1, 2] = 0
    names = ["l1", "l2", "max", "binary", "picked", "vector", "scaled", "imputed"]
    operators(out, "operator_classical", nodes, {"a": positive, "column": column[1:]}, {name: f for name in names}, constants=[whole("places", [2, 0])])
    linear(out, a[1:])


def linear(out, x):
    for name, count, transform in (("one", 1, "LOGISTIC"), ("one_none", 1, "NONE"), ("two", 2, "LOGISTIC"), ("three", 3, "SOFTMAX"), ("three_zero", 3, "SOFTMAX_ZERO")):
        labels = max(2, count)
        node = helper.make_node(
            "LinearClassifier", ["a"], ["label", "scores"], domain="ai.onnx.ml", post_transform=transform,
            coefficients=[float(v) for v in np.linspace(-1, 1, count * 4)], intercepts=[0.1 * i for i in range(count)], classlabels_ints=list(range(labels)),
        )  # fmt: skip
        operators(out, f"linear_{name}", [node], {"a": x}, {"label": TensorProto.INT64, "scores": TensorProto.FLOAT})
    node = helper.make_node("LinearRegressor", ["a"], ["y"], domain="ai.onnx.ml", coefficients=[1.0, -2.0, 0.5, 3.0] * 2, intercepts=[0.5, 1.5], targets=2)
    operators(out, "linear_regressor", [node], {"a": x}, {"y": TensorProto.FLOAT})
