#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| perennial_api::mlflow::fuzz::mlflow_requests(bytes));
