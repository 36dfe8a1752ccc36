//! The binary format of records.
//!
//! A segment is [`MAGIC`](super::file::MAGIC), then frames: the payload's length (u32), the first 8 bytes of
//! the payload's BLAKE3, the payload. Numbers are little-endian. A payload is a column description (tag 1), one
//! prediction (tag 2), or the seal that ends a closed segment (tag 3). A prediction refers by fingerprint to a
//! column description before it in the same segment.

use std::collections::HashMap;

use perennial_core::frame::{Column, Frame, MISSING, TextColumn};
use perennial_core::id::RequestId;
use perennial_core::model::{InputKind, Scores};
use perennial_core::port::prediction::{PredictionRecord, TrafficRole};
use uuid::Uuid;

use super::RECORD_MAX_BYTES;
use super::error::LogError;
use super::file::{MAGIC, MAGIC_UNSEALED};

const TAG_COLUMNS: u8 = 1;
const TAG_PREDICTION: u8 = 2;
const TAG_SEAL: u8 = 3;

/// Text as one string per row.
const TEXT_PLAIN: u8 = 0;
/// Text as distinct values, then one code per row.
const TEXT_DICTIONARY: u8 = 1;

/// The length that marks a missing text.
const MISSING_TEXT: u32 = u32::MAX;

/// Bytes of a frame before its payload.
const FRAME_HEADER_BYTES: usize = 4 + CHECKSUM_BYTES;
const CHECKSUM_BYTES: usize = 8;

/// Bytes of the seal's frame.
pub(super) const SEAL_BYTES: u64 = FRAME_HEADER_BYTES as u64 + 1;

/// Names and kinds of a record's columns, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Columns {
    /// Identifies the description within a segment.
    pub(super) fingerprint: u64,
    payload: Vec<u8>,
}

impl Columns {
    /// Describes the columns of `frame`.
    pub(super) fn of(frame: &Frame) -> Result<Self, LogError> {
        let mut payload = vec![TAG_COLUMNS];
        payload.extend_from_slice(&(frame.names().len() as u32).to_le_bytes());
        for (name, column) in frame.names().iter().zip(frame.columns()) {
            payload.push(kind_tag(column));
            put_bytes(&mut payload, name.as_bytes());
        }
        check_size(payload.len())?;
        Ok(Self { fingerprint: checksum(&payload), payload })
    }

    /// Whether this describes the columns of `frame`; found without a hash or an allocation.
    pub(super) fn describes(&self, frame: &Frame) -> bool {
        let mut cursor = Cursor(&self.payload[1..]);
        let mut columns = frame.names().iter().zip(frame.columns());
        cursor.u32() == Some(frame.names().len() as u32)
            && columns
                .all(|(name, column)| cursor.u8() == Some(kind_tag(column)) && cursor.bytes() == Some(name.as_bytes()))
    }

    /// The description as a frame.
    pub(super) fn encoded(&self) -> Vec<u8> {
        frame(&self.payload, self.fingerprint)
    }
}

fn kind_tag(column: &Column) -> u8 {
    match column {
        Column::Number(_) => 0,
        Column::Text(_) => 1,
    }
}

fn frame(payload: &[u8], checksum: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(FRAME_HEADER_BYTES + payload.len());
    out.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    out.extend_from_slice(&checksum.to_le_bytes());
    out.extend_from_slice(payload);
    out
}

/// The last frame of a closed segment.
pub(super) fn seal() -> Vec<u8> {
    let payload = [TAG_SEAL];
    frame(&payload, checksum(&payload))
}

/// A decoded record.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct DecodedRecord {
    pub(super) request: RequestId,
    pub(super) version: i64,
    pub(super) role: TrafficRole,
    pub(super) status: u16,
    pub(super) wall_ms: i64,
    pub(super) project_ms: i64,
    pub(super) latency_us: u64,
    /// Fingerprint of the column description.
    pub(super) columns: u64,
    /// Values in the order of the description.
    pub(super) inputs: Vec<Column>,
    pub(super) rows: usize,
    pub(super) scores: Option<Scores>,
}

