//! The two projects of the server.

use std::fmt::Write as _;

use crate::chance::Chance;
use crate::support::Place;

/// The attackers' project.
pub(super) const ALPHA: &str = "alpha";
/// The project that they have no access to.
pub(super) const BRAVO: &str = "bravo";
/// A text in the data, the names and the logs of `bravo`, which no answer to people of `alpha` contains.
pub(super) const BRAVO_SECRET: &str = "bravo-secret-7f3a";
/// The endpoint of `bravo`.
pub(super) const BRAVO_ENDPOINT: &str = "bravo_hours";

const ROWS_A_DAY: u64 = 40;
const DAYS: u64 = 4;

/// The project file of one of them.
pub(super) fn file(name: &str) -> String {
    let secret = if name == BRAVO { BRAVO_SECRET } else { "nothing to hide" };
    format!(
        r#"[project]
name = "{name}"
goal = "Predict hours: {secret}"

[task]
kind = "regression"
data = "features"
target = "hours"
key = ["id"]
time = "at"
test = "1 day"
metric = "rmse"

[datasets.orders]
source = {{ files = "data/*.csv" }}
mode = "append"
key = ["id"]

[checks.orders]
known = "kind <> 'unknown'"

[steps.features]
sql = "sql/features.sql"

[steps.train]
train = "linear"

[steps.evaluation]
evaluate = ["train"]

[gates]
useful = "candidate.r2 > -1000"

[release]
model = "train"

[endpoints.{name}_hours]

[monitors.{name}_hours]
endpoint = "{name}_hours"
window = "1 day"
alerts = {{ drifted = "drift.share > 2" }}
"#
    )
}

/// The query of the step `features`.
pub(super) const FEATURES: &str = "SELECT id, at, x1, x2, kind, hours FROM orders\n";

/// The folder of a project, with its files.
pub(super) fn place(name: &str) -> Place {
    let place = Place::with_file(&file(name));
    place.write("sql/features.sql", FEATURES);
    for day in 1..=DAYS {
        place.write(&format!("data/{day:02}.csv"), content(name, day));
    }
    place
}

fn content(name: &str, day: u64) -> String {
    let mut chance = Chance::new(day);
    let kind = if name == BRAVO { BRAVO_SECRET } else { "usual" };
    let mut text = "id,at,x1,x2,kind,hours\n".to_owned();
    for row in 0..ROWS_A_DAY {
        let (x1, x2) = (chance.below(1_000) as f64 / 100.0, chance.below(1_000) as f64 / 100.0);
        let (id, hours) = (day * ROWS_A_DAY + row, x1 + 1.5 * x2 + chance.below(100) as f64 / 100.0);
        writeln!(text, "{id},2020-01-{day:02}T{:02}:00:00Z,{x1},{x2},{kind},{hours}", row % 24).unwrap();
    }
    text
}

/// The body of a prediction request to the endpoint of one of them.
pub(super) fn prediction() -> serde_json::Value {
    let input = |name: &str, datatype: &str, data: serde_json::Value| serde_json::json!({ "name": name, "shape": [1], "datatype": datatype, "data": data });
    serde_json::json!({ "inputs": [
        input("id", "INT64", serde_json::json!([1])),
        input("x1", "FP64", serde_json::json!([2.5])),
        input("x2", "FP64", serde_json::json!([7.5])),
        input("kind", "BYTES", serde_json::json!(["usual"])),
    ] })
}
