//! Every call of MLflow's API, from the list of its declarations.

use std::fmt::Write;

use http::{Method, StatusCode};
use perennial_api::mlflow::{Call, FieldSpec, Kind, calls};
use serde_json::{Map, Value, json};

use crate::support::{Answer, Server};

/// A request that is refused, and what the message says.
struct Fault {
    request: Map<String, Value>,
    message: String,
}

/// A value that a field takes.
fn valid(spec: &FieldSpec) -> Value {
    match spec.kind {
        Kind::Text if spec.name == "run_id" => json!("0".repeat(32)),
        Kind::Text => json!("7"),
        Kind::Integer { max, .. } => json!(max.min(&7)),
        Kind::Number => json!(0.5),
        Kind::Boolean => json!(true),
        Kind::Name(names) => json!(names[0]),
        Kind::List(_) => json!([]),
        Kind::Message(fields) => Value::Object(minimal(fields)),
    }
}

/// A request with the required fields only.
pub(crate) fn minimal(fields: &[FieldSpec]) -> Map<String, Value> {
    fields.iter().filter(|spec| spec.is_required).map(|spec| (spec.name.to_owned(), valid(spec))).collect()
}

/// Values that a field refuses.
fn invalid(kind: &Kind) -> Vec<Value> {
    match kind {
        Kind::Integer { min, max } => {
            let beyond = [min.checked_sub(1), max.checked_add(1)].into_iter().flatten().map(Value::from);
            beyond.chain([json!("soon")]).collect()
        }
        Kind::Text => vec![json!(["a", "b"])],
        Kind::Number | Kind::Boolean | Kind::Name(_) => vec![json!("NO_SUCH_VALUE")],
        Kind::List(_) | Kind::Message(_) => vec![json!(7)],
    }
}

/// Every fault that a message with these fields can have, one in each request.
fn faults(fields: &[FieldSpec]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for spec in fields {
        let name = spec.name;
        let with = |value: Value| {
            let mut request = minimal(fields);
            request.insert(name.to_owned(), value);
            request
        };
        if spec.is_required {
            for value in [Value::Null, json!("")] {
                let message = format!("Missing value for required parameter '{name}'.");
                faults.push(Fault { request: with(value), message });
            }
        }
        for value in invalid(spec.kind) {
            faults.push(Fault {
                message: format!("Invalid value {value} for parameter '{name}' supplied"),
                request: with(value),
            });
        }
        let (nested, path, is_list) = match spec.kind {
            Kind::Message(nested) => (*nested, name.to_owned(), false),
            Kind::List(Kind::Message(nested)) => (*nested, format!("{name}[0]"), true),
            _ => continue,
        };
        for fault in faults_below(nested, &path) {
            let request = Value::Object(fault.request);
            faults.push(Fault { request: with(if is_list { json!([request]) } else { request }), ..fault });
        }
    }
    faults
}

fn faults_below(fields: &[FieldSpec], path: &str) -> Vec<Fault> {
    let mut faults = faults(fields);
    for fault in &mut faults {
        fault.message = fault.message.replacen(" parameter '", &format!(" parameter '{path}."), 1);
    }
    faults
}

async fn send(server: &Server, root: &str, method: &str, call: &Call, request: &Map<String, Value>) -> Answer {
    let path = format!("{root}/{}", call.path.replace("{*path}", "1/x"));
    let method: Method = method.parse().unwrap();
    if method != Method::GET {
        return server.call(method, &path, Some(Value::Object(request.clone()))).await;
    }
    let mut query = String::new();
    for (name, value) in request {
        let values = match value {
            Value::Null => Vec::new(),
            Value::Array(values) => values.clone(),
            value => vec![value.clone()],
        };
        for value in values {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            write!(query, "{name}={text}&").unwrap();
        }
    }
    server.call(method, &format!("{path}?{query}"), None).await
}

/// Whether a query can express the fault: one value is a list of one there.
fn is_possible(method: &str, fault: &Fault) -> bool {
    method != "GET" || !fault.message.contains("'order_by'")
}

#[tokio::test]
async fn a_request_with_a_missing_or_wrong_field_is_refused_with_its_name() {
    let server = Server::start().await;
    let mut refused = 0;
    for call in calls() {
        let Some(fields) = call.request else { continue };
        for method in call.methods {
            for fault in faults(fields) {
                if !is_possible(method.name, &fault) {
                    continue;
                }
                let answer = send(&server, "/api", method.name, call, &fault.request).await;
                let at = format!("{} {} {}", method.name, call.path, Value::Object(fault.request));
                assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{at}: {}", answer.text());
                let answer = answer.json();
                assert_eq!(answer["error_code"], "INVALID_PARAMETER_VALUE", "{at}");
                let message = answer["message"].as_str().unwrap();
                // A query has numbers as texts.
                let message = if method.name == "GET" { message.replace('"', "") } else { message.to_owned() };
                let expected = if method.name == "GET" { fault.message.replace('"', "") } else { fault.message };
                assert!(message.starts_with(&expected), "{at}: {message}, expected {expected}");
                refused += 1;
            }
        }
    }
    assert!(refused > 100, "{refused} faults");
}

#[tokio::test]
async fn every_call_is_answered_below_both_roots_and_ignores_unknown_fields() {
    let server = Server::start().await;
    for call in calls() {
        for method in call.methods {
            for root in ["/api", "/ajax-api"] {
                let mut request = minimal(call.request.unwrap_or_default());
                request.insert("no_such_field".into(), json!("x"));
                let answer = send(&server, root, method.name, call, &request).await;
                let at = format!("{} {root}/{}: {}", method.name, call.path, answer.text());
                assert_ne!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{at}");
                assert!(!answer.text().contains("ENDPOINT_NOT_FOUND"), "{at}");
                assert!(!answer.text().contains("parameter"), "{at}");
                assert!(answer.status.as_u16() < 500, "{at}");
            }
        }
    }
}

#[test]
fn the_calls_and_their_fields() {
    let mut lines = String::new();
    for call in calls() {
        let methods: Vec<&str> = call.methods.iter().map(|method| method.name).collect();
        writeln!(lines, "{} {}", methods.join(", "), call.path).unwrap();
        for (label, fields) in [("request", call.request), ("answer", call.answer)] {
            writeln!(lines, "  {label}: {}", fields.map_or_else(|| "a file".to_owned(), written)).unwrap();
        }
    }
    insta::assert_snapshot!(lines);
}

/// The fields in one line; `!` marks those that are required in a request and always present in an answer.
fn written(fields: &[FieldSpec]) -> String {
    let field = |spec: &FieldSpec| {
        let former = spec.former_name.map(|name| format!(" (formerly {name})")).unwrap_or_default();
        format!("{}{}{former}: {}", spec.name, if spec.is_required { "!" } else { "" }, kind(spec.kind))
    };
    let fields: Vec<String> = fields.iter().map(field).collect();
    format!("{{{}}}", fields.join(", "))
}

fn kind(kind: &Kind) -> String {
    match kind {
        Kind::List(item) => format!("[{}]", self::kind(item)),
        Kind::Message(fields) => written(fields),
        other => other.to_string(),
    }
}
