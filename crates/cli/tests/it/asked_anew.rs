//! A canary that asks for an input which today's clients do not send.

use serde_json::{Value, json};

use crate::drifting::{self, NAME, Row, month, month_start};
use crate::support::Server;

const DAY_MS: i64 = 86_400_000;

fn endpoint(server: &Server) -> Value {
    server.get(&format!("/api/v1/projects/{NAME}/endpoints/late"))
}

/// A request with the new input besides.
fn with_square(row: &Row) -> Value {
    let mut request = drifting::request(std::slice::from_ref(row));
    let square = json!({ "name": "square", "shape": [1], "datatype": "FP64", "data": [row.a * row.a] });
    request["inputs"].as_array_mut().unwrap().push(square);
    request
}

#[test]
fn the_champion_answers_who_lacks_it_and_the_canary_waits_for_those_who_have_it() {
    let file = drifting::FILE.replace("candidate.auc >= champion.auc + 0.2", "candidate.auc > 0.5");
    let place = drifting::place(&file);
    let server = Server::up(&place, &[]);
    drifting::three_months(&place, &server);
    place.good(&["release"]);
    place.edit("sql/features.sql", "a, b, season", "a, b, a * a AS square, season");
    let told = place.good(&["release"]);
    assert!(told.contains("version 2 is the canary") && told.contains("it asks for `square` (number)"), "{told}");

    let april = month(4);
    let answered = drifting::ask_one_by_one(&server, &april[..40]);
    assert!(answered.iter().all(|version| version == "1"), "as they ask today, today's version answers: {answered:?}");
    let canary = |server: &Server| endpoint(server)["live"][1].clone();
    let seen = canary(&server);
    let unfit = seen["unfit"].as_u64().unwrap();
    assert!(unfit > 5 && unfit < 35 && seen["requests"] == json!(0), "half of them were its share: {seen}");
    server.kill();
    let server = Server::up(&place, &[]);
    assert_eq!(canary(&server)["unfit"], json!(unfit), "and are counted on after a start");
    server.step(NAME, month_start(4) + 5 * DAY_MS);
    assert_eq!(endpoint(&server)["canary_state"], json!("waiting"), "what it did not answer proves nothing");
    let shown = place.good(&["endpoints"]);
    let why = format!("0 of 10 requests answered, {unfit} besides lacked its inputs");
    assert!(shown.contains("waiting") && shown.contains(&why), "{shown}");

    let versions: Vec<Value> = april[40..80]
        .iter()
        .map(|row| server.post("/v2/models/late/infer", &with_square(row))["model_version"].clone())
        .collect();
    assert!(
        ["1", "2"].iter().all(|version| versions.contains(&json!(version))),
        "either takes the other's: {versions:?}"
    );
    server.step(NAME, month_start(4) + 6 * DAY_MS);
    let now = endpoint(&server);
    assert_eq!((&now["champion_number"], &now["live"][0]["unfit"]), (&json!(2), &json!(0)), "counts are of a part");
}
