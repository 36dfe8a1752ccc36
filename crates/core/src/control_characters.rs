//! Control characters in foreign text: logs, messages, names.
//!
//! A terminal obeys some of them, and others show text in another order than it has. People are shown their escaped form,
//! `\u001b`, which JSON reads as the same character.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Whether a character controls a terminal or the order of text: the C0 and C1 sets without tab and line feed, DEL, and
/// the controls of bidirectional text.
pub fn is_control(c: char) -> bool {
    match c {
        '\n' | '\t' => false,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => true,
        c => c.is_control(),
    }
}

/// The text with its control characters escaped. A carriage return before a line feed stays.
pub fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(is_control) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(replace(text, |shown, c| {
        // Writing to a string cannot fail.
        let _ = write!(shown, "\\u{:04x}", u32::from(c));
    }))
}

/// The text with a question mark for each byte of a control character, so that positions in it stay. A carriage return before
/// a line feed stays.
pub fn mask(text: &str) -> String {
    replace(text, |shown, c| shown.extend(std::iter::repeat_n('?', c.len_utf8())))
}

/// The text with its control characters replaced by what `show` writes for each.
fn replace(text: &str, show: impl Fn(&mut String, char)) -> String {
    let mut shown = String::with_capacity(text.len() + 16);
    let mut letters = text.chars().peekable();
    while let Some(c) = letters.next() {
        let ends_line = c == '\r' && letters.peek() == Some(&'\n');
        if is_control(c) && !ends_line {
            show(&mut shown, c);
        } else {
            shown.push(c);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::{escape, mask};

    #[test]
    fn masked_text_has_no_control_characters_and_the_same_positions() {
        let text = "a\u{1b}b\u{9b}c\u{202e}d\r\ne\rf";
        assert_eq!(mask(text), "a?b??c???d\r\ne?f");
        assert_eq!(mask(text).len(), text.len());
    }

    #[test]
    fn control_characters_are_escaped_and_other_text_is_not() {
        let cases = [
            ("plain\ttext\nümläut 🙂", "plain\ttext\nümläut 🙂"),
            ("\u{1b}[2Jgone", "\\u001b[2Jgone"),
            ("\u{9b}31m", "\\u009b31m"),
            ("a\u{202e}b\u{2069}c\u{200f}", "a\\u202eb\\u2069c\\u200f"),
            ("\0\u{7f}", "\\u0000\\u007f"),
            ("one\r\ntwo\rthree", "one\r\ntwo\\u000dthree"),
        ];
        for (text, expected) in cases {
            assert_eq!(escape(text), expected, "{text:?}");
        }
    }

    #[test]
    fn escaped_json_has_the_same_value() {
        let value = serde_json::json!({ "line": "a\u{9b}\u{202e}\u{7f}b" });
        let shown = value.to_string();
        assert_eq!(serde_json::from_str::<serde_json::Value>(&escape(&shown)).unwrap(), value);
        assert!(!escape(&shown).contains('\u{9b}'));
    }
}
