//! The limits of Parquet files. A few bytes can claim any number of rows, columns, values or decompressed bytes; the Parquet
//! library allocates what they claim, and descends into nested columns recursively. So the footer is checked before
//! the library reads it, and the headers of all pages before it decompresses them.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;

use datafusion::parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use perennial_core::schema::DEPTH_MAX;

use super::thrift::{Compact, Kind};
use crate::types::COLUMNS_MAX;

/// The longest footer, in bytes.
const FOOTER_BYTES_MAX: u64 = 64 << 20;
/// The deepest schema: a list takes three levels.
const LEVELS_MAX: usize = 3 * DEPTH_MAX + 1;
/// The longest header of a page, in bytes; it may have statistics.
const HEADER_BYTES_MAX: usize = 1 << 20;
/// The decompressed bytes that are in memory at once: of each column of a row group its dictionary and its largest page.
const PAGES_BYTES_MAX: u64 = 512 << 20;
/// So many values of a column may be in any number of bytes; more need a byte of the file for every [`VALUES_PER_BYTE`].
const VALUES_FREE: u64 = 16 << 20;
const VALUES_PER_BYTE: u64 = 64;

/// Why a file is not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Excess {
    #[error("its footer is invalid")]
    Footer,
    #[error("its footer has {0} bytes, expected at most {FOOTER_BYTES_MAX}")]
    LongFooter(u64),
    #[error("its columns are nested more than {DEPTH_MAX} deep")]
    Deep,
    #[error("its schema has more than {COLUMNS_MAX} columns and fields")]
    Wide,
    #[error("a page of column `{0}` is invalid")]
    Page(String),
    #[error("a page of column `{0}` has more bytes than its header claims")]
    Decompressed(String),
    #[error("the pages of a row group take {0} bytes of memory at once, expected at most {PAGES_BYTES_MAX}")]
    Memory(u64),
    #[error("column `{column}` claims {values} values in {bytes} bytes")]
    Values { column: String, values: u64, bytes: u64 },
}

impl Excess {
    /// The remedy.
    pub(super) fn hint(&self) -> &'static str {
        match self {
            Self::Footer | Self::Page(_) | Self::Decompressed(_) => {
                "write the file again; it may have been read while it was written"
            }
            Self::LongFooter(_) | Self::Memory(_) => "write the file with smaller row groups and pages",
            Self::Deep | Self::Wide => "write fewer, flatter columns, or nested values as text",
            Self::Values { .. } => "write the rows into several files, or without nested repetition",
        }
    }
}

/// Checks the footer: whether all its lists are as long as they claim, and the depth and the width of the schema.
pub(super) fn check_footer(file: &mut File) -> std::io::Result<Result<(), Excess>> {
    const TAIL_BYTES: u64 = 8;
    let length = file.seek(SeekFrom::End(0))?;
    if length < TAIL_BYTES {
        return Ok(Err(Excess::Footer));
    }
    let mut tail = [0; TAIL_BYTES as usize];
    file.seek(SeekFrom::End(-(TAIL_BYTES as i64)))?;
    file.read_exact(&mut tail)?;
    let [a, b, c, d, magic @ ..] = tail;
    let footer = u64::from(u32::from_le_bytes([a, b, c, d]));
    if &magic != b"PAR1" || footer > length - TAIL_BYTES {
        return Ok(Err(Excess::Footer));
    }
    if footer > FOOTER_BYTES_MAX {
        return Ok(Err(Excess::LongFooter(footer)));
    }
    file.seek(SeekFrom::Start(length - TAIL_BYTES - footer))?;
    let mut bytes = vec![0; footer as usize];
    file.read_exact(&mut bytes)?;
    Ok(check_metadata(&bytes))
}

/// Checks the `FileMetaData` of a footer.
pub(super) fn check_metadata(bytes: &[u8]) -> Result<(), Excess> {
    const SCHEMA: i64 = 2;
    let mut excess = None;
    let read = Compact::new(bytes).each_field(|fields, id, kind| match (id, kind) {
        (SCHEMA, Kind::LIST) => {
            let (elements, kind) = fields.list()?;
            excess = check_schema(fields, elements, kind)?.err();
            Some(())
        }
        (_, kind) => fields.skip(kind),
    });
    match (excess, read) {
        (Some(excess), _) => Err(excess),
        (None, Some(())) => Ok(()),
        (None, None) => Err(Excess::Footer),
    }
}

