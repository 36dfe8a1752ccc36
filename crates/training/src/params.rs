//! The parameters of the trainers, and judging them.

use serde_json::{Map, Number, Value};

use crate::{Error, Kind};

/// Names further away than this are no misspelling.
const SUGGESTION_DISTANCE_MAX: usize = 3;

/// One parameter of a trainer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ParamSpec {
    /// Its name in `params`.
    pub name: &'static str,
    /// What values it takes.
    pub range: Range,
    /// The value where it is not said.
    pub default: f64,
    /// Its meaning, in one line.
    pub about: &'static str,
}

/// The values a parameter takes; both ends belong to it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Range {
    /// Whole numbers.
    Whole {
        /// The smallest.
        min: u64,
        /// The largest.
        max: u64,
    },
    /// Numbers.
    Number {
        /// The smallest.
        min: f64,
        /// The largest.
        max: f64,
    },
}

impl std::fmt::Display for Range {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Whole { min, max } => write!(f, "a whole number from {min} to {max}"),
            Self::Number { min, max } => write!(f, "a number from {min} to {max}"),
        }
    }
}

const fn whole(name: &'static str, default: u64, min: u64, max: u64, about: &'static str) -> ParamSpec {
    ParamSpec { name, range: Range::Whole { min, max }, default: default as f64, about }
}

const fn number(name: &'static str, default: f64, min: f64, max: f64, about: &'static str) -> ParamSpec {
    ParamSpec { name, range: Range::Number { min, max }, default, about }
}

const GBDT: &[ParamSpec] = &[
    whole("trees", 300, 1, 10_000, "trees a model has; with several classes, trees a class"),
    number("learning_rate", 0.05, 0.000_1, 1.0, "how much of each tree's answer is taken"),
    whole("depth", 5, 1, 32, "splits between root and leaf, at most"),
    whole("leaves", 32, 2, 4_096, "leaves of a tree, at most"),
    number(
        "min_leaf_weight",
        5.0,
        0.0,
        1e9,
        "least weight of a leaf: rows for numbers, the sum of p * (1 - p) for classes",
    ),
    number("l2", 1.0, 0.0, 1e9, "how strongly the answers of leaves are drawn to zero"),
    number("subsample", 1.0, 0.01, 1.0, "share of the rows each tree sees"),
    number("columns", 1.0, 0.01, 1.0, "share of the features each tree sees"),
    whole("bins", 255, 2, 4_096, "steps that a feature's values are told apart by, at most"),
    whole("seed", 0, 0, u32::MAX as u64, "start of the random choices of rows and features"),
];

const LINEAR: &[ParamSpec] = &[
    number("l2", 1.0, 0.0, 1e9, "how strongly coefficients are drawn to zero, against the summed loss"),
    whole("iterations", 100, 1, 10_000, "Newton steps, at most"),
    number(
        "tolerance",
        1e-6,
        1e-9,
        0.1,
        "the gradient's length, as a share of that at the start, that ends the search",
    ),
];

/// The parameters of a trainer.
pub fn params(kind: Kind) -> &'static [ParamSpec] {
    match kind {
        Kind::Gbdt => GBDT,
        Kind::Linear => LINEAR,
    }
}

/// Judges `given` and fills in the defaults; the answer holds every parameter, in the order of [`params`].
pub fn judge(kind: Kind, given: &Map<String, Value>) -> Result<Map<String, Value>, Error> {
    let specs = params(kind);
    for name in given.keys() {
        if !specs.iter().any(|spec| spec.name == name) {
            return Err(Error::UnknownParam {
                trainer: kind.as_str(),
                name: name.clone(),
                suggestion: suggestion(name, specs),
                known: specs.iter().map(|spec| spec.name).collect(),
            });
        }
    }
    specs
        .iter()
        .map(|spec| {
            let value = match given.get(spec.name) {
                None => spec.default_value(),
                Some(value) if spec.takes(value) => value.clone(),
                Some(value) => {
                    return Err(Error::ParamValue {
                        name: spec.name,
                        value: value.to_string(),
                        expected: spec.range.to_string(),
                    });
                }
            };
            Ok((spec.name.to_owned(), value))
        })
        .collect()
}

impl ParamSpec {
    /// The default as JSON, a whole number where the parameter is one.
    pub fn default_value(&self) -> Value {
        match self.range {
            Range::Whole { .. } => Value::from(self.default as u64),
            Range::Number { .. } => Number::from_f64(self.default).map_or(Value::Null, Value::Number),
        }
    }

    /// Whether `value` is of its kind and in its range.
    fn takes(&self, value: &Value) -> bool {
        match self.range {
            Range::Whole { min, max } => value.as_u64().is_some_and(|value| (min..=max).contains(&value)),
            Range::Number { min, max } => value.as_f64().is_some_and(|value| (min..=max).contains(&value)),
        }
    }
}

fn suggestion(name: &str, specs: &[ParamSpec]) -> Option<&'static str> {
    // Words that other trainers use for the same thing.
    const KNOWN_AS: &[(&str, &str)] = &[
        ("n_estimators", "trees"),
        ("num_iterations", "trees"),
        ("num_trees", "trees"),
        ("eta", "learning_rate"),
        ("rate", "learning_rate"),
        ("max_depth", "depth"),
        ("num_leaves", "leaves"),
        ("max_leaves", "leaves"),
        ("min_child_weight", "min_leaf_weight"),
        ("reg_lambda", "l2"),
        ("lambda", "l2"),
        ("alpha", "l2"),
        ("colsample_bytree", "columns"),
        ("feature_fraction", "columns"),
        ("bagging_fraction", "subsample"),
        ("max_bin", "bins"),
        ("random_state", "seed"),
        ("max_iter", "iterations"),
        ("tol", "tolerance"),
    ];
    let known = |wanted: &str| specs.iter().map(|spec| spec.name).find(|&spec| spec == wanted);
    if let Some(found) = KNOWN_AS.iter().find(|(word, _)| *word == name).and_then(|(_, wanted)| known(wanted)) {
        return Some(found);
    }
    specs
        .iter()
        .map(|spec| (strsim::damerau_levenshtein(name, spec.name), spec.name))
        .filter(|(distance, spec)| *distance <= SUGGESTION_DISTANCE_MAX && *distance < spec.len())
        .min()
        .map(|(_, spec)| spec)
}

/// Judged parameters by name.
pub(crate) struct Judged<'a>(pub(crate) &'a Map<String, Value>);

impl Judged<'_> {
    /// A whole number; it is there because [`judge`] filled it in.
    pub(crate) fn whole(&self, name: &str) -> u64 {
        self.0.get(name).and_then(Value::as_u64).unwrap_or_default()
    }

    /// A number; it is there because [`judge`] filled it in.
    pub(crate) fn number(&self, name: &str) -> f64 {
        self.0.get(name).and_then(Value::as_f64).unwrap_or_default()
    }
}
