//! The loop on the real data of the examples. Only files, requests and the clock cause events.

use std::process::Command;

use serde_json::{Map, Value, json};

use crate::support::{Place, Server, instant, text};

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 86_400_000;

/// Rows of `[task] data` as requests of the Open Inference Protocol: texts as BYTES, other values as FP64.
struct Requests {
    columns: Vec<(String, bool)>,
    rows: Vec<Value>,
}

impl Requests {
    /// The rows of a SELECT without the columns in `not_inputs`.
    fn select(server: &Server, project: &str, sql: &str, not_inputs: &[&str]) -> Self {
        let page = server.post(&format!("/api/v1/projects/{project}/query"), &json!({ "sql": sql, "limit": 10_000 }));
        assert_ne!(page["truncated"], json!(true));
        let names = page["columns"].as_array().unwrap().iter().map(|column| column["name"].as_str().unwrap());
        let kept: Vec<usize> =
            names.clone().enumerate().filter(|(_, name)| !not_inputs.contains(name)).map(|(place, _)| place).collect();
        let names: Vec<&str> = names.collect();
        let rows: Vec<Value> = page["rows"].as_array().unwrap().clone();
        let is_text = |place: usize| rows.iter().any(|row| row[place].is_string());
        let columns = kept.iter().map(|place| (names[*place].to_owned(), is_text(*place))).collect();
        let rows = rows.iter().map(|row| kept.iter().map(|place| row[*place].clone()).collect()).collect();
        Self { columns, rows }
    }

    /// Requests predictions for all rows, `size` rows per request.
    fn ask(&self, server: &Server, endpoint: &str, size: usize) {
        for rows in self.rows.chunks(size) {
            let inputs: Vec<Value> = self
                .columns
                .iter()
                .enumerate()
                .map(|(place, (name, is_text))| {
                    let mut tensor = Map::new();
                    tensor.insert("name".to_owned(), json!(name));
                    tensor.insert("shape".to_owned(), json!([rows.len()]));
                    tensor.insert("datatype".to_owned(), json!(if *is_text { "BYTES" } else { "FP64" }));
                    tensor.insert("data".to_owned(), rows.iter().map(|row| row[place].clone()).collect());
                    Value::Object(tensor)
                })
                .collect();
            server.post(&format!("/v2/models/{endpoint}/infer"), &json!({ "inputs": inputs }));
        }
    }

    fn first(mut self, count: usize) -> Self {
        self.rows.truncate(count);
        self
    }
}

fn champion(server: &Server, project: &str, endpoint: &str) -> Value {
    server.get(&format!("/api/v1/projects/{project}/endpoints/{endpoint}"))["champion_number"].clone()
}

/// Alerts of one name, oldest first.
fn alerts(server: &Server, project: &str, name: &str) -> Vec<String> {
    let all = server.list(&format!("/api/v1/projects/{project}/alerts?limit=1000"));
    let named = all.iter().rev().filter(|alert| alert["name"] == json!(name));
    named.map(|alert| alert["message"].as_str().unwrap().to_owned()).collect()
}

/// The messages of the pipeline runs that triggers started, oldest first.
fn triggered(server: &Server, project: &str) -> Vec<String> {
    let runs = server.list(&format!("/api/v1/projects/{project}/pipeline-runs?limit=1000"));
    let triggered = runs.iter().rev().filter(|run| run["cause"]["kind"] == json!("trigger"));
    triggered.map(|run| run["message"].as_str().unwrap_or_default().to_owned()).collect()
}

/// The name of the example, and of its project.
const FLIGHTS: (&str, &str) = ("flights", "flight-delays");
const FLIGHTS_PYTHON: (&str, &str) = ("flights-python", "flight-delays-python");

fn new_york(month: u8, day: u8) -> i64 {
    instant(&format!("2013-{month:02}-{day:02}T00:00:00-04:00"))
}

