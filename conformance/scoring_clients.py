"""Requests predictions with other projects' clients and compares them with those of ONNX Runtime.

The clients are `tritonclient` over HTTP and `curl` (MLflow's `/invocations`, and v2 as JSON). MLflow's client
downloads the ONNX file of the model from its run. Environment variables name the server and a token
(`MLFLOW_TRACKING_URI`, `MLFLOW_TRACKING_TOKEN`), the endpoint (`ENDPOINT`), the version that answers and its run
(`VERSION`, `RUN_ID`), and a file with rows (`ROWS`: JSON with `columns` and `rows`). The task of the endpoint is
binary. Exit status 0 means that every check passed.
"""

import csv
import io
import json
import os
import subprocess

import mlflow
import numpy as np
import onnxruntime
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

SERVER = os.environ["MLFLOW_TRACKING_URI"]
ENDPOINT, VERSION = os.environ["ENDPOINT"], os.environ["VERSION"]
HEADERS = {"Authorization": f"Bearer {os.environ['MLFLOW_TRACKING_TOKEN']}"}

# The greatest allowed difference from ONNX Runtime's probability.
TOLERANCE = 1e-6

# Categories that no training row has. The second one has non-ASCII characters, quotes and a comma.
UNSEEN = ["ZZ", 'Zürich, "Süd" ✈']


def headers():
    """A new dict for each call, because the client modifies it."""
    return dict(HEADERS)


def refused(call, status, words):
    try:
        call()
    except InferenceServerException as error:
        assert error.status() == status, f"{error.status()}: {error}"
        assert words in error.message(), error
        return
    raise AssertionError(f"expected {status}")


# --- metadata of the server and of the model --------------------------------------------------------

client = triton.InferenceServerClient(url=SERVER.removeprefix("http://"), concurrency=4)
assert client.is_server_live(headers=headers())
assert client.is_server_ready(headers=headers())
assert client.is_model_ready(ENDPOINT, headers=headers())
assert client.is_model_ready(ENDPOINT, VERSION, headers=headers())
assert not client.is_model_ready("unknown", headers=headers())
assert not client.is_model_ready(ENDPOINT, "999", headers=headers())
server = client.get_server_metadata(headers=headers())
assert server["name"] == "perennial" and "binary_tensor_data" in server["extensions"], server
index = client.get_model_repository_index(headers=headers())
assert [(model["name"], model["version"], model["state"]) for model in index] == [(ENDPOINT, VERSION, "READY")], index
model = client.get_model_metadata(ENDPOINT, headers=headers())
assert model == client.get_model_metadata(ENDPOINT, VERSION, headers=headers())
assert model["name"] == ENDPOINT and model["versions"] == [VERSION], model
assert [(out["name"], out["datatype"], out["shape"]) for out in model["outputs"]] == [
    ("label", "INT64", [-1]),
    ("probability", "FP64", [-1]),
]
refused(lambda: client.get_model_metadata("unknown", headers=headers()), "404", "unknown")
FEATURES = {one["name"]: one["datatype"] for one in model["inputs"]}
TEXTS = [name for name, datatype in FEATURES.items() if datatype == "BYTES"]

# --- rows: original ones, one value missing, all values missing, unseen categories -------------------

table = json.load(open(os.environ["ROWS"], encoding="utf-8"))
original = [dict(zip(table["columns"], row, strict=True)) for row in table["rows"]]
assert len(original) > 100 and set(original[0]) == set(FEATURES), "the columns are exactly the features"
assert any(value is None for row in original for value in row.values()), "some original values are missing"
generated = [{**original[0], name: None} for name in FEATURES]
generated += [dict.fromkeys(FEATURES)]
generated += [{**original[1], name: text} for name in TEXTS for text in UNSEEN]
ROWS = original + generated
COLUMNS = {name: [row[name] for row in ROWS] for name in FEATURES}

# --- expected probabilities from ONNX Runtime -------------------------------------------------------

place = mlflow.artifacts.download_artifacts(run_id=os.environ["RUN_ID"], artifact_path="model/model.onnx")
session = onnxruntime.InferenceSession(place, providers=["CPUExecutionProvider"])


