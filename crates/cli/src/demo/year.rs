//! The table of the year.

use anyhow::Result;
use serde_json::{Value, json};

use super::month_start;
use crate::client::Client;
use crate::commands::items;
use crate::output::{table, thousands};

/// One row of the table.
#[derive(Default, Clone)]
struct Month {
    rows: u64,
    set_aside: u64,
    held: u64,
    happened: Vec<String>,
}

/// The results of each month.
pub(crate) struct Year {
    months: Vec<Month>,
    /// For each month, the number of rows of a result, and its share of drifted features.
    drift: Vec<Option<(f64, f64)>>,
    /// For each month, the number of rows of a result, and its AUC.
    auc: Vec<Option<(f64, f64)>>,
}

impl Year {
    pub(crate) fn new() -> Self {
        Self { months: vec![Month::default(); 12], drift: vec![None; 12], auc: vec![None; 12] }
    }

    /// Records an event of a month.
    pub(crate) fn note(&mut self, month: i8, message: &str) {
        self.months[month as usize - 1].happened.push(message.to_owned());
    }

    /// Reads the loads of a month that is over, and the results of the monitor so far.
    pub(crate) async fn close(&mut self, client: &Client, project: &str, month: i8) -> Result<()> {
        let base = format!("/api/v1/projects/{project}");
        let entry = &mut self.months[month as usize - 1];
        let word = format!("2013-{month:02}");
        for dataset in ["schedule", "weather", "arrivals"] {
            let loads = client.get(&format!("{base}/datasets/{dataset}/loads?limit=1000")).await?;
            for load in items(&loads)
                .iter()
                .filter(|load| load["source_path"].as_str().is_some_and(|path| path.contains(&word)))
            {
                entry.set_aside += if load["state"] == json!("committed") {
                    load["set_aside"].as_u64().unwrap_or_default()
                } else {
                    0
                };
                entry.held += u64::from(load["state"] != json!("committed"));
                if dataset == "schedule" {
                    entry.rows += load["arrived"].as_u64().unwrap_or_default();
                }
            }
        }
        let results = client.get(&format!("{base}/monitors?limit=1000")).await?;
        for result in items(&results) {
            let start = result["window_start_ms"].as_i64().unwrap_or_default();
            let Some(index) = (1..=12).find(|month| month_start(*month) == start).map(|month| month as usize - 1)
            else {
                continue;
            };
            // If several versions answered in one window, the table shows the one that answered most rows.
            let facts = &result["facts"];
            let rows = facts["rows"].as_f64().unwrap_or_default();
            for (best, fact) in [(&mut self.drift[index], "/drift/share"), (&mut self.auc[index], "/auc")] {
                if let Some(value) = facts.pointer(fact).and_then(Value::as_f64)
                    && best.is_none_or(|(most, _)| rows >= most)
                {
                    *best = Some((rows, value));
                }
            }
        }
        Ok(())
    }

    /// The table.
    pub(crate) fn table(&self) -> String {
        let number = |best: Option<(f64, f64)>| best.map_or_else(|| "–".to_owned(), |(_, value)| format!("{value:.3}"));
        let rows: Vec<Vec<String>> = self
            .months
            .iter()
            .enumerate()
            .map(|(index, month)| {
                let happened: Vec<String> = month.happened.iter().map(|message| shorten(message)).collect();
                vec![
                    format!("2013-{:02}", index + 1),
                    thousands(month.rows),
                    if month.held > 0 {
                        format!("{} + held load", month.set_aside)
                    } else {
                        month.set_aside.to_string()
                    },
                    number(self.drift[index]),
                    number(self.auc[index]),
                    happened.join("; "),
                ]
            })
            .collect();
        table(&["month", "flights", "set aside", "drift", "AUC", "events"], &rows)
    }
}

/// A short form of a message for the table.
fn shorten(message: &str) -> String {
    const CHARS_MAX: usize = 72;
    // For a trigger only the result of its run is shown.
    let short = match message.split_once("): ") {
        Some((trigger, result)) if trigger.starts_with("trigger ") => result,
        _ => message,
    };
    let short = match (short.strip_prefix("alert `"), short.find(" is held: ")) {
        (Some(alert), _) => format!("alert {}", alert.split('`').next().unwrap_or(alert)),
        (None, Some(end)) => format!("{} is held", &short[..end]),
        (None, None) => short.split([';', ':']).next().unwrap_or(short).to_owned(),
    };
    if short.chars().count() <= CHARS_MAX {
        return short;
    }
    short.chars().take(CHARS_MAX - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::shorten;

    #[test]
    fn the_short_form_of_a_message_is_its_result() {
        for (message, expected) in [
            (
                "trigger `renew` (alert:delay.stale): version 3 refused: auc 0.7196, champion 0.7149",
                "version 3 refused",
            ),
            ("alert `delay.stale` at version 1, window of 2013-07-01: auc < reference.auc", "alert delay.stale"),
            (
                "load from `a.csv` into `weather` is held: `plausible`: 720 rows",
                "load from `a.csv` into `weather` is held",
            ),
            ("version 2 answers at `delay`: its canary has ended", "version 2 answers at `delay`"),
        ] {
            assert_eq!(shorten(message), expected);
        }
    }
}
