//! The lines of a source, and the members of their objects.

use std::borrow::Cow;
use std::fmt;
use std::io::{BufRead, BufReader, Read};
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{Deserializer as _, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::error::{Error, Result};

/// The longest line, in bytes.
const LINE_BYTES_MAX: u64 = 16 << 20;

/// The lines of a source that are not empty, one at a time.
pub(super) struct Lines<R: Read> {
    reader: BufReader<R>,
    label: Arc<str>,
    number: u64,
    line: Vec<u8>,
}

impl<R: Read> Lines<R> {
    pub(super) fn new(source: R, label: &Arc<str>) -> Self {
        Self {
            reader: BufReader::with_capacity(256 << 10, source),
            label: Arc::clone(label),
            number: 0,
            line: Vec::new(),
        }
    }

    /// Reads the next line that is not empty; false at the end.
    pub(super) fn advance(&mut self) -> Result<bool> {
        loop {
            self.line.clear();
            let limited = &mut (&mut self.reader).take(LINE_BYTES_MAX);
            let read = limited.read_until(b'\n', &mut self.line).map_err(|cause| Error::SourceFile {
                message: format!("cannot read {} after line {}: {cause}", self.label, self.number),
                hint: None,
                source: Some(cause.into()),
            })?;
            if read == 0 {
                return Ok(false);
            }
            self.number += 1;
            if read as u64 == LINE_BYTES_MAX {
                return Err(Error::source_file(format!("{} is longer than {LINE_BYTES_MAX} bytes", self.position())));
            }
            if !self.line.iter().all(u8::is_ascii_whitespace) {
                return Ok(true);
            }
        }
    }

    /// Calls `member` with the name and the JSON text of each member of the line's object.
    pub(super) fn members<'l>(&'l self, mut member: impl FnMut(Cow<'l, str>, &'l str)) -> Result<()> {
        let mut line = serde_json::Deserializer::from_slice(&self.line);
        let members = Members(|name, value| {
            member(name, value);
            Some(())
        });
        line.deserialize_map(members).and_then(|()| line.end()).map_err(|cause| Error::SourceFile {
            message: format!("{} is not a JSON object: {}", self.position(), reason(&cause)),
            hint: None,
            source: Some(cause.into()),
        })
    }

    /// The number of the line, from 1.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// The length of the line, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.line.len()
    }

    /// The position of the line, for messages.
    pub(super) fn position(&self) -> String {
        format!("{} line {}", self.label, self.number)
    }
}

/// Calls `member` with the name and the JSON text of each member of an object; `None` when a call returns `None`, or the
/// text is invalid.
pub(super) fn for_each_member<'l>(
    object: &'l str,
    member: impl FnMut(Cow<'l, str>, &'l str) -> Option<()>,
) -> Option<()> {
    serde_json::Deserializer::from_str(object).deserialize_map(Members(member)).ok()
}

/// Calls `element` with the JSON text of each element of a list, without a vector of them; `None` when a call returns
/// `None`, or the text is invalid.
pub(super) fn for_each_element<'l>(list: &'l str, element: impl FnMut(&'l str) -> Option<()>) -> Option<()> {
    serde_json::Deserializer::from_str(list).deserialize_seq(Elements(element)).ok()
}

/// Visits the members of an object without building a map.
struct Members<F>(F);

/// Visits the elements of a list.
struct Elements<F>(F);

/// The name of a member, borrowed from the line unless it has escape sequences.
#[derive(Deserialize)]
struct Name<'l>(#[serde(borrow)] Cow<'l, str>);

impl<'l, F: FnMut(Cow<'l, str>, &'l str) -> Option<()>> Visitor<'l> for Members<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'l>>(mut self, mut members: A) -> Result<(), A::Error> {
        while let Some(Name(name)) = members.next_key()? {
            let value: &RawValue = members.next_value()?;
            (self.0)(name, value.get()).ok_or_else(|| A::Error::custom("refused"))?;
        }
        Ok(())
    }
}

impl<'l, F: FnMut(&'l str) -> Option<()>> Visitor<'l> for Elements<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'l>>(mut self, mut elements: A) -> Result<(), A::Error> {
        while let Some(value) = elements.next_element::<&RawValue>()? {
            (self.0)(value.get()).ok_or_else(|| A::Error::custom("refused"))?;
        }
        Ok(())
    }
}

/// The parser's message with the column, without its own line number.
fn reason(cause: &serde_json::Error) -> String {
    let text = cause.to_string();
    let message = text.split(" at line ").next().unwrap_or_default();
    format!("{message} at column {}", cause.column())
}
