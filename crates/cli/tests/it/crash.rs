//! The binary killed with SIGKILL at seeded moments: whatever was acknowledged is there,
//! nothing is half there or twice, and the next run succeeds.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::json;

use crate::support::Place;

/// Kills in the tests; the campaign asks for more.
const KILLS: u64 = 20;

/// A small generator, so that every run of the test kills at the same places.
struct Seeded(u64);

impl Seeded {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}

/// The weather's first twelve files.
fn two_weeks() -> Place {
    let place = Place::example("weather");
    place.keep_only("data/observations", |name| name < "2013-04-20");
    place
}

/// Starts a run and kills it after `lines` lines of progress, or lets it end before.
fn run_and_kill(place: &Place, lines: u64) {
    let mut child = place.command(&["run", "features"]).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let progress = BufReader::new(child.stderr.take().unwrap());
    for (seen, _line) in progress.lines().enumerate() {
        if seen as u64 >= lines {
            child.kill().unwrap();
            break;
        }
    }
    child.wait().unwrap();
}

#[test]
fn crash_while_collecting_leaves_every_row_once() {
    let kills = std::env::var("PERENNIAL_CRASH_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(KILLS);
    let calm = two_weeks();
    calm.good(&["run", "features"]);
    let expected = |place: &Place| {
        let list = place.json(&["data", "list"]);
        let items = list.get("items").cloned().unwrap_or(list);
        let mut digests: Vec<(String, String)> = items
            .as_array()
            .unwrap()
            .iter()
            .map(|dataset| {
                (
                    dataset["name"].to_string(),
                    dataset.pointer("/version/digest").cloned().unwrap_or(json!(null)).to_string(),
                )
            })
            .collect();
        digests.sort();
        digests
    };
    let wanted = expected(&calm);
    let mut seeded = Seeded(2013);
    let mut place = two_weeks();
    for kill in 0..kills {
        run_and_kill(&place, seeded.next(24));
        if kill % 5 == 4 {
            place.good(&["run", "features"]);
            assert_eq!(expected(&place), wanted, "after kill {kill}");
            assert!(place.good(&["verify"]).contains("the ledger holds"), "after kill {kill}");
            place = two_weeks();
        }
    }
    place.good(&["run", "features"]);
    assert_eq!(expected(&place), wanted);
}
