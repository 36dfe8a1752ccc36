//! Each kind of mistake, and the words it is told with.

use std::fmt::Write as _;

use crate::suite::{FLIGHTS, FLIGHTS_PYTHON, edit, judge};

/// A name, and what is written instead of what in the flights' project.
type Case = (&'static str, &'static [(&'static str, &'static str)]);

/// Snapshots what is told of each case; the snapshot is named for the test.
#[track_caller]
fn shown(name: &str, text: &str, cases: &[Case]) {
    insta::with_settings!({ omit_expression => true }, {
        insta::assert_snapshot!(name, told(text, cases));
    });
}

/// Judges the text once for each case, and gives every rendered mistake under the case's name.
fn told(text: &str, cases: &[Case]) -> String {
    let mut told = String::new();
    for (name, edits) in cases {
        let edited = edits.iter().fold(text.to_owned(), |text, (old, new)| edit(&text, old, new));
        let mistakes = judge(&edited).map(|_| ()).expect_err(name);
        let _ = writeln!(told, "── {name}\n{}", mistakes.render_plain());
    }
    told
}

#[test]
fn mistakes_of_toml() {
    shown("toml", FLIGHTS, &[
        ("a quote is not closed", &[("name     = \"flight-delays\"", "name     = \"flight-delays")]),
        ("an equals sign is missing", &[("kind   = \"binary\" ", "kind     \"binary\" ")]),
        ("a bracket is not closed", &[("[steps.features]", "[steps.features")]),
        ("a key twice", &[("mode   = \"append\"                      #", "key = [\"other\"]\nmode   = \"append\"                      #")]),
        ("a table twice", &[("[steps.simple]", "[steps.train]")]),
        ("two lines at once", &[("kind   = \"binary\" ", "kind   = binary "), ("run = \"release\" ", "run = release ")]),
    ]);
}

#[test]
fn mistakes_of_shape() {
    shown("shape", FLIGHTS, &[
        ("a misspelt section", &[("[datasets.schedule] ", "[datasetz.schedule] ")]),
        ("a misspelt key", &[("goal     =", "gaol     =")]),
        ("a misspelt key in a line", &[("at_least = 0.999", "atleast = 0.999")]),
        ("a key nothing is like", &[("window   = \"1 month\"", "window   = \"1 month\"\ncolour = \"red\"")]),
        ("a key at the top", &[("[project]", "name = \"x\"\n[project]")]),
        ("a needed key is missing", &[("target = \"late\"  ", "# ")]),
        ("a needed section is missing", &[("[project]\n", ""), ("name     = \"flight-delays\"\n", ""), ("goal     =", "# "), ("owners   =", "# "), ("timezone =", "# ")]),
        ("a name that is none", &[("name     = \"flight-delays\"", "name     = \"Flight Delays\"")]),
        ("a key that is no name", &[("[datasets.planes]", "[datasets.Planes]")]),
        ("a number for text", &[("every = \"1 month\" }   #", "every = 30 }   #")]),
        ("text for a number", &[("min_requests = 200", "min_requests = \"200\"")]),
        ("a negative number", &[("min_requests = 200", "min_requests = -200")]),
        ("text for a list", &[("key    = [\"flight_id\"]                 #", "key    = \"flight_id\"                 #")]),
        ("a number in a list of texts", &[("ignore = [\"tailnum\"]", "ignore = [\"tailnum\", 3]")]),
        ("text for a table", &[("source = { files = \"data/planes.csv\" }", "source = \"data/planes.csv\"")]),
        ("a table for text", &[("metric = \"auc\" ", "metric = { name = \"auc\" } ")]),
        ("a misspelt word", &[("mode   = \"replace\"", "mode   = \"replaced\"")]),
        ("a word nothing is like", &[("kind   = \"binary\"", "kind   = \"clustering\"")]),
        ("no duration", &[("within = \"45 days\"", "within = \"45 dayz\"")]),
        ("a duration of nothing", &[("within = \"45 days\"", "within = \"0 days\"")]),
        ("no role", &[("approve = [] ", "approve = [\"boss\"] ")]),
        ("a check that is a number", &[("volume       = \"count(*) BETWEEN 20000 AND 40000\"", "volume       = 20000")]),
        ("several at once", &[
            ("goal     =", "gaol     ="),
            ("kind   = \"binary\"", "kind   = \"binari\""),
            ("mode   = \"replace\"", "mode   = \"replaced\""),
            ("min_requests = 200", "min_requests = \"200\""),
            ("serving.p99_ms <= 5", "serving.p98_ms <= 5"),
        ]),
    ]);
}

