//! The routes of the server: those of its description, and those of MLflow, inference and pages.

use serde_json::Value;

use super::target::Ids;

/// A method and a path with parameters in braces.
#[derive(Debug, Clone)]
pub(super) struct Route {
    pub(super) method: String,
    pub(super) path: String,
}

/// Routes that the description leaves out.
const FURTHER: [(&str, &str); 32] = [
    ("GET", "/assets/{hash}/{file}"),
    ("GET", "/p/{project}"),
    ("GET", "/p/{project}/datasets/{dataset}"),
    ("GET", "/p/{project}/runs/{id}"),
    ("GET", "/p/{project}/models/{number}"),
    ("GET", "/p/{project}/evidence/{evidence}/plots/{plot}"),
    ("GET", "/p/{project}/releases/{digest}"),
    ("GET", "/p/{project}/monitors/{monitor}"),
    ("GET", "/p/{project}/explain/{kind}/{model}"),
    ("GET", "/v2/models/{name}"),
    ("GET", "/v2/models/{name}/ready"),
    ("GET", "/v2/models/{name}/versions/{number}"),
    ("POST", "/v2/models/{name}/infer"),
    ("POST", "/endpoints/{name}/invocations"),
    ("GET", "/endpoints/{name}/version"),
    ("GET", "/endpoints/{name}/ping"),
    ("GET", "/api/2.0/mlflow/experiments/get?experiment_id={experiment}"),
    ("GET", "/api/2.0/mlflow/experiments/get-by-name?experiment_name={project}"),
    ("GET", "/api/2.0/mlflow/runs/get?run_id={run}"),
    ("GET", "/api/2.0/mlflow/artifacts/list?run_id={run}"),
    ("GET", "/api/2.0/mlflow/artifacts/list?run_id={run}&path={file}"),
    ("GET", "/api/2.0/mlflow/metrics/get-history?run_id={run}&metric_key=m"),
    ("GET", "/api/2.0/mlflow-artifacts/artifacts?path={experiment}/{run}/artifacts/{file}"),
    ("GET", "/api/2.0/mlflow-artifacts/artifacts/{experiment}/{run}/artifacts/{file}"),
    ("PUT", "/api/2.0/mlflow-artifacts/artifacts/{experiment}/{run}/artifacts/{file}"),
    ("DELETE", "/api/2.0/mlflow-artifacts/artifacts/{experiment}/{run}/artifacts/{file}"),
    ("GET", "/ajax-api/2.0/mlflow/runs/get?run_id={run}"),
    ("GET", "/ajax-api/2.0/mlflow/experiments/get?experiment_id={experiment}"),
    ("POST", "/v2/repository/models/{name}/load"),
    ("POST", "/v2/repository/models/{name}/unload"),
    ("GET", "/login/{link}"),
    ("POST", "/login/{link}"),
];

/// Calls of MLflow with a body, and the body in which `{run}` and `{experiment}` stand for ids.
pub(super) const MLFLOW_CALLS: [(&str, &str); 20] = [
    ("runs/create", r#"{"experiment_id":"{experiment}"}"#),
    ("runs/update", r#"{"run_id":"{run}","status":"FAILED"}"#),
    ("runs/delete", r#"{"run_id":"{run}"}"#),
    ("runs/restore", r#"{"run_id":"{run}"}"#),
    ("runs/search", r#"{"experiment_ids":["{experiment}"]}"#),
    ("runs/log-metric", r#"{"run_id":"{run}","key":"m","value":1,"timestamp":1}"#),
    ("runs/log-parameter", r#"{"run_id":"{run}","key":"p","value":"1"}"#),
    ("runs/set-tag", r#"{"run_id":"{run}","key":"t","value":"1"}"#),
    ("runs/delete-tag", r#"{"run_id":"{run}","key":"t"}"#),
    ("runs/log-batch", r#"{"run_id":"{run}","metrics":[{"key":"m","value":1,"timestamp":1}]}"#),
    (
        "runs/log-inputs",
        r#"{"run_id":"{run}","datasets":[{"dataset":{"name":"d","digest":"d","source_type":"http","source":"http://127.0.0.1/"}}]}"#,
    ),
    ("experiments/create", r#"{"name":"made by alpha","tags":[{"key":"perennial.project","value":"{project}"}]}"#),
    ("experiments/update", r#"{"experiment_id":"{experiment}","new_name":"renamed"}"#),
    ("experiments/delete", r#"{"experiment_id":"{experiment}"}"#),
    ("experiments/restore", r#"{"experiment_id":"{experiment}"}"#),
    ("experiments/search", r#"{"max_results":1000}"#),
    ("experiments/set-experiment-tag", r#"{"experiment_id":"{experiment}","key":"t","value":"1"}"#),
    ("experiments/delete-experiment-tag", r#"{"experiment_id":"{experiment}","key":"t"}"#),
    ("logged-models/search", r#"{"experiment_ids":["{experiment}"]}"#),
    ("runs/unknown-call", r#"{"run_id":"{run}"}"#),
];

impl Route {
    /// Every route of a server with this description.
    pub(super) fn all(description: &Value) -> Vec<Self> {
        let described = description["paths"].as_object().unwrap().iter().flat_map(|(path, operations)| {
            let methods = operations.as_object().unwrap().keys();
            methods.map(move |method| Self { method: method.to_uppercase(), path: path.clone() })
        });
        let further = FURTHER.iter().map(|(method, path)| Self { method: (*method).into(), path: (*path).into() });
        described.chain(further).collect()
    }

    /// The names of the parameters.
    pub(super) fn parameters(&self) -> Vec<&str> {
        self.path.split('{').skip(1).filter_map(|rest| rest.split('}').next()).collect()
    }

    /// The path with a value for each parameter.
    pub(super) fn fill(&self, value: impl Fn(&str) -> String) -> String {
        let mut path = self.path.clone();
        for parameter in self.parameters() {
            path = path.replace(&format!("{{{parameter}}}"), &value(parameter));
        }
        path
    }

    /// The path with ids of a project.
    pub(super) fn fill_ids(&self, ids: &Ids) -> String {
        self.fill(|parameter| {
            let name = match parameter {
                "id" if self.path.contains("/decisions/{id}") => "decision",
                "id" if self.path.contains("/evidence/{id}") => "evidence",
                other => other,
            };
            ids.get(name).unwrap_or_else(|| panic!("no id for `{name}` of {}", self.path)).clone()
        })
    }

    /// Whether the route belongs to the pages.
    pub(super) fn is_page(&self) -> bool {
        self.path.starts_with("/p/")
    }
}
