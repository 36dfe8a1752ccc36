//! The project file, from the command line.

use crate::support::{Place, text};

#[test]
fn every_example_holds_together() {
    for example in ["flights", "flights-python", "weather"] {
        let place = Place::example(example);
        assert!(place.good(&["check"]).contains("holds together"), "{example}");
    }
}

#[test]
fn a_misspelt_key_is_answered_with_its_place_and_a_suggestion() {
    let place = Place::with_file("[project]\nname = \"p\"\n\n[dataset.a]\nsource = { files = \"a.csv\" }\n");
    let told = place.run(&["check"]);
    assert_eq!(told.status.code(), Some(1));
    let told = text(&told.stderr);
    for words in ["perennial.toml", "dataset", "datasets"] {
        assert!(told.contains(words), "{told}");
    }
}

#[test]
fn a_folder_without_project_file_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place { folder };
    std::fs::create_dir(place.path()).unwrap();
    let told = place.run(&["run"]);
    assert_eq!(told.status.code(), Some(1));
    assert!(text(&told.stderr).contains("perennial init"), "{}", text(&told.stderr));
}

#[test]
fn init_does_not_overwrite() {
    let place = Place::example("weather");
    let told = place.run(&["init"]);
    assert_eq!(told.status.code(), Some(1));
    assert!(text(&told.stderr).contains("is there already"));
}

const SALES: &str = r#"[project]
name = "sales"

[task]
kind = "regression"
data = "features"
target = "price"
key = ["id"]
time = "sold"
test = "1 month"
metric = "rmse"

[datasets.sold]
source = { files = "sold.csv" }
key = ["id"]

[checks.sold]
cheap = "price < 100"
known = { column = "id", unique = true }

[steps.features]
sql = "features.sql"

[steps.train]
train = "linear"

[steps.judge]
evaluate = ["train"]
slices = ["city"]
"#;

/// A project with data for its features, and no model yet.
fn sales() -> Place {
    let place = Place::with_file(SALES);
    place.write("features.sql", "SELECT id, sold, city, price FROM sold\n");
    place.write("sold.csv", "id,sold,city,price\n1,2013-01-01T00:00:00Z,Basel,10\n2,2013-02-01T00:00:00Z,Bern,20\n");
    place.good(&["check"]);
    place.good(&["run", "features"]);
    place
}

#[test]
fn names_of_columns_that_the_data_do_not_have_are_told_with_place_and_suggestion() {
    let cases: [(&str, &str, &str, &[&str]); 10] = [
        (
            "perennial.toml",
            "target = \"price\"",
            "target = \"prise\"",
            &["`features` has no column `prise`", "`price`?"],
        ),
        ("perennial.toml", "time = \"sold\"", "time = \"city\"", &["`city`", "is text, expected a timestamp or date"]),
        (
            "perennial.toml",
            "key = [\"id\"]\ntime",
            "key = [\"idd\"]\ntime",
            &["`features` has no column `idd`", "`id`?"],
        ),
        ("perennial.toml", "slices = [\"city\"]", "slices = [\"town\"]", &["no column `town`", "known here: `id`"]),
        (
            "perennial.toml",
            "key = [\"id\"]\n\n[checks",
            "key = [\"ids\"]\n\n[checks",
            &["dataset `sold` has no column `ids`"],
        ),
        ("perennial.toml", "price < 100", "prices < 100", &["unknown column `prices`", "did you mean `price`?"]),
        ("perennial.toml", "price < 100", "price + 100", &["expected true or false"]),
        ("perennial.toml", "price < 100", "max(prices) < 100", &["unknown column `prices`"]),
        ("perennial.toml", "column = \"id\"", "column = \"number\"", &["names column `number`"]),
        ("features.sql", "price FROM", "pricee AS price FROM", &["in `features.sql`: line 1 column 24", "`pricee`"]),
    ];
    for (file, old, new, words) in cases {
        let place = sales();
        place.edit(file, old, new);
        let told = place.run(&["check"]);
        let said = text(&told.stderr);
        assert_eq!(told.status.code(), Some(1), "{new}: {said}");
        for word in words {
            assert!(said.contains(word), "{new}: `{word}` is not in:\n{said}");
        }
        assert!(said.contains("perennial.toml:"), "{new}: {said}");
    }
    let place = sales();
    place.edit("features.sql", "price FROM", "price AS paid FROM");
    place.edit("perennial.toml", "target = \"price\"", "target = \"paid\"");
    assert!(place.good(&["check"]).contains("holds together"), "columns are those that the query will have");

    let place = sales();
    place.edit("features.sql", "price FROM", "price, length(city) AS letters FROM");
    place.edit(
        "perennial.toml",
        "[checks.sold]",
        "[checks.features]\nmany = \"count(*) > 9 AND min(letters) > 0\"\n\n[checks.sold]",
    );
    let held = place.run(&["run", "features"]);
    assert!(text(&held.stderr).contains("load into `features` is held"), "{held:?}");
    assert!(place.good(&["check"]).contains("holds together"), "what was submitted and held has not made the data");
}

#[test]
fn a_target_that_is_not_there_is_told_by_name_when_it_is_needed() {
    let place = sales();
    place.edit("perennial.toml", "target = \"price\"", "target = \"prise\"");
    let told = place.run(&["run"]);
    let said = text(&told.stdout) + &text(&told.stderr);
    assert!(said.contains("dataset `features` has no column `prise`, which `[task] target` names"), "{said}");
}

#[test]
fn what_changed_and_holds_only_for_rows_to_come_is_told() {
    let place = sales();
    place.edit("perennial.toml", "price < 100", "price < 200");
    let said = text(&place.run(&["run", "features"]).stderr);
    assert!(said.contains("`sold`: its checks changed; this affects only future loads"), "{said}");
    let said = text(&place.run(&["run", "features"]).stderr);
    assert!(!said.contains("changed"), "it is told once: {said}");
}

#[test]
fn keys_that_repeat_and_few_test_rows_are_told() {
    let place = Place::with_file(
        &(SALES.to_owned() + "\n[release]\nmodel = \"train\"\n\n[gates]\nany = \"candidate.rmse >= 0\"\n"),
    );
    let row = |n: usize| format!("{n},2013-{:02}-{:02}T00:00:00Z,Basel,{}\n", 1 + n / 20, 1 + n % 20, n % 7);
    place.write("sold.csv", "id,sold,city,price\n".to_owned() + &(0..40).map(row).collect::<String>());
    let sql = "SELECT id, sold, city, price FROM sold";
    place.write("features.sql", format!("{sql} UNION ALL {sql} WHERE id < 5\n"));
    let told = place.run(&["run"]);
    let said = text(&told.stderr);
    assert!(said.contains("warning: 10 of 45 rows have a key that others have, too"), "{said}");
    assert!(said.contains("judged on 20 rows only"), "{said}");
}
