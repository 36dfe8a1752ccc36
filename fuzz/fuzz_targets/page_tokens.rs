#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| perennial_store::fuzz::page_tokens(bytes));
