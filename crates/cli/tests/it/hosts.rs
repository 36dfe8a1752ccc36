//! One command's server is another's too, and whoever is left goes on.

use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use crate::support::{Place, text};

/// The server that `server.json` tells of, when it answers: how many pipeline runs it knows.
fn runs_known(folder: &Path, http: &reqwest::Client, runtime: &tokio::runtime::Runtime) -> Option<usize> {
    let file: Value = serde_json::from_slice(&std::fs::read(folder.join(".perennial/server.json")).ok()?).ok()?;
    let (address, token) = (file["address"].as_str()?, file["token"].as_str()?);
    let asked = http.get(format!("{address}/api/v1/projects/warming/pipeline-runs")).bearer_auth(token);
    let told: Value = runtime
        .block_on(async { asked.send().await.ok()?.text().await.ok() })
        .and_then(|told| serde_json::from_str(&told).ok())?;
    Some(told["items"].as_array()?.len())
}

#[test]
fn a_command_goes_on_when_the_one_that_hosted_it_is_killed() {
    let place = Place::example("weather");
    place.keep_only("data/observations", |name| name < "2013-04-28");
    let start = || place.command(&["run", "features"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = start();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    while runs_known(&place.path(), &http, &runtime) != Some(1) {
        assert!(first.try_wait().unwrap().is_none(), "the first command ended before its run was seen");
    }
    let second = start();
    while runs_known(&place.path(), &http, &runtime) != Some(2) {
        assert!(first.try_wait().unwrap().is_none(), "the first command ended before the second asked");
    }
    first.kill().unwrap();
    first.wait().unwrap();
    let ended = second.wait_with_output().unwrap();
    assert!(ended.status.success(), "{}", text(&ended.stderr));
    let states: Vec<Value> =
        place.json(&["runs"])["items"].as_array().unwrap().iter().map(|run| run["state"].clone()).collect();
    assert!(states.iter().all(|state| state == "succeeded" || state == "nothing-to-do"), "{states:?}");
    assert_eq!(place.query("SELECT count(*) FROM observations"), [[serde_json::json!(20 * 72)]]);
}