#[test]
fn mistakes_of_project_and_task() {
    shown("project_and_task", FLIGHTS, &[
        ("a misspelt timezone", &[("\"America/New_York\"", "\"America/New_Yerk\"")]),
        ("the data is no dataset", &[("data   = \"features\"", "data   = \"feature\"")]),
        ("the measure is of another kind of task", &[("metric = \"auc\"", "metric = \"rmse\"")]),
        ("the measure is misspelt", &[("metric = \"auc\"", "metric = \"logloss\"")]),
        ("no key", &[("key    = [\"flight_id\"]                 #", "key    = []                 #")]),
        ("a column twice", &[("ignore = [\"tailnum\"]", "ignore = [\"tailnum\", \"tailnum\"]")]),
        ("the target is the time", &[("time   = \"time_hour\"", "time   = \"late\"")]),
        ("the target is the key", &[("key    = [\"flight_id\"]                 #", "key    = [\"late\"]                 #")]),
        ("the target is ignored", &[("ignore = [\"tailnum\"]", "ignore = [\"late\"]")]),
        ("what is ignored is allowed", &[("ignore = [\"tailnum\"]", "ignore = [\"tailnum\"]\nallow = [\"tailnum\"]")]),
        ("no task", &[
            ("[task] ", "[triggers.task] #"), ("kind   = \"binary\" ", "on = [\"dataset:planes\"] #"), ("data   = \"features\"", "run = \"run\" #"), ("target = \"late\"", "#"),
            ("key    = [\"flight_id\"]                 #", "#"), ("time   = \"time_hour\"", "#"), ("test   =", "#"), ("within =", "#"),
            ("metric =", "#"), ("ignore =", "#"),
        ]),
    ]);
}

#[test]
fn mistakes_of_datasets_and_checks() {
    shown("datasets_and_checks", FLIGHTS, &[
        ("a source that is planned", &[("source = { files = \"data/planes.csv\" }", "source = { sql = \"SELECT 1\", every = \"1 day\" }")]),
        ("files outside the project", &[("data/planes.csv", "../planes.csv")]),
        ("files by an absolute path", &[("data/planes.csv", "/etc/planes.csv")]),
        ("a scheme that is not known", &[("data/planes.csv", "ftp://host/planes.csv")]),
        ("no format", &[("data/planes.csv", "data/planes.txt")]),
        ("columns beside a header", &[("\"data/planes.csv\"", "\"data/planes.csv\", columns = [\"a\"]")]),
        ("neither header nor columns", &[("\"data/planes.csv\"", "\"data/planes.csv\", header = false")]),
        ("a header of Parquet", &[("\"data/arrivals/*.parquet\"", "\"data/arrivals/*.parquet\", header = false")]),
        ("merge without a key", &[("mode   = \"replace\"", "mode   = \"merge\"")]),
        ("checks of no dataset", &[("[checks.schedule]", "[checks.schedul]")]),
        ("a check without a question", &[("{ that = \"distance BETWEEN 10 AND 6000\", at_least = 0.999 }", "{ at_least = 0.999 }")]),
        ("a check with two questions", &[("column = \"tailnum\", references", "column = \"tailnum\", unique = true, references")]),
        ("a question turned off", &[("{ that = \"distance BETWEEN 10 AND 6000\", at_least = 0.999 }", "{ column = \"a\", unique = false }")]),
        ("a question without a column", &[("column = \"tailnum\", references", "references")]),
        ("a condition with a column", &[("{ that = \"distance", "{ column = \"distance\", that = \"distance")]),
        ("an empty condition", &[("\"count(*) BETWEEN 20000 AND 40000\"", "\"\"")]),
        ("a share over one", &[("at_least = 0.999", "at_least = 99.9")]),
        ("references without a column", &[("\"planes.tailnum\"", "\"planes\"")]),
        ("references to no dataset", &[("\"planes.tailnum\"", "\"plane.tailnum\"")]),
        ("references of two columns", &[("column = \"tailnum\", references", "columns = [\"tailnum\", \"year\"], references")]),
        ("a check's name", &[("origin_known =", "\"Origin known\" =")]),
    ]);
}

