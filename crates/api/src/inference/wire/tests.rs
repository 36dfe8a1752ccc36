use super::*;

#[test]
fn an_output_is_requested_at_most_once() {
    let request = |outputs: &str| {
        let input = r#"{"name": "x", "shape": [1], "datatype": "FP64", "data": [1]}"#;
        read(format!(r#"{{"inputs": [{input}], "outputs": [{outputs}]}}"#).as_bytes(), None)
    };
    let both = request(r#"{"name": "label"}, {"name": "probability", "parameters": {"binary_data": true}}"#).unwrap();
    assert_eq!(both.wanted.unwrap().len(), 2);
    let twice = request(&vec![r#"{"name": "probability"}"#; 10_000].join(",")).unwrap_err();
    assert_eq!(twice.message(), "output `probability` is requested twice");
}
