//! The demo: a year of a model's life on real data.
//!
//! The demo plays the part of people and of the world: it delivers files, steps the clock and requests a prediction
//! for each flight. The rest (retraining, canaries, promotions, refusals) follows from the data and the project file.

mod requests;
mod year;

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use jiff::civil::date;
use jiff::tz::TimeZone;
use perennial_core::ErrorCode;
use perennial_server::ServerPaths;
use serde_json::{Value, json};

use crate::args::{Demo, Switch, Up};
use crate::client::Client;
use crate::commands::{submit, up};
use crate::embedded_server::{EmbeddedServer, Lifetime, loopback};
use crate::examples;
use crate::follow::{Form, follow};
use crate::output::{say, thousands, user_error};

/// Marks a folder that the demo created and may replace.
const MARK: &str = ".perennial-demo";
/// The month whose weather arrives broken.
const BROKEN_MONTH: i8 = 9;
/// The first model is released when the outcomes of this month have arrived.
const FIRST_TEST_MONTH: i8 = 6;

const MINUTE_MS: i64 = 60_000;

/// Plays the demo.
pub(crate) async fn play(options: &Demo) -> Result<ExitCode> {
    let began = Instant::now();
    let folder = &options.folder;
    prepare(folder, options.project_file.as_deref())?;
    let root = folder.canonicalize()?;
    let paths = ServerPaths {
        data: root.join(".perennial"),
        root: root.clone(),
        database: None,
        artifacts: None,
        may_step_clock: true,
        may_run_unisolated: true,
        may_build_packages: true,
        uses_data_workers: false,
    };
    let Some(server) = EmbeddedServer::start(&paths, loopback(), Lifetime::Command).await? else {
        let message = format!("{} is in use by another process", folder.display());
        return Err(user_error(ErrorCode::WrongState, message, "stop that process, or choose another folder"));
    };
    let mut story = Story { client: server.client()?, root, project: String::new(), year: year::Year::new() };
    say!("336,776 flights left New York in 2013. Which will arrive more than 15 minutes late?");
    say!(
        "The project clock is stepped through that year; each month's schedule, weather and outcomes arrive on time.\n"
    );
    story.play().await?;
    say!("\n{}", story.year.table());
    story.explain_last_prediction().await?;
    say!("\nfinished in {:.0} s; the project and its data are in {}", began.elapsed().as_secs_f64(), folder.display());
    server.stop().await?;
    if options.keep_serving {
        say!("the server keeps running; Ctrl-C stops it:");
        let (host, data) = (Ipv4Addr::LOCALHOST.into(), Some(story.root.join(".perennial")));
        let options = Up {
            host,
            port: 0,
            data,
            database: None,
            database_file: None,
            artifacts: None,
            auth: Switch::On,
            allow_host: Vec::new(),
            allow_unisolated_steps: false,
            allow_source_packages: false,
            // The demo's own data, as while it played.
            data_in_process: true,
        };
        return up(&story.root, &options).await;
    }
    say!("next: `perennial -C {} up` prints a link to the console", folder.display());
    Ok(ExitCode::SUCCESS)
}

/// Writes the example without its monthly files, into a new folder or one that an earlier demo created.
fn prepare(folder: &Path, project_file: Option<&Path>) -> Result<()> {
    if folder.exists() && std::fs::read_dir(folder)?.next().is_some() {
        if !folder.join(MARK).is_file() {
            let message = format!("{} is not empty and was not created by the demo", folder.display());
            return Err(user_error(ErrorCode::AlreadyExists, message, "choose another folder"));
        }
        std::fs::remove_dir_all(folder).with_context(|| format!("cannot replace {}", folder.display()))?;
    }
    std::fs::create_dir_all(folder)?;
    std::fs::write(folder.join(MARK), "")?;
    for path in ["perennial.toml", "sql/features.sql", "data/planes.csv"] {
        examples::deliver(path, folder)?;
    }
    if let Some(file) = project_file {
        std::fs::copy(file, folder.join("perennial.toml")).map_err(|cause| {
            let message = format!("cannot read {}: {cause}", file.display());
            user_error(ErrorCode::NotFound, message, "`--project-file` must name a project file")
        })?;
    }
    Ok(())
}

struct Story {
    client: Client,
    root: std::path::PathBuf,
    project: String,
    year: year::Year,
}

impl Story {
    async fn play(&mut self) -> Result<()> {
        self.project = submit(&self.client).await?;
        self.step(month_start(1)).await?;
        for month in 1..=12 {
            self.month_begins(month).await?;
            if month > FIRST_TEST_MONTH {
                self.month_of_flights(month).await?;
            }
            self.deliver(&format!("data/arrivals/2013-{month:02}.parquet"))?;
            // The outcomes arrive when the month is over.
            self.step(month_start(month + 1)).await?;
            if month == FIRST_TEST_MONTH {
                self.first_release().await?;
            }
            self.year.close(&self.client, &self.project, month).await?;
        }
        Ok(())
    }

    fn deliver(&self, path: &str) -> Result<()> {
        examples::deliver(path, &self.root)
    }

    async fn month_begins(&mut self, month: i8) -> Result<()> {
        self.deliver(&format!("data/schedule/2013-{month:02}.parquet"))?;
        let weather = format!("data/weather/2013-{month:02}.csv");
        if month == BROKEN_MONTH {
            self.broken_weather(month, &weather).await?;
        }
        self.deliver(&weather)?;
        // The files of a month arrive shortly after the outcomes of the month before.
        self.step(month_start(month) + 2 * MINUTE_MS).await
    }

