//! The project that is killed, and the files that arrive in it.

use std::fmt::Write as _;

use jiff::{SignedDuration, Timestamp};

use crate::support::{Place, instant};

/// Where the project's routes lie.
pub(super) const BASE: &str = "/api/v1/projects/orders";
/// Rows of a day's file.
pub(super) const ROWS: u64 = 60;
/// Rows of a file that came too short: its load is held.
pub(super) const ROWS_SHORT: u64 = 40;
/// The first files, with which the first models are trained.
pub(super) const FIRST: u64 = 6;

const PROJECT: &str = r#"[project]
name = "orders"
goal = "Tell how many hours an order will take"

[task]
kind = "regression"
data = "features"
target = "hours"
key = ["id"]
time = "at"
test = "1 day"
metric = "rmse"
ignore = ["day"]

[datasets.orders]
source = { files = "data/*.csv" }
mode = "append"
key = ["id"]

[checks.orders]
whole = "count(*) = 60"
known = "kind IN ('a', 'b', 'c')"

[steps.features]
sql = "sql/features.sql"

[steps.packed]
run = "sh pack.sh"
inputs = ["features"]
code = ["pack.sh"]
env = "system"
outputs = { packed = { path = "packed", kind = "file" } }

[steps.train]
train = "gbdt"
params = { trees = 12 }

[steps.judge]
evaluate = ["train"]

[gates]
useful = "candidate.r2 > -1000"

[release]
model = "train"

[endpoints.hours]
canary = { share = 0.5, for = "100 ms", min_requests = 5, rollback = "canary.error_rate > champion.error_rate + 0.5" }

[monitors.hours]
endpoint = "hours"
window = "10 s"
alerts = { drifted = "drift.share > 2" }

[triggers.renew]
on = ["dataset:orders"]
run = "run"
"#;

const FEATURES: &str = "SELECT id, at, day, x1, x2, kind, x1 * x2 AS product, hours FROM orders\n";

const PACK: &str = "sum=$(cksum < \"$PERENNIAL_INPUT_FEATURES\")\necho \"$sum\" > \"$PERENNIAL_OUTPUT_PACKED\"\n";

/// A small generator, so that every run is killed at the same times.
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `limit`.
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }

    /// Another generator.
    pub(super) fn fork(&mut self) -> Self {
        Self(self.below(u64::MAX))
    }
}

/// A place with the project and no files yet.
pub(super) fn place() -> Place {
    place_of(PROJECT)
}

/// The same without checks, so that no load is held.
pub(super) fn calm_place() -> Place {
    let checks = PROJECT.find("[checks.orders]").unwrap()..PROJECT.find("[steps.features]").unwrap();
    let mut file = PROJECT.to_owned();
    file.replace_range(checks, "");
    place_of(&file)
}

fn place_of(file: &str) -> Place {
    let place = Place::with_file(file);
    place.write("sql/features.sql", FEATURES);
    place.write("pack.sh", PACK);
    std::fs::create_dir(place.path().join("data")).unwrap();
    place
}

/// What becomes of the file of a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is whole.
    Whole,
    /// It comes too short, and a person releases its load.
    Released,
    /// It comes too short, and a whole one takes its place.
    Repaired,
}

impl Fate {
    pub(super) fn of(day: u64) -> Self {
        match day % 5 {
            3 if day >= FIRST => Self::Released,
            4 if day >= FIRST => Self::Repaired,
            _ => Self::Whole,
        }
    }
}

/// The path of a day's file.
pub(super) fn path(day: u64) -> String {
    format!("data/{day:05}.csv")
}

/// The first `rows` rows of a day.
pub(super) fn content(day: u64, rows: u64) -> String {
    let mut chance = Chance::new(day);
    let midnight = Timestamp::from_millisecond(instant("2020-01-01T00:00:00Z")).unwrap()
        + SignedDuration::from_hours(24 * day as i64);
    let mut text = "id,at,day,x1,x2,kind,hours\n".to_owned();
    for row in 0..rows {
        let at = midnight + SignedDuration::from_mins(20 * row as i64);
        let (x1, x2) = (chance.below(1_000) as f64 / 100.0, chance.below(1_000) as f64 / 100.0);
        let kind = chance.below(3);
        let hours = x1 + 1.5 * x2 + 4.0 * kind as f64 + chance.below(300) as f64 / 100.0;
        let kind = ["a", "b", "c"][kind as usize];
        writeln!(text, "{},{at},{day},{x1},{x2},{kind},{hours}", day * ROWS + row).unwrap();
    }
    text
}
