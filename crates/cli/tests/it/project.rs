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
