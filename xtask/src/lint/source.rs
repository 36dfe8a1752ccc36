//! Rust source as code, comments and string literals, by its text alone.

/// What a piece of source is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Code,
    Comment,
    Literal,
}

/// A stretch of source of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece<'a> {
    pub(crate) kind: Kind,
    /// The line that it begins on, from 1.
    pub(crate) line: usize,
    /// A comment with its markers, a literal with its quotes.
    pub(crate) text: &'a str,
}

/// Splits `source`; the pieces joined are `source` again.
pub(crate) fn pieces(source: &str) -> Vec<Piece<'_>> {
    let bytes = source.as_bytes();
    let mut found = Vec::new();
    let (mut start, mut at, mut line) = (0, 0, 1);
    let mut push = |from: usize, to: usize, kind: Kind| {
        if from < to {
            let text = &source[from..to];
            found.push(Piece { kind, line, text });
            line += text.matches('\n').count();
        }
    };
    while at < bytes.len() {
        let special = match bytes[at] {
            b'/' if bytes[at..].starts_with(b"//") => Some((at, line_end(bytes, at), Kind::Comment)),
            b'/' if bytes[at..].starts_with(b"/*") => Some((at, block_end(bytes, at), Kind::Comment)),
            b'"' => Some((at, string_end(bytes, at), Kind::Literal)),
            b'r' | b'b' | b'c' if at == 0 || !is_word(bytes[at - 1]) => {
                literal_end(bytes, at).map(|end| (at, end, Kind::Literal))
            }
            b'\'' => character_end(source, at).map(|end| (at, end, Kind::Literal)),
            _ => None,
        };
        match special {
            Some((from, to, kind)) => {
                push(start, from, Kind::Code);
                push(from, to, kind);
                (start, at) = (to, to);
            }
            None => at += 1,
        }
    }
    push(start, bytes.len(), Kind::Code);
    found
}

/// `source` with comments and the insides of literals blanked: same lines, code alone.
pub(crate) fn code(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    for piece in pieces(source) {
        if piece.kind == Kind::Code {
            code.push_str(piece.text);
        } else {
            code.extend(piece.text.chars().map(|character| if character == '\n' { '\n' } else { ' ' }));
        }
    }
    code
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

fn line_end(bytes: &[u8], at: usize) -> usize {
    bytes[at..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |length| at + length)
}

/// The end of a block comment; they nest.
fn block_end(bytes: &[u8], at: usize) -> usize {
    let (mut depth, mut end) = (0_usize, at);
    while end < bytes.len() {
        if bytes[end..].starts_with(b"/*") {
            depth += 1;
            end += 2;
        } else if bytes[end..].starts_with(b"*/") {
            depth -= 1;
            end += 2;
            if depth == 0 {
                return end;
            }
        } else {
            end += 1;
        }
    }
    end
}

/// The end of a string that begins with the quote at `at`.
fn string_end(bytes: &[u8], at: usize) -> usize {
    let mut end = at + 1;
    while end < bytes.len() {
        match bytes[end] {
            b'\\' => end += 2,
            b'"' => return end + 1,
            _ => end += 1,
        }
    }
    bytes.len()
}

/// The end of a literal with a prefix (`r"…"`, `b"…"`, `br#"…"#`), if one begins at `at`.
fn literal_end(bytes: &[u8], at: usize) -> Option<usize> {
    let prefix = bytes[at..].iter().take(2).take_while(|byte| matches!(byte, b'r' | b'b' | b'c')).count();
    let is_raw = bytes[at..at + prefix].contains(&b'r');
    let hashes = bytes[at + prefix..].iter().take_while(|byte| **byte == b'#').count();
    let quote = at + prefix + hashes;
    if bytes.get(quote) != Some(&b'"') || (hashes > 0 && !is_raw) {
        return None;
    }
    if !is_raw {
        return Some(string_end(bytes, quote));
    }
    let close = [b"\"".as_slice(), &b"#".repeat(hashes)].concat();
    let inside = quote + 1;
    let length = bytes[inside..].windows(close.len()).position(|window| window == close);
    Some(length.map_or(bytes.len(), |length| inside + length + close.len()))
}

/// The end of a character literal; `None` where the quote at `at` begins a lifetime.
fn character_end(source: &str, at: usize) -> Option<usize> {
    let inside = at + 1;
    let mut characters = source[inside..].char_indices();
    let (_, first) = characters.next()?;
    let (second, next) = characters.next()?;
    if first == '\\' {
        let after = inside + second + next.len_utf8();
        return source[after..].find('\'').map(|length| after + length + 1);
    }
    (next == '\'').then_some(inside + second + 1)
}

#[cfg(test)]
mod tests;
