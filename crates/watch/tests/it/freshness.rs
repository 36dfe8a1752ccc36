//! Sources that are late: an alert for each gap in their deliveries.

use perennial_core::state::AlertState::{Firing, Resolved};
use perennial_projects::ProjectState;
use perennial_testkit::{TestApp, WALL_MS};
use std::sync::Arc;

use crate::support::{DAY_MS, HOUR_MS};

/// A source with its declared interval.
struct Source {
    test: TestApp,
    project: Arc<ProjectState>,
}

impl Source {
    async fn start(every: &str) -> Self {
        let every = if every.is_empty() { String::new() } else { format!(", every = \"{every}\"") };
        let file = format!(
            "[project]\nname = \"flights\"\n\n[datasets.flown]\nsource = {{ files = \"*.csv\"{every} }}\nmode = \"append\"\n"
        );
        let test = TestApp::start().await.unwrap();
        let project = test.submit(&file).await.unwrap();
        let source = Self { test, project };
        source.tick_at(WALL_MS).await;
        source
    }

    async fn tick_at(&self, ms: i64) {
        self.test.clock.advance(ms - self.project.now().wall_ms);
        self.test.app.watch.tick(&self.test.system(), &self.project).await.unwrap();
    }

    /// Delivers a file.
    fn deliver(&self, path: &str) {
        self.test.data.offer(path, "n\n1\n");
    }

    /// Messages and states of alerts, first to last.
    async fn alerts(&self) -> Vec<(String, perennial_core::state::AlertState)> {
        let page = perennial_kernel::alerts::list(&self.test.system(), self.project.id, None, 100).await.unwrap();
        page.items.into_iter().rev().map(|alert| (alert.message, alert.state)).collect()
    }

    async fn states(&self) -> Vec<perennial_core::state::AlertState> {
        self.alerts().await.into_iter().map(|(_, state)| state).collect()
    }
}

#[tokio::test]
async fn a_source_is_late_after_1_1_times_its_interval() {
    for (every, late_ms) in [("1 day", 11 * DAY_MS / 10), ("10 hours", 11 * HOUR_MS), ("1 month", 33 * DAY_MS)] {
        let source = Source::start(every).await;
        source.deliver("a.csv");
        source.tick_at(WALL_MS + 1).await;
        source.tick_at(WALL_MS + late_ms).await;
        assert_eq!(source.states().await, [], "{every}");
        source.tick_at(WALL_MS + 1 + late_ms).await;
        let expected =
            format!("dataset `flown` is late: its last load was at 2013-06-01 00:00, expected every {every}");
        assert_eq!(source.alerts().await, [(expected, Firing)], "{every}");
    }
}

#[tokio::test]
async fn a_source_without_an_interval_is_never_late() {
    let source = Source::start("").await;
    source.tick_at(WALL_MS + 400 * DAY_MS).await;
    assert_eq!(source.states().await, []);
}

#[tokio::test]
async fn a_source_that_never_delivered_is_late() {
    let source = Source::start("1 day").await;
    source.tick_at(WALL_MS + DAY_MS).await;
    assert_eq!(source.states().await, []);
    for days in [2, 3] {
        source.tick_at(WALL_MS + days * DAY_MS).await;
        let expected = "dataset `flown` is late: it has had no load since 2013-06-01 00:00, expected every 1 day";
        assert_eq!(source.alerts().await, [(expected.to_owned(), Firing)]);
    }
}

#[tokio::test]
async fn a_late_source_alerts_once_for_each_gap() {
    let source = Source::start("1 day").await;
    for hours in [27, 28, 50] {
        source.tick_at(WALL_MS + hours * HOUR_MS).await;
        assert_eq!(source.states().await, [Firing], "after {hours} hours");
    }
    source.deliver("a.csv");
    source.tick_at(WALL_MS + 51 * HOUR_MS).await;
    assert_eq!(source.states().await, [Resolved]);
    source.tick_at(WALL_MS + 77 * HOUR_MS).await;
    assert_eq!(source.states().await, [Resolved]);
    for hours in [78, 100] {
        source.tick_at(WALL_MS + hours * HOUR_MS).await;
        assert_eq!(source.states().await, [Resolved, Firing], "after {hours} hours");
    }
}
