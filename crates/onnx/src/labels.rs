//! Class labels.

use std::sync::Arc;

use perennial_core::model::{Signature, classes};
use perennial_core::task::TaskKind;

use crate::error::{Error, Result};
use crate::node::{BuildError, Node};
use crate::tensor::Tensor;

/// Class labels, in the order of the scores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Labels {
    /// Integers.
    Numbers(Vec<i64>),
    /// Texts.
    Texts(Vec<Arc<str>>),
}

impl Labels {
    /// Reads `classlabels_int64s` (or `classlabels_ints`) or `classlabels_strings`.
    pub(crate) fn from_node(node: &Node<'_>) -> Result<Self, BuildError> {
        let texts = node.texts("classlabels_strings")?;
        let numbers = [node.ints("classlabels_int64s"), node.ints("classlabels_ints")].concat();
        match (texts.is_empty(), numbers.is_empty()) {
            (false, true) => Ok(Self::Texts(texts)),
            (true, false) => Ok(Self::Numbers(numbers)),
            _ => Err("expected class labels, all of one type".into()),
        }
    }

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

    /// The labels as texts.
    pub fn to_texts(&self) -> Vec<String> {
        match self {
            Self::Numbers(labels) => labels.iter().map(ToString::to_string).collect(),
            Self::Texts(labels) => labels.iter().map(ToString::to_string).collect(),
        }
    }

    /// For each score of a signature the column of a classifier's output that has it: the positive class of a binary
    /// task, each class of a multiclass task.
    ///
    /// # Errors
    /// [`Error::Outcomes`] when no class of a binary model is named like the outcome 1, [`Error::Input`] when the model
    /// has other classes than the signature.
    pub fn columns(&self, signature: &Signature) -> Result<Vec<usize>> {
        let labels = self.to_texts();
        if signature.task == TaskKind::Binary {
            return classes::positive(&labels).map(|column| vec![column]).ok_or(Error::Outcomes { labels });
        }
        let count = signature.classes.len();
        if labels.len() != count {
            return Err(Error::Input(format!("the model has {} classes, the signature {count}", labels.len())));
        }
        let column = |class: &String| {
            let found = labels.iter().position(|label| label == class);
            found.ok_or_else(|| Error::Input(format!("the model has no class `{class}`, only {labels:?}")))
        };
        signature.classes.iter().map(column).collect()
    }

    /// Writes the label of each row, given the class indices, all below [`Self::len`].
    pub(crate) fn write(
        &self,
        indices: impl ExactSizeIterator<Item = usize>,
        output: &mut Tensor,
    ) -> Result<(), String> {
        let shape = [indices.len()];
        match self {
            Self::Numbers(labels) => output.reset(&shape)?.extend(indices.map(|index| labels[index])),
            Self::Texts(labels) => output.reset(&shape)?.extend(indices.map(|index| labels[index].clone())),
        }
        Ok(())
    }
}
