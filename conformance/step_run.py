"""Reads the run of a step with MLflow's client, from outside the step.

The step is `train` of the example `flights-python`, which logs to the run with the same client. Environment variables
name the server, the token of a person, and the run of the step according to the server (`RUN_ID`). Exit status 0 means
that every check passed.
"""

import os

import mlflow
from mlflow import MlflowClient

found = mlflow.search_runs(
    experiment_names=["flight-delays-python"],
    filter_string="params.trees = '300' AND metrics.held_back_auc > 0.6 AND attributes.status = 'FINISHED'",
    order_by=["metrics.held_back_auc DESC"],
)
assert list(found.run_id) == [os.environ["RUN_ID"]], found
run = found.iloc[0]
assert run["tags.mlflow.source.name"] == "step:train" and run["tags.mlflow.runName"] == "train", run
assert (run["params.leaves"], run["params.learning_rate"], run["params.features"]) == ("8", "0.05", "16"), run
assert int(run["params.rows"]) > 40_000, run
assert 0 < run["metrics.held_back_log_loss"] < 0.7, run
assert run.end_time > run.start_time, run

client = MlflowClient()
assert sorted(file.path for file in client.list_artifacts(run.run_id)) == ["features.json", "model"]
assert "model/model.onnx" in [file.path for file in client.list_artifacts(run.run_id, "model")]
features = mlflow.artifacts.load_dict(f"runs:/{run.run_id}/features.json")
assert len(features["columns"]) == 16 and features["categories"] == ["carrier", "origin", "dest"], features
assert client.get_metric_history(run.run_id, "held_back_auc")[0].value == run["metrics.held_back_auc"]
print("passed")
