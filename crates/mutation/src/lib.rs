//! Mutated samples for property tests of parsers.
//!
//! Each parser of foreign bytes has one public function in the module `fuzz` of its crate. A fuzz target in `fuzz/` calls
//! it without end; [`check`] calls it for seconds, in the crate's tests, on stable Rust. Both start from the samples in
//! `fuzz/seeds/<target>`.

#[cfg(test)]
mod tests;

use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::{Strategy, any};
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestCaseError, TestError, TestRunner};

/// How many inputs a check tries, unless `PROPTEST_CASES` says otherwise.
const CASES: u32 = 2_000;

/// The longest input without a sample, in bytes.
const ARBITRARY_BYTES_MAX: usize = 200;

/// The most changes to one sample.
const EDITS_MAX: usize = 6;

/// One change to a sample.
#[derive(Debug, Clone)]
enum Edit {
    /// Replaces a byte.
    Replace(Index, u8),
    /// Inserts bytes.
    Insert(Index, Vec<u8>),
    /// Removes up to so many bytes.
    Remove(Index, usize),
    /// Repeats up to so many bytes, which duplicates keys and nests brackets.
    Repeat(Index, usize),
    /// Cuts the end off.
    Truncate(Index),
    /// Continues with the end of another sample.
    Splice(Index, Index, Index),
}

/// Runs `parse` on the samples of `target`, on mutations of them and on arbitrary bytes.
///
/// # Panics
/// `parse` panics for one of them, or there are no samples. The message has the shortest such input that was found;
/// add it to the samples together with the correction.
#[expect(clippy::panic, clippy::expect_used, reason = "called by tests alone")]
pub fn check(target: &str, parse: impl Fn(&[u8])) {
    // Cargo sets the variable at each run, to the folder of the crate that is tested: clones may share a target folder.
    let crate_folder = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let folder = Path::new(&crate_folder).join("../../fuzz/seeds").join(target);
    let mut samples = Vec::new();
    for file in std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        samples.push(std::fs::read(file.expect("a file of the folder").path()).expect("a readable sample"));
    }
    assert!(!samples.is_empty(), "{} has no samples", folder.display());
    samples.sort();
    for sample in &samples {
        parse(sample);
    }
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(CASES);
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&inputs(samples), |input| {
        parse(&input);
        Ok::<(), TestCaseError>(())
    });
    if let Err(TestError::Fail(reason, input)) = outcome {
        panic!("{target} fails for \"{}\": {reason}", input.escape_ascii());
    }
}

/// Mutations of `samples`, and arbitrary bytes.
fn inputs(samples: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let edits = vec(edit(), 1..=EDITS_MAX);
    let mutated = (select(samples.clone()), edits)
        .prop_map(move |(sample, edits)| edits.into_iter().fold(sample, |bytes, edit| apply(bytes, edit, &samples)));
    proptest::prop_oneof![9 => mutated, 1 => vec(any::<u8>(), 0..ARBITRARY_BYTES_MAX)]
}

fn edit() -> impl Strategy<Value = Edit> {
    let at = any::<Index>;
    // Bytes that mean something to most grammars come more often than others.
    let byte = proptest::prop_oneof![any::<u8>(), select(b"\"'`\\\n\r\t,;:.=<>()[]{}#-+0189eE_%\0\xff".to_vec())];
    proptest::prop_oneof![
        (at(), byte.clone()).prop_map(|(at, byte)| Edit::Replace(at, byte)),
        (at(), vec(byte, 1..4)).prop_map(|(at, bytes)| Edit::Insert(at, bytes)),
        (at(), 1_usize..20).prop_map(|(at, count)| Edit::Remove(at, count)),
        (at(), 1_usize..40).prop_map(|(at, count)| Edit::Repeat(at, count)),
        at().prop_map(Edit::Truncate),
        (at(), at(), at()).prop_map(|(at, sample, from)| Edit::Splice(at, sample, from)),
    ]
}

fn apply(mut bytes: Vec<u8>, edit: Edit, samples: &[Vec<u8>]) -> Vec<u8> {
    let place = |at: &Index, length: usize| at.index(length + 1);
    match edit {
        Edit::Replace(at, byte) => {
            let at = place(&at, bytes.len());
            if let Some(replaced) = bytes.get_mut(at) {
                *replaced = byte;
            }
        }
        Edit::Insert(at, inserted) => {
            let at = place(&at, bytes.len());
            bytes.splice(at..at, inserted);
        }
        Edit::Remove(at, count) => {
            let at = place(&at, bytes.len());
            bytes.drain(at..(at + count).min(bytes.len()));
        }
        Edit::Repeat(at, count) => {
            let at = place(&at, bytes.len());
            let repeated = bytes[at..(at + count).min(bytes.len())].to_vec();
            bytes.splice(at..at, repeated);
        }
        Edit::Truncate(at) => bytes.truncate(place(&at, bytes.len())),
        Edit::Splice(at, sample, from) => {
            let sample = &samples[sample.index(samples.len())];
            bytes.truncate(place(&at, bytes.len()));
            bytes.extend_from_slice(&sample[place(&from, sample.len())..]);
        }
    }
    bytes
}
