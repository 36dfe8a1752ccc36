use perennial_core::model::Input;
use perennial_core::model::classes::ClassKind;
use perennial_core::task::TaskKind;

use super::*;

/// As MLflow 2.9 writes it for a scikit-learn model.
const SKLEARN: &str = r#"artifact_path: model
flavors:
  python_function:
    env:
      conda: conda.yaml
      virtualenv: python_env.yaml
    loader_module: mlflow.sklearn
    model_path: model.pkl
    predict_fn: predict
    python_version: 3.10.12
  sklearn:
    code: null
    pickled_model: model.pkl
    serialization_format: cloudpickle
    sklearn_version: 1.3.2
mlflow_version: 2.9.2
model_size_bytes: 1263
model_uuid: 6e4d1c2b8a5f4c0e9b7d3a2f1e0c9d8b
run_id: 8f2c9a4e1b7d4f6a9c3e5d7b8a1f2c3d
signature:
  inputs: '[{"type": "double", "name": "sepal length (cm)", "required": true}, {"type":
    "double", "name": "sepal width (cm)", "required": true}]'
  outputs: '[{"type": "tensor", "tensor-spec": {"dtype": "int64", "shape": [-1]}}]'
  params: null
utc_time_created: '2024-01-10 09:12:33.123456'
"#;

/// As MLflow 1 wrote it for an XGBoost model, without a signature.
const XGBOOST: &str = "artifact_path: model
flavors:
  python_function:
    data: model.xgb
    env: conda.yaml
    loader_module: mlflow.xgboost
    python_version: 3.8.12
  xgboost:
    code: null
    data: model.xgb
    model_class: xgboost.sklearn.XGBClassifier
    xgb_version: 1.5.0
mlflow_version: 1.26.1
model_uuid: 0a6dbbd7d94f4ba0b1d0b8f5e3f9c6d1
run_id: 5a1c0f0d8e1b4c4a8b1f4e6d2c3b4a59
utc_time_created: '2022-06-01 12:00:00.000000'
";

/// As people write it: another indentation, comments, flow style.
const BY_HAND: &str = "# Made by hand.
flavors:
    crate:
        version: \"0.9.0\"   # of the R package
        model: crate.bin
    python_function: {loader_module: my.loader, data: ./files}
";

#[test]
fn the_kind_is_the_flavours_without_python_function() {
    for (text, kind) in [
        (SKLEARN, "sklearn"),
        (XGBOOST, "xgboost"),
        (BY_HAND, "crate"),
        ("flavors:\n  python_function:\n    loader_module: x\n", "python_function"),
        ("flavors: {lightgbm: {data: model.lgb}, catboost: {data: model.cb}}\n", "lightgbm,catboost"),
    ] {
        assert_eq!(MlModel::parse(text).unwrap().kind(), kind, "{text}");
    }
}

#[test]
fn a_file_that_is_parsed_and_written_parses_to_the_same() {
    for text in [SKLEARN, XGBOOST, BY_HAND] {
        let parsed = MlModel::parse(text).unwrap();
        assert_eq!(MlModel::parse(&parsed.text().unwrap()).unwrap(), parsed, "{text}");
    }
    let signature = MlModel::parse(SKLEARN).unwrap().signature.unwrap();
    let inputs: Value = serde_json::from_str(&signature.inputs.unwrap()).unwrap();
    assert_eq!(inputs[1]["name"], "sepal width (cm)");
}

#[test]
fn an_onnx_model_is_described_for_mlflows_readers() {
    let signature = Signature {
        inputs: vec![
            Input { name: "a \"quoted\": name".to_owned(), kind: InputKind::Number, time: None },
            Input { name: "carrier".to_owned(), kind: InputKind::Text, time: None },
        ],
        task: TaskKind::Binary,
        classes: Vec::new(),
        class_kind: ClassKind::Text,
    };
    // Plain, YAML would read this id as a number.
    let run: RunId = "01890000000070008000000000000001".parse().unwrap();
    let model = MlModel::of_onnx(&signature, run);
    let text = model.text().unwrap();
    assert_eq!(MlModel::parse(&text).unwrap(), model, "{text}");
    let read: Value = serde_saphyr::from_str(&text).unwrap();
    assert_eq!(read["run_id"], json!("01890000000070008000000000000001"));
    assert_eq!(read["flavors"]["onnx"], json!({ "data": "model.onnx", "onnx_version": "1.17.0" }));
    assert_eq!(read["flavors"]["python_function"]["loader_module"], "mlflow.onnx");
    let inputs: Value = serde_json::from_str(read["signature"]["inputs"].as_str().unwrap()).unwrap();
    assert_eq!(inputs[0], json!({ "type": "double", "name": "a \"quoted\": name", "required": false }));
    assert_eq!(read["signature"]["outputs"], Value::Null);
}

#[test]
fn a_file_that_is_not_an_mlmodel_is_refused() {
    for text in ["", "flavors", "flavors: [", "artifact_path: model\n", "flavors:\n- sklearn\n"] {
        assert!(MlModel::parse(text).is_err(), "{text}");
    }
}
