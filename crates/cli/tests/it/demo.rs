//! The year that `perennial demo` plays, from its first month to its last.

use serde_json::json;

use crate::support::{Place, perennial, text};

/// `29,425` as a number.
fn number(text: &str) -> u64 {
    text.replace(',', "").parse().unwrap()
}

#[test]
fn the_year_ends_by_itself_with_its_table_and_leaves_what_it_tells_of() {
    let place = Place { folder: tempfile::tempdir().unwrap() };
    std::fs::create_dir(place.path()).unwrap();
    let played = place.path().join("played");
    let told = place.run(&["demo", played.to_str().unwrap()]);
    let said = text(&told.stdout);
    assert!(told.status.success(), "{said}\n{}", text(&told.stderr));

    let (story, table) = said.split_once("\nmonth ").unwrap();
    let months: Vec<&str> = table.lines().filter(|line| line.starts_with("2013-")).collect();
    assert_eq!(months.len(), 12, "{table}");
    let flights = months.iter().map(|line| number(line.split_whitespace().nth(1).unwrap())).sum::<u64>();
    assert_eq!(flights, 336_776);
    for (month, words) in [("2013-06", "version 1 answers"), ("2013-09", "held load"), ("2013-09", "is held")] {
        assert!(months.iter().any(|line| line.starts_with(month) && line.contains(words)), "{month} {words}:\n{table}");
    }
    // What the data asks for, in this order: quality falls, a better model comes, a worse one does not.
    let mut rest = story;
    for words in
        ["alert `delay.stale` at version 1", "version 2 is the canary", "version 2 answers at", "version 3 refused"]
    {
        let found = rest.find(words).unwrap_or_else(|| panic!("`{words}` does not follow in:\n{story}"));
        rest = &rest[found..];
    }
    assert!(rest.contains("the file arrives again, repaired"), "{story}");
    assert!(table.contains("file data/"), "the lineage goes back to the files:\n{table}");

    let asked = story.lines().filter_map(|line| line.split_once(" flights asked")?.0.split_whitespace().last());
    let asked = asked.map(number).sum::<u64>();
    let left = |args: &[&str]| {
        let told = perennial(&played, args).arg("--json").output().unwrap();
        assert!(told.status.success(), "{}", text(&told.stderr));
        serde_json::from_slice::<serde_json::Value>(&told.stdout).unwrap()
    };
    let logged = left(&["data", "query", "SELECT count(*), count(DISTINCT prediction_id) FROM predictions_delay"]);
    assert_eq!(logged["rows"], json!([[asked, asked]]), "every answer is logged, once");
    assert_eq!(left(&["verify"])["holds"], json!(true));
}
