//! The project of the campaign, and its files.

use std::fmt::Write as _;

use jiff::{SignedDuration, Timestamp};

use crate::chance::Chance;
use crate::support::{Place, instant};

/// The path of the project in the API.
pub(super) const BASE: &str = "/api/v1/projects/orders";
/// Rows of a complete file.
pub(super) const ROWS: u64 = 60;
/// Rows of an incomplete file, whose load is held.
pub(super) const ROWS_SHORT: u64 = 40;
/// The number of files before the first models are trained.
pub(super) const FIRST: u64 = 6;

const PROJECT: &str = r#"[project]
name = "orders"
goal = "Predict how many hours an order will take"

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
retries = 10
outputs = { packed = { path = "packed", kind = "file" } }

[steps.train]
train = "gbdt"
params = { trees = 12 }

[steps.evaluation]
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

/// The project without files.
pub(super) fn place() -> Place {
    place_of(PROJECT)
}

/// The project without checks and files, so that no load is held.
pub(super) fn place_without_checks() -> Place {
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

/// How the file of a day is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delivery {
    /// The file is complete.
    Complete,
    /// The file is incomplete, and its held load is accepted.
    Accepted,
    /// The file is incomplete, and a complete one replaces it.
    Replaced,
}

impl Delivery {
    pub(super) fn of(day: u64) -> Self {
        match day % 5 {
            3 if day >= FIRST => Self::Accepted,
            4 if day >= FIRST => Self::Replaced,
            _ => Self::Complete,
        }
    }
}

/// The path of the file of a day.
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
