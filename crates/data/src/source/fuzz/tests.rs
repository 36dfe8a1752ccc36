use super::*;

#[test]
fn any_csv_is_read_or_refused() {
    perennial_mutation::check("csv", csv_file);
}

#[test]
fn any_lines_of_json_are_read_or_refused() {
    perennial_mutation::check("json_lines", json_lines);
}
