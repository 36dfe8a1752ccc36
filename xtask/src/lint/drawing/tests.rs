use super::*;

const TABLE: &str = "layers = [[\"core\"], [\"store\", \"config\"]]\ntests = [\"testkit\"]";
const ROWS: &str = "1 │ config  store │ files; rows\n0 │ core          │ rules\n  │ testkit       │ tests only\n";

fn findings(rows: &str) -> Vec<String> {
    let members: Vec<Member> = ["core", "store", "config", "testkit", "xtask"]
        .map(|name| Member { name: name.to_owned(), dependencies: Vec::new() })
        .into();
    let page = format!("# A\n\n```\nother\n```\n\n{SECTION}\n\nText.\n\n```text\n{rows}```\n\nMore.\n");
    let found = check(&page, &members, &Layers::parse(TABLE).unwrap());
    found.iter().map(|finding| finding.replace("ARCHITECTURE.md, drawing of the crates: ", "")).collect()
}

#[test]
fn a_drawing_of_what_exists_passes() {
    assert_eq!(findings(ROWS), [""; 0]);
}

#[test]
fn a_crate_that_is_missing_twice_there_or_gone_is_found() {
    assert_eq!(findings(&ROWS.replace("config ", "")), ["crate `config` is missing"]);
    assert_eq!(findings(&ROWS.replace("config", "config  config")), ["crate `config` is drawn 2 times"]);
    assert_eq!(findings(&ROWS.replace("testkit ", "testkit old ")), ["crate `old` does not exist"]);
}

#[test]
fn a_crate_in_another_layer_is_found() {
    let rows = ROWS.replace("config  store", "config").replace("core", "core store");
    assert_eq!(findings(&rows), ["crate `store` belongs in layer 1"]);
    let rows = ROWS.replace("  │ testkit", "2 │ testkit");
    assert_eq!(
        findings(&rows),
        ["the layers are not in descending order", "crate `testkit` belongs beside the layers"]
    );
}

#[test]
fn a_page_without_a_drawing_is_found() {
    let layers = Layers::parse(TABLE).unwrap();
    assert_eq!(check("# A\n", &[], &layers), ["ARCHITECTURE.md: section \"## The crates by layer\" is missing"]);
    assert_eq!(
        check(&format!("{SECTION}\n\ntext\n"), &[], &layers),
        ["ARCHITECTURE.md: section \"## The crates by layer\" has no fenced block"]
    );
}
