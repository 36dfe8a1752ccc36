use super::*;

#[test]
fn project_files_of_any_text_parse_or_are_refused() {
    perennial_mutation::check("project_file", project_file);
}
