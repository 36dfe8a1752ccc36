//! The story answers to the data: played on the same small world, once as it is and once for each change
//! of the data or the project file. Nothing but files, requests and the clock moves it.

use serde_json::json;

use crate::drifting::{self, NAME, month, month_start};
use crate::support::{Place, Server};

/// What the months from April on came to.
#[derive(Debug, PartialEq)]
struct Ending {
    /// Alerts of the monitor.
    alerts: Vec<String>,
    /// Pipeline runs that a trigger started.
    retrainings: usize,
    /// Each version that was judged, with the verdict.
    decisions: Vec<(i64, String)>,
    /// Who answers at the end.
    champion: i64,
    /// Whether April's quality was ever measured.
    knows_april: bool,
}

/// What is changed against the story as it is.
#[derive(Default)]
struct Change {
    /// Words of the project file, and what stands in their place.
    file: Option<(&'static str, &'static str)>,
    /// April's outcomes.
    april: April,
}

#[derive(Default, PartialEq)]
enum April {
    #[default]
    AsItWas,
    Shuffled,
    TakenAway,
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
    let told = place.good(&["release"]);
    assert!(told.contains("version 1 answers at `late`"), "{told}");
    place.write("data/asked/2013-04.csv", drifting::asked(&month(4)));
    drifting::ask_for_all(&server, 4);
    let outcomes = match change.april {
        April::AsItWas => Some(month(4)),
        April::Shuffled => Some(drifting::shuffled(month(4))),
        April::TakenAway => None,
    };
    if let Some(outcomes) = outcomes {
        place.write("data/turned_out/2013-04.csv", drifting::turned_out(&outcomes));
    }
    // April is over: its window closes, and whatever follows from it happens.
    server.step(NAME, month_start(5) + 1);
    place.write("data/asked/2013-05.csv", drifting::asked(&month(5)));
    server.step(NAME, month_start(5) + 60_000);
    drifting::ask_one_by_one(&server, &month(5)[..80]);
    // Canaries lasted, and the wait for outcomes is over.
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
    assert!(of_april("inputs"), "what was asked in April is always looked at: {results:?}");
    assert!(place.good(&["verify"]).contains("the ledger holds"));
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

fn decided(decisions: &[(i64, &str)]) -> Vec<(i64, String)> {
    decisions.iter().map(|(number, verdict)| (*number, (*verdict).to_owned())).collect()
}

/// How it ends when nothing is changed; each other story says what is different.
fn renewed() -> Ending {
    Ending {
        alerts: vec!["stale".to_owned()],
        retrainings: 1,
        decisions: decided(&[(1, "pass"), (2, "pass")]),
        champion: 2,
        knows_april: true,
    }
}

#[test]
fn a_model_that_has_grown_stale_is_replaced_by_itself() {
    assert_eq!(play(&Change::default()), renewed());
}

#[test]
fn a_candidate_judged_on_shuffled_outcomes_is_refused_and_the_champion_stays() {
    let ending = play(&Change { april: April::Shuffled, ..Change::default() });
    assert_eq!(ending, Ending { decisions: decided(&[(1, "pass"), (2, "fail")]), champion: 1, ..renewed() });
}

#[test]
fn an_alert_that_never_fires_retrains_nothing() {
    let file = Some(("auc < reference.auc - 0.05", "auc < reference.auc - 1"));
    let ending = play(&Change { file, ..Change::default() });
    let decisions = decided(&[(1, "pass")]);
    assert_eq!(ending, Ending { alerts: vec![], retrainings: 0, decisions, champion: 1, ..renewed() });
}

#[test]
fn without_outcomes_quality_is_unknown_and_no_alert_of_it_fires() {
    let ending = play(&Change { april: April::TakenAway, ..Change::default() });
    let decisions = decided(&[(1, "pass")]);
    assert_eq!(ending, Ending { alerts: vec![], retrainings: 0, decisions, champion: 1, knows_april: false });
}

#[test]
fn a_stronger_gate_refuses_what_the_usual_one_promotes() {
    let file = Some(("champion.auc + 0.2", "champion.auc + 0.95"));
    let ending = play(&Change { file, ..Change::default() });
    assert_eq!(ending, Ending { decisions: decided(&[(1, "pass"), (2, "fail")]), champion: 1, ..renewed() });
}
