use super::*;

const PAGE: &str = "\
# Architecture

## The path of a batch

1. `watch/scheduler.rs::tick` starts it; a run starts at `ingest/collect.rs::collect`.
2. `ingest/collect.rs::collect` scans the sources.
   - `data/engine.rs::stage` reads a file.
";

fn layers() -> Layers {
    Layers::parse("layers = [[\"data\"], [\"ingest\"], [\"watch\"]]\ntests = []").unwrap()
}

fn read(path: &str) -> Option<String> {
    let functions = match path {
        "crates/watch/src/scheduler.rs" => "pub async fn tick(",
        "crates/ingest/src/collect.rs" => "fn collect<T>(",
        "crates/data/src/engine.rs" => "async fn stage(",
        _ => return None,
    };
    Some(functions.to_owned())
}

#[test]
fn a_path_whose_functions_exist_and_that_leads_downward_has_no_findings() {
    assert_eq!(check(PAGE, &layers(), read), Vec::<String>::new());
}

#[test]
fn a_function_that_does_not_exist_is_found() {
    let page = PAGE.replace("engine.rs::stage", "engine.rs::stag");
    assert_eq!(check(&page, &layers(), read), ["ARCHITECTURE.md: `data/engine.rs::stag` does not exist"]);
}

#[test]
fn a_step_in_a_higher_layer_is_found() {
    let page = format!("{PAGE}3. `watch/scheduler.rs::tick` again.\n");
    let finding = "ARCHITECTURE.md: `watch/scheduler.rs::tick` is in a higher layer than `ingest/collect.rs::collect`";
    assert_eq!(check(&page, &layers(), read), [finding]);
}

#[test]
fn every_reference_of_a_step_is_checked() {
    let finding = "ARCHITECTURE.md: `watch/scheduler.rs::tick` is in a higher layer than `ingest/collect.rs::collect`";
    for text in [
        "3. `ingest/collect.rs::collect` again, for `watch/scheduler.rs::tick`.\n",
        "   - A file that `data/engine.rs::stage` reads, as\n     `watch/scheduler.rs::tick` said.\n",
    ] {
        assert_eq!(check(&format!("{PAGE}{text}"), &layers(), read), [finding]);
    }
    let page = PAGE.replace("1. ", "`data/engine.rs::stage` is a value.\n\n1. ");
    assert_eq!(check(&page, &layers(), read), Vec::<String>::new(), "text before the first step");
}
