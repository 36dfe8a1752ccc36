//! The whole life of a model on the built server, on each kind of storage: SQLite and a folder, PostgreSQL and an
//! object store.

use reqwest::Method;
use serde_json::{Value, json};

use crate::drifting::{self, NAME, month, month_start};
use crate::postgres::Database;
use crate::s3_server::ObjectStore;
use crate::support::{Place, Server};

const DAY_MS: i64 = 86_400_000;

/// Where a server stores its data: further arguments and variables of `perennial up`.
#[derive(Default)]
struct Storage {
    args: Vec<String>,
    variables: Vec<(&'static str, String)>,
}

impl Storage {
    fn up(&self, place: &Place) -> Server {
        let mut command = place.command(&["up", "--port", "0"]);
        command.args(&self.args).envs(self.variables.iter().cloned());
        Server::start(command, &place.path().join(".perennial"))
    }
}

fn at(path: &str) -> String {
    format!("/api/v1/projects/{NAME}/{path}")
}

#[test]
fn a_model_lives_on_sqlite_and_a_folder() {
    let place = drifting::place(drifting::FILE);
    live(&place, &Storage::default());
    for kept in ["metadata.sqlite", "blobs", "tables"] {
        assert!(place.path().join(".perennial").join(kept).exists(), "{kept}");
    }
}

#[test]
fn a_model_lives_on_postgres_and_an_object_store() {
    let (database, store) = (Database::create(), ObjectStore::start());
    let place = drifting::place(drifting::FILE);
    let storage = Storage {
        args: ["--database", database.url.as_str(), "--artifacts", "s3://perennial/lifecycle"]
            .map(str::to_owned)
            .to_vec(),
        variables: store.variables(),
    };
    live(&place, &storage);
    for elsewhere in ["metadata.sqlite", "blobs", "tables"] {
        assert!(!place.path().join(".perennial").join(elsewhere).exists(), "{elsewhere} was stored in the folder");
    }
}

/// Collect, check, train, evaluate, release, serve, monitor, alert, retrain, canary, promotion, rollback, verify,
/// explain.
fn live(place: &Place, storage: &Storage) {
    let server = storage.up(place);
    collect_and_check(place, &server);
    train_and_evaluate(place);
    serve_and_retrain(place, &server);
    // After a restart the canary has the same state.
    let before = canary(&server);
    server.kill();
    let server = storage.up(place);
    assert_eq!(canary(&server), before);
    promote(&server);
    let head = place.json(&["verify"])["head"].as_str().unwrap().to_owned();
    roll_back(place, &server);
    explain(place, &server);
    let output = place.good(&["verify", "--head", &head]);
    assert!(output.contains("is intact"), "{output}");
    server.kill();
}

fn collect_and_check(place: &Place, server: &Server) {
    drifting::three_months(place, server);
    // March arrives again under another name, with one new order.
    let mut again = drifting::asked(&month(3));
    again.push_str("03-new,2013-03-31T00:00:00Z,0.5,0.25,0\n");
    place.write("data/asked/2013-03-again.csv", again);
    // April's values are in another unit.
    let mut rows = month(4);
    for row in &mut rows {
        row.a *= 10.0;
    }
    place.write("data/asked/2013-04.csv", drifting::asked(&rows));
    place.held(&["run", "features"]);
    assert_eq!(place.query("SELECT count(*) FROM asked"), [[json!(3 * drifting::ROWS + 1)]]);
    let loads = server.list(&at("datasets/asked/loads?limit=100"));
    let of = |path: &str| loads.iter().find(|load| load["source_path"] == json!(path)).unwrap();
    assert_eq!(of("data/asked/2013-03-again.csv")["set_aside"], json!(drifting::ROWS));
    assert_eq!(of("data/asked/2013-04.csv")["state"], json!("held"));
    let alerts = place.good(&["alerts"]);
    assert!(alerts.contains("from `data/asked/2013-04.csv` into `asked` is held: `in_range`"), "{alerts}");
    place.write("data/asked/2013-04.csv", drifting::asked(&month(4)));
    place.good(&["run", "features"]);
    assert_eq!(place.query("SELECT count(*) FROM asked"), [[json!(4 * drifting::ROWS + 1)]]);
}

fn train_and_evaluate(place: &Place) {
    let output = place.good(&["run"]);
    assert!(output.contains("version 1 passed"), "{output}");
    assert!(place.good(&["run"]).contains("nothing to do"));
    let output = place.good(&["release"]);
    assert!(output.contains("version 1 answers at `late`"), "{output}");
}

fn serve_and_retrain(place: &Place, server: &Server) {
    drifting::ask_for_all(server, 4);
    place.write("data/turned_out/2013-04.csv", drifting::turned_out(&month(4)));
    server.step(NAME, month_start(5) + 1);
    let results = server.list(&at("monitors"));
    let of_april = |kind: &str| {
        let mut found = results
            .iter()
            .filter(|result| result["window_start_ms"] == json!(month_start(4)) && result["kind"] == json!(kind));
        found.next().unwrap_or_else(|| panic!("no {kind} of April: {results:?}"))["facts"].clone()
    };
    let drift = |feature: &str| of_april("inputs")["drift"]["features"][feature].as_f64().unwrap();
    assert!(drift("season") > 0.25 && drift("a") < 0.1, "{:?}", of_april("inputs"));
    let quality = of_april("quality");
    assert!(quality["auc"].as_f64().unwrap() < quality["reference"]["auc"].as_f64().unwrap() - 0.05, "{quality}");
    let alerts = server.list(&at("alerts"));
    let stale = alerts.iter().find(|alert| alert["name"] == json!("stale")).unwrap();
    let runs = server.list(&at("pipeline-runs?limit=100"));
    let triggered: Vec<&Value> = runs.iter().filter(|run| run["cause"]["kind"] == json!("trigger")).collect();
    assert_eq!(triggered.len(), 1, "{triggered:?}");
    assert_eq!(triggered[0]["cause"]["because"]["alert"], stale["id"], "the run does not name the alert");
    assert_eq!((canary(server).0, canary(server).1), (json!(1), json!(2)));
}

/// The champion, the canary, the state of the canary, and the number of requests of each version.
fn canary(server: &Server) -> (Value, Value, Value, Vec<(Value, Value)>) {
    let endpoint = server.get(&at("endpoints/late"));
    let routes = endpoint["routes"].as_array().unwrap();
    let requests = routes.iter().map(|route| (route["number"].clone(), route["requests"].clone()));
    (
        endpoint["champion_number"].clone(),
        endpoint["canary_number"].clone(),
        endpoint["canary_state"].clone(),
        requests.collect(),
    )
}

fn promote(server: &Server) {
    server.step(NAME, month_start(5) + DAY_MS);
    let answered = drifting::ask_one_by_one(server, &month(5)[..80]);
    let by = |version: &str| answered.iter().filter(|answered| *answered == version).count();
    assert!(by("1") >= 10 && by("2") >= 10, "both versions must answer during the canary: {answered:?}");
    let same_again = drifting::ask_one_by_one(server, &month(5)[..80]);
    assert_eq!(same_again, answered, "a key must always be answered by the same version");
    server.step(NAME, month_start(5) + 4 * DAY_MS);
    assert_eq!(canary(server).0, json!(2));
    let answered = drifting::ask_one_by_one(server, &month(5)[..5]);
    assert!(answered.iter().all(|version| version == "2"), "{answered:?}");
}

fn roll_back(place: &Place, server: &Server) {
    let output = place.good(&["rollback", "late"]);
    assert!(output.contains("version 1 answers at `late` again"), "{output}");
    let answered = drifting::ask_one_by_one(server, &month(5)[..5]);
    assert!(answered.iter().all(|version| version == "1"), "{answered:?}");
    let models = server.list(&at("models"));
    let champion = models.iter().find(|model| model["aliases"] == json!(["champion"])).unwrap();
    assert_eq!(champion["number"], json!(1));
}

fn explain(place: &Place, server: &Server) {
    let answer = server.post("/v2/models/late/infer", &drifting::request(&month(5)[..1]));
    let id = answer["parameters"]["request_id"].as_str().unwrap();
    let output = place.good(&["explain", "prediction", &format!("{id}-0")]);
    for words in [
        "answered by version 1 as champion at `late`",
        "asked: ",
        "answered: score 0.",
        "step train",
        "dataset features@",
        "2013-01.csv",
    ] {
        assert!(output.contains(words), "`{words}` is not in:\n{output}");
    }
    let output = place.good(&["explain", "dataset", "asked@1"]);
    assert!(output.contains("champion at `late` now"), "the endpoint is missing:\n{output}");
    let release = server.list(&at("releases"))[0]["digest"].as_str().unwrap()[..12].to_owned();
    let output = place.good(&["explain", "release", &release]);
    assert!(output.contains("model drifting/"), "{output}");
    let (status, _) = server.ask(Method::GET, &at("explain/prediction/none"), None);
    assert_eq!(status, 404);
}
