//! Finds misplaced quotation marks while a CSV file is read, before one of them turns many rows into one field.
//!
//! The CSV parser accepts any text: a quotation mark that is not closed swallows all rows up to the next one, or to the
//! end of the file. This check runs beside the parser, and refuses what no writer of CSV writes (RFC 4180):
//! text after a closing quotation mark, or a quoted field that is open at the end of the file. It accepts quotation marks
//! inside unquoted fields (`5" pipe`), unless the file also has quoted fields of several lines. So a single
//! stray quotation mark is either text in its own row, or an error: the number of quotation marks of an accepted file
//! with fields of several lines is even.

use memchr::{memchr, memchr_iter, memchr2, memrchr2};

/// The most lines of a quoted field.
const QUOTED_LINES_MAX: u64 = 1000;
/// The longest row, in bytes. A row inside one read is not measured: the parser reads less at once.
const ROW_BYTES_MAX: usize = 16 << 20;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A misplaced quotation mark, or a row that is too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QuoteFault {
    /// A field is open at the end.
    #[error("line {opened}: the quotation mark that opens a field there is not closed")]
    Unclosed {
        /// The line where the field starts.
        opened: u64,
    },
    /// A field has too many lines.
    #[error("line {opened}: the quoted field that starts there has more than {QUOTED_LINES_MAX} lines")]
    TooManyLines {
        /// The line where the field starts.
        opened: u64,
    },
    /// Text follows a quoted field.
    #[error("line {line}: text follows the closing quotation mark of the field that starts on line {opened}")]
    TextAfterQuote {
        /// The line where the field starts.
        opened: u64,
        /// The line of the text.
        line: u64,
    },
    /// A quotation mark in an unquoted field, and a quoted field of several lines.
    #[error(
        "line {line}: an unquoted field has a quotation mark, and the quoted field of line {opened} has several lines"
    )]
    Ambiguous {
        /// The line where the quoted field starts.
        opened: u64,
        /// The line of the unquoted field.
        line: u64,
    },
    /// A row is too long.
    #[error("line {line}: the row has more than {ROW_BYTES_MAX} bytes")]
    LongRow {
        /// The line.
        line: u64,
    },
}

impl QuoteFault {
    /// The remedy.
    pub fn hint(self) -> &'static str {
        match self {
            Self::LongRow { .. } => "is a line ending or a closing quotation mark missing? Split longer rows",
            Self::TooManyLines { .. } => "is its closing quotation mark missing? Split longer texts",
            Self::Unclosed { .. } | Self::TextAfterQuote { .. } | Self::Ambiguous { .. } => {
                "close a quoted field with a quotation mark, and write a quotation mark inside a quoted field twice (`\"\"`)"
            }
        }
    }
}

/// Where in a row the next byte is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Outside of quoted fields.
    Unquoted,
    /// Inside a quoted field.
    Quoted,
    /// After a quotation mark in a quoted field: the field's last one, or the first of two.
    QuotedQuote,
    /// After a quoted field, which spaces may follow.
    Closed,
}

/// Checks the bytes of a CSV file, in parts of any size.
#[derive(Debug)]
pub struct QuoteChecker {
    state: State,
    /// The last byte, outside of quoted fields; a field starts after a comma or a line ending.
    previous: u8,
    is_at_start: bool,
    /// The number of the line, from 1.
    line: u64,
    /// The line where the last quoted field starts.
    opened: u64,
    /// Bytes since the row began.
    row_bytes: usize,
    /// The line where the first quoted field of several lines starts.
    multiline: Option<u64>,
    /// The line of the first quotation mark in an unquoted field.
    literal: Option<u64>,
}

impl Default for QuoteChecker {
    fn default() -> Self {
        Self {
            state: State::Unquoted,
            previous: b'\n',
            is_at_start: true,
            line: 1,
            opened: 0,
            row_bytes: 0,
            multiline: None,
            literal: None,
        }
    }
}

