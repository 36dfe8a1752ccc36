//! The loop on the examples' data.

use serde_json::json;

use crate::support::{Place, text};

fn three_months() -> Place {
    let place = Place::example("flights");
    for folder in ["data/schedule", "data/weather", "data/arrivals"] {
        place.keep_only(folder, |name| name < "2013-04");
    }
    place
}

#[test]
fn the_flights_run_once_and_then_there_is_nothing_to_do() {
    let place = three_months();
    place.good(&["run"]);
    let rows = place.query("SELECT count(*) FROM features");
    assert_eq!(rows, [[json!(80_789)]]);
    let again = place.good(&["run"]);
    assert!(again.contains("nothing to do"), "{again}");
    let plan = place.good(&["run", "--dry-run"]);
    assert!(!plan.contains("would run"), "{plan}");
    std::fs::write(
        place.path().join("sql/features.sql"),
        std::fs::read_to_string(place.path().join("sql/features.sql"))
            .unwrap()
            .replace("s.minute,", "s.minute, s.minute AS m2,"),
    )
    .unwrap();
    let why = place.good(&["why", "features"]);
    assert!(why.contains("would run") && why.contains("sql changed"), "{why}");
    assert!(place.good(&["verify"]).contains("the ledger holds"));
}

#[test]
fn a_release_answers_and_its_lineage_leads_back_to_the_files() {
    let place = three_months();
    let told = place.good(&["release"]);
    assert!(told.contains("answers at `delay`"), "{told}");
    let endpoints = place.json(&["endpoints"]);
    assert_eq!(
        endpoints.pointer("/items/0/champion_number").or_else(|| endpoints.pointer("/0/champion_number")),
        Some(&json!(1))
    );
    let lineage = place.good(&["explain", "model", "1"]);
    for words in ["features", "2013-01"] {
        assert!(lineage.contains(words), "{lineage}");
    }
    let refused = place.run(&["rollback", "delay"]);
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused.stderr));
}

#[test]
fn a_load_that_fails_its_checks_is_held_until_the_file_is_repaired() {
    let place = three_months();
    let path = place.path().join("data/weather/2013-02.csv");
    let good = std::fs::read_to_string(&path).unwrap();
    let head = good.lines().next().unwrap();
    let few: Vec<&str> = good.lines().take(200).collect();
    assert!(head.contains("temp"));
    std::fs::write(&path, format!("{}\n", few.join("\n"))).unwrap();
    place.good(&["run"]);
    let loads = place.good(&["data", "show", "weather"]);
    assert!(loads.contains("held"), "{loads}");
    assert!(place.good(&["alerts"]).contains("is held"));
    std::fs::write(&path, good).unwrap();
    place.good(&["run"]);
    let rows = place.query("SELECT count(*) FROM weather WHERE time_hour < TIMESTAMP '2013-03-01T05:00:00'");
    assert!(rows[0][0].as_i64().unwrap() > 4_000, "{rows:?}");
}

#[test]
fn a_changed_file_is_refused_by_name() {
    let place = three_months();
    place.good(&["run", "features"]);
    let path = place.path().join("data/weather/2013-01.csv");
    let text_before = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text_before.replacen("EWR", "LGA", 1)).unwrap();
    let told = place.run(&["run", "features"]);
    assert_eq!(told.status.code(), Some(1));
    assert!(text(&told.stderr).contains("data/weather/2013-01.csv"), "{}", text(&told.stderr));
    assert!(text(&told.stderr).contains("on_change"), "{}", text(&told.stderr));
}

#[test]
fn the_weather_runs_the_same_loop() {
    let place = Place::example("weather");
    let told = place.good(&["release"]);
    assert!(told.contains("answers at"), "{told}");
    assert!(place.good(&["models"]).contains("champion"));
}