/// An example of the flights at the end of July: the model was trained on April and May, tested on June, and has
/// answered for July. July's outcomes have not arrived.
fn until_july((example, project): (&str, &str)) -> Place {
    let place = Place::example(example);
    for folder in ["data/schedule", "data/weather", "data/arrivals"] {
        place.withhold(folder);
    }
    place.edit("perennial.toml", "trees = 300, learning_rate = 0.05", "trees = 60, learning_rate = 0.15");
    place.edit(
        "perennial.toml",
        "share = 0.1, for = \"3 days\", min_requests = 200",
        "share = 0.5, for = \"3 days\", min_requests = 10",
    );
    let server = Server::up(&place, &[]);
    server.step(project, new_york(4, 1));
    for month in 4..=6 {
        deliver(&place, "schedule", month);
        deliver(&place, "weather", month);
        deliver(&place, "arrivals", month);
    }
    server.step(project, new_york(7, 1) + MINUTE_MS);
    let output = place.good(&["release"]);
    assert!(output.contains("version 1 answers at `delay`"), "{output}");
    deliver(&place, "schedule", 7);
    deliver(&place, "weather", 7);
    server.step(project, new_york(7, 15));
    place.good(&["run", "features"]);
    july(&server, project).ask(&server, "delay", 200);
    server.kill();
    place
}

/// Every fourth flight of July.
fn july(server: &Server, project: &str) -> Requests {
    let sql = "SELECT * FROM (SELECT *, row_number() OVER (ORDER BY flight_id) AS place FROM features \
               WHERE time_hour >= '2013-07-01T04:00:00Z' AND time_hour < '2013-08-01T04:00:00Z') WHERE place % 4 = 0";
    Requests::select(server, project, sql, &["place", "time_hour", "tailnum", "late"])
}

fn deliver(place: &Place, what: &str, month: u8) {
    let ending = if what == "weather" { "csv" } else { "parquet" };
    place.deliver(&format!("data/{what}/2013-{month:02}.{ending}"));
}

/// July's outcomes arrive: the quality is lower, the model is trained again, and its canary is promoted.
fn july_renews_the_model(place: &Place, project: &str) {
    let server = Server::up(place, &[]);
    deliver(place, "arrivals", 7);
    server.step(project, new_york(8, 1) + MINUTE_MS);
    let (stale, renewals) = (alerts(&server, project, "stale"), triggered(&server, project));
    assert!(stale.len() == 1 && stale[0].contains("version 1, window of 2013-07-01"), "{stale:?}");
    assert!(renewals.len() == 1 && renewals[0].contains("version 2 is the canary at `delay`"), "{renewals:?}");
    july(&server, project).first(60).ask(&server, "delay", 1);
    server.step(project, new_york(8, 5));
    assert_eq!(champion(&server, project, "delay"), json!(2));
    let lineage = place.good(&["explain", "model", "2"]);
    for words in ["step train", "dataset features@", "2013-06.parquet", "champion at `delay` now"] {
        assert!(lineage.contains(words), "{lineage}");
    }
    assert!(place.good(&["verify"]).contains("is intact"));
    server.kill();
}

#[test]
fn julys_flights_renew_the_model_and_shuffled_outcomes_do_not() {
    let real = until_july(FLIGHTS);
    let (shuffled, project) = (real.copy(), FLIGHTS.1);
    shuffle(&shuffled.withheld("data/arrivals/2013-07.parquet"));
    july_renews_the_model(&real, project);

    let server = Server::up(&shuffled, &[]);
    deliver(&shuffled, "arrivals", 7);
    server.step(project, new_york(8, 1) + MINUTE_MS);
    let (stale, refusals) = (alerts(&server, project, "stale"), triggered(&server, project));
    assert_eq!(stale.len(), 1, "{stale:?}");
    assert!(refusals.len() == 1 && refusals[0].contains("version 2 refused"), "{refusals:?}");
    server.step(project, new_york(8, 5));
    assert_eq!(champion(&server, project, "delay"), json!(1));
}

#[test]
fn julys_flights_renew_a_model_that_is_trained_in_python() {
    july_renews_the_model(&until_july(FLIGHTS_PYTHON), FLIGHTS_PYTHON.1);
}

/// Exchanges the arrivals of the flights at random.
fn shuffle(file: &std::path::Path) {
    let python = std::env::var_os("PERENNIAL_TEST_PYTHON")
        .expect("PERENNIAL_TEST_PYTHON must name a Python with pyarrow: run the tests by `cargo xtask test`");
    let program = "import sys, numpy, pyarrow.parquet as parquet\n\
                   table = parquet.read_table(sys.argv[1])\n\
                   others = table.drop(['flight_id']).take(numpy.random.default_rng(7).permutation(len(table)))\n\
                   parquet.write_table(others.append_column('flight_id', table['flight_id']).select(table.column_names), sys.argv[1])\n";
    let output = Command::new(python).args(["-c", program]).arg(file).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
}

