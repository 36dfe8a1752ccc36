//! Expressions, the release, and the sections that depend on it.

use super::assert_errors;
use crate::suite::Edit::{Append, Remove, Rename, Set};
use crate::suite::FLIGHTS;

#[test]
fn errors_of_expressions() {
    assert_errors(
        "expressions",
        FLIGHTS,
        &[
            ("a misspelt metric", &[Set("gates.better", "'candidate.acu >= champion.auc + 0.005'")]),
            ("an unknown fact", &[Set("gates.fast", "'latency.p99_ms <= 5'")]),
            ("a model that is not evaluated", &[Set("gates.better", "'candidate.auc >= simpel.auc'")]),
            ("a field of a slice", &[Set("gates.fair", "'candidate.slices.all(s, s.row < 1000 || s.auc >= 0.60)'")]),
            ("a number for a condition", &[Set("gates.fast", "'serving.p99_ms'")]),
            ("a number compared with a string", &[Set("gates.fast", "\"serving.p99_ms <= '5'\"")]),
            ("an incomplete gate", &[Set("gates.fast", "'serving.p99_ms <='")]),
            ("an unknown operator", &[Set("gates.fast", "'serving.p99_ms =< 5'")]),
            (
                "an error in the third line of a string",
                &[Set("gates.fast", "'''\nserving.p99_ms <= 5\n&& candidate.auk > 0.5'''")],
            ),
            (
                "an error after an escape sequence",
                &[Set("gates.fast", "\"\\u0028\\t'\\\"' == 'é') && serving.p98_ms <= 5\"")],
            ),
            ("an invalid name of a gate", &[Rename("gates.fast", "Fast")]),
            ("a fact of gates in an alert", &[Set("monitors.delay.alerts.stale", "'candidate.auc < 0.02'")]),
            ("a number for an alert", &[Set("monitors.delay.alerts.drifted", "'drift.share'")]),
            ("a metric in a rollback rule", &[Set("endpoints.delay.canary.rollback", "'canary.auc < champion.auc'")]),
            ("gates without a release", &[Remove("release"), Append("[endpoints.other]\n")]),
        ],
    );
}

#[test]
fn errors_of_release_endpoints_monitors_and_triggers() {
    assert_errors(
        "release_endpoints_monitors_and_triggers",
        FLIGHTS,
        &[
            ("an unknown model", &[Set("release.model", "'trian'")]),
            ("a step without a model", &[Set("release.model", "'features'")]),
            ("no evaluation of the release", &[Set("steps.evaluation.evaluate", "['simple']")]),
            ("two evaluations of the release", &[Append("[steps.again]\nevaluate = ['train']\n")]),
            ("a role that cannot approve", &[Set("release.approve", "['viewer']")]),
            ("two canaries", &[Append("[endpoints.other]\ncanary = { share = 0.5, for = '1 day' }\n")]),
            ("a share of one", &[Set("endpoints.delay.canary.share", "1.0")]),
            ("an invalid size", &[Append("[endpoints.other]\nmax_body = 'big'\n")]),
            ("a size above the server's limit", &[Append("[endpoints.other]\nmax_body = '1 GB'\n")]),
            ("a monitor of an unknown endpoint", &[Set("monitors.delay.endpoint", "'delays'")]),
            ("windows that overlap", &[Set("monitors.delay.window", "'48 hours'")]),
            ("a test window that is too long", &[Set("task.test", "'10000 years'")]),
            ("an invalid event", &[Set("triggers.renew.on", "['tomorrow']")]),
            ("an unknown kind of event", &[Set("triggers.renew.on", "['alerts:delay.stale']")]),
            ("an alert without its name", &[Set("triggers.renew.on", "['alert:delay']")]),
            ("an alert of an unknown monitor", &[Set("triggers.renew.on", "['alert:dealy.stale']")]),
            ("an unknown alert", &[Set("triggers.renew.on", "['alert:delay.stole']")]),
            ("an unknown dataset", &[Set("triggers.renew.on", "['dataset:feature']")]),
            ("an invalid schedule", &[Set("triggers.renew.on", "['schedule:every morning']")]),
            ("a schedule with seconds", &[Set("triggers.renew.on", "['schedule:0 30 3 * * MON']")]),
            ("a schedule with years", &[Set("triggers.renew.on", "['schedule:0 30 3 * * MON 2030']")]),
            ("an unsupported trigger", &[Set("triggers.renew.on", "['git:main']")]),
            ("a trigger without events", &[Set("triggers.renew.on", "[]")]),
            ("an unknown start", &[Set("triggers.renew.run", "'relaese'")]),
        ],
    );
}
