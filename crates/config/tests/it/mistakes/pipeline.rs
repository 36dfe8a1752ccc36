//! Steps, and the commands they run.

use super::shown;
use crate::suite::{FLIGHTS, FLIGHTS_PYTHON};

#[test]
fn mistakes_of_steps() {
    shown(
        "steps",
        FLIGHTS,
        &[
            ("a step that does nothing", &[("sql = \"sql/features.sql\"", "#")]),
            ("a step of two kinds", &[("train = \"linear\"", "train = \"linear\"\nsql = \"sql/features.sql\"")]),
            (
                "a key of another kind",
                &[("train = \"linear\"", "train = \"linear\"\nslices = [\"origin\"]\ninputs = [\"features\"]")],
            ),
            (
                "a step with a fact's name",
                &[
                    ("[steps.simple]", "[steps.champion]"),
                    ("[\"train\", \"simple\"]", "[\"train\", \"champion\"]"),
                    (" && candidate.auc >= simple.auc", ""),
                ],
            ),
            (
                "a model with a minus",
                &[
                    ("[steps.simple]", "[steps.too-simple]"),
                    ("[\"train\", \"simple\"]", "[\"train\", \"too-simple\"]"),
                    (" && candidate.auc >= simple.auc", ""),
                ],
            ),
            ("a step makes what has a source", &[("[steps.features]", "[steps.planes]")]),
            ("no file with that SQL", &[("sql/features.sql", "sql/feature.sql")]),
            ("SQL of a table that is no dataset", &[("sql/features.sql", "sql/misspelt.sql")]),
            ("SQL that is none", &[("sql/features.sql", "sql/broken.sql")]),
            ("SQL outside the project", &[("sql/features.sql", "../features.sql")]),
            ("a step that needs itself", &[("sql/features.sql", "sql/own.sql")]),
            ("a trainer that is misspelt", &[("train  = \"gbdt\"", "train  = \"gdbt\"")]),
            ("a parameter that is misspelt", &[("learning_rate", "learning_rat")]),
            ("a parameter out of range", &[("trees = 300", "trees = 0")]),
            (
                "a parameter of another type",
                &[("learning_rate = 0.05", "learning_rate = \"slow\", growth = \"wide\", sampled = 1")],
            ),
            ("a model that is none", &[("[\"train\", \"simple\"]", "[\"train\", \"simpel\"]")]),
            ("a step that makes no model", &[("[\"train\", \"simple\"]", "[\"train\", \"features\"]")]),
            ("a model twice", &[("[\"train\", \"simple\"]", "[\"train\", \"simple\", \"train\"]")]),
            ("a slice of the target", &[("[\"origin\", \"carrier\"]", "[\"origin\", \"late\"]")]),
            ("what is planned", &[("train = \"linear\"", "train = \"linear\"\nforeach = [1, 2]")]),
        ],
    );
}

#[test]
fn mistakes_of_commands() {
    shown(
        "commands",
        FLIGHTS_PYTHON,
        &[
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
            (
                "a dataset that is made twice",
                &[("{ model = { path", "{ features = { path = \"f\", kind = \"dataset\" }, model = { path")],
            ),
            (
                "limits that are none",
                &[(
                    "code    = [\"train.py\"]",
                    "code    = [\"train.py\"]\nlimits = { memory = \"lots\", cpus = 0.0, time = \"soon\" }\nretries = 11",
                )],
            ),
            (
                "a step in a circle",
                &[
                    ("\"features.train\"", "\"simple.model\""),
                    (
                        "[steps.simple]                         # what a model must at least beat\ntrain = \"linear\"",
                        "[steps.simple]\nrun = \"x\"\ninputs = [\"train.model\"]\noutputs = { model = { path = \"m\", kind = \"model\" } }",
                    ),
                ],
            ),
        ],
    );
}
