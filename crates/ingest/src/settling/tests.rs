use super::*;

const SETTLE_MS: i64 = 2000;

/// A folder with one file, scanned at given times.
struct Folder(Unsettled);

impl Folder {
    fn new() -> Self {
        Self(Unsettled::default())
    }

    /// Whether the file has settled at `now_ms`; else the time until then.
    fn scan(&mut self, now_ms: i64, size: u64, modified_ms: Option<i64>) -> Result<(), i64> {
        let dataset = "flown".parse().unwrap();
        let mut scan = self.0.begin(&dataset, SETTLE_MS, now_ms);
        let position = Position::new(format!("{size} {modified_ms:?}"));
        let has_settled = scan.has_settled("a.csv", &position, modified_ms);
        match self.0.end(&dataset, scan) {
            None => {
                assert!(has_settled);
                Ok(())
            }
            Some(wait_ms) => {
                assert!(!has_settled);
                Err(wait_ms)
            }
        }
    }
}

#[test]
fn an_old_file_has_settled_at_its_first_scan() {
    assert_eq!(Folder::new().scan(10_000, 5, Some(8000)), Ok(()));
    assert_eq!(Folder::new().scan(10_000, 5, Some(0)), Ok(()));
}

#[test]
fn a_fresh_file_settles_by_its_own_time() {
    let mut folder = Folder::new();
    assert_eq!(folder.scan(10_000, 5, Some(9500)), Err(1500));
    assert!(!folder.0.is_due(11_499) && folder.0.is_due(11_500));
    assert_eq!(folder.scan(11_000, 5, Some(9500)), Err(500));
    assert_eq!(folder.scan(11_500, 5, Some(9500)), Ok(()));
    assert!(!folder.0.is_due(i64::MAX), "nothing is left");
}

#[test]
fn a_growing_file_never_settles() {
    let mut folder = Folder::new();
    for now_ms in (10_000..20_000).step_by(500) {
        assert!(folder.scan(now_ms, now_ms as u64, Some(now_ms)).is_err());
    }
    assert_eq!(folder.scan(21_500, 19_500, Some(19_500)), Ok(()));
}

#[test]
fn a_time_in_the_future_or_none_is_compared_with_itself() {
    for modified_ms in [Some(99_000_000), None] {
        let mut folder = Folder::new();
        assert_eq!(folder.scan(10_000, 5, modified_ms), Err(2000));
        assert_eq!(folder.scan(11_000, 5, modified_ms), Err(1000));
        assert_eq!(folder.scan(12_000, 5, modified_ms), Ok(()));
    }
}

#[test]
fn a_file_that_changes_between_scans_is_not_trusted_for_its_time() {
    // The clock of the file system is a minute behind.
    let mut folder = Folder::new();
    assert_eq!(folder.scan(100_000, 5, None), Err(2000));
    assert_eq!(folder.scan(101_000, 6, Some(41_000)), Err(2000));
    assert_eq!(folder.scan(102_000, 7, Some(42_000)), Err(2000));
    assert_eq!(folder.scan(102_500, 7, Some(42_000)), Err(1500));
    assert_eq!(folder.scan(104_000, 7, Some(42_000)), Ok(()));
}

#[test]
fn what_was_seen_long_ago_does_not_delay_a_file() {
    let mut folder = Folder::new();
    assert_eq!(folder.scan(10_000, 5, Some(10_000)), Err(2000));
    assert_eq!(folder.scan(900_000, 6, Some(500_000)), Ok(()));
}

#[test]
fn a_clock_that_was_set_back_delays_a_file_by_no_more_than_its_settle_time() {
    let mut folder = Folder::new();
    assert_eq!(folder.scan(1_000_000, 5, Some(1_000_000)), Err(2000));
    assert!(folder.0.is_due(500_000));
    assert_eq!(folder.scan(500_000, 5, Some(1_000_000)), Err(2000));
    assert_eq!(folder.scan(502_000, 5, Some(1_000_000)), Ok(()));
}
