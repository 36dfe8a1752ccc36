//! Expressions, the release and what follows it.

use super::shown;
use crate::suite::FLIGHTS;

#[test]
fn mistakes_of_expressions() {
    shown(
        "expressions",
        FLIGHTS,
        &[
            (
                "a measure that is misspelt",
                &[("candidate.auc >= champion.auc + 0.005", "candidate.acu >= champion.auc + 0.005")],
            ),
            ("a fact that is not there", &[("serving.p99_ms <= 5", "latency.p99_ms <= 5")]),
            ("a model that is not judged", &[("candidate.auc >= simple.auc\"", "candidate.auc >= simpel.auc\"")]),
            ("a field of a slice", &[("s.rows < 1000", "s.row < 1000")]),
            ("what is no question", &[("serving.p99_ms <= 5", "serving.p99_ms")]),
            ("numbers and text", &[("serving.p99_ms <= 5", "serving.p99_ms <= '5'")]),
            ("a gate that ends too early", &[("serving.p99_ms <= 5", "serving.p99_ms <=")]),
            ("an operator that is none", &[("serving.p99_ms <= 5", "serving.p99_ms =< 5")]),
            (
                "a mistake in the third line of a text",
                &[("\"serving.p99_ms <= 5\"", "'''\nserving.p99_ms <= 5\n&& candidate.auk > 0.5'''")],
            ),
            (
                "a mistake after an escape",
                &[("serving.p99_ms <= 5", "\\u0028\\t'\\\"' == 'é') && serving.p98_ms <= 5")],
            ),
            ("a gate's name", &[("fast   =", "Fast   =")]),
            (
                "an alert of a fact it does not have",
                &[("auc < reference.auc - 0.02", "candidate.auc < reference.auc - 0.02")],
            ),
            ("an alert that is a number", &[("drift.share > 0.5", "drift.share")]),
            (
                "a rollback rule of a measure",
                &[("canary.error_rate > champion.error_rate + 0.01", "canary.auc < champion.auc")],
            ),
            (
                "gates without a release",
                &[("[release]", "[endpoints.other]"), ("model   = \"train\"", "#"), ("approve = []", "#")],
            ),
        ],
    );
}

#[test]
fn mistakes_of_release_endpoints_monitors_and_triggers() {
    shown(
        "release_endpoints_monitors_and_triggers",
        FLIGHTS,
        &[
            ("a release of no step", &[("model   = \"train\"", "model   = \"trian\"")]),
            ("a release of a step without a model", &[("model   = \"train\"", "model   = \"features\"")]),
            ("nobody judges the release", &[("[\"train\", \"simple\"]", "[\"simple\"]")]),
            ("two judge the release", &[("[gates]", "[steps.again]\nevaluate = [\"train\"]\n\n[gates]")]),
            ("a role that cannot approve", &[("approve = [] ", "approve = [\"viewer\"] ")]),
            (
                "two canaries",
                &[(
                    "[monitors.delay]",
                    "[endpoints.other]\ncanary = { share = 0.5, for = \"1 day\" }\n\n[monitors.delay]",
                )],
            ),
            ("a share of everything", &[("share = 0.1", "share = 1.0")]),
            (
                "a size that is none",
                &[("[monitors.delay]", "[endpoints.other]\nmax_body = \"big\"\n\n[monitors.delay]")],
            ),
            (
                "a size beyond what the server takes",
                &[("[monitors.delay]", "[endpoints.other]\nmax_body = \"1 GB\"\n\n[monitors.delay]")],
            ),
            ("a monitor of no endpoint", &[("endpoint = \"delay\"", "endpoint = \"delays\"")]),
            ("an event that is none", &[("\"alert:delay.stale\"", "\"tomorrow\"")]),
            ("an event of no kind", &[("\"alert:delay.stale\"", "\"alerts:delay.stale\"")]),
            ("an alert without its name", &[("\"alert:delay.stale\"", "\"alert:delay\"")]),
            ("an alert of no monitor", &[("\"alert:delay.stale\"", "\"alert:dealy.stale\"")]),
            ("an alert that is not there", &[("\"alert:delay.stale\"", "\"alert:delay.stole\"")]),
            ("a dataset that is not there", &[("\"alert:delay.stale\"", "\"dataset:feature\"")]),
            ("a schedule that is none", &[("\"alert:delay.stale\"", "\"schedule:every morning\"")]),
            ("a trigger that is planned", &[("\"alert:delay.stale\"", "\"git:main\"")]),
            ("a trigger that waits for nothing", &[("[\"alert:delay.stale\"]", "[]")]),
            ("a start that is none", &[("run = \"release\"", "run = \"relaese\"")]),
        ],
    );
}
