use super::*;

#[test]
fn any_page_token_is_read_or_refused() {
    perennial_mutation::check("page_tokens", page_tokens);
}
