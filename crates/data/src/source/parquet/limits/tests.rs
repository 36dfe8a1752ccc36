use std::io::Write;
use std::sync::Arc;

use arrow::array::{Int64Array, ListArray, RecordBatch, StringArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use datafusion::parquet::basic::{Compression, ZstdLevel};
use datafusion::parquet::file::properties::WriterProperties;

use super::*;

/// A file with a footer of these bytes.
fn with_footer(footer: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"PAR1").unwrap();
    file.write_all(footer).unwrap();
    file.write_all(&u32::try_from(footer.len()).unwrap().to_le_bytes()).unwrap();
    file.write_all(b"PAR1").unwrap();
    file
}

fn footer(bytes: &[u8]) -> Result<(), Excess> {
    check_footer(&mut with_footer(bytes)).unwrap()
}

/// The head of a list of `length` structs.
fn list(length: usize) -> Vec<u8> {
    let mut bytes = vec![0xfc];
    let mut left = length;
    while left > 0x7f {
        bytes.push(left as u8 | 0x80);
        left >>= 7;
    }
    bytes.push(left as u8);
    bytes
}

/// A footer whose schema has elements with these numbers of children.
fn schema(children: &[u8]) -> Vec<u8> {
    // Field 2 of the file's metadata is a list.
    let mut bytes = vec![0x29];
    bytes.extend(list(children.len()));
    for children in children {
        // Field 5 is an integer of 32 bits, whose sign is its lowest bit.
        bytes.extend([0x55, children << 1, 0]);
    }
    bytes.push(0);
    bytes
}

#[test]
fn a_schema_of_any_depth_is_checked_before_it_is_descended_into() {
    let nested = |depth: usize| [vec![1; depth], vec![0]].concat();
    assert_eq!(footer(&schema(&nested(LEVELS_MAX))), Ok(()));
    assert_eq!(footer(&schema(&nested(LEVELS_MAX + 1))), Err(Excess::Deep));
    assert_eq!(footer(&schema(&nested(10_000))), Err(Excess::Deep));
    assert_eq!(footer(&schema(&vec![0; COLUMNS_MAX + 1])), Err(Excess::Wide));
}

#[test]
fn a_list_that_is_shorter_than_it_claims_is_invalid() {
    // Field 4, the row groups: a list of two billion structs.
    let mut claims = vec![0x49];
    claims.extend(list(2_000_000_000));
    claims.extend([0; 100]);
    assert_eq!(footer(&claims), Err(Excess::Footer));
    for bytes in [&[][..], &[0x49], &[0xff; 20], &[0x29, 0x1c]] {
        assert_eq!(footer(bytes), Err(Excess::Footer), "{bytes:?}");
    }
    assert_eq!(check_footer(&mut tempfile::tempfile().unwrap()).unwrap(), Err(Excess::Footer));
}

#[test]
fn any_bytes_are_checked_without_a_panic() {
    let mut seed = 1_u64;
    for length in 0..2000 {
        let bytes: Vec<u8> = (0..length % 97)
            .map(|_| {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (seed >> 56) as u8
            })
            .collect();
        let _ = (check_metadata(&bytes), PageHeader::read(&bytes));
    }
}

/// A file of one row group, written by the library.
fn written(batch: &RecordBatch, compression: Compression) -> File {
    let properties = WriterProperties::builder().set_compression(compression).build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&bytes).unwrap();
    file
}

fn batch(column: impl arrow::array::Array + 'static) -> RecordBatch {
    let field = Field::new("c", column.data_type().clone(), true);
    RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![Arc::new(column)]).unwrap()
}

fn pages(file: File) -> Result<(), Excess> {
    pages_up_to(PAGES_BYTES_MAX, file)
}

fn pages_up_to(bytes_max: u64, mut file: File) -> Result<(), Excess> {
    assert_eq!(check_footer(&mut file).unwrap(), Ok(()));
    let metadata = ParquetRecordBatchReaderBuilder::try_new(file.try_clone().unwrap()).unwrap().metadata().clone();
    check_pages_up_to(bytes_max, &mut file, &metadata).unwrap()
}

#[test]
fn ordinary_files_are_within_the_limits() {
    let zstd = Compression::ZSTD(ZstdLevel::try_new(1).unwrap());
    for compression in [Compression::UNCOMPRESSED, zstd] {
        assert_eq!(pages(written(&batch(Int64Array::from_iter_values(0..300_000)), compression)), Ok(()));
        assert_eq!(pages(written(&batch(Int64Array::from(vec![7; 2_000_000])), compression)), Ok(()));
        let texts = StringArray::from_iter_values((0..50_000).map(|row| format!("text {row}")));
        assert_eq!(pages(written(&batch(texts), compression)), Ok(()));
    }
}

#[test]
fn a_row_with_more_values_than_its_bytes_can_have_is_refused() {
    // All values are the same, so that they take a few bytes.
    let values = Int64Array::from(vec![7; 17 << 20]);
    let element = Arc::new(Field::new("element", DataType::Int64, true));
    let list = ListArray::new(element, OffsetBuffer::from_lengths([values.len()]), Arc::new(values), None);
    let excess = pages(written(&batch(list), Compression::ZSTD(ZstdLevel::try_new(1).unwrap()))).unwrap_err();
    assert!(matches!(excess, Excess::Values { values, .. } if values == 17 << 20), "{excess:?}");
}

#[test]
fn pages_that_are_large_together_are_refused_before_they_are_decompressed() {
    let header =
        |bytes: u64| PageHeader { bytes: 10, compressed: 10, decompressed: bytes, values: 1, ..PageHeader::default() };
    let mut pages = Pages::default();
    pages.add(&header(5));
    pages.add(&header(9));
    pages.add(&PageHeader { is_dictionary: true, ..header(7) });
    assert_eq!(pages, Pages { values: 2, largest: 9, dictionary: 7 });
    // A page of 8 MiB of zeros, in a few hundred bytes.
    let text = "0".repeat(8 << 20);
    let column = batch(StringArray::from(vec![text.as_str()]));
    let zstd = Compression::ZSTD(ZstdLevel::try_new(1).unwrap());
    let file = written(&column, zstd);
    assert!(file.metadata().unwrap().len() < 32 << 10);
    assert_eq!(pages_up_to(32 << 20, file.try_clone().unwrap()), Ok(()));
    let excess = pages_up_to(8 << 20, file).unwrap_err();
    assert!(matches!(excess, Excess::Memory(bytes) if bytes > 8 << 20), "{excess:?}");
}
