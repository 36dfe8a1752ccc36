//! The table of the year.

use anyhow::Result;
use serde_json::{Value, json};

use super::month_start;
use crate::client::Client;
use crate::commands::items;
use crate::output::{table, thousands};

/// One month's line.
#[derive(Default, Clone)]
struct Month {
    rows: u64,
    set_aside: u64,
    held: u64,
    happened: Vec<String>,
}

/// What became of each month.
pub(crate) struct Year {
    months: Vec<Month>,
    drift: Vec<Option<f64>>,
    auc: Vec<Option<f64>>,
}

impl Year {
    pub(crate) fn new() -> Self {
        Self { months: vec![Month::default(); 12], drift: vec![None; 12], auc: vec![None; 12] }
    }

    /// Notes something that happened in a month.
    pub(crate) fn note(&mut self, month: i8, message: &str) {
        self.months[month as usize - 1].happened.push(message.to_owned());
    }

    /// Reads what is known of a month when it is over: its loads, and what the monitor found so far.
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
            let facts = &result["facts"];
            if let Some(share) = facts.pointer("/drift/share").and_then(Value::as_f64) {
                self.drift[index] = Some(share);
            }
            // Of several versions in one window, the one that answered most stands for the month.
            if let Some(auc) = facts.get("auc").and_then(Value::as_f64) {
                if result["is_champion"] != json!(false) {
                    self.auc[index] = Some(auc);
                }
            }
        }
        Ok(())
    }

    /// The table.
    pub(crate) fn table(&self) -> String {
        let number = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.3}"));
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
        table(&["month", "flights", "set aside", "drift", "live AUC", "what happened"], &rows)
    }
}

/// The first clause of a message, at most a line.
fn shorten(message: &str) -> String {
    const LONGEST: usize = 90;
    let first = message.split(" (").next().unwrap_or(message);
    if first.chars().count() <= LONGEST {
        first.to_owned()
    } else {
        first.chars().take(LONGEST - 1).chain(['…']).collect()
    }
}