#[test]
fn a_changed_step_runs_again_and_the_plan_gives_the_reason() {
    let place = Place::example("flights");
    for folder in ["data/schedule", "data/weather", "data/arrivals"] {
        place.keep_only(folder, |name| name.starts_with("2013-02"));
    }
    place.good(&["run", "features"]);
    assert_eq!(place.query("SELECT count(*) FROM features"), [[json!(24_951)]]);
    assert!(place.good(&["run", "features"]).contains("nothing to do"));
    let plan = place.good(&["run", "features", "--dry-run"]);
    assert!(!plan.contains("would run"), "{plan}");
    place.edit("sql/features.sql", "s.minute,", "s.minute, s.minute AS again,");
    let why = place.good(&["why", "features"]);
    assert!(why.contains("would run") && why.contains("sql changed"), "{why}");
}

const WARMING: &str = "warming";

/// The date of a day, counted from Monday, 8 April.
fn spring(day: i64) -> jiff::civil::Date {
    jiff::civil::date(2013, 4, 8) + jiff::Span::new().days(day)
}

/// The instant at which a day begins in New York.
fn begins(day: i64) -> i64 {
    instant(&format!("{}T00:00:00-04:00", spring(day)))
}

fn observe(place: &Place, days: std::ops::Range<i64>) {
    days.for_each(|day| place.deliver(&format!("data/observations/{}.csv", spring(day))));
}

/// The observations of a week from Monday to Saturday.
fn working_days(server: &Server, monday: i64) -> Requests {
    let (from, to) = (begins(monday), begins(monday + 6));
    let sql = format!(
        "SELECT * FROM features WHERE time_hour >= to_timestamp_millis({from}) AND time_hour < to_timestamp_millis({to}) ORDER BY observation"
    );
    Requests::select(server, WARMING, &sql, &["time_hour", "warming"])
}

/// Plays a week: on Sunday, predictions for six days are requested; on Monday, all of their outcomes are known.
fn week(place: &Place, server: &Server, monday: i64) {
    observe(place, monday..monday + 6);
    server.step(WARMING, begins(monday + 6) + DAY_MS / 2);
    place.good(&["run", "features"]);
    working_days(server, monday).ask(server, "warming", 50);
    observe(place, monday + 6..monday + 7);
    server.step(WARMING, begins(monday + 7) + MINUTE_MS);
}

#[test]
fn a_weather_candidate_is_refused_if_it_is_not_better_and_promoted_if_it_is() {
    let place = Place::example("weather");
    place.withhold("data/observations");
    // Six weeks of files are present at the beginning; then files arrive twice a week.
    place.edit("perennial.toml", "every = \"1 day\"", "every = \"1 week\", batch = \"all\"");
    place.edit("perennial.toml", "count(*) BETWEEN 60 AND 78", "count(*) >= 60");
    place.edit("perennial.toml", "trees = 300, learning_rate = 0.05", "trees = 100, learning_rate = 0.08");
    place.edit("perennial.toml", "share = 0.25", "share = 0.5");
    let server = Server::up(&place, &[]);
    server.step(WARMING, begins(0));
    observe(&place, 0..42);
    server.step(WARMING, begins(42) + MINUTE_MS);
    let output = place.good(&["release"]);
    assert!(output.contains("version 1 answers at `warming`"), "{output}");

    week(&place, &server, 42);
    let (stale, renewals) = (alerts(&server, WARMING, "stale"), triggered(&server, WARMING));
    assert_eq!(stale.len(), 1, "{stale:?}");
    assert!(renewals.len() == 1 && renewals[0].contains("version 2 refused"), "{renewals:?}");
    assert_eq!(champion(&server, WARMING, "warming"), json!(1));

    week(&place, &server, 49);
    let (stale, renewals) = (alerts(&server, WARMING, "stale"), triggered(&server, WARMING));
    assert_eq!(stale.len(), 2, "{stale:?}");
    assert!(renewals.len() == 2 && renewals[1].contains("version 3 is the canary"), "{renewals:?}");
    working_days(&server, 49).first(120).ask(&server, "warming", 1);
    server.step(WARMING, begins(59));
    assert_eq!(champion(&server, WARMING, "warming"), json!(3));
    assert!(place.good(&["verify"]).contains("is intact"));
}
