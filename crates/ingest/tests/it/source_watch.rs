//! When sources are listed. The clock moves only when a test moves it; a listing takes [`LISTING_MS`].

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::support::{FLOWN, TestProject};

/// The duration of a listing.
const LISTING_MS: i64 = 300;
/// The interval of the scheduler.
const TICK_MS: i64 = 1_000;

/// A project with a slow source, and the number of its listings.
struct Watched {
    test: TestProject,
    listings: Arc<AtomicI64>,
}

impl Watched {
    /// A source with one file, which was listed until it counted as unchanged.
    async fn start(folder_ns: Option<i128>) -> Self {
        let watched = Self::start_changed(folder_ns).await;
        assert!(watched.tick(0).await, "it was never listed");
        watched.rest().await;
        watched
    }

    /// A source with one file that was never listed.
    async fn start_changed(folder_ns: Option<i128>) -> Self {
        let test = TestProject::start(FLOWN).await;
        test.offer(&[("a.csv", "n\n1\n")]);
        test.test.data.set_folder_time(folder_ns);
        let listings = Arc::new(AtomicI64::new(0));
        let (count, clock) = (listings.clone(), test.test.clock.clone());
        test.test.data.on_list(move || {
            count.fetch_add(1, Ordering::Relaxed);
            clock.advance(LISTING_MS);
        });
        Self { test, listings }
    }

    /// Whether the sources have changed after an interval.
    async fn tick(&self, interval_ms: i64) -> bool {
        self.test.test.clock.advance(interval_ms);
        self.test.test.app.ingest.sources_changed(&self.test.project).await.unwrap()
    }

    /// Lets a time pass in which nothing changes, and returns the number of listings.
    async fn idle(&self, ms: i64) -> i64 {
        let before = self.listings();
        for _ in 0..ms / TICK_MS {
            assert!(!self.tick(TICK_MS).await);
        }
        self.listings() - before
    }

    /// Lets ten times the duration of a listing pass.
    async fn rest(&self) {
        self.idle(10 * LISTING_MS).await;
    }

    fn listings(&self) -> i64 {
        self.listings.load(Ordering::Relaxed)
    }
}

#[tokio::test]
async fn an_unchanged_source_is_listed_for_less_than_one_percent_of_the_time() {
    for folder_ns in [Some(1), None] {
        let watched = Watched::start(folder_ns).await;
        let listings = watched.idle(3_600_000).await;
        assert!((20..=30).contains(&listings), "{listings} listings in an hour");
    }
}

#[tokio::test]
async fn a_new_file_is_found_at_the_next_pass() {
    let watched = Watched::start(Some(1)).await;
    watched.idle(5_000).await;
    watched.test.offer(&[("b.csv", "n\n2\n")]);
    assert!(watched.tick(TICK_MS).await);
}

#[tokio::test]
async fn a_file_rewritten_in_place_is_found_by_the_next_listing() {
    for folder_ns in [Some(1), None] {
        let watched = Watched::start(folder_ns).await;
        watched.test.offer(&[("a.csv", "n\n11\n")]);
        let mut waited_ms = 0;
        while !watched.tick(TICK_MS).await {
            waited_ms += TICK_MS;
            assert!(waited_ms <= 400 * LISTING_MS, "{waited_ms} ms");
        }
    }
}

#[tokio::test]
async fn a_source_that_changes_all_the_time_is_listed_for_a_tenth_of_it() {
    let watched = Watched::start(Some(1)).await;
    let before = watched.listings();
    let mut changes = 0;
    for number in 0..60 {
        watched.test.offer(&[(&format!("b{number}.csv"), "n\n2\n")]);
        changes += i64::from(watched.tick(TICK_MS).await);
    }
    let listings = watched.listings() - before;
    assert_eq!(listings, changes);
    assert!((15..=20).contains(&listings), "{listings} listings in a minute");
}

#[tokio::test]
async fn a_file_created_within_the_resolution_of_the_folders_time_is_found() {
    let watched = Watched::start(Some(1)).await;
    watched.idle(5_000).await;
    let now_ns = i128::from(watched.test.test.app.kernel.services.clock.wall_ms()) * 1_000_000;
    let data = &watched.test.test.data;
    data.set_folder_time(Some(now_ns));
    let before = watched.listings();
    assert!(!watched.tick(TICK_MS).await, "the folder has changed and its files have not");
    assert_eq!(watched.listings() - before, 1);
    watched.test.offer(&[("b.csv", "n\n2\n")]);
    data.set_folder_time(Some(now_ns));
    let mut passes = 1;
    while !watched.tick(TICK_MS).await {
        passes += 1;
        assert!(passes <= 10 * LISTING_MS / TICK_MS, "{passes} passes");
    }
}

#[tokio::test]
async fn a_source_is_listed_when_the_clock_was_set_back() {
    let watched = Watched::start(Some(1)).await;
    let before = watched.listings();
    watched.tick(-86_400_000).await;
    assert_eq!(watched.listings() - before, 1);
}
