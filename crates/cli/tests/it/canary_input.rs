//! A canary that needs an input which present clients do not send.

use serde_json::{Value, json};

use crate::drifting::{self, NAME, Row, month, month_start};
use crate::support::Server;
use crate::toml_text::set;

const DAY_MS: i64 = 86_400_000;

fn endpoint(server: &Server) -> Value {
    server.get(&format!("/api/v1/projects/{NAME}/endpoints/late"))
}

/// A request that also contains the new input.
fn with_square(row: &Row) -> Value {
    let mut request = drifting::request(std::slice::from_ref(row));
    let square = json!({ "name": "square", "shape": [1], "datatype": "FP64", "data": [row.a * row.a] });
    request["inputs"].as_array_mut().unwrap().push(square);
    request
}

#[test]
fn the_champion_answers_requests_without_the_input_and_the_canary_counts_only_requests_with_it() {
    let file = set(drifting::FILE, "gates.better", "'candidate.auc > 0.5'");
    let place = drifting::place(&file);
    let server = Server::up(&place, &[]);
    drifting::three_months(&place, &server);
    place.good(&["release"]);
    place.edit("sql/features.sql", "a, b, season", "a, b, a * a AS square, season");
    let output = place.good(&["release"]);
    assert!(output.contains("version 2 is the canary") && output.contains("it asks for `square` (number)"), "{output}");

    let april = month(4);
    let answered = drifting::ask_one_by_one(&server, &april[..40]);
    assert!(
        answered.iter().all(|version| version == "1"),
        "the champion answers requests without the input: {answered:?}"
    );
    let canary = |server: &Server| endpoint(server)["routes"][1].clone();
    let seen = canary(&server);
    let fallbacks = seen["fallbacks"].as_u64().unwrap();
    assert!(
        fallbacks > 5 && fallbacks < 35 && seen["requests"] == json!(0),
        "the canary's share was about half of them: {seen}"
    );
    server.kill();
    let server = Server::up(&place, &[]);
    assert_eq!(canary(&server)["fallbacks"], json!(fallbacks), "the count survives a restart");
    server.step(NAME, month_start(4) + 5 * DAY_MS);
    assert_eq!(endpoint(&server)["canary_state"], json!("waiting"), "requests that it did not answer do not count");
    let shown = place.good(&["endpoints"]);
    let why = format!("0 of 10 requests answered, {fallbacks} more lacked one of its inputs");
    assert!(shown.contains("waiting") && shown.contains(&why), "{shown}");

    let versions: Vec<Value> = april[40..80]
        .iter()
        .map(|row| server.post("/v2/models/late/infer", &with_square(row))["model_version"].clone())
        .collect();
    assert!(
        ["1", "2"].iter().all(|version| versions.contains(&json!(version))),
        "both versions accept the additional input: {versions:?}"
    );
    server.step(NAME, month_start(4) + 6 * DAY_MS);
    let now = endpoint(&server);
    assert_eq!(
        (&now["champion_number"], &now["routes"][0]["fallbacks"]),
        (&json!(2), &json!(0)),
        "the counts start again with the new role"
    );
}
