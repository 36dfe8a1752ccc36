use proptest::prelude::*;

use super::*;

fn record(number: usize) -> Record {
    Record {
        chain: Chain::Server,
        noun: "grant".to_owned(),
        subject: format!("subject {number}"),
        verb: "create".to_owned(),
        actor: "ada".to_owned(),
        wall_ms: 1_000 + number as i64,
        project_ms: 500 - number as i64,
        cause: number.is_multiple_of(2).then(|| "request:1".to_owned()),
        payload: format!("{{\"number\":{number}}}"),
    }
}

fn chain(length: usize) -> Vec<Entry> {
    let mut head = Head::empty();
    let mut entries = Vec::new();
    for number in 0..length {
        let entry = Entry::after(&head, record(number));
        head = entry.head();
        entries.push(entry);
    }
    entries
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend((text.len() as u64).to_le_bytes());
    bytes.extend(text.bytes());
}

#[test]
fn the_hash_is_what_its_description_says() {
    let entry = &chain(1)[0];
    let mut bytes = Vec::new();
    put_text(&mut bytes, "perennial ledger entry 1");
    put_text(&mut bytes, "server");
    bytes.extend(1_i64.to_le_bytes());
    for text in ["grant", "subject 0", "create", "ada"] {
        put_text(&mut bytes, text);
    }
    bytes.extend(1_000_i64.to_le_bytes());
    bytes.extend(500_i64.to_le_bytes());
    put_text(&mut bytes, "request:1");
    put_text(&mut bytes, &blake3::hash(b"{\"number\":0}").to_hex());
    put_text(&mut bytes, GENESIS);
    assert_eq!(entry.hash, blake3::hash(&bytes).to_hex().to_string());
    // A change here breaks every chain there is.
    assert_eq!(entry.hash, "fc802b50901b77e4bba9c5630d3fb2483b18efea127a996fc5cfbdcecd1e189b");
}

#[test]
fn an_absent_cause_differs_from_an_empty_one() {
    let head = Head::empty();
    let absent = Entry::after(&head, Record { cause: None, ..record(0) });
    let empty = Entry::after(&head, Record { cause: Some(String::new()), ..record(0) });
    assert_ne!(absent.hash, empty.hash);
}

#[test]
fn text_cannot_move_from_one_field_to_the_next() {
    let head = Head::empty();
    let one = Entry::after(&head, Record { noun: "ab".to_owned(), subject: "c".to_owned(), ..record(0) });
    let two = Entry::after(&head, Record { noun: "a".to_owned(), subject: "bc".to_owned(), ..record(0) });
    assert_ne!(one.hash, two.hash);
}

#[test]
fn an_empty_chain_verifies() {
    let report = verify([], None).unwrap();
    assert_eq!((report.entries, report.head), (0, Head::empty()));
    assert!(verify([], Some(GENESIS)).is_ok());
    assert!(verify([], Some("00ff")).is_err());
}

#[test]
fn a_cut_tail_is_found_by_the_recorded_head() {
    let entries = chain(5);
    let head = entries[4].head();
    let mut verifier = Verifier::new(None);
    for entry in &entries[..3] {
        verifier.entry(entry).unwrap();
    }
    assert_eq!(verifier.finish(Some(&head)), Err(BrokenChain { sequence: 4, error: VerifyError::Cut }));
}

/// Takes entries, the first without its payload.
fn without_first_payload(entries: &[Entry]) -> Result<Report, BrokenChain> {
    let mut verifier = Verifier::new(None);
    for entry in entries {
        verifier.entry(entry)?;
        let payload = record(entry.sequence as usize - 1).payload;
        verifier.payload(entry, Some(payload.as_str()).filter(|_| entry.sequence > 1))?;
    }
    verifier.finish(None)
}

#[test]
fn a_payload_may_be_erased_with_an_entry_but_not_changed() {
    let mut entries = chain(2);
    let missing = BrokenChain { sequence: 1, error: VerifyError::PayloadMissing };
    assert_eq!(without_first_payload(&entries), Err(missing.clone()));
    for (noun, verb, subject, expected) in [
        ("payload", "erase", "2", Err(missing.clone())),
        ("payload", "create", "1", Err(missing.clone())),
        ("grant", "erase", "1", Err(missing.clone())),
        ("payload", "erase", "1", Ok((2, 1))),
    ] {
        let head = entries[1].head();
        entries.truncate(2);
        entries.push(Entry::after(
            &head,
            Record { noun: noun.to_owned(), verb: verb.to_owned(), subject: subject.to_owned(), ..record(2) },
        ));
        let found = without_first_payload(&entries).map(|report| (report.payloads, report.erased));
        assert_eq!(found, expected, "{noun} {verb} {subject}");
    }
    let mut verifier = Verifier::new(None);
    verifier.entry(&entries[0]).unwrap();
    let broken = verifier.payload(&entries[0], Some("{\"number\":1}")).unwrap_err();
    assert_eq!(broken.error, VerifyError::Payload);
}

