//! No answer reveals whether something of another project exists: every documented route and every call of MLflow's API
//! answers a caller without access as it answers about what is missing.

use http::{Method, StatusCode};
use perennial_api::mlflow::calls;
use perennial_core::permission::Role;
use perennial_execution::pipelines::{self, PipelineOptions};
use perennial_testkit::toml_text::set;
use perennial_testkit::{PROJECT_FILE, TestModel, by_person};
use serde_json::{Map, Value, json};

use crate::mlflow_calls::minimal;
use crate::support::{Answer, Server};

/// A server with the projects `flights`, which has everything, and `trains`, of which `guest` is the administrator.
struct World {
    server: Server,
    guest: String,
    /// Identities in `flights` by the name of a parameter, each with one that is missing.
    names: Vec<(&'static str, String, String)>,
}

impl World {
    async fn start() -> Self {
        let (server, flights) = Server::with_project().await;
        server.test.deploy(&flights, "delay", &TestModel::binary(0.0)).await.unwrap();
        let system = server.test.system();
        let options = PipelineOptions::default();
        let kind = perennial_execution::pipeline_runs::PipelineKind::Run;
        let run = pipelines::request(&system, &flights, kind, by_person(), &options).await.unwrap();
        let experiment = flights.experiment.to_string();
        let tracked = server
            .post("/api/2.0/mlflow/runs/create", json!({ "experiment_id": experiment, "start_time": 1 }))
            .await
            .json();
        let tracked = tracked["run"]["info"]["run_id"].as_str().unwrap().to_owned();
        let trains = set(PROJECT_FILE, "project.name", "'trains'").replace("delay", "lag").replace("flown", "driven");
        let trains = server.test.submit(&trains).await.unwrap();
        let guest = server.test.token("guest", Role::Admin, Some(&trains)).await.unwrap();
        let absent = "0".repeat(32);
        let name = |parameter, present: &str, missing: &str| (parameter, present.to_owned(), missing.to_owned());
        let names = vec![
            name("project", "flights", "nowhere"),
            name("endpoint", "delay", "absent"),
            name("dataset", "flown", "absent"),
            name("model", "flights", "nowhere"),
            name("monitor", "delay", "absent"),
            name("name", "delay", "absent"),
            name("step", "train", "absent"),
            name("id", &run.id.to_string(), &absent),
            name("load", &run.id.to_string(), &absent),
            name("digest", &"ab".repeat(32), &"cd".repeat(32)),
            name("run_id", &tracked, &absent),
            name("experiment_id", &experiment, "999999"),
            name("experiment_ids", &experiment, "999999"),
            name("experiment_name", "flights", "nowhere"),
        ];
        Self { server, guest, names }
    }

    fn of(&self, parameter: &str) -> Option<(&str, &str)> {
        let found = self.names.iter().find(|(name, ..)| *name == parameter)?;
        Some((&found.1, &found.2))
    }

    async fn ask(&self, method: &Method, path: &str, body: &Value) -> Answer {
        self.server.call_as(&self.guest, method.clone(), path, Some(body.clone())).await
    }

    /// An answer with each identity of `flights` replaced by the missing one, and without the ids of requests.
    fn neutral(&self, answer: &Answer) -> (StatusCode, String) {
        let mut text = match serde_json::from_slice::<Value>(&answer.bytes) {
            Ok(Value::Object(mut fields)) => {
                fields.remove("request_id");
                Value::Object(fields).to_string()
            }
            _ => answer.text(),
        };
        for (_, present, missing) in &self.names {
            text = text.replace(present, missing);
        }
        (answer.status, text)
    }

    async fn compare(&self, method: &Method, (present, missing): (&str, &str), bodies: (&Value, &Value)) {
        let hidden = self.ask(method, present, bodies.0).await;
        let absent = self.ask(method, missing, bodies.1).await;
        assert_eq!(self.neutral(&hidden), self.neutral(&absent), "{method} {present} {}", bodies.0);
    }
}

/// A path with its parameters replaced: by those of `flights`, and by missing ones. `own` is the project of the caller; in
/// it the other parameters vary.
fn paths(world: &World, path: &str, own: Option<&str>) -> (String, String) {
    let (mut present, mut missing) = (path.to_owned(), path.to_owned());
    for part in path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
        let (one, other) = match (part, own) {
            ("project", Some(own)) => (own, own),
            _ => world.of(part).unwrap_or(("1", "1")),
        };
        present = present.replace(&format!("{{{part}}}"), one);
        missing = missing.replace(&format!("{{{part}}}"), other);
    }
    (present, missing)
}

