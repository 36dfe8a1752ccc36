//! The escaper of every template: markup, and the control characters of foreign text.

use std::fmt;

use askama::filters::Escaper;
use perennial_core::control_characters;

/// Escapes text for HTML. Control characters are shown as `\u202e`: those of bidirectional text would show a log or a name
/// in another order than it has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Html;

impl Escaper for Html {
    fn write_escaped_str<W: fmt::Write>(&self, dest: W, string: &str) -> fmt::Result {
        askama::filters::Html.write_escaped_str(dest, &control_characters::escape(string))
    }
}

#[cfg(test)]
mod tests {
    use askama::filters::Escaper;

    use super::Html;

    #[test]
    fn markup_and_control_characters_are_escaped() {
        let mut shown = String::new();
        Html.write_escaped_str(&mut shown, "<b>\u{1b}[31m\u{202e}\n\u{9b}ü").unwrap();
        assert_eq!(shown, "&#60;b&#62;\\u001b[31m\\u202e\n\\u009bü");
    }
}
