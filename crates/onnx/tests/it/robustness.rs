//! Damaged files give an error or another result, but never a panic.

use std::sync::OnceLock;

use perennial_onnx::{Data, Model, Tensor};
use proptest::prelude::*;

use crate::exports::{self, Export};

/// Small models of many operators, with a few rows each.
fn models() -> &'static [Export] {
    static MODELS: OnceLock<Vec<Export>> = OnceLock::new();
    MODELS.get_or_init(|| {
        let mut models = exports::all("");
        models.retain(|export| export.bytes.len() < 8_000);
        for (_, tensor) in models.iter_mut().flat_map(|export| &mut export.inputs) {
            *tensor = head(tensor, 4);
        }
        models
    })
}

fn head(tensor: &Tensor, rows: usize) -> Tensor {
    let rows = rows.min(tensor.shape()[0]);
    let count = rows * tensor.shape()[1..].iter().product::<usize>();
    let data = match tensor.data() {
        Data::F32(values) => Data::F32(values[..count].to_vec()),
        Data::F64(values) => Data::F64(values[..count].to_vec()),
        Data::I64(values) => Data::I64(values[..count].to_vec()),
        Data::I32(values) => Data::I32(values[..count].to_vec()),
        Data::Bool(values) => Data::Bool(values[..count].to_vec()),
        Data::Text(values) => Data::Text(values[..count].to_vec()),
    };
    Tensor::new([&[rows], &tensor.shape()[1..]].concat(), data).unwrap()
}

fn load_and_run(bytes: &[u8], export: &Export) {
    let Ok(model) = Model::from_bytes(bytes) else { return };
    let inputs: Vec<_> = export.inputs.iter().map(|(name, tensor)| (name.as_str(), tensor.clone())).collect();
    drop(model.run(&inputs));
}

/// The number of cases; the variable `PROPTEST_CASES` may raise it.
fn config() -> ProptestConfig {
    let config = ProptestConfig::default();
    ProptestConfig { cases: config.cases.max(3_000), ..config }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn damaged_files_never_panic(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in prop::option::weighted(0.2, any::<prop::sample::Index>()),
    ) {
        let export = which.get(models());
        let mut bytes = export.bytes.clone();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        load_and_run(&bytes, export);
    }
}