#[tokio::test]
async fn a_documented_route_answers_about_another_project_as_about_none() {
    let world = World::start().await;
    let document = world.server.get("/api/v1/openapi.json").await.json();
    let mut compared = 0;
    for (path, operations) in document["paths"].as_object().unwrap() {
        for method in operations.as_object().unwrap().keys() {
            let method: Method = method.to_uppercase().parse().unwrap();
            // Their names are those of principals and tokens, which belong to no project.
            if !path.contains('{') || path.contains("/principals/") || path.contains("/tokens/") {
                continue;
            }
            let body = json!({});
            let (present, missing) = paths(&world, path, None);
            world.compare(&method, (&present, &missing), (&body, &body)).await;
            let (present, missing) = paths(&world, path, Some("trains"));
            world.compare(&method, (&present, &missing), (&body, &body)).await;
            compared += 2;
        }
    }
    assert!(compared > 80, "{compared}");
}

#[tokio::test]
async fn a_body_that_names_another_project_is_answered_as_one_that_names_none() {
    let world = World::start().await;
    let file = |name: &str| json!({ "text": set(PROJECT_FILE, "project.name", &format!("'{name}'")) });
    let token = |name: &str| json!({ "name": "x", "role": "viewer", "project": name });
    let grant = |name: &str| json!({ "role": "viewer", "project": name });
    for (path, body) in [
        ("/api/v1/check", &file as &dyn Fn(&str) -> Value),
        ("/api/v1/tokens", &token),
        ("/api/v1/principals/guest/grants", &grant),
    ] {
        world.compare(&Method::POST, (path, path), (&body("flights"), &body("nowhere"))).await;
    }
}

#[tokio::test]
async fn an_inference_route_answers_about_another_endpoint_as_about_none() {
    let world = World::start().await;
    for (method, path) in [
        (Method::GET, "/v2/models/{endpoint}"),
        (Method::GET, "/v2/models/{endpoint}/ready"),
        (Method::POST, "/v2/models/{endpoint}/infer"),
        (Method::POST, "/endpoints/{endpoint}/invocations"),
        (Method::GET, "/endpoints/{endpoint}/ping"),
        (Method::GET, "/endpoints/{endpoint}/version"),
    ] {
        let (present, missing) = paths(&world, path, None);
        world.compare(&method, (&present, &missing), (&json!({}), &json!({}))).await;
    }
}

#[tokio::test]
async fn a_call_of_mlflow_answers_about_another_project_as_about_none() {
    let world = World::start().await;
    let mut compared = 0;
    for call in calls() {
        let fields = call.request.unwrap_or_default();
        let identified: Vec<&str> =
            fields.iter().map(|spec| spec.name).filter(|name| world.of(name).is_some() && *name != "name").collect();
        if identified.is_empty() && !call.path.contains("{*path}") {
            continue;
        }
        let request = |is_present: bool| {
            let mut request = minimal(fields);
            for name in &identified {
                let (present, missing) = world.of(name).unwrap();
                let value = if is_present { present } else { missing };
                let value = if *name == "experiment_ids" { json!([value]) } else { json!(value) };
                request.insert((*name).to_owned(), value);
            }
            request
        };
        for method in call.methods {
            let (present, missing) = (request(true), request(false));
            let path = |request: &Map<String, Value>, is_present: bool| {
                let file = ["experiment_id", "run_id"].map(|name| {
                    let (present, missing) = world.of(name).unwrap();
                    if is_present { present } else { missing }
                });
                let path = call.path.replace("{*path}", &format!("{}/{}/artifacts/x", file[0], file[1]));
                let pairs = request.iter().map(|(key, value)| {
                    let value = value.as_array().map_or(value, |list| &list[0]);
                    format!("{key}={}", value.as_str().map_or_else(|| value.to_string(), str::to_owned))
                });
                let query = if method.name == "GET" { pairs.collect::<Vec<_>>().join("&") } else { String::new() };
                format!("/api/{path}?{query}")
            };
            let paths = (path(&present, true), path(&missing, false));
            let bodies = (Value::Object(present), Value::Object(missing));
            let method: Method = method.name.parse().unwrap();
            world.compare(&method, (&paths.0, &paths.1), (&bodies.0, &bodies.1)).await;
            compared += 1;
        }
    }
    assert!(compared > 15, "{compared}");
}
