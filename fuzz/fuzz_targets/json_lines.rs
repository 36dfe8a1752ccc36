#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| perennial_data::fuzz::json_lines(bytes));
