"""Uses MLflow's unmodified client from PyPI as the command of a step would.

Environment variables name the server, the token of a step, the run of the step (`MLFLOW_RUN_ID`), another run of the
project (`OTHER_RUN_ID`) and the token of an administrator (`ADMIN_TOKEN`). Exit status 0 means that every check passed.
"""

import math
import os
import pathlib
import tempfile

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException

own, other = os.environ["MLFLOW_RUN_ID"], os.environ["OTHER_RUN_ID"]


def refused(call, code):
    try:
        call()
    except MlflowException as error:
        assert error.error_code == code, f"{error.error_code}: {error}"
        return str(error)
    raise AssertionError(f"expected {code}")


# --- as the step -----------------------------------------------------------------------------------

experiment = mlflow.set_experiment("flights")
assert experiment.experiment_id == os.environ["MLFLOW_EXPERIMENT_ID"]
assert experiment.artifact_location.startswith("mlflow-artifacts:/")

with mlflow.start_run() as run:
    assert run.info.run_id == own, "start_run opens the run of the step"
    mlflow.log_param("trees", 300)
    mlflow.log_params({"rate": 0.05, "kind": "gbdt", "note": ""})
    mlflow.log_metric("auc", 0.5, step=0)
    mlflow.log_metric("auc", 0.7312345678901234, step=1)
    mlflow.log_metrics({"loss": 0.25, "gap": float("nan"), "far": float("inf")})
    mlflow.set_tag("team", "delays")
    mlflow.set_tags({"a.b": "c", "path/like": "x y"})
    mlflow.log_text("first\n", "notes/first.txt")
    mlflow.log_dict({"answer": 42}, "answer.json")
    with tempfile.TemporaryDirectory() as folder:
        place = pathlib.Path(folder)
        (place / "deep").mkdir()
        (place / "deep" / "ünï cöde 100%.bin").write_bytes(bytes(range(256)) * 4096)
        (place / "empty").write_bytes(b"")
        mlflow.log_artifacts(folder, "tree")
        mlflow.log_artifact(str(place / "empty"))
    with mlflow.start_run(run_name="fold 1", nested=True) as child:
        mlflow.log_metric("auc", 0.6)
        assert child.data.tags["mlflow.parentRunId"] == own

client = MlflowClient()
kept = client.get_run(own)
assert kept.info.status == "FINISHED" and kept.info.end_time
assert kept.data.params == {"trees": "300", "rate": "0.05", "kind": "gbdt", "note": ""}, kept.data.params
assert kept.data.metrics["auc"] == 0.7312345678901234
assert math.isnan(kept.data.metrics["gap"]) and kept.data.metrics["far"] > 1e308
assert kept.data.tags["a.b"] == "c" and kept.data.tags["team"] == "delays"
assert [(point.step, point.value) for point in client.get_metric_history(own, "auc")] == [(0, 0.5), (1, 0.7312345678901234)]

# A second run of the same command becomes a child of the run of the step.
with mlflow.start_run(run_name="second") as second:
    mlflow.log_param("x", 1)
assert client.get_run(second.info.run_id).data.tags["mlflow.parentRunId"] == own

# Batches, thousands of points, asynchronous logging.
client.log_batch(
    own,
    metrics=[Metric("curve", i / 1000, 1_700_000_000_000 + i, i) for i in range(1000)],
)
client.log_batch(own, params=[Param(f"p{i}", str(i)) for i in range(100)], tags=[RunTag("late", "yes")])
assert len(client.get_metric_history(own, "curve")) == 1000
mlflow.log_metric("later", 1.0, run_id=own, synchronous=False).wait()
assert "Changing param values is not allowed" in refused(lambda: client.log_param(own, "trees", 301), "INVALID_PARAMETER_VALUE")
client.log_param(own, "trees", 300)
refused(lambda: client.log_metric(own, "no!such", 1.0), "INVALID_PARAMETER_VALUE")

