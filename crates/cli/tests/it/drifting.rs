//! A small project whose data drift: in the second season the outcome follows the opposite rule of the first season.
//! The second season starts in March and dominates April.

use std::fmt::Write as _;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::support::{Place, Server, instant};

/// The project's name.
pub(crate) const NAME: &str = "drifting";
/// Rows of a month.
pub(crate) const ROWS: usize = 600;
/// Rows of one request while a window is filled.
const ROWS_A_REQUEST: usize = 50;

/// The project file; tests change a line of it.
pub(crate) const FILE: &str = r#"[project]
name = "drifting"
goal = "Predict which orders will be late"

[task]
kind = "binary"
data = "features"
target = "late"
key = ["id"]
time = "at"
test = "1 month"
label_delay = "20 days"
metric = "auc"

[datasets.asked]
source = { files = "data/asked/*.csv", every = "1 month" }
key = ["id"]

[datasets.turned_out]
source = { files = "data/turned_out/*.csv", every = "1 month" }
key = ["id"]

[checks.asked]
in_range = "a BETWEEN -1 AND 1 AND b BETWEEN -1 AND 1"

[steps.features]
sql = "sql/features.sql"

[steps.train]
train = "gbdt"
params = { trees = 40, learning_rate = 0.2, depth = 4 }

[steps.simple]
train = "linear"

[steps.evaluation]
evaluate = ["train", "simple"]
slices = ["season"]

[gates]
better = "candidate.auc >= champion.auc + 0.2 && candidate.auc >= simple.auc"

[release]
model = "train"

[endpoints.late]
canary = { share = 0.5, for = "3 days", min_requests = 10, rollback = "canary.error_rate > champion.error_rate + 0.01" }

[monitors.late]
endpoint = "late"
window = "1 month"
min_rows = 300
alerts = { stale = "auc < reference.auc - 0.05" }

[triggers.renew]
on = ["alert:late.stale"]
run = "release"
"#;

const FEATURES: &str = "SELECT asked.id, asked.at, a, b, season, turned_out.late AS late
FROM asked LEFT JOIN turned_out ON turned_out.id = asked.id
";

/// One order and its outcome.
pub(crate) struct Row {
    id: String,
    at: Timestamp,
    pub(crate) a: f64,
    b: f64,
    season: u8,
    late: bool,
}

/// The orders of a month of 2013, always the same.
pub(crate) fn month(number: u8) -> Vec<Row> {
    let second_season = [0.0, 0.0, 0.3, 0.9, 0.9][usize::from(number) - 1];
    let start = month_start(number);
    let mut chance = Chance(u64::from(number));
    let rows = 0..ROWS;
    rows.map(|row| {
        let (a, b, noise) = (chance.between(-1.0, 1.0), chance.between(-1.0, 1.0), chance.between(-0.2, 0.2));
        let season = u8::from(chance.between(0.0, 1.0) < second_season);
        let sign = if season == 0 { 1.0 } else { -1.0 };
        let at = Timestamp::from_millisecond(start + row as i64 * 60 * 60_000).unwrap();
        Row { id: format!("{number:02}-{row:03}"), at, a, b, season, late: sign * (a.abs() - b.abs()) + noise > 0.0 }
    })
    .collect()
}

/// Epoch milliseconds at which a month of 2013 begins.
pub(crate) fn month_start(number: u8) -> i64 {
    instant(&format!("2013-{number:02}-01T00:00:00Z"))
}

/// The orders of a month without their outcomes, as CSV.
pub(crate) fn asked(rows: &[Row]) -> String {
    let mut text = "id,at,a,b,season\n".to_owned();
    for row in rows {
        writeln!(text, "{},{},{:.4},{:.4},{}", row.id, row.at, row.a, row.b, row.season).unwrap();
    }
    text
}

/// The outcomes of orders, as CSV.
pub(crate) fn turned_out(rows: &[Row]) -> String {
    let mut text = "id,late\n".to_owned();
    for row in rows {
        writeln!(text, "{},{}", row.id, row.late).unwrap();
    }
    text
}

/// Exchanges the outcomes of the orders at random.
pub(crate) fn shuffled(mut rows: Vec<Row>) -> Vec<Row> {
    let mut chance = Chance(99);
    for last in (1..rows.len()).rev() {
        let other = (chance.between(0.0, 1.0) * (last + 1) as f64) as usize;
        (rows[last].late, rows[other].late) = (rows[other].late, rows[last].late);
    }
    rows
}

/// A folder with the project, without data.
pub(crate) fn place(file: &str) -> Place {
    let place = Place::with_file(file);
    place.write("sql/features.sql", FEATURES);
    place
}

/// Delivers the first three months, and steps the clock to the beginning of April.
pub(crate) fn three_months(place: &Place, server: &Server) {
    server.step(NAME, month_start(4));
    for number in 1..=3 {
        let rows = month(number);
        place.write(&format!("data/asked/2013-{number:02}.csv"), asked(&rows));
        place.write(&format!("data/turned_out/2013-{number:02}.csv"), turned_out(&rows));
    }
    server.step(NAME, month_start(4) + 1);
}

/// Requests predictions for all orders of a month, in the middle of the month.
pub(crate) fn ask_for_all(server: &Server, number: u8) {
    server.step(NAME, month_start(number) + 14 * 86_400_000);
    for rows in month(number).chunks(ROWS_A_REQUEST) {
        server.post("/v2/models/late/infer", &request(rows));
    }
}

/// Requests predictions for orders one by one; gives the version of each answer.
pub(crate) fn ask_one_by_one(server: &Server, rows: &[Row]) -> Vec<String> {
    let answers = rows.iter().map(|row| server.post("/v2/models/late/infer", &request(std::slice::from_ref(row))));
    answers.map(|answer| answer["model_version"].as_str().unwrap().to_owned()).collect()
}

/// A request of the Open Inference Protocol for some orders, with the key and the features.
pub(crate) fn request(rows: &[Row]) -> Value {
    let tensor = |name: &str, datatype: &str, data: Vec<Value>| json!({ "name": name, "shape": [data.len()], "datatype": datatype, "data": data });
    let numbers = |value: fn(&Row) -> f64| rows.iter().map(|row| json!(value(row))).collect();
    json!({ "inputs": [
        tensor("id", "BYTES", rows.iter().map(|row| json!(row.id)).collect()),
        tensor("a", "FP64", numbers(|row| row.a)),
        tensor("b", "FP64", numbers(|row| row.b)),
        tensor("season", "FP64", numbers(|row| f64::from(row.season))),
    ] })
}

/// Pseudo-random numbers from a fixed seed.
struct Chance(u64);

impl Chance {
    fn between(&mut self, low: f64, high: f64) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        low + (high - low) * (mixed >> 11) as f64 / (1_u64 << 53) as f64
    }
}
