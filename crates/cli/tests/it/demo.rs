//! `perennial demo`: the whole year.

use serde_json::json;

use crate::support::{Place, perennial, text};

/// `29,425` as a number.
fn number(text: &str) -> u64 {
    text.replace(',', "").parse().unwrap()
}

#[test]
fn the_demo_prints_the_table_of_the_year_and_leaves_its_project() {
    let place = Place { folder: tempfile::tempdir().unwrap() };
    std::fs::create_dir(place.path()).unwrap();
    let played = place.path().join("played");
    let output = place.run(&["demo", played.to_str().unwrap()]);
    let said = text(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", text(&output.stderr));

    let (story, table) = said.split_once("\nmonth ").unwrap();
    let months: Vec<&str> = table.lines().filter(|line| line.starts_with("2013-")).collect();
    assert_eq!(months.len(), 12, "{table}");
    let flights = months.iter().map(|line| number(line.split_whitespace().nth(1).unwrap())).sum::<u64>();
    assert_eq!(flights, 336_776);
    for (month, words) in [("2013-06", "version 1 answers"), ("2013-09", "held load"), ("2013-09", "is held")] {
        assert!(months.iter().any(|line| line.starts_with(month) && line.contains(words)), "{month} {words}:\n{table}");
    }
    // The expected events, in this order: quality falls, a better model is promoted, a worse one is refused.
    let mut rest = story;
    for words in
        ["alert `delay.stale` at version 1", "version 2 is the canary", "version 2 answers at", "version 3 refused"]
    {
        let found = rest.find(words).unwrap_or_else(|| panic!("`{words}` does not follow in:\n{story}"));
        rest = &rest[found..];
    }
    assert!(rest.contains("the corrected file arrives"), "{story}");
    assert!(table.contains("file data/"), "the lineage does not reach the files:\n{table}");

    let asked = story.lines().filter_map(|line| line.split_once(" predictions requested")?.0.split_whitespace().last());
    let asked = asked.map(number).sum::<u64>();
    let left = |args: &[&str]| {
        let output = perennial(&played, args).arg("--json").output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()
    };
    let logged = left(&["data", "query", "SELECT count(*), count(DISTINCT prediction_id) FROM predictions_delay"]);
    assert_eq!(logged["rows"], json!([[asked, asked]]), "every prediction is logged exactly once");
    assert_eq!(left(&["verify"])["holds"], json!(true));
}