def tensor(name, kind):
    """A column as an ONNX input: a missing number is NaN, a missing text the empty text."""
    if kind == "tensor(string)":
        return np.array([[value or ""] for value in COLUMNS[name]], dtype=object)
    assert kind == "tensor(float)", kind
    return np.array([[np.nan if value is None else value] for value in COLUMNS[name]], dtype=np.float32)


assert {one.name for one in session.get_inputs()} == set(FEATURES)
feeds = {one.name: tensor(one.name, one.type) for one in session.get_inputs()}
labels, probabilities = session.run(None, feeds)
EXPECTED, LABELS = np.asarray(probabilities)[:, 1].astype(np.float64), np.asarray(labels)
assert EXPECTED.std() > 0.01, "the probabilities differ between rows"
compared = 0


def agree(client_name, probability, label):
    """Compares the answer of a client for all rows."""
    global compared
    difference = np.abs(np.asarray(probability, dtype=np.float64) - EXPECTED)
    worst = difference.argmax()
    assert difference.shape == EXPECTED.shape, f"{client_name}: {difference.shape}"
    assert difference.max() <= TOLERANCE, f"{client_name}: {difference.max()} at row {worst}"
    # The label of a probability that differs from one half by less than the tolerance is not compared.
    clear = np.abs(EXPECTED - 0.5) > TOLERANCE
    assert np.array_equal(np.asarray(label)[clear], LABELS[clear]), client_name
    compared += 1


# --- tritonclient -----------------------------------------------------------------------------------


def inputs(number="FP64", binary=True, nested=False, rows=slice(None)):
    """The rows as tensors of the client."""
    numpy = {"FP64": np.float64, "FP32": np.float32}[number]
    tensors = []
    for name, datatype in FEATURES.items():
        values = COLUMNS[name][rows]
        if datatype == "BYTES":
            values = np.array([value or "" for value in values], dtype=object)
        else:
            values = np.array([np.nan if value is None else value for value in values], dtype=numpy)
            datatype = number
        values = values.reshape(-1, 1) if nested else values
        tensors.append(triton.InferInput(name, list(values.shape), datatype).set_data_from_numpy(values, binary_data=binary))
    return tensors


def outputs(binary):
    return [triton.InferRequestedOutput(name, binary_data=binary) for name in ["probability", "label"]]


def check(client_name, answer):
    response = answer.get_response()
    assert (response["model_name"], response["model_version"]) == (ENDPOINT, VERSION), response
    agree(client_name, answer.as_numpy("probability"), answer.as_numpy("label"))


for number in ["FP64", "FP32"]:
    for binary in [True, False]:
        for nested in [True, False]:
            for wanted in [None, outputs(True), outputs(False)]:
                given = inputs(number, binary, nested)
                answer = client.infer(ENDPOINT, given, outputs=wanted, headers=headers())
                check(f"tritonclient {number}, binary {binary}, [n, 1] {nested}", answer)
answer = client.infer(ENDPOINT, inputs(), model_version=VERSION, request_id="mine", headers=headers())
assert answer.get_response()["id"] == "mine"
check("tritonclient, by version", answer)
for way in ["gzip", "deflate"]:
    answer = client.infer(
        ENDPOINT,
        inputs(),
        headers=headers(),
        request_compression_algorithm=way,
        response_compression_algorithm=way,
    )
    check(f"tritonclient, {way}", answer)
pending = [client.async_infer(ENDPOINT, inputs(), headers=headers()) for _ in range(4)]
for answer in pending:
    check("tritonclient, asynchronously", answer.get_result())
one_by_one = [client.infer(ENDPOINT, inputs(rows=slice(row, row + 1)), headers=headers()) for row in range(len(ROWS))]
agree(
    "tritonclient, row by row",
    [answer.as_numpy("probability")[0] for answer in one_by_one],
    [answer.as_numpy("label")[0] for answer in one_by_one],
)
best = triton.InferRequestedOutput("probability", binary_data=False, class_count=1)
answer = client.infer(ENDPOINT, inputs(rows=slice(0, 3)), outputs=[best], headers=headers())
probabilities = [text.split(":")[0] for text in answer.get_output("probability")["data"]]
assert np.allclose(np.array(probabilities, dtype=np.float64), EXPECTED[:3], rtol=0, atol=TOLERANCE), probabilities

