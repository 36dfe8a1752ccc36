use super::*;

#[test]
fn requests_of_any_bytes_are_read_or_refused() {
    perennial_mutation::check("mlflow_requests", mlflow_requests);
}
