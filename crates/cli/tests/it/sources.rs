//! What waits to be collected, and what need not be collected again.

use crate::support::{Place, Server, text};

fn shops() -> Place {
    let place = Place::with_file(
        "[project]\nname = \"shops\"\n\n[datasets.shops]\nsource = { files = \"shops.csv\" }\nmode = \"replace\"\n\n\
         [steps.open]\nsql = \"open.sql\"\n",
    );
    place.write("open.sql", "SELECT id FROM shops WHERE open = 'yes'\n");
    place.write("shops.csv", "id,open\n1,yes\n2,no\n");
    place
}

#[test]
fn a_dry_run_sees_the_files_that_wait_from_the_first_one_on() {
    let place = shops();
    for _ in 0..2 {
        let plan = place.good(&["run", "--dry-run"]);
        assert!(plan.starts_with("dataset `shops`: 1 new file\n"), "{plan}");
        assert!(plan.contains("would run") && plan.contains("it waits for dataset `shops`: 1 new file"), "{plan}");
    }
    place.good(&["run"]);
    assert!(place.good(&["why", "open"]).contains("up to date"));
    place.write("shops.csv", "id,open\n1,yes\n2,yes\n");
    assert!(place.good(&["why", "open"]).contains("it waits for dataset `shops`: 1 new file"));
}

#[test]
fn a_file_written_anew_with_the_same_rows_is_looked_at_once() {
    let place = shops();
    place.good(&["run"]);
    place.write("shops.csv", "id,open\n2,no\n1,yes\n");
    let told = place.run(&["run"]);
    assert!(text(&told.stderr).contains("2 rows, unchanged"), "{}", text(&told.stderr));
    let told = place.run(&["run"]);
    assert!(!text(&told.stderr).contains("shops.csv"), "{}", text(&told.stderr));
    assert!(text(&told.stdout).contains("nothing to do"), "{}", text(&told.stdout));
    // It is still the dataset's file: with other rows it takes their place.
    place.write("shops.csv", "id,open\n3,yes\n");
    place.good(&["run"]);
    assert_eq!(place.query("SELECT id FROM open"), [[3]]);
}

#[test]
fn a_run_in_which_nothing_ran_keeps_no_record_of_each_step() {
    let place = shops();
    for _ in 0..3 {
        place.good(&["run"]);
    }
    let sql = "SELECT id FROM shops WHERE open = 'no'\n";
    place.write("open.sql", sql);
    place.good(&["run"]);
    // What is current again is news, though nothing ran for it.
    place.edit("open.sql", "'no'", "'yes'");
    place.good(&["run"]);
    let server = Server::up(&place, &[]);
    let runs = server.list("/api/v1/projects/shops/pipeline-runs");
    let steps: Vec<Vec<String>> = runs
        .iter()
        .rev()
        .map(|run| {
            let run = server.get(&format!("/api/v1/projects/shops/pipeline-runs/{}", run["id"].as_str().unwrap()));
            let steps = run["steps"].as_array().unwrap();
            steps.iter().map(|step| step["state"].as_str().unwrap().to_owned()).collect()
        })
        .collect();
    assert_eq!(steps, [vec!["succeeded"], vec![], vec![], vec!["succeeded"], vec!["cached"]]);
}
