//! Parameters of the trainers, and their validation.

use serde_json::{Map, Number, Value};

use crate::{Error, Kind};

/// Largest edit distance at which a parameter is suggested for an unknown name.
const SUGGESTION_DISTANCE_MAX: usize = 3;

/// One parameter of a trainer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ParamSpec {
    /// Name in `params`.
    pub name: &'static str,
    /// Accepted values.
    pub range: Range,
    /// Value used when the parameter is not given.
    pub default: f64,
    /// Meaning, in one line.
    pub about: &'static str,
}

/// The range of a parameter, inclusive at both ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Range {
    /// Whole numbers.
    Whole {
        /// Smallest value.
        min: u64,
        /// Largest value.
        max: u64,
    },
    /// Numbers, whole or not.
    Number {
        /// Smallest value.
        min: f64,
        /// Largest value.
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

/// Least weight of a leaf where the rows have weight enough for many such leaves.
pub(crate) const MIN_LEAF_WEIGHT_DEFAULT: f64 = 5.0;

const GBDT: &[ParamSpec] = &[
    whole("trees", 300, 1, 10_000, "number of trees; with several classes, of each class"),
    number("learning_rate", 0.05, 0.000_1, 1.0, "factor applied to the output of each tree"),
    whole("depth", 5, 1, 32, "maximum number of splits between root and leaf"),
    whole("leaves", 32, 2, 4_096, "maximum number of leaves of a tree"),
    number(
        "min_leaf_weight",
        MIN_LEAF_WEIGHT_DEFAULT,
        0.0,
        1e9,
        "minimum weight of a leaf: number of rows for regression, sum of p * (1 - p) for classes; unless given, at most 1/40 of the weight of all rows",
    ),
    number("l2", 1.0, 0.0, 1e9, "L2 penalty on the outputs of leaves"),
    number("subsample", 1.0, 0.01, 1.0, "share of the rows used for each tree"),
    number("columns", 1.0, 0.01, 1.0, "share of the features used for each tree"),
    whole("bins", 255, 2, 4_096, "maximum number of histogram bins of a feature"),
    whole("seed", 0, 0, u32::MAX as u64, "seed of the random selection of rows and features"),
];

const LINEAR: &[ParamSpec] = &[
    number("l2", 1.0, 0.0, 1e9, "L2 penalty on the coefficients, relative to the summed loss"),
    whole("iterations", 100, 1, 10_000, "maximum number of Newton iterations"),
    number(
        "tolerance",
        1e-6,
        1e-9,
        0.1,
        "the fit ends when the norm of the gradient falls below this share of its initial norm",
    ),
];

/// The parameters of a trainer.
pub fn params(kind: Kind) -> &'static [ParamSpec] {
    match kind {
        Kind::Gbdt => GBDT,
        Kind::Linear => LINEAR,
    }
}

/// Validates `given` and adds the defaults; the result has every parameter, in the order of [`params`].
///
/// # Errors
/// [`Error::UnknownParam`] with a suggestion, or [`Error::ParamValue`] with the accepted range.
pub fn validate_params(kind: Kind, given: &Map<String, Value>) -> Result<Map<String, Value>, Error> {
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
                Some(value) if spec.accepts(value) => value.clone(),
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
    /// The default as JSON; an integer for a whole-number parameter.
    pub fn default_value(&self) -> Value {
        match self.range {
            Range::Whole { .. } => Value::from(self.default as u64),
            Range::Number { .. } => Number::from_f64(self.default).map_or(Value::Null, Value::Number),
        }
    }

    /// Whether `value` has the right type and is in range.
    fn accepts(&self, value: &Value) -> bool {
        match self.range {
            Range::Whole { min, max } => value.as_u64().is_some_and(|value| (min..=max).contains(&value)),
            Range::Number { min, max } => value.as_f64().is_some_and(|value| (min..=max).contains(&value)),
        }
    }
}

fn suggestion(name: &str, specs: &[ParamSpec]) -> Option<&'static str> {
    // Names that other libraries use for the same parameter.
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

/// Validated parameters, by name, and those that were given.
pub(crate) struct ValidParams<'a> {
    pub(crate) all: &'a Map<String, Value>,
    pub(crate) given: &'a Map<String, Value>,
}

impl ValidParams<'_> {
    /// The value of a whole-number parameter, which [`validate_params`] has made sure exists.
    pub(crate) fn whole(&self, name: &str) -> u64 {
        self.all.get(name).and_then(Value::as_u64).unwrap_or_default()
    }

    /// The value of a number parameter, which [`validate_params`] has made sure exists.
    pub(crate) fn number(&self, name: &str) -> f64 {
        self.all.get(name).and_then(Value::as_f64).unwrap_or_default()
    }

    /// The value of a number parameter; `None` unless it was given.
    pub(crate) fn given(&self, name: &str) -> Option<f64> {
        self.given.get(name).and_then(Value::as_f64)
    }
}
