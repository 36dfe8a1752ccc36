//! Attempts of the nine classes of holes published for systems like this one, against the built binary over HTTP.
//!
//! One server has two projects: `alpha`, whose people attack, and `bravo`, whose data they must neither read nor change.
//! Each class is a list of kinds; a kind makes several attempts with variations from a seed and reports every hole. After
//! the attempts the server must be the same process, its ledger intact, and no file outside its data folder changed.
//!
//! The tests make each kind's attempts once. The campaign (`cargo xtask attack`) repeats them, several kinds at once, while
//! a client of `bravo` measures that its requests succeed in time.

mod attempt;
mod authorization;
mod bystander;
mod campaign;
mod cross_site;
mod deserialization;
mod exchange;
mod exhaustion;
mod injection;
mod leaks;
mod memory_limit;
mod onnx;
mod path_traversal;
mod project;
mod report;
mod routes;
mod server_side_requests;
mod supply_chain;
mod target;

use attempt::Kind;
use target::Target;

/// The seed of the tests.
const SEED: u64 = 2013;

/// The classes, with their kinds.
const CLASSES: [(&str, &[Kind]); 9] = [
    ("path traversal", path_traversal::KINDS),
    ("server-side requests", server_side_requests::KINDS),
    ("unsafe deserialization", deserialization::KINDS),
    ("missing or bypassed authorization", authorization::KINDS),
    ("injection and scripts in pages", injection::KINDS),
    ("cross-site and rebinding", cross_site::KINDS),
    ("exhaustion", exhaustion::KINDS),
    ("supply chain", supply_chain::KINDS),
    ("leaks", leaks::KINDS),
];

/// Makes the attempts of each kind once and asserts that none succeeded.
fn assert_no_hole(kinds: &[Kind]) {
    let target = Target::start(None);
    let mut holes = Vec::new();
    for kind in kinds {
        let outcome = target.run(kind, SEED);
        assert!(outcome.attempts > 0, "{} made no attempt", kind.name);
        println!("{}: {} attempts", kind.name, outcome.attempts);
        holes.extend(outcome.holes.into_iter().map(|hole| format!("{}: {hole}", kind.name)));
    }
    holes.extend(target.holes_at_the_end());
    assert!(holes.is_empty(), "{} holes:\n{}", holes.len(), holes.join("\n"));
}

#[test]
fn no_path_of_a_request_leads_outside() {
    assert_no_hole(path_traversal::KINDS);
}

#[test]
fn the_server_connects_to_no_address_of_a_contributor() {
    assert_no_hole(server_side_requests::KINDS);
}

#[test]
fn uploaded_bytes_stay_data() {
    assert_no_hole(deserialization::KINDS);
}

#[test]
fn no_route_answers_without_the_permission() {
    assert_no_hole(authorization::KINDS);
}

#[test]
fn hostile_names_stay_text_in_pages_and_queries() {
    assert_no_hole(injection::KINDS);
}

#[test]
fn requests_of_other_sites_and_hosts_are_refused() {
    assert_no_hole(cross_site::KINDS);
}

#[test]
fn packages_and_code_of_one_project_stay_there() {
    assert_no_hole(supply_chain::KINDS);
}

#[test]
fn secrets_are_in_no_log_page_or_step() {
    assert_no_hole(leaks::KINDS);
}