/// Checks the elements of a schema, which are a tree in depth-first order; `None` for invalid bytes.
fn check_schema(fields: &mut Compact<'_>, elements: u64, kind: Kind) -> Option<Result<(), Excess>> {
    const CHILDREN: i64 = 5;
    if kind != Kind::STRUCT {
        return None;
    }
    // The children that are still to come, of each group that is open.
    let mut open: Vec<i64> = Vec::new();
    let mut leaves = 0;
    for _ in 0..elements {
        let mut children = 0;
        fields.each_field(|fields, id, kind| match id {
            CHILDREN if kind.is_integer() => {
                children = fields.integer()?;
                Some(())
            }
            _ => fields.skip(kind),
        })?;
        while open.last() == Some(&0) {
            open.pop();
        }
        if let Some(left) = open.last_mut() {
            *left -= 1;
        }
        if children > 0 {
            open.push(children);
        } else {
            leaves += 1;
        }
        if open.len() > LEVELS_MAX {
            return Some(Err(Excess::Deep));
        }
        if leaves > COLUMNS_MAX {
            return Some(Err(Excess::Wide));
        }
    }
    Some(Ok(()))
}

/// Checks the headers of all pages.
pub(super) fn check_pages(file: &mut File, metadata: &ParquetMetaData) -> std::io::Result<Result<(), Excess>> {
    check_pages_up_to(PAGES_BYTES_MAX, file, metadata)
}

fn check_pages_up_to(
    bytes_max: u64,
    file: &mut File,
    metadata: &ParquetMetaData,
) -> std::io::Result<Result<(), Excess>> {
    let length = file.seek(SeekFrom::End(0))?;
    let rows = metadata.row_groups().iter().map(|group| group.num_rows().max(0).unsigned_abs()).sum();
    if let Err(excess) = check_values("rows", rows, length) {
        return Ok(Err(excess));
    }
    for group in metadata.row_groups() {
        let mut memory = 0_u64;
        for column in group.columns() {
            let name = || column.column_path().string();
            let Some(range) = bytes_of(column, length) else { return Ok(Err(Excess::Page(name()))) };
            let size = range.end - range.start;
            let mut pages = Pages::default();
            let complete = each_page(file, range, length, |_, _, header| {
                pages.add(header);
                Ok(true)
            })?;
            if !complete {
                return Ok(Err(Excess::Page(name())));
            }
            memory = memory.saturating_add(pages.largest).saturating_add(pages.dictionary);
            if memory > bytes_max {
                return Ok(Err(Excess::Memory(memory)));
            }
            let claimed = u64::try_from(column.num_values()).unwrap_or(u64::MAX);
            if let Err(excess) = check_values(&name(), pages.values.max(claimed), size) {
                return Ok(Err(excess));
            }
        }
    }
    Ok(Ok(()))
}

/// A column of repeated values takes few bytes, and a row of a nested column is read as a whole, so the number of values is
/// limited by the bytes that have them.
fn check_values(column: &str, values: u64, bytes: u64) -> Result<(), Excess> {
    let most = VALUES_FREE.saturating_add(bytes.saturating_mul(VALUES_PER_BYTE));
    if values > most { Err(Excess::Values { column: column.to_owned(), values, bytes }) } else { Ok(()) }
}

/// What the headers of the pages of one column chunk claim.
#[derive(Debug, Default, PartialEq, Eq)]
struct Pages {
    /// Values of all data pages.
    values: u64,
    /// Decompressed bytes of the largest data page.
    largest: u64,
    /// Decompressed bytes of the dictionary.
    dictionary: u64,
}

/// The range of the bytes of a column chunk in a file of `length` bytes; `None` for an invalid one.
pub(super) fn bytes_of(column: &ColumnChunkMetaData, length: u64) -> Option<Range<u64>> {
    let start = match (column.dictionary_page_offset(), column.data_page_offset()) {
        (Some(dictionary), data) if dictionary > 0 => dictionary.min(data),
        (_, data) => data,
    };
    let start = u64::try_from(start).ok()?;
    let end = start.checked_add(u64::try_from(column.compressed_size()).ok()?)?;
    (end <= length).then_some(start..end)
}

