//! What a campaign came to.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use super::journal::Journal;

/// The heading below which a result is kept.
const HEADING: &str = "## Result\n";

/// What happened so far.
pub(super) struct Tally {
    pub(super) asked: u64,
    pub(super) kills: u64,
    pub(super) kills_while_starting: u64,
    /// How long each start after a kill took until the server answered.
    pub(super) starts: Vec<Duration>,
    owed: BTreeMap<&'static str, u64>,
    pub(super) rounds: u64,
    promotions: usize,
    attempts_interrupted: usize,
    runs_resumed: usize,
    began: Instant,
}

impl Tally {
    pub(super) fn new(asked: u64) -> Self {
        Self {
            asked,
            kills: 0,
            kills_while_starting: 0,
            starts: Vec::new(),
            owed: BTreeMap::new(),
            rounds: 0,
            promotions: 0,
            attempts_interrupted: 0,
            runs_resumed: 0,
            began: Instant::now(),
        }
    }

    /// Tells that another kill lost nothing.
    pub(super) fn progress(&self, busy: Duration, journal: &Journal) {
        let start = self.starts.last().copied().unwrap_or_default();
        let counts: Vec<String> = journal.owed().iter().map(|(what, count)| format!("{count} {what}")).collect();
        println!(
            "kill {} of {}: after {} ms of load; answered again in {} ms; all there: {}",
            self.kills,
            self.asked,
            busy.as_millis(),
            start.as_millis(),
            counts.join(", ")
        );
    }

    /// Takes up what a round came to.
    pub(super) fn take(&mut self, journal: &Journal) {
        for (what, count) in journal.owed() {
            *self.owed.entry(what).or_default() += count;
        }
        self.rounds += 1;
        self.promotions += journal.promotions.len();
        self.attempts_interrupted += journal.attempts_interrupted.len();
        self.runs_resumed += journal.runs_resumed.len();
    }

    /// Prints the result, and keeps it below its heading in the file that `PERENNIAL_CRASH_RESULT` names.
    pub(super) fn tell(&self) {
        let text = self.text();
        println!("{text}");
        let Some(path) = std::env::var_os("PERENNIAL_CRASH_RESULT") else { return };
        let page = std::fs::read_to_string(&path).unwrap();
        let (above, _) = page.split_once(HEADING).expect("the page has a heading for the result");
        std::fs::write(&path, format!("{above}{HEADING}\n{text}")).unwrap();
    }

    fn text(&self) -> String {
        let mut starts = self.starts.clone();
        starts.sort_unstable();
        let at = |share: usize| starts.get((starts.len() - 1) * share / 100).map_or(0, Duration::as_millis);
        let mut text = format!("{}\n\n| what | |\n| --- | --- |\n", surroundings());
        let mut row = |what: &str, value: String| writeln!(text, "| {what} | {value} |").unwrap();
        row("kills", format!("{}, of which {} while starting", self.kills, self.kills_while_starting));
        row("projects that lived through them", self.rounds.to_string());
        for (what, count) in &self.owed {
            row(what, grouped(*count));
        }
        row("of these lost, half there or twice", "0".to_owned());
        row("changes of who answers, each following the one before", self.promotions.to_string());
        row("attempts at steps cut off and marked", self.attempts_interrupted.to_string());
        row("pipeline runs that went on after it", self.runs_resumed.to_string());
        row("`perennial run` after a kill that failed", "0".to_owned());
        row("until it answered again, median", format!("{} ms", at(50)));
        row("until it answered again, at most", format!("{} ms", at(100)));
        row("the campaign took", format!("{} min", self.began.elapsed().as_secs().div_ceil(60)));
        text
    }
}

/// Version, profile, machine and day.
fn surroundings() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("unknown", |name| name.trim_start_matches([' ', '\t', ':']));
    format!(
        "Perennial {}, {} build; {} processors ({model}), Linux {}; {}.",
        env!("CARGO_PKG_VERSION"),
        if cfg!(debug_assertions) { "dev" } else { "release" },
        std::thread::available_parallelism().map_or(1, usize::from),
        read("/proc/sys/kernel/osrelease").trim(),
        jiff::Zoned::now().date()
    )
}

/// A number in groups of three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
