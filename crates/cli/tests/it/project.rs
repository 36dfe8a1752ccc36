//! Commands that check the project file.

use crate::support::{Place, text};

#[test]
fn every_example_is_valid() {
    for example in ["flights", "flights-python", "weather"] {
        let place = Place::example(example);
        assert!(place.good(&["check"]).contains("is valid"), "{example}");
        let ignored = std::fs::read_to_string(place.path().join(".gitignore")).unwrap();
        assert!(ignored.lines().any(|line| line == ".perennial/"), "{example}: {ignored}");
    }
}

#[test]
fn a_misspelt_key_is_reported_with_its_place_and_a_suggestion() {
    let place = Place::with_file("[project]\nname = \"p\"\n\n[dataset.a]\nsource = { files = \"a.csv\" }\n");
    let output = place.run(&["check"]);
    assert_eq!(output.status.code(), Some(1));
    let errors = text(&output.stderr);
    for words in ["perennial.toml", "dataset", "datasets"] {
        assert!(errors.contains(words), "{errors}");
    }
}

#[test]
fn a_command_in_a_folder_without_project_file_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place { folder };
    std::fs::create_dir(place.path()).unwrap();
    let output = place.run(&["run"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("perennial init"), "{}", text(&output.stderr));
}

#[test]
fn init_does_not_overwrite() {
    let place = Place::example("weather");
    let output = place.run(&["init"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("exists already"));
}

#[test]
fn a_mistake_is_reported_alone_and_not_with_files_that_are_there() {
    for (old, new) in [("\"auc\"", "\"acu\""), ("slices ", "slises "), ("kind ", "kindd ")] {
        let place = Place::example("flights-python");
        place.edit("perennial.toml", old, new);
        let output = place.run(&["check"]);
        let errors = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{errors}");
        for consequence in ["no file matches", "does not exist", "unknown input"] {
            assert!(!errors.contains(consequence), "{new}: {errors}");
        }
    }
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

[steps.evaluation]
evaluate = ["train"]
slices = ["city"]
"#;

/// A project with data for its features, and without a model.
fn sales() -> Place {
    let place = Place::with_file(SALES);
    place.write("features.sql", "SELECT id, sold, city, price FROM sold\n");
    place.write("sold.csv", "id,sold,city,price\n1,2013-01-01T00:00:00Z,Basel,10\n2,2013-02-01T00:00:00Z,Bern,20\n");
    place.good(&["check"]);
    place.good(&["run", "features"]);
    place
}

#[test]
fn unknown_columns_are_reported_with_place_and_suggestion() {
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
        let output = place.run(&["check"]);
        let errors = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{new}: {errors}");
        for word in words {
            assert!(errors.contains(word), "{new}: `{word}` is not in:\n{errors}");
        }
        assert!(errors.contains("perennial.toml:"), "{new}: {errors}");
    }
    let place = sales();
    place.edit("features.sql", "price FROM", "price AS paid FROM");
    place.edit("perennial.toml", "target = \"price\"", "target = \"paid\"");
    assert!(place.good(&["check"]).contains("is valid"), "the columns of the changed query must be used");

    let place = sales();
    place.edit("features.sql", "price FROM", "price, length(city) AS letters FROM");
    place.edit(
        "perennial.toml",
        "[checks.sold]",
        "[checks.features]\nmany = \"count(*) > 9 AND min(letters) > 0\"\n\n[checks.sold]",
    );
    let held = place.run(&["run", "features"]);
    assert!(text(&held.stderr).contains("load into `features` is held"), "{held:?}");
    assert!(place.good(&["check"]).contains("is valid"), "the columns of a held load must not be used");
}

#[test]
fn a_missing_target_column_is_reported_by_the_run_that_needs_it() {
    let place = sales();
    place.edit("perennial.toml", "target = \"price\"", "target = \"prise\"");
    let output = place.run(&["run"]);
    let errors = text(&output.stdout) + &text(&output.stderr);
    assert!(errors.contains("dataset `features` has no column `prise`, which `[task] target` names"), "{errors}");
}

#[test]
fn a_change_that_affects_only_future_loads_is_reported() {
    let place = sales();
    place.edit("perennial.toml", "price < 100", "price < 200");
    let errors = text(&place.run(&["run", "features"]).stderr);
    assert!(errors.contains("`sold`: its checks changed; this affects only future loads"), "{errors}");
    let errors = text(&place.run(&["run", "features"]).stderr);
    assert!(!errors.contains("changed"), "the change is reported twice: {errors}");
}

#[test]
fn repeated_keys_and_few_test_rows_are_reported() {
    let place = Place::with_file(
        &(SALES.to_owned() + "\n[release]\nmodel = \"train\"\n\n[gates]\nany = \"candidate.rmse >= 0\"\n"),
    );
    let row = |n: usize| format!("{n},2013-{:02}-{:02}T00:00:00Z,Basel,{}\n", 1 + n / 20, 1 + n % 20, n % 7);
    place.write("sold.csv", "id,sold,city,price\n".to_owned() + &(0..40).map(row).collect::<String>());
    let sql = "SELECT id, sold, city, price FROM sold";
    place.write("features.sql", format!("{sql} UNION ALL {sql} WHERE id < 5\n"));
    let output = place.run(&["run"]);
    let errors = text(&output.stderr);
    assert!(errors.contains("warning: 10 of 45 rows have a key that others have, too"), "{errors}");
    assert!(errors.contains("evaluated on only 20 rows"), "{errors}");
}
