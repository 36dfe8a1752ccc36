//! Invalid TOML, unknown keys, values of the wrong type.

use super::assert_errors;
use crate::suite::Edit::{Append, Remove, Rename, Set};
use crate::suite::FLIGHTS;

#[test]
fn errors_of_toml() {
    assert_errors(
        "toml",
        FLIGHTS,
        &[
            ("a quote is not closed", &[Set("project.name", "\"flight-delays")]),
            ("an equals sign is missing", &[Append("[extra]\nkind \"binary\"\n")]),
            ("a bracket is not closed", &[Append("[extra\n")]),
            ("a repeated key", &[Append("[extra]\nkind = 1\nkind = 2\n")]),
            ("a repeated table", &[Rename("steps.simple", "train")]),
            ("errors in two lines", &[Set("task.kind", "binary"), Set("triggers.renew.run", "release")]),
        ],
    );
}

#[test]
fn errors_of_structure() {
    assert_errors(
        "structure",
        FLIGHTS,
        &[
            ("a misspelt section", &[Rename("datasets", "datasetz")]),
            ("a misspelt key", &[Rename("project.goal", "gaol")]),
            ("a misspelt key of an inline table", &[Rename("checks.schedule.far_enough.at_least", "atleast")]),
            ("an unknown key", &[Set("monitors.delay.colour", "'red'")]),
            ("an unknown key at the top", &[Set("name", "'x'")]),
            ("a missing key", &[Remove("task.target")]),
            ("a missing section", &[Remove("project")]),
            ("an invalid name", &[Set("project.name", "'Flight Delays'")]),
            ("an invalid name as key", &[Rename("datasets.planes", "Planes")]),
            ("a number for a string", &[Set("datasets.schedule.source.every", "30")]),
            ("a string for a number", &[Set("endpoints.delay.canary.min_requests", "'200'")]),
            ("a negative number", &[Set("endpoints.delay.canary.min_requests", "-200")]),
            ("a string for a list", &[Set("task.key", "'flight_id'")]),
            ("a number in a list of strings", &[Set("task.ignore", "['tailnum', 3]")]),
            ("a string for a table", &[Set("datasets.planes.source", "'data/planes.csv'")]),
            ("a table for a string", &[Set("task.metric", "{ name = 'auc' }")]),
            ("a misspelt value", &[Set("datasets.planes.mode", "'replaced'")]),
            ("an unknown value", &[Set("task.kind", "'clustering'")]),
            ("an invalid duration", &[Set("task.label_delay", "'45 dayz'")]),
            ("a duration of zero", &[Set("task.label_delay", "'0 days'")]),
            ("an unknown role", &[Set("release.approve", "['boss']")]),
            ("a number for a check", &[Set("checks.schedule.volume", "20000")]),
            (
                "several errors",
                &[
                    Rename("project.goal", "gaol"),
                    Set("task.kind", "'binari'"),
                    Set("datasets.planes.mode", "'replaced'"),
                    Set("endpoints.delay.canary.min_requests", "'200'"),
                    Set("gates.fast", "'serving.p98_ms <= 5'"),
                ],
            ),
        ],
    );
}

#[test]
fn errors_of_renamed_keys() {
    assert_errors(
        "renamed_keys",
        FLIGHTS,
        &[
            ("within", &[Rename("task.label_delay", "within")]),
            ("fresh", &[Set("release.fresh", "'7 days'")]),
            ("an old and a new name", &[Set("task.within", "'45 days'")]),
            ("an invalid value of an old name", &[Remove("task.label_delay"), Set("task.within", "'45 dayz'")]),
            ("an old fact", &[Set("endpoints.delay.canary.rollback", "'has(canary.error_rate) && canary.unfit > 5'")]),
            ("an old fact as a text", &[Set("endpoints.delay.canary.rollback", "\"canary['unfit'] > 5\"")]),
            ("an old name and another error", &[Set("release.fresh", "'7 days'"), Set("task.metric", "'logloss'")]),
        ],
    );
}
