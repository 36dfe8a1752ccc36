//! Class labels.

use std::sync::Arc;

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
