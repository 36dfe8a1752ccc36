//! Splits an expression into tokens.

use std::ops::Range;

/// A syntax error: the range of its bytes, and the message.
pub(super) type SyntaxError = (Range<usize>, String);

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Number(f64),
    Text(String),
    Name(String),
    /// An operator or bracket.
    Sign(&'static str),
    End,
}

/// Longest first, so that `<=` is not read as `<`.
const SIGNS: [&str; 25] = [
    "&&", "||", "==", "!=", "<=", ">=", "<", ">", "!", "+", "-", "*", "/", "%", "(", ")", "[", "]", "{", "}", ",", ".",
    "?", ":", ";",
];

/// Words reserved by CEL; no fact may have such a name.
pub(super) const RESERVED_WORDS: [&str; 21] = [
    "true",
    "false",
    "null",
    "in",
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];

/// Splits the text into tokens, the last of which is [`Token::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<(Range<usize>, Token)>, SyntaxError> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        let (length, token) = if matches!(first, ' ' | '\t' | '\r' | '\n' | '\u{c}') {
            at += first.len_utf8();
            continue;
        } else if rest.starts_with("//") {
            at += rest.find('\n').unwrap_or(rest.len());
            continue;
        } else if let Some((length, value)) = quoted(rest, at)? {
            (length, Token::Text(value))
        } else if first.is_ascii_alphabetic() || first == '_' {
            let length = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
            (length, Token::Name(rest[..length].to_owned()))
        } else if first.is_ascii_digit() || (first == '.' && rest[1..].starts_with(|c: char| c.is_ascii_digit())) {
            let (length, value) = number(rest, at)?;
            (length, Token::Number(value))
        } else if let Some(sign) = SIGNS.into_iter().find(|sign| rest.starts_with(sign)) {
            (sign.len(), Token::Sign(sign))
        } else {
            return Err(stray(first, rest, at));
        };
        tokens.push((at..at + length, token));
        at += length;
    }
    tokens.push((text.len()..text.len(), Token::End));
    Ok(tokens)
}

fn stray(first: char, rest: &str, at: usize) -> SyntaxError {
    let span = at..at + first.len_utf8();
    let message = match first {
        '=' if rest.starts_with("=>") || rest.starts_with("=<") => {
            let (found, expected) = if rest.starts_with("=>") { ("=>", ">=") } else { ("=<", "<=") };
            return (at..at + 2, format!("`{found}` is not an operator, expected `{expected}`"));
        }
        '=' => "`=` is not an operator, expected `==`".to_owned(),
        '&' => "`&` is not an operator, expected `&&`".to_owned(),
        '|' => "`|` is not an operator, expected `||`".to_owned(),
        other => format!("unexpected character `{}`", other.escape_debug()),
    };
    (span, message)
}

fn number(rest: &str, at: usize) -> Result<(usize, f64), SyntaxError> {
    let bytes = rest.as_bytes();
    let digits = |from: usize| from + bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let length;
    let value;
    let mut is_whole = true;
    if let Some(hex) = rest.strip_prefix("0x") {
        let count = hex.bytes().take_while(u8::is_ascii_hexdigit).count();
        length = 2 + count;
        value = u64::from_str_radix(&hex[..count], 16).ok().map(|whole| whole as f64);
    } else {
        let mut end = digits(0);
        if bytes.get(end) == Some(&b'.') && bytes.get(end + 1).is_some_and(u8::is_ascii_digit) {
            end = digits(end + 1);
            is_whole = false;
        }
        if bytes.get(end).is_some_and(|byte| matches!(byte, b'e' | b'E')) {
            let sign = usize::from(bytes.get(end + 1).is_some_and(|byte| matches!(byte, b'+' | b'-')));
            let exponent = digits(end + 1 + sign);
            if exponent > end + 1 + sign {
                end = exponent;
                is_whole = false;
            }
        }
        length = end;
        value = rest[..end].parse().ok().filter(|value: &f64| value.is_finite());
    }
    let mut end = length;
    if is_whole && bytes.get(end).is_some_and(|byte| matches!(byte, b'u' | b'U')) {
        end += 1;
    }
    let glued = bytes.get(end).is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    match value {
        Some(value) if !glued => Ok((end, value)),
        _ => {
            let word =
                rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '.').unwrap_or(rest.len()).max(end);
            Err((at..at + word, format!("`{}` is not a number", &rest[..word])))
        }
    }
}

/// Reads a quoted text at the start of `rest`: plain, triple, and raw forms.
fn quoted(rest: &str, at: usize) -> Result<Option<(usize, String)>, SyntaxError> {
    let is_raw = rest.starts_with(['r', 'R']) && rest[1..].starts_with(['"', '\'']);
    let start = usize::from(is_raw);
    let Some(mark) = ["\"\"\"", "'''", "\"", "'"].into_iter().find(|mark| rest[start..].starts_with(mark)) else {
        return Ok(None);
    };
    let open = start + mark.len();
    let mut value = String::new();
    let mut cursor = open;
    loop {
        let Some(next) = rest[cursor..].chars().next().filter(|c| mark.len() == 3 || *c != '\n') else {
            return Err((at..at + cursor, format!("the text is not closed, expected `{mark}`")));
        };
        if rest[cursor..].starts_with(mark) {
            return Ok(Some((cursor + mark.len(), value)));
        }
        if next == '\\' && !is_raw {
            let (length, decoded) = escape(&rest[cursor + 1..]).ok_or_else(|| {
                (
                    at + cursor..at + cursor + 1,
                    "unknown escape in text, expected for example `\\n` or `\\\\`".to_owned(),
                )
            })?;
            value.push(decoded);
            cursor += 1 + length;
        } else {
            value.push(next);
            cursor += next.len_utf8();
        }
    }
}

/// The character that an escape denotes, and the bytes after the backslash.
fn escape(rest: &str) -> Option<(usize, char)> {
    let first = rest.chars().next()?;
    let plain = match first {
        'a' => '\u{7}',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\u{b}',
        '\\' | '\'' | '"' | '`' | '?' => first,
        'x' | 'X' => return code(rest, 1, 2, 16),
        'u' => return code(rest, 1, 4, 16),
        'U' => return code(rest, 1, 8, 16),
        '0'..='3' => return code(rest, 0, 3, 8),
        _ => return None,
    };
    Some((1, plain))
}

fn code(rest: &str, skip: usize, digits: usize, radix: u32) -> Option<(usize, char)> {
    let text = rest.get(skip..skip + digits)?;
    let is_plain = text.chars().all(|c| c.is_digit(radix));
    let value = is_plain.then(|| u32::from_str_radix(text, radix).ok()).flatten()?;
    Some((skip + digits, char::from_u32(value)?))
}