    /// A station reports ten times the temperature: the load is held, and the corrected file replaces it.
    async fn broken_weather(&mut self, month: i8, path: &str) -> Result<()> {
        let file = examples::FLIGHTS.get_file(path).with_context(|| format!("the example has no file {path}"))?;
        let text = file.contents_utf8().context("the weather file is not text")?;
        let mut lines = text.lines();
        let head = lines.next().unwrap_or_default();
        let place = head.split(',').position(|name| name == "temp").context("the weather file has no column `temp`")?;
        let mut broken = format!("{head}\n");
        let mut rows = 0;
        for line in lines {
            let mut cells: Vec<String> = line.split(',').map(str::to_owned).collect();
            if cells.iter().any(|cell| cell == "JFK") {
                if let Some(temp) = cells.get_mut(place).filter(|cell| !cell.is_empty()) {
                    *temp = format!("{:.1}", temp.parse::<f64>().unwrap_or_default() * 10.0);
                    rows += 1;
                }
            }
            broken.push_str(&cells.join(","));
            broken.push('\n');
        }
        say!("{}  the demo breaks {path}: {rows} temperatures of JFK are multiplied by ten", label(month));
        examples::write_at_once(&self.root.join(path), broken.as_bytes())?;
        self.step(month_start(month) + MINUTE_MS).await?;
        say!("{}  the corrected file arrives", label(month));
        Ok(())
    }

    async fn first_release(&mut self) -> Result<()> {
        let made = self
            .client
            .post(
                &format!("/api/v1/projects/{}/pipeline-runs", self.project),
                &json!({ "kind": "release", "options": {} }),
            )
            .await?;
        let id = made.get("id").and_then(Value::as_str).context("the server did not name the pipeline run")?;
        let run = follow(&self.client, &self.project, id, Form::Hidden).await?;
        let message = run.get("message").and_then(Value::as_str).unwrap_or_default().to_owned();
        if run.get("state").and_then(Value::as_str) == Some("failed") {
            bail!("the first release failed: {message}");
        }
        say!("{}  perennial release: {message}", label(FIRST_TEST_MONTH));
        self.year.note(FIRST_TEST_MONTH, &message);
        Ok(())
    }

    /// Requests one prediction for every flight of the month, at its hour.
    async fn month_of_flights(&mut self, month: i8) -> Result<()> {
        let began = Instant::now();
        let flights = requests::of_month(&self.client, &self.project, month).await?;
        let mut requests = 0;
        for (hour_ms, bodies) in flights {
            self.step(hour_ms).await?;
            requests += bodies.len() as u64;
            requests::ask(&self.client, "delay", bodies).await?;
        }
        say!(
            "{}  {} predictions requested, {:.0} per second",
            label(month),
            thousands(requests),
            requests as f64 / began.elapsed().as_secs_f64()
        );
        Ok(())
    }

    /// Steps the clock. All work that becomes due until then has ended when this returns.
    async fn step(&mut self, to_ms: i64) -> Result<()> {
        let answer =
            self.client.post(&format!("/api/v1/projects/{}/clock", self.project), &json!({ "to_ms": to_ms })).await?;
        for event in answer.get("events").and_then(Value::as_array).into_iter().flatten() {
            let message = event.get("message").and_then(Value::as_str).unwrap_or_default();
            let at = event.get("project_ms").and_then(Value::as_i64).unwrap_or(to_ms);
            let month = month_of(at - MINUTE_MS).max(1);
            say!("{}  {message}", day(at));
            self.year.note(month, message);
        }
        Ok(())
    }

    async fn explain_last_prediction(&self) -> Result<()> {
        let sql = "SELECT prediction_id FROM predictions_delay ORDER BY prediction_id DESC";
        let page = self
            .client
            .post(&format!("/api/v1/projects/{}/query", self.project), &json!({ "sql": sql, "limit": 1 }))
            .await?;
        let Some(id) = page.pointer("/rows/0/0").and_then(Value::as_str) else { return Ok(()) };
        let lineage = self.client.get(&format!("/api/v1/projects/{}/explain/prediction/{id}", self.project)).await?;
        say!("the origin of the last prediction (`perennial explain prediction {id}`):");
        say!("{}", crate::commands::explained(&lineage));
        Ok(())
    }
}

/// The first instant of a month of 2013 in New York; month 13 is the next January.
pub(crate) fn month_start(month: i8) -> i64 {
    let (year, month) = if month > 12 { (2014, month - 12) } else { (2013, month) };
    let zone = TimeZone::get("America/New_York").unwrap_or(TimeZone::UTC);
    date(year, month, 1).at(0, 0, 0, 0).to_zoned(zone).map_or(0, |zoned| zoned.timestamp().as_millisecond())
}

fn month_of(ms: i64) -> i8 {
    (1..=12).rev().find(|month| month_start(*month) <= ms).unwrap_or(1)
}

fn label(month: i8) -> String {
    format!("2013-{month:02}   ")
}

fn day(ms: i64) -> String {
    let zone = TimeZone::get("America/New_York").unwrap_or(TimeZone::UTC);
    perennial_core::calendar::local(ms, &zone).chars().take(10).collect()
}