# Search.
found = mlflow.search_runs(filter_string="metrics.auc > 0.7 AND params.kind = 'gbdt' AND tags.team LIKE 'del%'")
assert list(found.run_id) == [own], found
assert found.iloc[0]["params.trees"] == "300"
nested = mlflow.search_runs(filter_string=f"tags.mlflow.parentRunId = '{own}'", order_by=["attributes.run_name ASC"])
assert list(nested["tags.mlflow.runName"]) == ["fold 1", "second"], nested
everywhere = mlflow.search_runs(search_all_experiments=True, max_results=2)
assert len(everywhere) == 2
pages = client.search_runs([experiment.experiment_id], max_results=1, order_by=["metrics.auc DESC"])
assert pages[0].info.run_id == own and pages.token
rest = client.search_runs([experiment.experiment_id], max_results=10, order_by=["metrics.auc DESC"], page_token=pages.token)
assert own not in [run.info.run_id for run in rest] and len(rest) == 3
assert [one.name for one in mlflow.search_experiments(filter_string="name ILIKE 'FLI%'")] == ["flights"]

# Downloaded artifacts equal the uploaded ones.
assert sorted(file.path for file in client.list_artifacts(own)) == ["answer.json", "empty", "notes", "tree"]
assert [(file.path, file.file_size) for file in client.list_artifacts(own, "notes")] == [("notes/first.txt", 6)]
assert client.list_artifacts(own, "nothing") == []
assert mlflow.artifacts.load_text(f"runs:/{own}/notes/first.txt") == "first\n"
assert mlflow.artifacts.load_dict(f"runs:/{own}/answer.json") == {"answer": 42}
back = pathlib.Path(mlflow.artifacts.download_artifacts(run_id=own, artifact_path=""))
assert (back / "tree/deep/ünï cöde 100%.bin").read_bytes() == bytes(range(256)) * 4096
assert (back / "empty").read_bytes() == b""

# A step cannot write to other runs.
for call in [
    lambda: client.log_param(other, "x", 1),
    lambda: client.log_metric(other, "x", 1),
    lambda: client.set_tag(other, "x", "y"),
    lambda: client.set_terminated(other),
    lambda: client.delete_run(other),
    lambda: client.log_batch(other, params=[Param("x", "1")]),
    lambda: client.create_experiment("mine"),
    lambda: client.create_run(experiment.experiment_id, tags={"mlflow.parentRunId": other}),
]:
    refused(call, "PERMISSION_DENIED")
try:
    client.log_text(other, "x", "x.txt")
    raise AssertionError("expected 403")
except Exception as error:
    assert "403" in str(error), error
assert client.get_run(other).info.run_id == other, "a step can read other runs"
refused(lambda: client.get_run("0" * 32), "RESOURCE_DOES_NOT_EXIST")

# --- as a person -----------------------------------------------------------------------------------

os.environ["MLFLOW_TRACKING_TOKEN"] = os.environ["ADMIN_TOKEN"]
mlflow.set_experiment("by hand")
with mlflow.start_run() as run:
    assert run.info.run_name.count("-") == 2, "a run without a name gets a generated one"
    mlflow.log_metric("m", 1)
client.delete_run(run.info.run_id)
assert mlflow.search_runs(experiment_names=["by hand"]).empty
refused(lambda: client.log_metric(run.info.run_id, "m", 2), "INVALID_PARAMETER_VALUE")
client.restore_run(run.info.run_id)
assert len(mlflow.search_runs(experiment_names=["by hand"])) == 1
hand = client.get_experiment_by_name("by hand")
client.set_experiment_tag(hand.experiment_id, "k", "v")
client.rename_experiment(hand.experiment_id, "by another hand")
client.delete_experiment(hand.experiment_id)
assert client.get_experiment(hand.experiment_id).lifecycle_stage == "deleted"
client.restore_experiment(hand.experiment_id)
assert client.get_experiment(hand.experiment_id).tags == {"k": "v"}
refused(lambda: client.create_experiment("by another hand"), "RESOURCE_ALREADY_EXISTS")
assert client.get_experiment_by_name("nothing") is None
print("passed")
