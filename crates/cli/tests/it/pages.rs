//! The console in a real browser.

use serde_json::json;

use crate::clients::run_conformance;
use crate::support::{Place, Server};

#[test]
fn every_page_fits_desktop_and_phone_windows_and_causes_no_browser_warning() {
    let place = Place::example("weather");
    place.keep_only("data/observations", |name| name < "2013-05-02");
    let server = Server::up(&place, &[]);
    place.good(&["release"]);
    let link = server.post("/api/v1/login-links", &json!({}))["path"].as_str().unwrap().to_owned();
    let variable = |name: &str| {
        std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run the tests by `cargo xtask test`"))
    };
    let variables = [
        ("CHROMIUM", variable("PERENNIAL_TEST_CHROMIUM")),
        ("CHROMEDRIVER", variable("PERENNIAL_TEST_CHROMEDRIVER")),
        ("LINK", format!("{}{link}", server.address)),
        ("SECTIONS", "datasets runs models releases endpoints monitors alerts ledger".to_owned()),
    ];
    let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    run_conformance(&server, "console_pages.py", &variables);
}
