//! Steps, and the commands they run.

use super::assert_errors;
use crate::suite::Edit::{Append, Remove, Rename, Set};
use crate::suite::{FLIGHTS, FLIGHTS_PYTHON};

/// A gate that does not name the model `simple`.
const BETTER: &str = "'candidate.auc >= champion.auc + 0.005'";

#[test]
fn errors_of_steps() {
    assert_errors(
        "steps",
        FLIGHTS,
        &[
            ("a step of no kind", &[Remove("steps.features.sql")]),
            ("a step of two kinds", &[Set("steps.simple.sql", "'sql/features.sql'")]),
            (
                "keys of another kind",
                &[Set("steps.simple.slices", "['origin']"), Set("steps.simple.inputs", "['features']")],
            ),
            (
                "a step with the name of a fact",
                &[
                    Rename("steps.simple", "champion"),
                    Set("steps.evaluation.evaluate", "['train', 'champion']"),
                    Set("gates.better", BETTER),
                ],
            ),
            (
                "a model with a minus sign",
                &[
                    Rename("steps.simple", "too-simple"),
                    Set("steps.evaluation.evaluate", "['train', 'too-simple']"),
                    Set("gates.better", BETTER),
                ],
            ),
            ("a step with the name of a source", &[Rename("steps.features", "planes")]),
            ("a missing file of SQL", &[Set("steps.features.sql", "'sql/feature.sql'")]),
            ("SQL over an unknown dataset", &[Set("steps.features.sql", "'sql/misspelt.sql'")]),
            ("invalid SQL", &[Set("steps.features.sql", "'sql/broken.sql'")]),
            ("SQL outside the project", &[Set("steps.features.sql", "'../features.sql'")]),
            ("a step that reads its own output", &[Set("steps.features.sql", "'sql/own.sql'")]),
            ("a misspelt trainer", &[Set("steps.train.train", "'gdbt'")]),
            ("a misspelt parameter", &[Rename("steps.train.params.learning_rate", "learning_rat")]),
            ("a parameter out of range", &[Set("steps.train.params.trees", "0")]),
            (
                "parameters of another type",
                &[Set("steps.train.params", "{ learning_rate = 'slow', growth = 'wide', sampled = 1 }")],
            ),
            ("an unknown model", &[Set("steps.evaluation.evaluate", "['train', 'simpel']")]),
            ("a step without a model", &[Set("steps.evaluation.evaluate", "['train', 'features']")]),
            ("a repeated model", &[Set("steps.evaluation.evaluate", "['train', 'simple', 'train']")]),
            ("a slice of the target", &[Set("steps.evaluation.slices", "['origin', 'late']")]),
            ("an unsupported key", &[Set("steps.simple.foreach", "[1, 2]")]),
        ],
    );
}

#[test]
fn errors_of_commands() {
    assert_errors(
        "commands",
        FLIGHTS_PYTHON,
        &[
            ("a command with an open quote", &[Set("steps.train.run", "\"python 'train.py\"")]),
            ("an empty command", &[Set("steps.train.run", "' '")]),
            ("a number for a command", &[Set("steps.train.run", "7")]),
            ("an unknown dataset as input", &[Set("steps.train.inputs", "['schedul']")]),
            ("an unknown part of the task's dataset", &[Set("steps.train.inputs", "['features.trian']")]),
            ("a part of another dataset", &[Set("steps.train.inputs", "['schedule.train']")]),
            ("its own output as input", &[Set("steps.train.inputs", "['train.model']")]),
            ("an unknown output of another step", &[Set("steps.train.inputs", "['simple.modle']")]),
            ("missing code", &[Set("steps.train.code", "['trian.py']")]),
            ("an unsupported environment", &[Set("steps.train.env", "'conda:lock.yml'")]),
            ("an unknown environment", &[Set("steps.train.env", "'venv'")]),
            ("missing requirements", &[Set("steps.train.env", "'uv:requirement.txt'")]),
            ("an unknown kind of output", &[Set("steps.train.outputs.model.kind", "'modle'")]),
            ("an output outside the folder", &[Set("steps.train.outputs.model.path", "'../model'")]),
            ("an output without a path", &[Remove("steps.train.outputs.model.path")]),
            ("two models", &[Set("steps.train.outputs.other", "{ path = 'o', kind = 'model' }")]),
            ("a dataset of two steps", &[Set("steps.train.outputs.features", "{ path = 'f', kind = 'dataset' }")]),
            (
                "invalid limits",
                &[
                    Set("steps.train.limits", "{ memory = 'lots', cpus = 0.0, time = 'soon' }"),
                    Set("steps.train.retries", "11"),
                ],
            ),
            (
                "a cycle",
                &[
                    Set("steps.train.inputs", "['simple.model']"),
                    Remove("steps.simple"),
                    Append(
                        "[steps.simple]\nrun = 'x'\ninputs = ['train.model']\noutputs = { model = { path = 'm', kind = 'model' } }\n",
                    ),
                ],
            ),
        ],
    );
}