/// Appends `record` to `out` as one frame.
pub(super) fn encode(record: &PredictionRecord<'_>, columns: &Columns, out: &mut Vec<u8>) -> Result<(), LogError> {
    let start = out.len();
    out.extend_from_slice(&[0; FRAME_HEADER_BYTES]);
    out.push(TAG_PREDICTION);
    out.extend_from_slice(&columns.fingerprint.to_le_bytes());
    out.extend_from_slice(record.request.uuid().as_bytes());
    out.extend_from_slice(&record.version.to_le_bytes());
    out.push(record.role as u8);
    out.extend_from_slice(&record.status.to_le_bytes());
    out.extend_from_slice(&record.wall_ms.to_le_bytes());
    out.extend_from_slice(&record.project_ms.to_le_bytes());
    out.extend_from_slice(&record.latency_us.to_le_bytes());
    let rows = record.inputs.rows();
    out.extend_from_slice(&(rows as u32).to_le_bytes());
    let width = record.scores.map_or(0, |scores| scores.width);
    out.extend_from_slice(&(width as u32).to_le_bytes());
    for column in record.inputs.columns() {
        match column {
            Column::Number(values) => put_numbers(out, values),
            Column::Text(text) => put_text(out, text),
        }
        check_size(out.len() - start)?;
    }
    if let Some(scores) = record.scores {
        if scores.values.len() != rows * scores.width {
            return Err(LogError::Shape { rows, scores: scores.values.len(), width: scores.width });
        }
        put_numbers(out, &scores.values);
    }
    let length = out.len() - start - FRAME_HEADER_BYTES;
    check_size(length)?;
    let sum = checksum(&out[start + FRAME_HEADER_BYTES..]);
    out[start..start + 4].copy_from_slice(&(length as u32).to_le_bytes());
    out[start + 4..start + FRAME_HEADER_BYTES].copy_from_slice(&sum.to_le_bytes());
    Ok(())
}

fn check_size(size: usize) -> Result<(), LogError> {
    if size <= RECORD_MAX_BYTES {
        return Ok(());
    }
    Err(LogError::TooLarge { size_bytes: size as u64, limit_bytes: RECORD_MAX_BYTES as u64 })
}

fn checksum(payload: &[u8]) -> u64 {
    let mut first = [0; CHECKSUM_BYTES];
    first.copy_from_slice(&blake3::hash(payload).as_bytes()[..CHECKSUM_BYTES]);
    u64::from_le_bytes(first)
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    out.extend_from_slice(bytes);
}

fn put_numbers(out: &mut Vec<u8>, values: &[f64]) {
    for value in values {
        out.extend_from_slice(&value.to_le_bytes());
    }
}

/// Writes a dictionary only when it has no more values than there are rows: a frame cut from a larger one
/// keeps all distinct values of that one.
fn put_text(out: &mut Vec<u8>, text: &TextColumn) {
    if text.values.len() <= text.codes.len() {
        out.push(TEXT_DICTIONARY);
        out.extend_from_slice(&(text.values.len() as u32).to_le_bytes());
        for value in &text.values {
            put_bytes(out, value.as_bytes());
        }
        for code in &text.codes {
            out.extend_from_slice(&code.to_le_bytes());
        }
        return;
    }
    out.push(TEXT_PLAIN);
    for row in 0..text.codes.len() {
        match text.get(row) {
            Some(value) => put_bytes(out, value.as_bytes()),
            None => out.extend_from_slice(&MISSING_TEXT.to_le_bytes()),
        }
    }
}

/// The structure of a segment.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// Number of whole records.
    pub(super) records: u64,
    /// Bytes up to the end of the last whole frame.
    pub(super) end: u64,
    /// Why the bytes after `end` are not a frame; `None` when no bytes follow.
    pub(super) torn: Option<&'static str>,
    /// Whether it was closed.
    pub(super) is_sealed: bool,
    /// Column descriptions by fingerprint.
    pub(super) columns: HashMap<u64, Vec<(String, InputKind)>>,
}

/// Reads a segment's frames without decoding values.
pub(super) fn scan(segment: &[u8]) -> Scan {
    let mut scan = Scan::default();
    scan.torn = for_each_frame(segment, &mut scan.end, |payload| {
        if is_description(payload) {
            let columns = decode_columns(payload).ok_or("a column description cannot be decoded")?;
            scan.columns.insert(checksum(payload), columns);
        } else if is_record(payload) {
            scan.records += 1;
        } else {
            scan.is_sealed = true;
        }
        Ok(())
    })
    .err();
    scan
}

