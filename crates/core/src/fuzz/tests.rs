use super::*;

#[test]
fn filters_and_orders_of_any_text_parse_or_are_refused() {
    perennial_mutation::check("filters", filters);
}

#[test]
fn rules_of_any_text_parse_or_are_refused() {
    perennial_mutation::check("rules", rules);
}
