//! The console in a real browser.

use serde_json::json;

use crate::clients::conforms;
use crate::support::{Place, Server};

#[test]
fn every_page_answers_fits_a_desk_and_a_phone_and_breaks_no_policy() {
    let place = Place::example("weather");
    place.keep_only("data/observations", |name| name < "2013-05-02");
    let server = Server::up(&place, &[]);
    place.good(&["release"]);
    let link = server.post("/api/v1/login-links", &json!({}))["path"].as_str().unwrap().to_owned();
    let told = |name: &str| {
        std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run the tests by `cargo xtask test`"))
    };
    let variables = [
        ("CHROMIUM", told("PERENNIAL_TEST_CHROMIUM")),
        ("CHROMEDRIVER", told("PERENNIAL_TEST_CHROMEDRIVER")),
        ("LINK", format!("{}{link}", server.address)),
        ("SECTIONS", "datasets runs models releases endpoints monitors alerts ledger".to_owned()),
    ];
    let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    conforms(&server, "console_pages.py", &variables);
}