number = next(name for name in FEATURES if name not in TEXTS)
stranger = triton.InferInput("stranger", [len(ROWS)], "FP64").set_data_from_numpy(np.zeros(len(ROWS)))
text = triton.InferInput(number, [len(ROWS)], "BYTES").set_data_from_numpy(np.array(["x"] * len(ROWS), dtype=object))
others = [one for one in inputs() if one.name() != number]
refused(lambda: client.infer(ENDPOINT, others, headers=headers()), "400", number)
refused(lambda: client.infer(ENDPOINT, [*others, text], headers=headers()), "400", number)
refused(lambda: client.infer(ENDPOINT, [*inputs(), stranger], headers=headers()), "400", "stranger")
refused(lambda: client.infer("unknown", inputs(), headers=headers()), "404", "unknown")
refused(lambda: client.infer(ENDPOINT, inputs()), "401", "")
client.close()

# --- curl -------------------------------------------------------------------------------------------


def curl(path, kind, body):
    """POSTs a body; returns the answer and the status."""
    words = ["curl", "--silent", "--show-error", "--noproxy", "*", "--write-out", "\n%{http_code}"]
    words += ["--header", f"Authorization: {HEADERS['Authorization']}", "--header", f"Content-Type: {kind}"]
    words += ["--data-binary", "@-", f"{SERVER}{path}"]
    output = subprocess.run(words, input=body.encode(), stdout=subprocess.PIPE, check=True).stdout.decode()
    answer, status = output.rsplit("\n", 1)
    return json.loads(answer), int(status)


def invocations(case, body, kind="application/json"):
    text = body if isinstance(body, str) else json.dumps(body)
    answer, status = curl(f"/endpoints/{ENDPOINT}/invocations", kind, text)
    assert status == 200, f"{case}: {status} {answer}"
    rows = answer["predictions"]
    agree(f"curl, {case}", [row["probability"] for row in rows], [row["label"] for row in rows])


def lines(rows):
    """The rows as CSV; a missing value is an empty field."""
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=list(FEATURES))
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


split = {"columns": list(FEATURES), "data": [[row[name] for name in FEATURES] for row in ROWS]}
backwards = list(reversed(FEATURES))
# MLflow's own clients write a missing number as NaN, which is not valid JSON.
bare = {name: [np.nan if value is None and name not in TEXTS else value for value in COLUMNS[name]] for name in FEATURES}
invocations("dataframe_split", {"dataframe_split": split})
invocations("dataframe_split with index", {"dataframe_split": {**split, "index": list(range(len(ROWS)))}})
invocations("columns in another order", {"dataframe_records": [{name: row[name] for name in backwards} for row in ROWS]})
invocations("dataframe_records", {"dataframe_records": ROWS})
present = [{name: value for name, value in row.items() if value is not None} for row in ROWS]
invocations("missing as absent", {"dataframe_records": [ROWS[0], *present[1:]]})
invocations("an additional column", {"dataframe_records": [{**row, "stranger": 1} for row in ROWS]})
invocations("instances", {"instances": ROWS})
invocations("inputs", {"inputs": COLUMNS})
invocations("inputs with NaN", {"inputs": bare})
invocations("CSV", lines(ROWS), kind="text/csv")
invocations("CSV with charset", lines(ROWS), kind="text/csv; charset=utf-8")

answer, status = curl(f"/endpoints/{ENDPOINT}/invocations", "application/json", json.dumps({"inputs": {number: [1.0]}}))
assert status == 400 and "are missing" in answer["message"], answer
answer, status = curl(f"/endpoints/{ENDPOINT}/invocations", "text/csv", lines([{**ROWS[0], number: "many"}]))
assert status == 400 and number in answer["message"] and "many" in answer["message"], answer

# v2 as JSON: null is a missing value, also of a text, which `tritonclient` cannot express.
body = {
    "inputs": [
        {"name": name, "datatype": datatype, "shape": [len(ROWS)], "data": COLUMNS[name]}
        for name, datatype in FEATURES.items()
    ]
}
answer, status = curl(f"/v2/models/{ENDPOINT}/infer", "application/json", json.dumps(body))
assert status == 200 and answer["model_version"] == VERSION, answer
outputs_by_name = {one["name"]: one["data"] for one in answer["outputs"]}
agree("curl, v2", outputs_by_name["probability"], outputs_by_name["label"])
print(f"passed: {compared} answers over {len(ROWS)} rows")
