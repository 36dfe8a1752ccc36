//! The task, datasets and their checks.

use super::assert_errors;
use crate::suite::Edit::{Remove, Rename, Set};
use crate::suite::FLIGHTS;

#[test]
fn errors_of_project_and_task() {
    assert_errors(
        "project_and_task",
        FLIGHTS,
        &[
            ("a misspelt timezone", &[Set("project.timezone", "'America/New_Yerk'")]),
            ("an unknown dataset", &[Set("task.data", "'feature'")]),
            ("a metric of another kind of task", &[Set("task.metric", "'rmse'")]),
            ("a misspelt metric", &[Set("task.metric", "'logloss'")]),
            ("an empty key", &[Set("task.key", "[]")]),
            ("a repeated column", &[Set("task.ignore", "['tailnum', 'tailnum']")]),
            ("the target is the time", &[Set("task.time", "'late'")]),
            ("the target is the key", &[Set("task.key", "['late']")]),
            ("the target is ignored", &[Set("task.ignore", "['late']")]),
            ("an ignored column is allowed", &[Set("task.allow", "['tailnum']")]),
            ("no task", &[Remove("task")]),
        ],
    );
}

#[test]
fn errors_of_datasets_and_checks() {
    assert_errors(
        "datasets_and_checks",
        FLIGHTS,
        &[
            ("an unsupported source", &[Set("datasets.planes.source", "{ sql = 'SELECT 1', every = '1 day' }")]),
            ("files outside the project", &[Set("datasets.planes.source.files", "'../planes.csv'")]),
            ("files by an absolute path", &[Set("datasets.planes.source.files", "'/etc/planes.csv'")]),
            ("an unknown scheme", &[Set("datasets.planes.source.files", "'ftp://host/planes.csv'")]),
            ("a scheme without listing", &[Set("datasets.planes.source.files", "'https://host/planes.csv'")]),
            ("no format", &[Set("datasets.planes.source.files", "'data/planes.txt'")]),
            ("columns beside a header", &[Set("datasets.planes.source.columns", "['a']")]),
            ("neither header nor columns", &[Set("datasets.planes.source.header", "false")]),
            ("a header of Parquet", &[Set("datasets.arrivals.source.header", "false")]),
            ("columns of Parquet", &[Set("datasets.arrivals.source.columns", "['a']")]),
            ("an unknown form of a settle time", &[Set("datasets.planes.source.settle", "'soon'")]),
            (
                "a settle time of objects",
                &[
                    Set("datasets.planes.source.files", "'s3://bucket/planes.csv'"),
                    Set("datasets.planes.source.settle", "'2 s'"),
                ],
            ),
            ("a misspelt timezone of a source", &[Set("datasets.planes.source.timezone", "'Europe/Zurick'")]),
            ("merge without a key", &[Set("datasets.planes.mode", "'merge'")]),
            (
                "a dataset with the name of predictions",
                &[
                    Rename("datasets.planes", "predictions_delay"),
                    Set("checks.schedule.plane_known.references", "'weather.tailnum'"),
                    Set("steps.features.sql", "'sql/looking_back.sql'"),
                ],
            ),
            ("checks of predictions", &[Rename("checks.schedule", "predictions_delay")]),
            ("checks of an unknown dataset", &[Rename("checks.schedule", "schedul")]),
            ("a check of no kind", &[Set("checks.schedule.far_enough", "{ at_least = 0.999 }")]),
            ("a check of two kinds", &[Set("checks.schedule.plane_known.unique", "true")]),
            ("a check turned off", &[Set("checks.schedule.far_enough", "{ column = 'a', unique = false }")]),
            ("a check without a column", &[Remove("checks.schedule.plane_known.column")]),
            ("a condition with a column", &[Set("checks.schedule.far_enough.column", "'distance'")]),
            ("an empty condition", &[Set("checks.schedule.volume", "''")]),
            ("an invalid condition", &[Set("checks.schedule.far_enough.that", "'distance <'")]),
            ("an invalid short condition", &[Set("checks.schedule.volume", "'count(*) >'")]),
            ("a share above one", &[Set("checks.schedule.far_enough.at_least", "99.9")]),
            ("references without a column", &[Set("checks.schedule.plane_known.references", "'planes'")]),
            ("references to an unknown dataset", &[Set("checks.schedule.plane_known.references", "'plane.tailnum'")]),
            (
                "references of two columns",
                &[
                    Remove("checks.schedule.plane_known.column"),
                    Set("checks.schedule.plane_known.columns", "['tailnum', 'year']"),
                ],
            ),
            ("an invalid name of a check", &[Rename("checks.schedule.origin_known", "\"Origin known\"")]),
        ],
    );
}
