//! The task, datasets and their checks.

use super::shown;
use crate::suite::FLIGHTS;

#[test]
fn mistakes_of_project_and_task() {
    shown(
        "project_and_task",
        FLIGHTS,
        &[
            ("a misspelt timezone", &[("\"America/New_York\"", "\"America/New_Yerk\"")]),
            ("the data is no dataset", &[("data   = \"features\"", "data   = \"feature\"")]),
            ("the measure is of another kind of task", &[("metric = \"auc\"", "metric = \"rmse\"")]),
            ("the measure is misspelt", &[("metric = \"auc\"", "metric = \"logloss\"")]),
            ("no key", &[("key    = [\"flight_id\"]                 #", "key    = []                 #")]),
            ("a column twice", &[("ignore = [\"tailnum\"]", "ignore = [\"tailnum\", \"tailnum\"]")]),
            ("the target is the time", &[("time   = \"time_hour\"", "time   = \"late\"")]),
            (
                "the target is the key",
                &[("key    = [\"flight_id\"]                 #", "key    = [\"late\"]                 #")],
            ),
            ("the target is ignored", &[("ignore = [\"tailnum\"]", "ignore = [\"late\"]")]),
            (
                "what is ignored is allowed",
                &[("ignore = [\"tailnum\"]", "ignore = [\"tailnum\"]\nallow = [\"tailnum\"]")],
            ),
            (
                "no task",
                &[
                    ("[task] ", "[triggers.task] #"),
                    ("kind   = \"binary\" ", "on = [\"dataset:planes\"] #"),
                    ("data   = \"features\"", "run = \"run\" #"),
                    ("target = \"late\"", "#"),
                    ("key    = [\"flight_id\"]                 #", "#"),
                    ("time   = \"time_hour\"", "#"),
                    ("test   =", "#"),
                    ("within =", "#"),
                    ("metric =", "#"),
                    ("ignore =", "#"),
                ],
            ),
        ],
    );
}

#[test]
fn mistakes_of_datasets_and_checks() {
    shown(
        "datasets_and_checks",
        FLIGHTS,
        &[
            (
                "a source that is planned",
                &[("source = { files = \"data/planes.csv\" }", "source = { sql = \"SELECT 1\", every = \"1 day\" }")],
            ),
            ("files outside the project", &[("data/planes.csv", "../planes.csv")]),
            ("files by an absolute path", &[("data/planes.csv", "/etc/planes.csv")]),
            ("a scheme that is not known", &[("data/planes.csv", "ftp://host/planes.csv")]),
            ("a scheme that nobody lists files of", &[("data/planes.csv", "https://host/planes.csv")]),
            ("no format", &[("data/planes.csv", "data/planes.txt")]),
            ("columns beside a header", &[("\"data/planes.csv\"", "\"data/planes.csv\", columns = [\"a\"]")]),
            ("neither header nor columns", &[("\"data/planes.csv\"", "\"data/planes.csv\", header = false")]),
            ("a header of Parquet", &[("\"data/arrivals/*.parquet\"", "\"data/arrivals/*.parquet\", header = false")]),
            ("merge without a key", &[("mode   = \"replace\"", "mode   = \"merge\"")]),
            (
                "a dataset with the name of predictions",
                &[
                    ("[datasets.planes]", "[datasets.predictions_delay]"),
                    ("\"planes.tailnum\"", "\"weather.tailnum\""),
                    ("sql/features.sql", "sql/looking_back.sql"),
                ],
            ),
            ("checks of predictions", &[("[checks.schedule]", "[checks.predictions_delay]")]),
            ("checks of no dataset", &[("[checks.schedule]", "[checks.schedul]")]),
            (
                "a check without a question",
                &[("{ that = \"distance BETWEEN 10 AND 6000\", at_least = 0.999 }", "{ at_least = 0.999 }")],
            ),
            (
                "a check with two questions",
                &[("column = \"tailnum\", references", "column = \"tailnum\", unique = true, references")],
            ),
            (
                "a question turned off",
                &[(
                    "{ that = \"distance BETWEEN 10 AND 6000\", at_least = 0.999 }",
                    "{ column = \"a\", unique = false }",
                )],
            ),
            ("a question without a column", &[("column = \"tailnum\", references", "references")]),
            ("a condition with a column", &[("{ that = \"distance", "{ column = \"distance\", that = \"distance")]),
            ("an empty condition", &[("\"count(*) BETWEEN 20000 AND 40000\"", "\"\"")]),
            ("a condition that does not read", &[("distance BETWEEN 10 AND 6000", "distance <")]),
            ("a short condition that does not read", &[("\"count(*) BETWEEN 20000 AND 40000\"", "\"count(*) >\"")]),
            ("a share over one", &[("at_least = 0.999", "at_least = 99.9")]),
            ("references without a column", &[("\"planes.tailnum\"", "\"planes\"")]),
            ("references to no dataset", &[("\"planes.tailnum\"", "\"plane.tailnum\"")]),
            (
                "references of two columns",
                &[("column = \"tailnum\", references", "columns = [\"tailnum\", \"year\"], references")],
            ),
            ("a check's name", &[("origin_known =", "\"Origin known\" =")]),
        ],
    );
}
