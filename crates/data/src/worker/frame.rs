//! Frames as bytes: for each column its head, its numbers or codes, its texts.

use std::sync::Arc;

use perennial_core::frame::{Column, Frame, MISSING, TextColumn};
use perennial_core::{Error, ErrorCode, Result};

/// The kinds of a column.
const NUMBERS: u8 = 0;
const TEXTS: u8 = 1;

/// The bytes of a frame.
pub(super) fn write(frame: &Frame) -> Vec<u8> {
    let mut bytes = Vec::new();
    put(&mut bytes, frame.names().len());
    for name in frame.names() {
        put_text(&mut bytes, name);
        match frame.column(name) {
            Some(Column::Number(values)) => {
                bytes.push(NUMBERS);
                put(&mut bytes, values.len());
                for value in values {
                    bytes.extend_from_slice(&value.to_le_bytes());
                }
            }
            Some(Column::Text(text)) => {
                bytes.push(TEXTS);
                put(&mut bytes, text.codes.len());
                for code in &text.codes {
                    bytes.extend_from_slice(&code.to_le_bytes());
                }
                put(&mut bytes, text.values.len());
                for value in &text.values {
                    put_text(&mut bytes, value);
                }
            }
            None => {}
        }
    }
    bytes
}

fn put(bytes: &mut Vec<u8>, number: usize) {
    bytes.extend_from_slice(&(number as u64).to_le_bytes());
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    put(bytes, text.len());
    bytes.extend_from_slice(text.as_bytes());
}

/// The frame of [`write`]; an error for any other bytes.
pub(super) fn read(bytes: &[u8]) -> Result<Frame> {
    read_from(&mut Reader(bytes))
        .ok_or_else(|| Error::new(ErrorCode::Internal, "a worker answered with something other than a frame"))
}

fn read_from(reader: &mut Reader<'_>) -> Option<Frame> {
    let mut frame = Frame::new();
    for index in 0..reader.number()? {
        let name = reader.text()?.to_owned();
        let column = match reader.take(1)? {
            [NUMBERS] => {
                let rows = reader.number()?;
                let values = reader.take(rows.checked_mul(8)?)?.as_chunks::<8>().0;
                Column::Number(values.iter().map(|value| f64::from_le_bytes(*value)).collect())
            }
            [TEXTS] => {
                let rows = reader.number()?;
                let codes = reader.take(rows.checked_mul(4)?)?.as_chunks::<4>().0;
                let codes: Vec<u32> = codes.iter().map(|code| u32::from_le_bytes(*code)).collect();
                let mut values: Vec<Arc<str>> = Vec::new();
                for _ in 0..reader.number()? {
                    values.push(Arc::from(reader.text()?));
                }
                let is_valid = |code: &u32| *code == MISSING || (*code as usize) < values.len();
                codes.iter().all(is_valid).then_some(Column::Text(TextColumn { codes, values }))?
            }
            _ => return None,
        };
        if index > 0 && column.len() != frame.rows() || frame.column(&name).is_some() {
            return None;
        }
        frame.push(name, column);
    }
    reader.0.is_empty().then_some(frame)
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<usize> {
        let bytes: [u8; 8] = self.take(8)?.try_into().ok()?;
        usize::try_from(u64::from_le_bytes(bytes)).ok()
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = self.number()?;
        std::str::from_utf8(self.take(length)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_read_as_it_was_written_and_other_bytes_are_refused() {
        let mut frame = Frame::new();
        frame.push("x", Column::Number(vec![1.5, -0.0]));
        frame.push("t", Column::Text(TextColumn::encode([None, Some("ä")])));
        let bytes = write(&frame);
        assert_eq!(read(&bytes).unwrap(), frame);
        for length in 0..bytes.len() {
            assert!(read(&bytes[..length]).is_err(), "{length}");
        }
        for place in 0..bytes.len() {
            let mut other = bytes.clone();
            other[place] = 0xff;
            let _ = read(&other);
        }
        assert_eq!(read(&write(&Frame::new())).unwrap(), Frame::new());
    }
}
