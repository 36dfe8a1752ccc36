use std::io::Write;
use std::sync::Arc;

use arrow::array::{RecordBatch, StringArray};
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use datafusion::parquet::basic::{BrotliLevel, GzipLevel};
use datafusion::parquet::file::properties::{WriterProperties, WriterVersion};
use perennial_core::port::data::LocalTime;
use proptest::prelude::*;

use super::*;
use crate::source::LocalFile;
use crate::source::parquet::{infer_schema, read};
use crate::source::zone::LocalTimes;

const VERSIONS: [WriterVersion; 2] = [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0];

fn compressions() -> [Compression; 3] {
    [Compression::GZIP(GzipLevel::default()), Compression::BROTLI(BrotliLevel::default()), Compression::LZ4]
}

/// A file of one column of one page with `text`, and the position of the page.
fn written(text: &str, compression: Compression, version: WriterVersion) -> (Vec<u8>, usize) {
    let properties = WriterProperties::builder()
        .set_compression(compression)
        .set_writer_version(version)
        .set_dictionary_enabled(false)
        .build();
    let column: Arc<dyn arrow::array::Array> = Arc::new(StringArray::from(vec![Some(text), None]));
    let batch = RecordBatch::try_from_iter([("c", column)]).unwrap();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    let page = writer.close().unwrap().row_group(0).column(0).data_page_offset();
    (bytes, usize::try_from(page).unwrap())
}

/// Changes the decompressed size in the header of the page at `page`, in as many bytes as it had.
fn claim(bytes: &mut [u8], page: usize, size: u64) {
    // Two integers of 32 bits, fields 1 and 2: the kind of the page, in one byte, and the size.
    assert_eq!((bytes[page], bytes[page + 2]), (0x15, 0x15));
    let number = &mut bytes[page + 3..];
    let length = 1 + number.iter().position(|byte| byte & 0x80 == 0).unwrap();
    let mut left = size << 1;
    for (place, byte) in number[..length].iter_mut().enumerate() {
        *byte = left as u8 & 0x7f | if place + 1 < length { 0x80 } else { 0 };
        left >>= 7;
    }
    assert_eq!(left, 0, "the number is longer than the one that it replaces");
}

fn file_of(bytes: &[u8]) -> (tempfile::NamedTempFile, LocalFile) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    let local = LocalFile { path: file.path().to_owned(), label: Arc::from("a.parquet") };
    (file, local)
}

fn check(bytes: &[u8]) -> Result<(), Excess> {
    let (file, _) = file_of(bytes);
    let metadata = ParquetRecordBatchReaderBuilder::try_new(file.reopen().unwrap()).unwrap().metadata().clone();
    check_decompressed(&mut file.reopen().unwrap(), &metadata).unwrap()
}

#[test]
fn a_page_that_decompresses_to_more_than_it_claims_is_refused() {
    let text = "0".repeat(8 << 20);
    for version in VERSIONS {
        for compression in compressions() {
            let (mut bytes, page) = written(&text, compression, version);
            assert_eq!(check(&bytes), Ok(()), "{compression} {version:?}");
            claim(&mut bytes, page, 1_000);
            // The library limits the form of LZ4 that Hadoop writes.
            let is_limited = compression == Compression::LZ4;
            let expected = if is_limited { Ok(()) } else { Err(Excess::Decompressed("c".to_owned())) };
            assert_eq!(check(&bytes), expected, "{compression} {version:?}");
            let (_kept, file) = file_of(&bytes);
            let times = LocalTimes::new(LocalTime::default()).unwrap();
            assert!(infer_schema(std::slice::from_ref(&file), None).is_ok());
            let error = read(&file, &times, &mut |_| Ok(())).unwrap_err().to_string();
            assert!(
                is_limited || error.contains("a page of column `c` has more bytes than its header claims"),
                "{error}"
            );
        }
    }
}

/// The compressed forms of `bytes` that have no limit of their own.
fn compressed(bytes: &[u8]) -> Vec<(Compression, Vec<u8>)> {
    let [gzip, brotli, lz4] = compressions();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    let as_gzip = encoder.finish().unwrap();
    let mut encoder = brotli::CompressorWriter::new(Vec::new(), 4096, 1, 22);
    encoder.write_all(bytes).unwrap();
    let as_brotli = encoder.into_inner();
    let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
    encoder.write_all(bytes).unwrap();
    let in_frame = encoder.finish().unwrap();
    // Gzip decompresses members one after the other.
    let twice = [as_gzip.as_slice(), &as_gzip].concat();
    assert!(is_longer_than(bytes.len() as u64, twice.as_slice(), gzip) != bytes.is_empty());
    vec![(gzip, as_gzip), (brotli, as_brotli), (lz4, in_frame)]
}

proptest! {
    #[test]
    fn a_page_is_refused_exactly_when_it_has_more_bytes_than_claimed(
        bytes in proptest::collection::vec(0_u8..4, 0..200_000),
        difference in -3_i64..3,
    ) {
        let most = (bytes.len() as u64).saturating_add_signed(difference);
        for (compression, compressed) in compressed(&bytes) {
            prop_assert_eq!(is_longer_than(most, compressed.as_slice(), compression), bytes.len() as u64 > most);
        }
    }

    #[test]
    fn bytes_that_are_not_compressed_are_left_to_the_library(bytes in proptest::collection::vec(any::<u8>(), 0..500)) {
        for compression in compressions() {
            // Whatever they decompress to: no panic, and an end.
            let _ = is_longer_than(1 << 20, bytes.as_slice(), compression);
        }
    }
}
