use super::*;

#[test]
fn model_files_of_any_bytes_are_evaluated_or_refused() {
    perennial_mutation::check("onnx", onnx);
}

#[test]
fn the_samples_are_valid_models() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/seeds/onnx");
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let model = Model::from_bytes(&std::fs::read(&path).unwrap());
        model.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}
