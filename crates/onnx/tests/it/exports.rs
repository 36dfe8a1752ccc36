//! The models that `tests/export_models.py` exports, cached between test runs.

use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};

use perennial_onnx::{Data, Tensor};
use serde_json::Value;

/// An exported model with recorded inputs and ONNX Runtime's outputs.
pub(crate) struct Export {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
    pub(crate) inputs: Vec<(String, Tensor)>,
    pub(crate) outputs: Vec<(String, Tensor)>,
}

/// The scripts that export the models.
const SCRIPTS: [&str; 2] = [include_str!("../export_models.py"), include_str!("../handmade_models.py")];
/// Prints the versions of the packages on which the exports depend.
const VERSIONS: &str = "from importlib.metadata import version; \
    print([version(p) for p in 'numpy onnx onnxruntime lightgbm scikit-learn skl2onnx onnxmltools'.split()])";

/// The folder of the exports. They are created once for each version of scripts and packages;
/// concurrent tests wait for the first one to create them.
pub(crate) fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let python = std::env::var("PERENNIAL_TEST_PYTHON").unwrap_or_else(|_| {
            panic!("PERENNIAL_TEST_PYTHON does not name a Python with the test packages: run `cargo xtask test`")
        });
        let mut hasher = DefaultHasher::new();
        (SCRIPTS, run(Command::new(&python).args(["-c", VERSIONS]))).hash(&mut hasher);
        let base = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let folder = base.join(format!("exports-{:016x}", hasher.finish()));
        let lock = File::create(base.join("exports.lock")).unwrap();
        lock.lock().unwrap();
        if !folder.exists() {
            let unfinished = base.join("exports-unfinished");
            drop(std::fs::remove_dir_all(&unfinished));
            let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/export_models.py");
            run(Command::new(&python).arg(script).arg(&unfinished));
            std::fs::rename(&unfinished, &folder).unwrap();
        }
        folder
    })
}

fn run(command: &mut Command) -> Vec<u8> {
    let output = command.output();
    let output = output.unwrap_or_else(|error| panic!("{command:?} does not start: {error}; run `cargo xtask test`"));
    assert!(output.status.success(), "export failed: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// The exports whose name starts with `prefix`, by name.
pub(crate) fn all(prefix: &str) -> Vec<Export> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "onnx"))
        .filter(|path| path.file_stem().unwrap().to_str().unwrap().starts_with(prefix))
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "no export is called `{prefix}…`");
    paths.iter().map(|path| read(path)).collect()
}

/// The export called `name`.
pub(crate) fn one(name: &str) -> Export {
    read(&folder().join(format!("{name}.onnx")))
}

fn read(path: &Path) -> Export {
    let record: Value = serde_json::from_slice(&std::fs::read(path.with_extension("json")).unwrap()).unwrap();
    let tensors = |key: &str| {
        let tensors = record[key].as_object().unwrap();
        tensors.iter().map(|(name, value)| (name.clone(), tensor(value))).collect()
    };
    Export {
        name: path.file_stem().unwrap().to_str().unwrap().to_owned(),
        bytes: std::fs::read(path).unwrap(),
        inputs: tensors("inputs"),
        outputs: tensors("outputs"),
    }
}

fn tensor(value: &Value) -> Tensor {
    let shape = value["shape"].as_array().unwrap().iter().map(|length| length.as_u64().unwrap() as usize).collect();
    let values = value["values"].as_array().unwrap();
    let float = |value: &Value| value.as_f64().unwrap_or_else(|| value.as_str().unwrap().parse().unwrap());
    let data = match value["type"].as_str().unwrap() {
        "float32" => Data::F32(values.iter().map(|value| float(value) as f32).collect()),
        "float64" => Data::F64(values.iter().map(float).collect()),
        "int64" => Data::I64(values.iter().map(|value| value.as_i64().unwrap()).collect()),
        "bool" => Data::Bool(values.iter().map(|value| value.as_i64().unwrap() != 0).collect()),
        "text" => Data::Text(values.iter().map(|value| Arc::from(value.as_str().unwrap())).collect()),
        other => panic!("an export of type {other}"),
    };
    Tensor::new(shape, data).unwrap()
}
