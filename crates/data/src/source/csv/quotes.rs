//! Reads CSV for the parser, and finds misplaced quotation marks on the way.

use std::io::{self, Read};

use perennial_core::csv_quotes::QuoteChecker;

/// Passes bytes on; a misplaced quotation mark is an error whose inner error is a
/// [`QuoteFault`](perennial_core::csv_quotes::QuoteFault).
pub(super) struct CheckedQuotes<R> {
    source: R,
    checker: QuoteChecker,
}

impl<R: Read> CheckedQuotes<R> {
    pub(super) fn new(source: R) -> Self {
        Self { source, checker: QuoteChecker::default() }
    }
}

impl<R: Read> Read for CheckedQuotes<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(buffer)?;
        let checked = if read == 0 { self.checker.check_end() } else { self.checker.check(&buffer[..read]) };
        checked.map_err(io::Error::other)?;
        Ok(read)
    }
}

#[cfg(test)]
mod tests;
