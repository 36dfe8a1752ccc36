//! The classical operators of `ai.onnx.ml`, one method each.

use super::{GraphBuilder, ML, PostTransform, attribute};
use crate::proto::AttributeProto;

/// The classes of a classifier, in the order of its scores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Classes {
    /// Whole numbers, such as 0 and 1.
    Numbers(Vec<i64>),
    /// Texts.
    Texts(Vec<String>),
}

impl Classes {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Numbers(labels) => labels.len(),
            Self::Texts(labels) => labels.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The attribute, named `<stem>_int64s` or `<stem>_strings` by the kind,
    /// or `<stem>_ints` for numbers where `short` (`LinearClassifier` and the SVMs).
    pub(super) fn attribute(&self, short: bool) -> AttributeProto {
        match self {
            Self::Numbers(labels) if short => attribute::ints("classlabels_ints", labels.clone()),
            Self::Numbers(labels) => attribute::ints("classlabels_int64s", labels.clone()),
            Self::Texts(labels) => attribute::texts("classlabels_strings", labels),
        }
    }
}

impl GraphBuilder {
    /// Text to numbers: `keys[i]` becomes `values[i]`, anything else `other`.
    pub fn label_encoder<S: AsRef<str>>(&mut self, input: &str, keys: &[S], values: &[f32], other: f32) -> String {
        let attributes = vec![
            attribute::texts("keys_strings", keys),
            attribute::floats("values_floats", values.to_vec()),
            attribute::float("default_float", other),
        ];
        self.apply("LabelEncoder", ML, &[input], attributes)
    }

    /// NaN becomes the column's entry of `fills`; one entry serves all columns.
    pub fn imputer(&mut self, input: &str, fills: &[f32]) -> String {
        let attributes = vec![
            attribute::floats("imputed_value_floats", fills.to_vec()),
            attribute::float("replaced_value_float", f32::NAN),
        ];
        self.apply("Imputer", ML, &[input], attributes)
    }

    /// `(value - offset) * scale` by column.
    pub fn scaler(&mut self, input: &str, offset: &[f32], scale: &[f32]) -> String {
        let attributes = vec![attribute::floats("offset", offset.to_vec()), attribute::floats("scale", scale.to_vec())];
        self.apply("Scaler", ML, &[input], attributes)
    }

    /// One column of text becomes one column a category, in the order of
    /// `categories`: `[N, 1]` to `[N, 1, categories]`, all zeros for a text not among them.
    /// Flatten the result before setting it beside other columns.
    pub fn one_hot<S: AsRef<str>>(&mut self, input: &str, categories: &[S]) -> String {
        let attributes = vec![attribute::texts("cats_strings", categories), attribute::int("zeros", 1)];
        self.apply("OneHotEncoder", ML, &[input], attributes)
    }

    /// Makes `[N, …]` into `[N, rest]`.
    pub fn flatten(&mut self, input: &str) -> String {
        self.apply("Flatten", "", &[input], vec![attribute::int("axis", 1)])
    }

    /// A linear classifier. `coefficients` are row-major, classes × features
    /// (or 1 × features for two classes with one score, whose sign or logistic
    /// decides for the second class). Returns the names of label `[N]` and
    /// scores `[N, classes]`.
    pub fn linear_classifier(
        &mut self,
        input: &str,
        coefficients: &[f32],
        intercepts: &[f32],
        classes: &Classes,
        post_transform: PostTransform,
    ) -> (String, String) {
        let (label, scores) = (self.fresh("label"), self.fresh("scores"));
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

    /// A linear regressor with one target; the result is `[N, 1]`.
    pub fn linear_regressor(&mut self, input: &str, coefficients: &[f32], intercept: f32) -> String {
        let attributes = vec![
            attribute::floats("coefficients", coefficients.to_vec()),
            attribute::floats("intercepts", vec![intercept]),
            attribute::int("targets", 1),
        ];
        self.apply("LinearRegressor", ML, &[input], attributes)
    }
}