/// Calls `page` with the header of each page in a range of the file and the position after it, until it returns `false`;
/// `false` for an invalid header. Some writers claim a range that ends inside of the last page.
pub(super) fn each_page(
    file: &mut File,
    range: Range<u64>,
    length: u64,
    mut page: impl FnMut(&mut File, u64, &PageHeader) -> std::io::Result<bool>,
) -> std::io::Result<bool> {
    let (mut bytes, mut start) = (Vec::new(), range.start);
    while start < range.end {
        bytes.clear();
        file.seek(SeekFrom::Start(start))?;
        // Most headers are short.
        let mut header = None;
        for limit in [256, HEADER_BYTES_MAX] {
            let most = (limit - bytes.len()) as u64;
            Read::by_ref(file).take(most).read_to_end(&mut bytes)?;
            header = PageHeader::read(&bytes);
            if header.is_some() {
                break;
            }
        }
        let Some(header) = header else { return Ok(false) };
        let content = start + header.bytes as u64;
        let next = content + header.compressed;
        if next > length {
            return Ok(false);
        }
        if !page(file, content, &header)? {
            return Ok(true);
        }
        start = next;
    }
    Ok(true)
}

impl Pages {
    fn add(&mut self, header: &PageHeader) {
        if header.is_dictionary {
            self.dictionary = self.dictionary.max(header.decompressed);
        } else {
            self.largest = self.largest.max(header.decompressed);
            self.values = self.values.saturating_add(header.values);
        }
    }
}

/// The header of a page.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct PageHeader {
    /// Its own length.
    bytes: usize,
    pub(super) compressed: u64,
    pub(super) decompressed: u64,
    values: u64,
    is_dictionary: bool,
    /// Bytes of levels before the values, which are not compressed: in pages of version 2.
    pub(super) levels: u64,
    /// Whether the values are stored as they are, whatever the compression of the column.
    pub(super) is_stored: bool,
}

impl PageHeader {
    fn read(bytes: &[u8]) -> Option<Self> {
        const DECOMPRESSED: i64 = 2;
        const COMPRESSED: i64 = 3;
        const DATA: i64 = 5;
        const DICTIONARY: i64 = 7;
        const DATA_V2: i64 = 8;
        let mut rest = Compact::new(bytes);
        let (mut compressed, mut decompressed) = (None, None);
        let mut header = Self::default();
        rest.each_field(|fields, id, kind| match id {
            DECOMPRESSED if kind.is_integer() => {
                decompressed = u64::try_from(fields.integer()?).ok();
                Some(())
            }
            COMPRESSED if kind.is_integer() => {
                compressed = u64::try_from(fields.integer()?).ok();
                Some(())
            }
            DATA | DICTIONARY | DATA_V2 if kind == Kind::STRUCT => {
                header.is_dictionary |= id == DICTIONARY;
                header.read_content(fields, id == DATA_V2)
            }
            _ => fields.skip(kind),
        })?;
        Some(Self {
            bytes: bytes.len() - rest.remaining(),
            compressed: compressed?,
            decompressed: decompressed?,
            ..header
        })
    }

    /// Reads the part of the header that depends on the kind of the page.
    fn read_content(&mut self, fields: &mut Compact<'_>, is_version_2: bool) -> Option<()> {
        const VALUES: i64 = 1;
        const DEFINITION_LEVELS: i64 = 5;
        const REPETITION_LEVELS: i64 = 6;
        const IS_COMPRESSED: i64 = 7;
        fields.each_field(|fields, id, kind| match id {
            VALUES if kind.is_integer() => {
                self.values = u64::try_from(fields.integer()?).ok()?;
                Some(())
            }
            DEFINITION_LEVELS | REPETITION_LEVELS if is_version_2 && kind.is_integer() => {
                self.levels = self.levels.checked_add(u64::try_from(fields.integer()?).ok()?)?;
                Some(())
            }
            IS_COMPRESSED if is_version_2 => {
                self.is_stored = kind == Kind::FALSE;
                fields.skip(kind)
            }
            _ => fields.skip(kind),
        })
    }
}

#[cfg(test)]
mod tests;
