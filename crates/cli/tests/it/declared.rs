//! Endpoints and canaries that are removed from the project file.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::drifting::{self, NAME, month, month_start};
use crate::support::Server;

fn endpoint(server: &Server) -> Value {
    server.get(&format!("/api/v1/projects/{NAME}/endpoints/late"))
}

#[test]
fn a_canary_or_endpoint_that_is_no_longer_declared_ends_at_the_next_start() {
    let place = drifting::place(drifting::FILE);
    let server = Server::up(&place, &[]);
    drifting::three_months(&place, &server);
    place.good(&["release"]);
    place.write("data/asked/2013-04.csv", drifting::asked(&month(4)));
    drifting::ask_for_all(&server, 4);
    place.write("data/turned_out/2013-04.csv", drifting::turned_out(&month(4)));
    server.step(NAME, month_start(5) + 1);
    let now = endpoint(&server);
    assert_eq!((&now["champion_number"], &now["canary_number"]), (&json!(1), &json!(2)));
    assert_eq!(now["canary_state"], json!("running"));

    // The counts of the rollback rule survive a restart.
    drifting::ask_one_by_one(&server, &month(5)[..20]);
    let counts = |server: &Server| -> Vec<Value> {
        let routes = endpoint(server)["routes"].as_array().unwrap().clone();
        routes.iter().map(|version| json!([version["number"], version["requests"], version["errors"]])).collect()
    };
    let before = counts(&server);
    assert!(before.len() == 2 && before.iter().all(|version| version[1].as_u64() > Some(0)), "{before:?}");
    server.kill();
    let server = Server::up(&place, &[]);
    assert_eq!(counts(&server), before);

    // The second version is explained by the alert that started its run.
    let explained = place.good(&["explain", "model", "2"]);
    let line = |words: &str| explained.lines().position(|line| line.contains(words));
    let (run, alert) = (line("started by trigger"), line("alert: alert `late.stale` at version 1"));
    assert!(run.is_some() && alert > run && line("monitor result late/") > alert, "{explained}");

    let file = std::fs::read_to_string(place.path().join("perennial.toml")).unwrap();
    let kept: Vec<&str> = file.lines().filter(|line| !line.starts_with("canary = ")).collect();
    place.write("perennial.toml", kept.join("\n"));
    server.post("/api/v1/projects/submit", &json!({}));
    server.step(NAME, month_start(5) + 60_000);
    assert_eq!(endpoint(&server)["canary_state"], json!("running"), "a submission does not change what is served");
    server.kill();
    let server = Server::up(&place, &[]);
    let now = endpoint(&server);
    assert_eq!((&now["champion_number"], &now["canary_state"]), (&json!(1), &json!("rolled-back")));
    let asked = drifting::request(&month(5)[..1]);
    assert_eq!(server.post("/v2/models/late/infer", &asked)["model_version"], json!("1"));

    let until = file.find("[endpoints.late]").unwrap();
    place.write("perennial.toml", &file[..until]);
    server.post("/api/v1/projects/submit", &json!({}));
    assert_eq!(server.post("/v2/models/late/infer", &asked)["model_version"], json!("1"));
    server.kill();
    let server = Server::up(&place, &[]);
    let (status, answer) = server.ask(Method::POST, "/v2/models/late/infer", Some(&asked));
    assert_eq!(status, StatusCode::NOT_FOUND, "{answer}");
    let ledger = server.list(&format!("/api/v1/projects/{NAME}/ledger?limit=20"));
    assert!(ledger.iter().any(|entry| entry["noun"] == "endpoint" && entry["verb"] == "retire"), "{ledger:?}");

    // Declared again, the endpoint is served after the next release, by the previous champion.
    place.write("perennial.toml", &file);
    let released = place.good(&["release"]);
    assert!(released.contains("version 1 answers at `late`, which is new"), "{released}");
    assert!(place.good(&["verify"]).contains("is intact"));
}
