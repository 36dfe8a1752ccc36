use std::sync::Arc;

use async_trait::async_trait;
use futures::future::join_all;
use http::{Method, StatusCode};
use perennial_core::frame::Frame;
use perennial_core::model::{PredictError, Scores, Signature};
use perennial_core::permission::Role;
use perennial_core::port::data::Values;
use perennial_core::port::model::LoadedModel;
use perennial_core::port::prediction::TrafficRole;
use perennial_http::limits;
use perennial_release::{Deployment, LoadedVersion, Route, Routes};
use perennial_testkit::TestModel;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::support::{Answer, Server};

const ASK: &str = "/endpoints/delay/invocations";

async fn ask(server: &Server, body: Value) -> Answer {
    server.post(ASK, body).await
}

fn row(hour: Value, distance: Value, carrier: Value) -> Value {
    json!({ "dep_hour": hour, "distance": distance, "carrier": carrier })
}

#[tokio::test]
async fn all_four_json_forms_and_csv_give_the_same_numbers() {
    let server = Server::with_model(&TestModel::binary(0.0)).await;
    let columns = json!(["carrier", "dep_hour", "distance"]);
    let forms = [
        json!({ "dataframe_split": { "columns": columns, "data": [["AA", 7, 500], ["UA", 8.5, 1000]], "index": [5, 6] } }),
        json!({ "dataframe_records": [row(json!(7), json!(500), json!("AA")), row(json!(8.5), json!(1000), json!("UA"))] }),
        json!({ "instances": [row(json!(7), json!(500), json!("AA")), row(json!(8.5), json!(1000), json!("UA"))] }),
        json!({ "inputs": { "dep_hour": [7, 8.5], "distance": [[500], [1000]], "carrier": ["AA", "UA"] } }),
        json!({ "inputs": [row(json!(7), json!(500), json!("AA")), row(json!(8.5), json!(1000), json!("UA"))] }),
    ];
    let mut answers: Vec<Value> = Vec::new();
    for form in forms {
        let answer = ask(&server, form).await;
        assert_eq!((answer.status, answer.header("x-model-version")), (StatusCode::OK, Some("1")), "{}", answer.text());
        answers.push(answer.json());
    }
    let csv = "dep_hour,carrier,distance\n7,AA,500\n8.5,UA,1000\n";
    answers.push(
        server.post_raw(ASK, &[("content-type", "text/csv; charset=utf-8")], csv.as_bytes().to_vec()).await.json(),
    );
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
    let first = &answers[0]["predictions"][0];
    assert_eq!(first["label"], json!(1));
    assert!((first["probability"].as_f64().unwrap() - 1.0 / (1.0 + (-1.7_f64).exp())).abs() < 1e-6);
    assert_eq!(answers[0].as_object().unwrap().keys().collect::<Vec<_>>(), ["predictions"]);
}

