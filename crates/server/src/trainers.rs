//! The parameters of the built-in trainers, for project files.

use std::sync::LazyLock;

use perennial_config::{Param, ParamKind, TrainerSpec};
use perennial_training::{Kind, Range};

/// Names and parameters of the built-in trainers, which project files are validated against.
pub(crate) static TRAINERS: LazyLock<Vec<TrainerSpec>> = LazyLock::new(|| {
    Kind::ALL
        .iter()
        .map(|kind| {
            let params: Vec<Param> = perennial_training::params(*kind)
                .iter()
                .map(|spec| Param { name: spec.name, kind: kind_of(spec.range) })
                .collect();
            TrainerSpec { name: kind.as_str(), params: Vec::leak(params) }
        })
        .collect()
});

fn kind_of(range: Range) -> ParamKind {
    match range {
        Range::Whole { min, max } => ParamKind::Whole(min as i64, i64::try_from(max).unwrap_or(i64::MAX)),
        Range::Number { min, max } => ParamKind::Number(min, max),
    }
}