/// Calls `visit` with the payload of each whole frame; sets `end` to the end of the last one.
pub(super) fn for_each_frame<'a>(
    segment: &'a [u8],
    end: &mut u64,
    mut visit: impl FnMut(&'a [u8]) -> Result<(), &'static str>,
) -> Result<(), &'static str> {
    let mut cursor = Cursor(segment);
    let header = cursor.take(MAGIC.len());
    if header != Some(MAGIC) && header != Some(MAGIC_UNSEALED) {
        return Err("the header is missing");
    }
    *end = MAGIC.len() as u64;
    while !cursor.0.is_empty() {
        let length = cursor.u32().ok_or("a frame is cut short")? as usize;
        let expected = cursor.u64().ok_or("a frame is cut short")?;
        if length > RECORD_MAX_BYTES {
            return Err("a frame is longer than any record");
        }
        let payload = cursor.take(length).ok_or("a frame is cut short")?;
        if checksum(payload) != expected {
            return Err("a frame does not match its checksum");
        }
        visit(payload)?;
        *end += (FRAME_HEADER_BYTES + length) as u64;
    }
    Ok(())
}

/// Whether a payload is a record.
pub(super) fn is_record(payload: &[u8]) -> bool {
    !is_description(payload) && payload != [TAG_SEAL]
}

/// Whether a payload is the record of a request.
pub(super) fn is_of(payload: &[u8], request: RequestId) -> bool {
    let mut cursor = Cursor(payload);
    cursor.u8() == Some(TAG_PREDICTION)
        && cursor.u64().is_some()
        && cursor.take(16) == Some(request.uuid().as_bytes().as_slice())
}

/// Whether a payload is a column description.
fn is_description(payload: &[u8]) -> bool {
    payload.first() == Some(&TAG_COLUMNS)
}

/// Decodes a column description.
fn decode_columns(payload: &[u8]) -> Option<Vec<(String, InputKind)>> {
    let mut cursor = Cursor(payload);
    cursor.u8()?;
    let count = cursor.u32()?;
    let mut columns = Vec::new();
    for _ in 0..count {
        let kind = if cursor.u8()? == 0 { InputKind::Number } else { InputKind::Text };
        let name = std::str::from_utf8(cursor.bytes()?).ok()?;
        columns.push((name.to_owned(), kind));
    }
    Some(columns)
}

/// Decodes a record; `None` when the payload is not a record or does not match its columns.
pub(super) fn decode(payload: &[u8], columns: &HashMap<u64, Vec<(String, InputKind)>>) -> Option<DecodedRecord> {
    let mut cursor = Cursor(payload);
    if cursor.u8()? != TAG_PREDICTION {
        return None;
    }
    let fingerprint = cursor.u64()?;
    let request = RequestId::from(Uuid::from_slice(cursor.take(16)?).ok()?);
    let version = cursor.i64()?;
    let role = *TrafficRole::ALL.get(usize::from(cursor.u8()?))?;
    let status = u16::from_le_bytes(cursor.array()?);
    let (wall_ms, project_ms, latency_us) = (cursor.i64()?, cursor.i64()?, cursor.u64()?);
    let (rows, width) = (cursor.u32()? as usize, cursor.u32()? as usize);
    let mut inputs = Vec::new();
    for (_, kind) in columns.get(&fingerprint)? {
        inputs.push(match kind {
            InputKind::Number => Column::Number(cursor.numbers(rows)?),
            InputKind::Text => Column::Text(cursor.text(rows)?),
        });
    }
    let scores = match width {
        0 => None,
        width => Some(Scores { width, values: cursor.numbers(rows.checked_mul(width)?)? }),
    };
    cursor.0.is_empty().then_some(DecodedRecord {
        request,
        version,
        role,
        status,
        wall_ms,
        project_ms,
        latency_us,
        columns: fingerprint,
        inputs,
        rows,
        scores,
    })
}

/// Reads values from the front of a slice; `None` when the slice is too short.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_le_bytes)
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.u32()?;
        self.take(length as usize)
    }

    fn numbers(&mut self, count: usize) -> Option<Vec<f64>> {
        let (values, _) = self.take(count.checked_mul(8)?)?.as_chunks::<8>();
        Some(values.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect())
    }

    fn text(&mut self, rows: usize) -> Option<TextColumn> {
        if self.u8()? == TEXT_PLAIN {
            let mut values = Vec::new();
            for _ in 0..rows {
                values.push(match self.u32()? {
                    MISSING_TEXT => None,
                    length => Some(std::str::from_utf8(self.take(length as usize)?).ok()?),
                });
            }
            return Some(TextColumn::encode(values));
        }
        let count = self.u32()?;
        let mut text = TextColumn::default();
        for _ in 0..count {
            text.values.push(std::str::from_utf8(self.bytes()?).ok()?.into());
        }
        let (codes, _) = self.take(rows.checked_mul(4)?)?.as_chunks::<4>();
        text.codes = codes.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect();
        text.codes.iter().all(|&code| code == MISSING || code < count).then_some(text)
    }
}
