use super::*;

#[test]
fn any_json_is_an_inference_request_or_refused() {
    perennial_mutation::check("v2_json", v2_json);
}

#[test]
fn any_raw_tensors_are_an_inference_request_or_refused() {
    perennial_mutation::check("v2_binary", v2_binary);
}

#[test]
fn any_bytes_are_a_scoring_request_or_refused() {
    perennial_mutation::check("scoring", scoring);
}
