//! The result of a campaign.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use super::journal::Journal;
use crate::result_page::{self, environment, grouped};

/// Totals over all projects.
pub(super) struct Tally {
    /// The number of kills of the whole campaign.
    pub(super) planned: u64,
    pub(super) kills: u64,
    pub(super) kills_while_starting: u64,
    /// The time from each start after a kill to the first answer.
    pub(super) starts: Vec<Duration>,
    acknowledged: BTreeMap<&'static str, u64>,
    pub(super) rounds: u64,
    promotions: usize,
    attempts_interrupted: usize,
    attempts_killed: usize,
    requests_failed: u64,
    runs_failed: usize,
    /// Processes below the server that were killed, by what they were.
    pub(super) processes_killed: BTreeMap<String, u64>,
    runs_resumed: usize,
    began: Instant,
}

impl Tally {
    pub(super) fn new(planned: u64) -> Self {
        Self {
            planned,
            kills: 0,
            kills_while_starting: 0,
            starts: Vec::new(),
            acknowledged: BTreeMap::new(),
            rounds: 0,
            promotions: 0,
            attempts_interrupted: 0,
            attempts_killed: 0,
            requests_failed: 0,
            runs_failed: 0,
            processes_killed: BTreeMap::new(),
            runs_resumed: 0,
            began: Instant::now(),
        }
    }

    /// Prints that another kill lost nothing.
    pub(super) fn progress(&self, busy: Duration, journal: &Journal) {
        let start = self.starts.last().copied().unwrap_or_default();
        let counts: Vec<String> =
            journal.acknowledged().iter().map(|(what, count)| format!("{count} {what}")).collect();
        println!(
            "kill {} of {}: after {} ms of load; answered again after {} ms; present: {}",
            self.kills,
            self.planned,
            busy.as_millis(),
            start.as_millis(),
            counts.join(", ")
        );
    }

    /// Adds the totals of a project.
    pub(super) fn add(&mut self, journal: &Journal) {
        for (what, count) in journal.acknowledged() {
            *self.acknowledged.entry(what).or_default() += count;
        }
        self.rounds += 1;
        self.promotions += journal.promotions.len();
        self.attempts_interrupted += journal.attempts_interrupted.len();
        self.attempts_killed += journal.attempts_killed.len();
        self.requests_failed += journal.requests_failed;
        self.runs_failed += journal.runs_failed.len();
        self.runs_resumed += journal.runs_resumed.len();
    }

    /// Prints the result, and writes it below its heading to the file that `PERENNIAL_CRASH_RESULT` names.
    pub(super) fn report(&self) {
        result_page::report("PERENNIAL_CRASH_RESULT", &self.text());
    }

    fn text(&self) -> String {
        let mut starts = self.starts.clone();
        starts.sort_unstable();
        let at = |share: usize| starts.get((starts.len() - 1) * share / 100).map_or(0, Duration::as_millis);
        let mut text = format!("{}\n\n| what | |\n| --- | --- |\n", environment());
        let mut row = |what: &str, value: String| writeln!(text, "| {what} | {value} |").unwrap();
        row("kills", format!("{}, of which {} during a start", self.kills, self.kills_while_starting));
        row("projects", self.rounds.to_string());
        for (what, count) in &self.acknowledged {
            row(what, grouped(*count));
        }
        row("of these lost, partial or duplicated", "0".to_owned());
        row("promotions, each continuing the one before", self.promotions.to_string());
        row("interrupted step attempts, all marked", self.attempts_interrupted.to_string());
        for (what, count) in &self.processes_killed {
            row(&format!("killed {what}"), count.to_string());
        }
        row("requests that failed with the death of a worker as their reason", self.requests_failed.to_string());
        row("pipeline runs that failed with the death of a worker as their reason", self.runs_failed.to_string());
        row("step attempts that such a kill ended, all tried again", self.attempts_killed.to_string());
        row("interrupted pipeline runs that were resumed", self.runs_resumed.to_string());
        row("failed `perennial run` after a kill", "0".to_owned());
        row("time from start to the first answer, median", format!("{} ms", at(50)));
        row("time from start to the first answer, slowest", format!("{} ms", at(100)));
        row("duration of the campaign", format!("{} min", self.began.elapsed().as_secs().div_ceil(60)));
        text
    }
}
