//! The decompressed size of pages. Gzip, Brotli and LZ4 in frames say nowhere how much they decompress to, and the Parquet
//! library decompresses such a page to its end before it compares the size with the header. So these pages are decompressed
//! and counted first, up to the size that their header claims, in little memory.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

use datafusion::parquet::basic::Compression;
use datafusion::parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};

use super::limits::{Excess, PageHeader, bytes_of, each_page};

/// The buffer of a decompressor and of its file, in bytes.
const BUFFER_BYTES: usize = 64 << 10;

/// Checks that no page decompresses to more than its header claims. The headers are checked already.
pub(super) fn check_decompressed(file: &mut File, metadata: &ParquetMetaData) -> io::Result<Result<(), Excess>> {
    let length = file.seek(SeekFrom::End(0))?;
    for column in metadata.row_groups().iter().flat_map(RowGroupMetaData::columns) {
        let compression = column.compression();
        if !matches!(compression, Compression::GZIP(_) | Compression::BROTLI(_) | Compression::LZ4) {
            continue;
        }
        let name = || column.column_path().string();
        let Some(range) = bytes_of(column, length) else { return Ok(Err(Excess::Page(name()))) };
        let mut is_longer = false;
        each_page(file, range, length, |file, content, header| {
            is_longer = !header.is_stored && exceeds(file, content, header, compression)?;
            Ok(!is_longer)
        })?;
        if is_longer {
            return Ok(Err(Excess::Decompressed(name())));
        }
    }
    Ok(Ok(()))
}

/// Whether the page at `content` decompresses to more than `header` claims.
fn exceeds(file: &mut File, content: u64, header: &PageHeader, compression: Compression) -> io::Result<bool> {
    let (Some(values), Some(claimed)) =
        (header.compressed.checked_sub(header.levels), header.decompressed.checked_sub(header.levels))
    else {
        // The library refuses it.
        return Ok(false);
    };
    file.seek(SeekFrom::Start(content + header.levels))?;
    let compressed = BufReader::with_capacity(BUFFER_BYTES, file.take(values));
    Ok(is_longer_than(claimed, compressed, compression))
}

/// Whether compressed bytes decompress to more than `most` bytes. An error of theirs is found by the library, which has
/// decompressed as much as this function then.
fn is_longer_than(most: u64, compressed: impl Read, compression: Compression) -> bool {
    match compression {
        Compression::GZIP(_) => has_more_than(most, flate2::read::MultiGzDecoder::new(compressed)),
        Compression::BROTLI(_) => has_more_than(most, brotli::Decompressor::new(compressed, BUFFER_BYTES)),
        // Frames are tried where the bytes are not in the form that Hadoop writes, whose size is limited.
        _ => has_more_than(most, lz4_flex::frame::FrameDecoder::new(compressed)),
    }
}

fn has_more_than(most: u64, mut decompressed: impl Read) -> bool {
    let (mut buffer, mut count) = (vec![0; BUFFER_BYTES], 0_u64);
    loop {
        match decompressed.read(&mut buffer) {
            Ok(0) => return false,
            Ok(read) => count += read as u64,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return false,
        }
        if count > most {
            return true;
        }
    }
}

#[cfg(test)]
mod tests;