#[tokio::test]
async fn regression_answers_numbers_and_multiclass_objects() {
    let (server, project) = Server::with_project().await;
    server.test.deploy(&project, "delay", &TestModel::regression(1.0)).await.unwrap();
    assert_eq!(
        ask(&server, json!({ "inputs": { "x": [1, 2.5, null] } })).await.json(),
        json!({ "predictions": [2.0, 3.5, null] })
    );
    server.test.deploy(&project, "delay", &TestModel::multiclass()).await.unwrap();
    let reply = ask(&server, json!({ "dataframe_records": [{ "x": 9 }] })).await.json();
    assert_eq!(reply["predictions"][0]["label"], json!("never"));
    assert_eq!(reply["predictions"][0]["probabilities"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn classes_are_named_in_the_type_of_the_outcomes() {
    let (server, project) = Server::with_project().await;
    server.test.deploy(&project, "delay", &TestModel::multiclass()).await.unwrap();
    let reply = ask(&server, json!({ "dataframe_records": [{ "x": 9 }] })).await.json();
    assert_eq!(reply["classes"], json!(["early", "late", "never"]));
    server.test.deploy(&project, "delay", &TestModel::multiclass_of_integers()).await.unwrap();
    let reply = ask(&server, json!({ "dataframe_records": [{ "x": 9 }] })).await.json();
    assert_eq!((&reply["predictions"][0]["label"], &reply["classes"]), (&json!(10), &json!([1, 2, 10])));
}

#[tokio::test]
async fn values_are_read_as_mlflow_reads_them() {
    let server = Server::with_model(&TestModel::binary(0.0)).await;
    let probability = |answer: &Answer| answer.json()["predictions"][0]["probability"].as_f64().unwrap();
    let plain =
        probability(&ask(&server, json!({ "dataframe_records": [row(json!(1), json!(0), json!("ZZ"))] })).await);
    // Text that is a number, a truth value, a number where text is asked, a column too many.
    let mut extra = row(json!("1.0"), json!(false), json!(7));
    extra["speed"] = json!({ "deep": true });
    assert_eq!(probability(&ask(&server, json!({ "dataframe_records": [extra] })).await), plain);
    // Null and an absent key are missing values.
    let with_null =
        probability(&ask(&server, json!({ "dataframe_records": [row(json!(1), json!(null), json!(null))] })).await);
    assert_eq!(with_null, plain);
    let absent =
        json!({ "dataframe_records": [row(json!(1), json!(2), json!("AA")), { "dep_hour": 1, "carrier": "ZZ" }] });
    assert_eq!(ask(&server, absent).await.json()["predictions"][1]["probability"].as_f64(), Some(plain));
    let bare = br#"{"dataframe_records": [{"dep_hour": 1, "distance": NaN, "carrier": "NaN"}]}"#;
    assert_eq!(probability(&server.post_raw(ASK, &[("content-type", "application/json")], bare.to_vec()).await), plain);
    let empty = "dep_hour,carrier,distance\n1,,\n";
    assert_eq!(
        probability(&server.post_raw(ASK, &[("content-type", "text/csv")], empty.as_bytes().to_vec()).await),
        plain
    );
}

#[tokio::test]
async fn a_key_is_logged_as_it_was_sent_by_either_protocol() {
    let (server, project) = Server::with_project().await;
    server.test.deploy(&project, "delay", &TestModel::binary(0.0)).await.unwrap();
    let keys = [
        (json!("00123"), "BYTES", json!("00123"), "00123"),
        (json!("NAN"), "BYTES", json!("NAN"), "NAN"),
        (json!("1e5"), "BYTES", json!("1e5"), "1e5"),
        (json!(42), "INT64", json!(42), "42"),
        (json!(1e5), "FP64", json!(1e5), "100000"),
        (json!(true), "BOOL", json!(true), "1"),
        (json!(9_007_199_254_740_993_i64), "BYTES", json!("9007199254740993"), "9007199254740993"),
        (json!(9_007_199_254_740_993_i64), "INT64", json!(9_007_199_254_740_993_i64), "9007199254740993"),
        (json!(9_007_199_254_740_993_i64), "FP64", json!(9_007_199_254_740_993_i64), "9007199254740993"),
        (json!(i64::MIN + 1), "INT64", json!(i64::MIN + 1), "-9223372036854775807"),
        (json!(i64::MAX), "INT64", json!(i64::MAX), "9223372036854775807"),
        (json!(u64::MAX), "UINT64", json!(u64::MAX), "18446744073709551615"),
    ];
    for (scored, datatype, inferred, _) in &keys {
        let mut record = row(json!(7), json!(500), json!("AA"));
        record["flight_id"] = scored.clone();
        assert_eq!(ask(&server, json!({ "dataframe_records": [record] })).await.status, StatusCode::OK, "{scored}");
        let tensor = |name: &str, kind: &str, value: &Value| json!({ "name": name, "shape": [1], "datatype": kind, "data": [value] });
        let inputs = [
            tensor("dep_hour", "FP64", &json!(7)),
            tensor("distance", "FP64", &json!(500)),
            tensor("carrier", "BYTES", &json!("AA")),
            tensor("flight_id", datatype, inferred),
        ];
        let answer = server.post("/v2/models/delay/infer", json!({ "inputs": inputs })).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    }
    let csv = "dep_hour,distance,carrier,flight_id\n7,500,AA,00123\n";
    server.post_raw(ASK, &[("content-type", "text/csv")], csv.as_bytes().to_vec()).await;
    let long = r#"{"dataframe_records": [{"dep_hour": 7, "distance": 500, "carrier": "AA", "flight_id": 18446744073709551617}]}"#;
    let answer = server.post_raw(ASK, &[("content-type", "application/json")], long.as_bytes().to_vec()).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let log = format!("{}/delay", project.id);
    let predictions = &server.test.app.kernel.services.predictions;
    let segment = predictions.read(&log, predictions.seal(&log).unwrap()[0]).unwrap();
    let column = segment.columns.into_iter().find(|column| column.name == "in_flight_id").unwrap();
    let Values::Text(logged) = column.values else { panic!("keys are logged as text") };
    let reply: Vec<&str> = (0..logged.codes.len()).map(|place| logged.get(place).unwrap()).collect();
    let wanted: Vec<&str> =
        keys.iter().flat_map(|(.., wanted)| [*wanted; 2]).chain(["00123", "18446744073709551617"]).collect();
    assert_eq!(reply, wanted);
}

#[tokio::test]
async fn what_only_the_canary_takes_is_read_as_it_takes_it() {
    let (server, project) = Server::with_project().await;
    let answering = || Deployment::clone(&server.test.app.endpoints.router.find("delay").unwrap());
    server.test.deploy(&project, "delay", &TestModel::regression(0.0)).await.unwrap();
    let champion = answering().champion().clone();
    server.test.deploy(&project, "delay", &TestModel::binary(0.0)).await.unwrap();
    let canary = Route { version: answering().champion().clone(), role: TrafficRole::Canary, share: 1.0 };
    let routes = Routes::with_shares(champion, vec![canary], String::new());
    server.test.app.endpoints.router.replace(Deployment { routes, ..answering() }).await;
    let answer = ask(&server, json!({ "dataframe_records": [row(json!(7), json!(500), json!("AA"))] })).await;
    assert_eq!((answer.status, answer.header("x-model-version")), (StatusCode::OK, Some("2")), "{}", answer.text());
}

/// A model that begins to answer, and answers when it may.
struct Waiting {
    model: Arc<dyn LoadedModel>,
    begun: Semaphore,
    may_end: Semaphore,
}

#[async_trait]
impl LoadedModel for Waiting {
    fn signature(&self) -> &Arc<Signature> {
        self.model.signature()
    }

    async fn predict(&self, frame: &Frame) -> Result<Scores, PredictError> {
        self.begun.add_permits(1);
        self.may_end.acquire().await.unwrap().forget();
        self.model.predict(frame).await
    }
}

#[tokio::test]
async fn large_requests_of_one_principal_leave_room_for_those_of_others() {
    let server = Server::with_model(&TestModel::regression(0.0)).await;
    let answering = Deployment::clone(&server.test.app.endpoints.router.find("delay").unwrap());
    let champion = answering.champion().clone();
    let (begun, may_end) = (Semaphore::new(0), Semaphore::new(0));
    let model = Arc::new(Waiting { model: champion.model.clone(), begun, may_end });
    let routes = Routes::new(LoadedVersion { model: model.clone(), ..champion });
    server.test.app.endpoints.router.replace(Deployment { routes, ..answering }).await;
    let viewer = server.test.token("viewer", Role::Viewer, None).await.unwrap();
    let body = json!({ "inputs": { "x": vec![1.5; 10_000] } });
    let ask_as = async |token: &str| server.call_as(token, Method::POST, ASK, Some(body.clone())).await;
    let begun = async |count: usize| model.begun.acquire_many(count as u32).await.unwrap().forget();
    let share = limits::LARGE_PREDICTIONS_SHARE_MAX;
    let others = async {
        begun(share).await;
        let refused = ask_as(&viewer).await;
        assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS, "{}", refused.text());
        let end = async {
            begun(1).await;
            model.may_end.add_permits(share + 1);
        };
        let (answer, ()) = tokio::join!(ask_as(&server.admin), end);
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    };
    let (held, ()) = tokio::join!(join_all((0..share).map(|_| ask_as(&viewer))), others);
    assert!(held.iter().all(|answer| answer.status == StatusCode::OK));
}

#[tokio::test]
async fn no_content_type_reads_as_json_and_others_are_refused() {
    let server = Server::with_model(&TestModel::regression(0.0)).await;
    let body = json!({ "inputs": { "x": [1] } }).to_string().into_bytes();
    assert_eq!(server.post_raw(ASK, &[], body.clone()).await.status, StatusCode::OK);
    for kind in ["application/json", "application/json; charset=UTF-8", "application/json;charset=\"utf-8\""] {
        assert_eq!(
            server.post_raw(ASK, &[("content-type", kind)], body.clone()).await.status,
            StatusCode::OK,
            "{kind}"
        );
    }
    for kind in [
        "application/xml",
        "application/json; charset=latin1",
        "application/json; version=2",
        "application/vnd.apache.parquet",
    ] {
        let answer = server.post_raw(ASK, &[("content-type", kind)], body.clone()).await;
        assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{kind}");
        assert!(answer.header("content-type").unwrap().starts_with("text/plain"));
    }
}

#[tokio::test]
async fn each_wrong_request_is_answered_like_mlflow_answers_it() {
    let server = Server::with_model(&TestModel::binary(0.0)).await;
    let cases = [
        (json!({}), "BAD_REQUEST", "dataframe_split"),
        (json!({ "inputs": {}, "instances": [] }), "BAD_REQUEST", "exactly one"),
        (json!({ "dataframe_split": [] }), "BAD_REQUEST", "is not an object"),
        (
            json!({ "dataframe_split": { "columns": ["a", "b"], "data": [[1]] } }),
            "BAD_REQUEST",
            "row 0 of `dataframe_split` has 1 values, expected 2",
        ),
        (json!({ "dataframe_split": { "columns": ["a", "a"], "data": [[1, 2]] } }), "BAD_REQUEST", "`a` is sent twice"),
        (
            json!({ "instances": [{ "dep_hour": 1 }, { "distance": 1 }] }),
            "BAD_REQUEST",
            "row 1 of `instances` lacks `dep_hour`",
        ),
        (json!({ "inputs": { "dep_hour": [1], "distance": [1, 2] } }), "BAD_REQUEST", "`distance` has 2 rows"),
        (json!({ "inputs": { "dep_hour": 1 } }), "BAD_REQUEST", "`dep_hour`"),
        (json!({ "dataframe_records": [] }), "BAD_REQUEST", "`dataframe_records` holds no row"),
        (json!({ "instances": [] }), "BAD_REQUEST", "`instances` holds no row"),
        (
            json!({ "dataframe_records": [row(json!("soon"), json!(1), json!("AA"))] }),
            "INVALID_PARAMETER_VALUE",
            "`dep_hour` takes numbers, row 0 has `soon`",
        ),
        (
            json!({ "dataframe_records": [{ "dep_hour": 1, "carrier": "AA" }] }),
            "INVALID_PARAMETER_VALUE",
            "`distance` is missing",
        ),
        (
            json!({ "inputs": [[1, 2, 3]] }),
            "INVALID_PARAMETER_VALUE",
            "inputs `dep_hour`, `distance`, `carrier` are missing",
        ),
    ];
    for (body, code, words) in cases {
        let answer = ask(&server, body).await;
        let reply = answer.json();
        assert_eq!((answer.status, reply["error_code"].clone()), (StatusCode::BAD_REQUEST, json!(code)), "{reply}");
        assert!(reply["message"].as_str().unwrap().contains(words), "`{words}` is not in {reply}");
    }
    let broken = server.post_raw(ASK, &[("content-type", "application/json")], b"{".to_vec()).await;
    assert_eq!(broken.json()["error_code"], json!("BAD_REQUEST"));
    let short =
        server.post_raw(ASK, &[("content-type", "text/csv")], b"dep_hour,distance,carrier\n1,2\n".to_vec()).await;
    assert_eq!((short.status, short.json()["error_code"].clone()), (StatusCode::BAD_REQUEST, json!("BAD_REQUEST")));
}

#[tokio::test]
async fn ping_and_version_answer_clients() {
    let server = Server::with_model(&TestModel::binary(0.0)).await;
    for path in ["/endpoints/delay/ping", "/endpoints/delay/health"] {
        let answer = server.get(path).await;
        assert_eq!(
            (answer.status, answer.text(), answer.header("content-type")),
            (StatusCode::OK, "\n".to_owned(), Some("application/json"))
        );
    }
    for path in ["/endpoints/delay/version", "/version"] {
        assert!(server.get(path).await.text().split('.').next().unwrap().parse::<u32>().unwrap() >= 2, "{path}");
    }
    assert_eq!(server.get("/endpoints/other/ping").await.status, StatusCode::NOT_FOUND);
    assert_eq!(server.call(Method::GET, ASK, None).await.status, StatusCode::METHOD_NOT_ALLOWED);
}
