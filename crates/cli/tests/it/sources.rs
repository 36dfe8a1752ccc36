//! Which files of a source are new.

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
fn a_dry_run_reports_new_files() {
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
fn a_rewritten_file_with_the_same_rows_is_read_once() {
    let place = shops();
    place.good(&["run"]);
    place.write("shops.csv", "id,open\n2,no\n1,yes\n");
    let output = place.run(&["run"]);
    assert!(text(&output.stderr).contains("2 rows, unchanged"), "{}", text(&output.stderr));
    let output = place.run(&["run"]);
    assert!(!text(&output.stderr).contains("shops.csv"), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("nothing to do"), "{}", text(&output.stdout));
    // It is still the file of the dataset: new rows replace the present ones.
    place.write("shops.csv", "id,open\n3,yes\n");
    place.good(&["run"]);
    assert_eq!(place.query("SELECT id FROM open"), [[3]]);
}

#[test]
fn a_run_that_executes_no_step_stores_no_step_records() {
    let place = shops();
    for _ in 0..3 {
        place.good(&["run"]);
    }
    let sql = "SELECT id FROM shops WHERE open = 'no'\n";
    place.write("open.sql", sql);
    place.good(&["run"]);
    // A step that returns to earlier outputs is recorded, although it was not executed.
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