impl QuoteChecker {
    /// Checks the next bytes.
    pub fn check(&mut self, mut bytes: &[u8]) -> Result<(), QuoteFault> {
        if std::mem::take(&mut self.is_at_start) {
            bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
        }
        while let Some(&first) = bytes.first() {
            let checked = match self.state {
                State::Unquoted => self.check_unquoted(bytes)?,
                State::Quoted => self.check_quoted(bytes)?,
                State::QuotedQuote if first == b'"' => {
                    self.state = State::Quoted;
                    1
                }
                State::QuotedQuote | State::Closed => {
                    self.state = match first {
                        b',' | b'\n' | b'\r' => State::Unquoted,
                        b' ' | b'\t' => State::Closed,
                        _ => return Err(QuoteFault::TextAfterQuote { opened: self.opened, line: self.line }),
                    };
                    // The delimiter belongs to the next state.
                    usize::from(self.state == State::Closed)
                }
            };
            if matches!(self.state, State::Closed) {
                self.row_bytes += checked;
                self.check_row_length()?;
            }
            bytes = &bytes[checked..];
        }
        Ok(())
    }

    /// Checks text up to the next quotation mark; returns its length.
    fn check_unquoted(&mut self, bytes: &[u8]) -> Result<usize, QuoteFault> {
        let quote = memchr(b'"', bytes);
        let text = &bytes[..quote.unwrap_or(bytes.len())];
        self.row_bytes += memchr2(b'\n', b'\r', text).unwrap_or(text.len());
        self.check_row_length()?;
        if let Some(end) = memrchr2(b'\n', b'\r', text) {
            self.row_bytes = text.len() - end - 1;
        }
        self.line += newlines(text);
        self.previous = text.last().copied().unwrap_or(self.previous);
        if quote.is_none() {
            return Ok(text.len());
        }
        if matches!(self.previous, b',' | b'\n' | b'\r') {
            (self.state, self.opened) = (State::Quoted, self.line);
        } else {
            self.literal.get_or_insert(self.line);
            self.check_unambiguous()?;
        }
        self.previous = b'"';
        self.row_bytes += 1;
        Ok(text.len() + 1)
    }

    /// Checks quoted text up to the next quotation mark; returns its length.
    fn check_quoted(&mut self, bytes: &[u8]) -> Result<usize, QuoteFault> {
        let quote = memchr(b'"', bytes);
        let text = &bytes[..quote.unwrap_or(bytes.len())];
        self.line += newlines(text);
        if self.line - self.opened >= QUOTED_LINES_MAX {
            return Err(QuoteFault::TooManyLines { opened: self.opened });
        }
        let consumed = text.len() + usize::from(quote.is_some());
        self.row_bytes += consumed;
        self.check_row_length()?;
        if quote.is_some() {
            self.state = State::QuotedQuote;
        }
        if memrchr2(b'\n', b'\r', text).is_some() {
            self.multiline.get_or_insert(self.opened);
            self.check_unambiguous()?;
        }
        Ok(consumed)
    }

    fn check_unambiguous(&self) -> Result<(), QuoteFault> {
        match (self.multiline, self.literal) {
            (Some(opened), Some(line)) => Err(QuoteFault::Ambiguous { opened, line }),
            _ => Ok(()),
        }
    }

    fn check_row_length(&self) -> Result<(), QuoteFault> {
        if self.row_bytes > ROW_BYTES_MAX { Err(QuoteFault::LongRow { line: self.line }) } else { Ok(()) }
    }

    /// Checks that no quoted field is open at the end.
    pub fn check_end(&self) -> Result<(), QuoteFault> {
        if self.state == State::Quoted { Err(QuoteFault::Unclosed { opened: self.opened }) } else { Ok(()) }
    }
}

fn newlines(text: &[u8]) -> u64 {
    memchr_iter(b'\n', text).count() as u64
}

#[cfg(test)]
mod tests;
