use proptest::prelude::*;

use super::*;

/// Records of two fields, as a writer of CSV writes them.
fn records() -> impl Strategy<Value = Vec<u8>> {
    let record = prop::collection::vec("[a\",\n 1]{0,4}", 2);
    (prop::collection::vec(record, 1..6), any::<bool>()).prop_map(|(records, quotes_all)| {
        let style = if quotes_all { csv::QuoteStyle::Always } else { csv::QuoteStyle::Necessary };
        let mut writer = csv::WriterBuilder::new().quote_style(style).from_writer(Vec::new());
        for record in &records {
            writer.write_record(record).expect("memory");
        }
        writer.into_inner().expect("memory")
    })
}

/// The number of records of two fields; none if the file is refused.
fn read(bytes: &[u8]) -> Option<usize> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(CheckedQuotes::new(bytes));
    reader.byte_records().map(Result::ok).collect::<Option<Vec<_>>>().map(|records| records.len())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn what_a_writer_writes_is_accepted(text in records()) {
        prop_assert!(read(&text).is_some());
    }

    #[test]
    fn a_stray_quotation_mark_makes_no_row_vanish(text in records(), at in any::<prop::sample::Index>()) {
        let written = read(&text).expect("records");
        let mut more = text.clone();
        more.insert(at.index(text.len() + 1), b'"');
        let mut fewer = text.clone();
        if let Some(quote) = text.iter().rposition(|byte| *byte == b'"') {
            fewer.remove(quote);
        }
        for changed in [more, fewer] {
            if let Some(rows) = read(&changed) {
                prop_assert!(rows >= written, "{rows} of {written}: {:?}", String::from_utf8_lossy(&changed));
            }
        }
    }
}
