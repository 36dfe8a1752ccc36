//! The outcome depends on the data and the project file: the same scenario is played unchanged, and once for each
//! change. Only files, requests and the clock cause events.

use serde_json::json;

use crate::drifting::{self, NAME, month, month_start};
use crate::support::{Place, Server};

/// The state of the project at the end of May.
#[derive(Debug, PartialEq)]
struct Ending {
    /// Alerts of the monitor.
    alerts: Vec<String>,
    /// Pipeline runs that a trigger started.
    retrainings: usize,
    /// The verdict of each version's Decision.
    decisions: Vec<(i64, String)>,
    /// The champion at the end.
    champion: i64,
    /// Whether the quality of April was measured.
    knows_april: bool,
}

/// A change of the scenario.
#[derive(Default)]
struct Change {
    /// A text of the project file, and its replacement.
    file: Option<(&'static str, &'static str)>,
    /// April's outcomes.
    april: April,
}

#[derive(Default, PartialEq)]
enum April {
    #[default]
    Original,
    Shuffled,
    Missing,
}

fn play(change: &Change) -> Ending {
    let file = match change.file {
        Some((old, new)) => {
            assert!(drifting::FILE.contains(old));
            drifting::FILE.replace(old, new)
        }
        None => drifting::FILE.to_owned(),
    };
    let place = drifting::place(&file);
    let server = Server::up(&place, &[]);
    drifting::three_months(&place, &server);
    let output = place.good(&["release"]);
    assert!(output.contains("version 1 answers at `late`"), "{output}");
    place.write("data/asked/2013-04.csv", drifting::asked(&month(4)));
    drifting::ask_for_all(&server, 4);
    let outcomes = match change.april {
        April::Original => Some(month(4)),
        April::Shuffled => Some(drifting::shuffled(month(4))),
        April::Missing => None,
    };
    if let Some(outcomes) = outcomes {
        place.write("data/turned_out/2013-04.csv", drifting::turned_out(&outcomes));
    }
    // April is over: its window closes, and the events that depend on it follow.
    server.step(NAME, month_start(5) + 1);
    place.write("data/asked/2013-05.csv", drifting::asked(&month(5)));
    server.step(NAME, month_start(5) + 60_000);
    drifting::ask_one_by_one(&server, &month(5)[..80]);
    // By now canaries have ended, and `label_delay` is over.
    server.step(NAME, month_start(5) + 25 * 86_400_000);
    ending(&place, &server)
}

fn ending(place: &Place, server: &Server) -> Ending {
    let at = |path: &str| format!("/api/v1/projects/{NAME}/{path}");
    let alerts = server.list(&at("alerts?limit=1000"));
    let runs = server.list(&at("pipeline-runs?limit=1000"));
    let mut decisions: Vec<(i64, String)> = server
        .list(&at("releases"))
        .iter()
        .map(|release| (release["number"].as_i64().unwrap(), release["verdict"].as_str().unwrap().to_owned()))
        .collect();
    decisions.sort();
    let results = server.list(&at("monitors?limit=1000"));
    let of_april = |kind: &str| {
        results.iter().any(|result| result["window_start_ms"] == json!(month_start(4)) && result["kind"] == json!(kind))
    };
    assert!(of_april("inputs"), "the inputs of April were not evaluated: {results:?}");
    assert!(place.good(&["verify"]).contains("is intact"));
    Ending {
        alerts: alerts
            .iter()
            .filter(|alert| alert["subject"] == json!("monitor:late"))
            .map(|alert| alert["name"].as_str().unwrap().to_owned())
            .collect(),
        retrainings: runs.iter().filter(|run| run["cause"]["kind"] == json!("trigger")).count(),
        decisions,
        champion: server.get(&at("endpoints/late"))["champion_number"].as_i64().unwrap(),
        knows_april: of_april("quality"),
    }
}

fn verdicts(decisions: &[(i64, &str)]) -> Vec<(i64, String)> {
    decisions.iter().map(|(number, verdict)| (*number, (*verdict).to_owned())).collect()
}

/// The ending of the unchanged scenario.
fn promoted() -> Ending {
    Ending {
        alerts: vec!["stale".to_owned()],
        retrainings: 1,
        decisions: verdicts(&[(1, "pass"), (2, "pass")]),
        champion: 2,
        knows_april: true,
    }
}

#[test]
fn a_stale_model_is_replaced_automatically() {
    assert_eq!(play(&Change::default()), promoted());
}

#[test]
fn a_candidate_trained_for_shuffled_outcomes_is_refused_and_the_champion_stays() {
    let ending = play(&Change { april: April::Shuffled, ..Change::default() });
    assert_eq!(ending, Ending { decisions: verdicts(&[(1, "pass"), (2, "fail")]), champion: 1, ..promoted() });
}

#[test]
fn an_alert_that_never_fires_retrains_nothing() {
    let file = Some(("auc < reference.auc - 0.05", "auc < reference.auc - 1"));
    let ending = play(&Change { file, ..Change::default() });
    let decisions = verdicts(&[(1, "pass")]);
    assert_eq!(ending, Ending { alerts: vec![], retrainings: 0, decisions, champion: 1, ..promoted() });
}

#[test]
fn without_outcomes_quality_is_unknown_and_its_alert_does_not_fire() {
    let ending = play(&Change { april: April::Missing, ..Change::default() });
    let decisions = verdicts(&[(1, "pass")]);
    assert_eq!(ending, Ending { alerts: vec![], retrainings: 0, decisions, champion: 1, knows_april: false });
}

#[test]
fn a_stricter_gate_refuses_the_candidate() {
    let file = Some(("champion.auc + 0.2", "champion.auc + 0.95"));
    let ending = play(&Change { file, ..Change::default() });
    assert_eq!(ending, Ending { decisions: verdicts(&[(1, "pass"), (2, "fail")]), champion: 1, ..promoted() });
}
