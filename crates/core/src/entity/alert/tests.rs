use proptest::prelude::*;

use super::AlertSubject;

fn subject() -> impl Strategy<Value = AlertSubject> {
    let name = || "[a-z][a-z0-9_-]{0,20}";
    prop_oneof![
        name().prop_map(|name| AlertSubject::Monitor(name.parse().unwrap())),
        name().prop_map(|name| AlertSubject::Window(name.parse().unwrap())),
        name().prop_map(|name| AlertSubject::Dataset(name.parse().unwrap())),
        any::<u128>().prop_map(|id| AlertSubject::Load(uuid::Uuid::from_u128(id).into())),
        (name(), any::<String>()).prop_map(|(name, path)| AlertSubject::File { dataset: name.parse().unwrap(), path }),
        (name(), any::<i64>())
            .prop_map(|(name, number)| AlertSubject::Segment { endpoint: name.parse().unwrap(), number }),
        name().prop_map(AlertSubject::Job),
        "[0-9a-f]{64}".prop_map(AlertSubject::Release),
        name().prop_map(|name| AlertSubject::Endpoint(name.parse().unwrap())),
    ]
}

proptest! {
    #[test]
    fn every_subject_survives_storage(subject in subject()) {
        prop_assert_eq!(subject.to_string().parse::<AlertSubject>().unwrap(), subject);
    }
}

#[test]
fn stored_subjects_read_and_print_the_same() {
    for text in [
        "monitor:delay",
        "window:delay",
        "dataset:flights",
        "load:019a7b3c1d2e7f0000000000000000aa",
        "file:flights/2013/01:a.csv",
        "file:flights/*.csv",
        "segment:delay/7",
        "job:delete_folder",
        "release:5f2c",
        "endpoint:delay",
    ] {
        assert_eq!(text.parse::<AlertSubject>().unwrap().to_string(), text);
    }
}

#[test]
fn unknown_subjects_are_refused() {
    for text in [
        "",
        "monitor",
        "monitor:",
        "monitor:Not a name",
        "planet:mars",
        "load:7",
        "file:flights",
        "segment:delay/x",
        "job:",
        "release:",
        "endpoint:",
    ] {
        assert!(text.parse::<AlertSubject>().is_err(), "{text}");
    }
}
