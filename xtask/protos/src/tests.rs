use super::*;

#[test]
fn generated_files_are_up_to_date() {
    for definition in DEFINITIONS {
        definition.check().unwrap();
    }
}