#[test]
fn mistakes_of_steps() {
    shown("steps", FLIGHTS, &[
        ("a step that does nothing", &[("sql = \"sql/features.sql\"", "#")]),
        ("a step of two kinds", &[("train = \"linear\"", "train = \"linear\"\nsql = \"sql/features.sql\"")]),
        ("a key of another kind", &[("train = \"linear\"", "train = \"linear\"\nslices = [\"origin\"]\ninputs = [\"features\"]")]),
        ("a step with a fact's name", &[("[steps.simple]", "[steps.champion]"), ("[\"train\", \"simple\"]", "[\"train\", \"champion\"]"), (" && candidate.auc >= simple.auc", "")]),
        ("a model with a minus", &[("[steps.simple]", "[steps.too-simple]"), ("[\"train\", \"simple\"]", "[\"train\", \"too-simple\"]"), (" && candidate.auc >= simple.auc", "")]),
        ("a step makes what has a source", &[("[steps.features]", "[steps.planes]")]),
        ("no file with that SQL", &[("sql/features.sql", "sql/feature.sql")]),
        ("SQL of a table that is no dataset", &[("sql/features.sql", "sql/misspelt.sql")]),
        ("SQL that is none", &[("sql/features.sql", "sql/broken.sql")]),
        ("SQL outside the project", &[("sql/features.sql", "../features.sql")]),
        ("a step that needs itself", &[("sql/features.sql", "sql/own.sql")]),
        ("a trainer that is misspelt", &[("train  = \"gbdt\"", "train  = \"gdbt\"")]),
        ("a parameter that is misspelt", &[("learning_rate", "learning_rat")]),
        ("a parameter out of range", &[("trees = 300", "trees = 0")]),
        ("a parameter of another type", &[("learning_rate = 0.05", "learning_rate = \"slow\", growth = \"wide\", sampled = 1")]),
        ("a model that is none", &[("[\"train\", \"simple\"]", "[\"train\", \"simpel\"]")]),
        ("a step that makes no model", &[("[\"train\", \"simple\"]", "[\"train\", \"features\"]")]),
        ("a model twice", &[("[\"train\", \"simple\"]", "[\"train\", \"simple\", \"train\"]")]),
        ("a slice of the target", &[("[\"origin\", \"carrier\"]", "[\"origin\", \"late\"]")]),
        ("what is planned", &[("train = \"linear\"", "train = \"linear\"\nforeach = [1, 2]")]),
    ]);
}

#[test]
fn mistakes_of_commands() {
    shown("commands", FLIGHTS_PYTHON, &[
        ("a command with an open quote", &[("\"python train.py\"", "\"python 'train.py\"")]),
        ("an empty command", &[("\"python train.py\"", "\" \"")]),
        ("a command that is a number", &[("\"python train.py\"", "7")]),
        ("an input that is no dataset", &[("\"features.train\"", "\"schedul\"")]),
        ("a part that is neither", &[("\"features.train\"", "\"features.trian\"")]),
        ("a part of another dataset", &[("\"features.train\"", "\"schedule.train\"")]),
        ("its own output", &[("\"features.train\"", "\"train.model\"")]),
        ("another step's output", &[("\"features.train\"", "\"simple.modle\"")]),
        ("code that is not there", &[("[\"train.py\"]", "[\"trian.py\"]")]),
        ("an environment that is planned", &[("\"uv:requirements.txt\"", "\"conda:lock.yml\"")]),
        ("an environment that is none", &[("\"uv:requirements.txt\"", "\"venv\"")]),
        ("requirements that are not there", &[("\"uv:requirements.txt\"", "\"uv:requirement.txt\"")]),
        ("a kind of output", &[("kind = \"model\"", "kind = \"modle\"")]),
        ("an output outside", &[("path = \"model\"", "path = \"../model\"")]),
        ("an output without a path", &[("path = \"model\", ", "")]),
        ("two models", &[("{ model = { path", "{ other = { path = \"o\", kind = \"model\" }, model = { path")]),
        ("a dataset that is made twice", &[("{ model = { path", "{ features = { path = \"f\", kind = \"dataset\" }, model = { path")]),
        ("limits that are none", &[("code    = [\"train.py\"]", "code    = [\"train.py\"]\nlimits = { memory = \"lots\", cpus = 0.0, time = \"soon\" }\nretries = 11")]),
        ("a step in a circle", &[("\"features.train\"", "\"simple.model\""), ("[steps.simple]                         # what a model must at least beat\ntrain = \"linear\"", "[steps.simple]\nrun = \"x\"\ninputs = [\"train.model\"]\noutputs = { model = { path = \"m\", kind = \"model\" } }")]),
    ]);
}

