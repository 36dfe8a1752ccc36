//! Operators of `ai.onnx.ml`, one method for each.

use super::{GraphBuilder, ML, PostTransform, attribute};
use crate::proto::AttributeProto;

/// The classes of a classifier, in the order of its scores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Classes {
    /// Integers, such as 0 and 1.
    Numbers(Vec<i64>),
    /// Names.
    Texts(Vec<String>),
}

impl Classes {
    /// Number of classes.
    pub fn len(&self) -> usize {
        match self {
            Self::Numbers(labels) => labels.len(),
            Self::Texts(labels) => labels.len(),
        }
    }

    /// Whether there are no classes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The class label attribute: `classlabels_strings` or `classlabels_int64s`, the latter
    /// called `classlabels_ints` if `short` (in `LinearClassifier` and the SVM operators).
    pub(super) fn attribute(&self, short: bool) -> AttributeProto {
        match self {
            Self::Numbers(labels) if short => attribute::ints("classlabels_ints", labels.clone()),
            Self::Numbers(labels) => attribute::ints("classlabels_int64s", labels.clone()),
            Self::Texts(labels) => attribute::texts("classlabels_strings", labels),
        }
    }
}

impl GraphBuilder {
    /// `LabelEncoder`: maps the text `keys[i]` to `values[i]`, any other text to `other`.
    pub fn label_encoder<S: AsRef<str>>(&mut self, input: &str, keys: &[S], values: &[f32], other: f32) -> String {
        let attributes = vec![
            attribute::texts("keys_strings", keys),
            attribute::floats("values_floats", values.to_vec()),
            attribute::float("default_float", other),
        ];
        self.apply("LabelEncoder", ML, &[input], attributes)
    }

    /// `Imputer`: replaces NaN by the column's entry of `fills`, or by its only entry.
    pub fn imputer(&mut self, input: &str, fills: &[f32]) -> String {
        let attributes = vec![
            attribute::floats("imputed_value_floats", fills.to_vec()),
            attribute::float("replaced_value_float", f32::NAN),
        ];
        self.apply("Imputer", ML, &[input], attributes)
    }

    /// `Scaler`: computes `(value - offset) * scale` by column.
    pub fn scaler(&mut self, input: &str, offset: &[f32], scale: &[f32]) -> String {
        let attributes = vec![attribute::floats("offset", offset.to_vec()), attribute::floats("scale", scale.to_vec())];
        self.apply("Scaler", ML, &[input], attributes)
    }

    /// `OneHotEncoder`: encodes a text column as one column for each of `categories`, from
    /// `[N, 1]` to `[N, 1, categories]`; other texts give zeros. Flatten the result before
    /// concatenating it with other columns.
    pub fn one_hot<S: AsRef<str>>(&mut self, input: &str, categories: &[S]) -> String {
        let attributes = vec![attribute::texts("cats_strings", categories), attribute::int("zeros", 1)];
        self.apply("OneHotEncoder", ML, &[input], attributes)
    }

    /// `Flatten`: reshapes `[N, …]` to `[N, rest]`.
    pub fn flatten(&mut self, input: &str) -> String {
        self.apply("Flatten", "", &[input], vec![attribute::int("axis", 1)])
    }

    /// `LinearClassifier`. `coefficients` are row-major, classes × features; for two
    /// classes also 1 × features, whose score decides for the second class. Returns the
    /// names of the label `[N]` and of the scores `[N, classes]`.
    pub fn linear_classifier(
        &mut self,
        input: &str,
        coefficients: &[f32],
        intercepts: &[f32],
        classes: &Classes,
        post_transform: PostTransform,
    ) -> (String, String) {
        let (label, scores) = (self.unique_name("label"), self.unique_name("scores"));
        let attributes = vec![
            attribute::floats("coefficients", coefficients.to_vec()),
            attribute::floats("intercepts", intercepts.to_vec()),
            classes.attribute(true),
            attribute::text("post_transform", post_transform.as_str()),
            attribute::int("multi_class", 0),
        ];
        self.node("LinearClassifier", ML, &[input], &[&label, &scores], attributes);
        (label, scores)
    }

    /// `LinearRegressor` with one target; the result is `[N, 1]`.
    pub fn linear_regressor(&mut self, input: &str, coefficients: &[f32], intercept: f32) -> String {
        let attributes = vec![
            attribute::floats("coefficients", coefficients.to_vec()),
            attribute::floats("intercepts", vec![intercept]),
            attribute::int("targets", 1),
        ];
        self.apply("LinearRegressor", ML, &[input], attributes)
    }
}
