#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = perennial_onnx::Model::from_bytes(bytes);
});
