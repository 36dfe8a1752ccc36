//! `perennial releases show`.

use jiff::tz::TimeZone;
use serde_json::Value;

use super::{items, short, shown};
use crate::output::{cell, say, table};

/// The greatest number of values that are shown for a gate.
const VALUES_MAX: usize = 6;

/// Shows a release: its Decision gate by gate, its approvals, its promotions.
pub(super) fn release(answer: &Value, zone: &TimeZone) {
    let release = &answer["release"];
    say!("release  {}", cell(&release["digest"]));
    say!("version  {}", cell(&release["number"]));
    say!("created  {} ({})", short("project_at", &release["project_at"], zone), zone.iana_name().unwrap_or("UTC"));
    say!("head     {}", cell(&release["ledger_head"]));
    if let Some(decision) = items(&answer["decisions"]).first() {
        let champion = decision["champion_number"].as_i64();
        let compared = champion.map_or_else(String::new, |number| format!(", compared with version {number}"));
        say!("\ndecision {}{compared}:", cell(&decision["verdict"]));
        let gates = items(&decision["body"]["gates"]);
        let gates = gates.iter().map(|gate| {
            let evaluation = &gate["evaluation"];
            let missing = items(&evaluation["missing"]).into_iter().map(|fact| format!("{} is missing", cell(&fact)));
            let mut values: Vec<String> = missing.chain(values_of(evaluation)).collect();
            let more = values.len().saturating_sub(VALUES_MAX);
            values.truncate(VALUES_MAX);
            values.extend((more > 0).then(|| format!("and {more} more")));
            vec![cell(&gate["gate"]), cell(&evaluation["verdict"]), cell(&gate["expression"]), values.join(", ")]
        });
        say!("{}", table(&["gate", "verdict", "expression", "values"], &gates.collect::<Vec<_>>()));
        for line in items(&decision["features"]) {
            say!("{}", cell(&line));
        }
    }
    say!("\n{}", state(answer));
    let approvals = items(&answer["approvals"]);
    if !approvals.is_empty() {
        say!(
            "\n{}",
            shown(
                &approvals,
                &[("approved as", "role"), ("by", "principal"), ("at", "project_at"), ("note", "note")],
                zone
            )
        );
    }
    let mut promotions = items(&answer["promotions"]);
    for promotion in &mut promotions {
        promotion["cause"] = cause(&promotion["cause"]).into();
    }
    if !promotions.is_empty() {
        let columns = [
            ("endpoint", "endpoint"),
            ("kind", "kind"),
            ("from", "from_number"),
            ("to", "to_number"),
            ("by", "actor"),
            ("at", "project_at"),
            ("cause", "cause"),
        ];
        say!("\n{}", shown(&promotions, &columns, zone));
    }
}

/// The progress of the release, in one line.
fn state(answer: &Value) -> String {
    let lines = |field: &str| items(&answer[field]).iter().map(cell).collect::<Vec<_>>().join("; ");
    let (waiting_for, reasons) = (lines("waiting_for"), lines("reasons"));
    match () {
        () if answer["released"] == true => "released: it is the champion".to_owned(),
        () if !waiting_for.is_empty() => format!("waiting for {waiting_for}"),
        () if !reasons.is_empty() => format!("not released: {reasons}"),
        () => "not released".to_owned(),
    }
}

/// The values of the facts that an expression used.
fn values_of(evaluation: &Value) -> Vec<String> {
    items(&evaluation["values"]).iter().map(|fact| format!("{} = {}", cell(&fact[0]), number(&fact[1]))).collect()
}

/// The cause of a promotion, in words.
fn cause(cause: &Value) -> String {
    let word = |name: &str| cell(&cause[name]);
    match cause["kind"].as_str().unwrap_or_default() {
        "canary" => format!("its canary ended after {} requests", number(&cause["requests"])),
        "rollback_rule" => {
            format!("its rollback rule is true: {} ({})", word("rule"), values_of(cause).join(", "))
        }
        "trigger" => format!("trigger {}", word("trigger")),
        "person" if cause["note"].is_string() => format!("requested by {}: {}", word("by"), word("note")),
        "person" => format!("requested by {}", word("by")),
        other => other.to_owned(),
    }
}

/// A number; whole numbers without decimals.
fn number(value: &Value) -> String {
    let whole = value.as_f64().filter(|number| number.fract() == 0.0 && number.abs() < 1e15);
    whole.map_or_else(|| cell(value), |whole| format!("{whole:.0}"))
}