#[test]
fn an_entry_of_another_chain_is_found() {
    let mut entries = chain(2);
    let other = Chain::Project(crate::id::ProjectId::generate());
    let head = entries[0].head();
    entries[1] = Entry::after(&head, Record { chain: other, ..record(1) });
    assert_eq!(verify(&entries, None), Err(BrokenChain { sequence: 2, error: VerifyError::Foreign { found: other } }));
}

#[test]
fn a_chain_reads_back_from_its_text() {
    let project = Chain::Project(crate::id::ProjectId::generate());
    for chain in [Chain::Server, project] {
        assert_eq!(chain.to_string().parse::<Chain>().unwrap(), chain);
    }
    assert!("elsewhere".parse::<Chain>().is_err());
}

/// Changes one field of an entry, whichever `field` says.
fn alter(entry: &mut Entry, field: usize) {
    match field {
        0 => entry.noun.push('x'),
        1 => entry.subject.push('x'),
        2 => entry.verb.push('x'),
        3 => entry.actor.push('x'),
        4 => entry.wall_ms += 1,
        5 => entry.project_ms += 1,
        6 => entry.cause = entry.cause.take().is_none().then(String::new),
        7 => entry.payload_digest = payload_digest("another"),
        8 => entry.previous = entry.hash.clone(),
        _ => entry.hash = payload_digest("another"),
    }
}

/// Hashes every entry from `from` on again, as an attacker who rewrites history would.
fn rehash(entries: &mut [Entry], from: usize) {
    for index in from..entries.len() {
        if index > 0 {
            entries[index].previous = entries[index - 1].hash.clone();
        }
        entries[index].hash = entries[index].computed_hash();
    }
}

proptest! {
    #[test]
    fn an_untouched_chain_verifies_from_every_head(length in 1_usize..20, at in 0_usize..20) {
        let entries = chain(length);
        let report = verify(&entries, Some(&entries[at % length].hash)).unwrap();
        prop_assert_eq!(report.entries, length as i64);
        prop_assert_eq!(report.head, entries[length - 1].head());
    }

    #[test]
    fn an_altered_entry_is_found_where_it_is(length in 1_usize..20, at in 0_usize..20, field in 0_usize..10) {
        let mut entries = chain(length);
        let at = at % length;
        alter(&mut entries[at], field);
        let broken = verify(&entries, None).unwrap_err();
        prop_assert_eq!(broken.sequence, at as i64 + 1);
    }

    #[test]
    fn a_removed_entry_is_found_where_it_was(length in 2_usize..20, at in 0_usize..20) {
        let mut entries = chain(length);
        let at = at % (length - 1);
        entries.remove(at);
        let broken = verify(&entries, None).unwrap_err();
        prop_assert_eq!(broken, BrokenChain { sequence: at as i64 + 1, error: VerifyError::Misplaced { found: at as i64 + 2 } });
    }

    #[test]
    fn exchanged_entries_are_found(length in 2_usize..20, one in 0_usize..20, two in 0_usize..20, renumbered: bool) {
        let (one, two) = (one % length, two % length);
        prop_assume!(one != two);
        let mut entries = chain(length);
        entries.swap(one, two);
        if renumbered {
            for (index, entry) in entries.iter_mut().enumerate() {
                entry.sequence = index as i64 + 1;
            }
        }
        let broken = verify(&entries, None).unwrap_err();
        prop_assert_eq!(broken.sequence, one.min(two) as i64 + 1);
    }

    #[test]
    fn a_chain_hashed_anew_after_a_change_is_found_by_a_head_after_it(
        length in 1_usize..20, at in 0_usize..20, field in 0_usize..8, noted in 0_usize..20,
    ) {
        let honest = chain(length);
        let mut entries = honest.clone();
        let at = at % length;
        alter(&mut entries[at], field);
        rehash(&mut entries, at);
        prop_assert!(verify(&entries, None).is_ok(), "a rewriter keeps every hash right");
        let noted = at + noted % (length - at);
        let broken = verify(&entries, Some(&honest[noted].hash)).unwrap_err();
        prop_assert_eq!(broken.error, VerifyError::HeadMissing(honest[noted].hash.clone()));
    }
}
