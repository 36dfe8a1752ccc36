//! The result of a campaign.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use super::CLASSES;
use super::attempt::Outcome;
use super::bystander::{REQUEST_TIME_MAX, Requests};
use super::memory_limit::MemoryLimit;
use crate::result_page::{environment, grouped};

/// Totals over all rounds.
pub(super) struct Tally {
    pub(super) rounds: u64,
    began: Instant,
    kinds: BTreeMap<&'static str, Outcome>,
}

impl Tally {
    pub(super) fn new(rounds: u64) -> Self {
        Self { rounds, began: Instant::now(), kinds: BTreeMap::new() }
    }

    pub(super) fn add(&mut self, kind: &'static str, outcome: Outcome) {
        self.kinds.entry(kind).or_default().extend(outcome);
    }

    /// The holes of all kinds, each with its kind.
    pub(super) fn holes(&self) -> Vec<String> {
        let holes = |(kind, outcome): (&&str, &Outcome)| -> Vec<String> {
            outcome.holes.iter().map(|hole| format!("{kind}: {hole}")).collect()
        };
        self.kinds.iter().flat_map(holes).collect()
    }

    /// The page of the result.
    pub(super) fn text(&self, requests: &Requests, limit: &MemoryLimit, resident: u64) -> String {
        let mut text =
            format!("{}\n\n| class | kinds | attempts | holes |\n| --- | --- | --- | --- |\n", environment());
        for (class, kinds) in CLASSES {
            let of_class = || kinds.iter().filter_map(|kind| self.kinds.get(kind.name));
            let attempts: u64 = of_class().map(|outcome| outcome.attempts).sum();
            let holes: usize = of_class().map(|outcome| outcome.holes.len()).sum();
            writeln!(text, "| {class} | {} | {} | {holes} |", kinds.len(), grouped(attempts)).unwrap();
        }
        text += "\n| what | |\n| --- | --- |\n";
        let mut row = |what: &str, value: String| writeln!(text, "| {what} | {value} |").unwrap();
        row("rounds", self.rounds.to_string());
        row("memory of the server with all its processes", limit.description().to_owned());
        row(
            "most memory in use, with the page cache",
            limit.peak().map_or_else(|| "not counted".to_owned(), megabytes),
        );
        row("most resident memory of the server's processes", megabytes(resident));
        row("processes ended because the memory was exhausted", limit.processes_ended().to_string());
        row("the bystander's requests", grouped(requests.count));
        row("of these failed or slower than the bound", requests.holes.len().to_string());
        let mut times = requests.times.clone();
        times.sort_unstable();
        let at = |percent: usize| {
            milliseconds(times.get((times.len().max(1) - 1) * percent / 100).copied().unwrap_or_default())
        };
        row("their time: median, 99th percentile", format!("{}, {}", at(50), at(99)));
        row(
            "their longest time; the bound",
            format!("{}; {}", milliseconds(requests.longest), milliseconds(REQUEST_TIME_MAX)),
        );
        row("the server at the end", "the same process; `verify` and `doctor` report nothing wrong".to_owned());
        row("duration of the campaign", format!("{} min", self.began.elapsed().as_secs().div_ceil(60)));
        text
    }
}

fn milliseconds(time: Duration) -> String {
    format!("{} ms", time.as_millis())
}

fn megabytes(bytes: u64) -> String {
    format!("{} MB", bytes / 1_000_000)
}