#[test]
fn mistakes_of_expressions() {
    shown("expressions", FLIGHTS, &[
        ("a measure that is misspelt", &[("candidate.auc >= champion.auc + 0.005", "candidate.acu >= champion.auc + 0.005")]),
        ("a fact that is not there", &[("serving.p99_ms <= 5", "latency.p99_ms <= 5")]),
        ("a model that is not judged", &[("candidate.auc >= simple.auc\"", "candidate.auc >= simpel.auc\"")]),
        ("a field of a slice", &[("s.rows < 1000", "s.row < 1000")]),
        ("what is no question", &[("serving.p99_ms <= 5", "serving.p99_ms")]),
        ("numbers and text", &[("serving.p99_ms <= 5", "serving.p99_ms <= '5'")]),
        ("a gate that ends too early", &[("serving.p99_ms <= 5", "serving.p99_ms <=")]),
        ("an operator that is none", &[("serving.p99_ms <= 5", "serving.p99_ms =< 5")]),
        ("a mistake in the third line of a text", &[("\"serving.p99_ms <= 5\"", "'''\nserving.p99_ms <= 5\n&& candidate.auk > 0.5'''")]),
        ("a mistake after an escape", &[("serving.p99_ms <= 5", "\\u0028\\t'\\\"' == 'é') && serving.p98_ms <= 5")]),
        ("a gate's name", &[("fast   =", "Fast   =")]),
        ("an alert of a fact it does not have", &[("auc < reference.auc - 0.02", "candidate.auc < reference.auc - 0.02")]),
        ("an alert that is a number", &[("drift.share > 0.5", "drift.share")]),
        ("a rollback rule of a measure", &[("canary.error_rate > champion.error_rate + 0.01", "canary.auc < champion.auc")]),
        ("gates without a release", &[("[release]", "[endpoints.other]"), ("model   = \"train\"", "#"), ("approve = []", "#")]),
    ]);
}

#[test]
fn mistakes_of_release_endpoints_monitors_and_triggers() {
    shown("release_endpoints_monitors_and_triggers", FLIGHTS, &[
        ("a release of no step", &[("model   = \"train\"", "model   = \"trian\"")]),
        ("a release of a step without a model", &[("model   = \"train\"", "model   = \"features\"")]),
        ("nobody judges the release", &[("[\"train\", \"simple\"]", "[\"simple\"]")]),
        ("two judge the release", &[("[gates]", "[steps.again]\nevaluate = [\"train\"]\n\n[gates]")]),
        ("a role that cannot approve", &[("approve = [] ", "approve = [\"viewer\"] ")]),
        ("two canaries", &[("[monitors.delay]", "[endpoints.other]\ncanary = { share = 0.5, for = \"1 day\" }\n\n[monitors.delay]")]),
        ("a share of everything", &[("share = 0.1", "share = 1.0")]),
        ("a size that is none", &[("[monitors.delay]", "[endpoints.other]\nmax_body = \"big\"\n\n[monitors.delay]")]),
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
    ]);
}
