//! The scheduler: what is due runs at its instant, failed parts are retried, and canaries never wait.

use std::future::pending;
use std::sync::Arc;

use perennial_core::ErrorCode;
use perennial_projects::ProjectState;
use perennial_store::endpoints;
use perennial_testkit::fakes::Call;
use perennial_testkit::{PROJECT_FILE, TestApp, TestModel, WALL_MS, by_person};
use tokio::sync::Notify;

use crate::support::{DAY_MS, FAILING, HOUR_MS, MINUTE_MS, Monitored, Request, failing, month};

/// A project of one source, ticked once.
async fn source(declared: &str) -> (TestApp, Arc<ProjectState>) {
    let file = format!(
        "[project]\nname = \"flights\"\n\n[datasets.flown]\nsource = {{ files = \"*.csv\"{declared} }}\nmode = \"append\"\n"
    );
    let test = TestApp::start().await.unwrap();
    let project = test.submit(&file).await.unwrap();
    (test, project)
}

/// Moves the wall clock, and ticks. Returns messages, and whether each needs attention.
async fn tick_after(test: &TestApp, project: &Arc<ProjectState>, ms: i64) -> Vec<(String, bool)> {
    test.clock.advance(ms);
    let events = test.app.watch.tick(&test.system(), project).await.unwrap();
    events.into_iter().map(|event| (event.message, event.needs_attention)).collect()
}

#[tokio::test]
async fn a_failed_part_is_retried_with_intervals_that_double_up_to_an_hour() {
    let (test, project) = source("").await;
    test.data.fail_always(Call::List);
    let expected = [("`flown` could not be collected: List fails, as the test requested".to_owned(), true)];
    assert_eq!(tick_after(&test, &project, 0).await, expected);
    for minutes in [1, 2, 4, 8, 16, 32, 60, 60] {
        assert_eq!(tick_after(&test, &project, minutes * MINUTE_MS - 1).await, [], "before {minutes} minutes");
        assert_eq!(tick_after(&test, &project, 1).await, expected, "after {minutes} minutes");
    }
    test.data.stop_failing();
    assert_eq!(tick_after(&test, &project, HOUR_MS).await, []);
    test.data.fail_always(Call::List);
    assert_eq!(tick_after(&test, &project, HOUR_MS).await, [], "nothing is due after a success");
}

#[tokio::test]
async fn the_interval_of_retries_begins_again_after_a_success() {
    let (test, project) = source("").await;
    test.data.fail_always(Call::List);
    for minutes in [0, 1, 2] {
        assert_eq!(tick_after(&test, &project, minutes * MINUTE_MS).await.len(), 1);
    }
    test.data.stop_failing();
    tick_after(&test, &project, 4 * MINUTE_MS).await;
    test.data.offer("a.csv", "n\n1\n");
    test.data.fail_next_with(Call::Stage, ErrorCode::Storage);
    assert_eq!(tick_after(&test, &project, 0).await.len(), 1);
    assert_eq!(tick_after(&test, &project, MINUTE_MS - 1).await, []);
    tick_after(&test, &project, 1).await;
    let page = perennial_ingest::datasets::query(&test.system(), &project, "SELECT n FROM flown".to_owned(), 9).await;
    assert_eq!(page.unwrap().rows.len(), 1, "the retry loaded it");
}

#[tokio::test]
async fn a_faulty_file_is_read_again_when_it_changes_and_not_by_a_retry() {
    let (test, project) = source("").await;
    test.data.offer("a.csv", "n,m\n1\n");
    let events = tick_after(&test, &project, 0).await;
    assert_eq!(events, [("`flown` could not be collected: a.csv line 2 has 1 fields, expected 2".to_owned(), true)]);
    assert_eq!(tick_after(&test, &project, 10 * HOUR_MS).await, []);
    test.data.offer("a.csv", "n,m\n1,2\n");
    assert_eq!(tick_after(&test, &project, 0).await, []);
    let list = perennial_ingest::datasets::list(&test.system(), &project).await.unwrap();
    assert_eq!(list[0].1.as_ref().map(|version| version.row_count), Some(1));
}

#[tokio::test]
async fn a_held_load_is_an_event_that_needs_attention() {
    let (test, project) = source(" }\nmode = \"append\"\n\n[checks.flown]\npositive = \"n > 0\"\n\n[datasets.other]\nsource = { files = \"other/*.csv\"").await;
    test.data.offer("a.csv", "n\n-1\n");
    let events = tick_after(&test, &project, 0).await;
    assert!(events.len() == 1 && events[0].1, "{events:?}");
    assert!(events[0].0.starts_with("load from `a.csv` into `flown` is held"), "{events:?}");
    assert_eq!(tick_after(&test, &project, HOUR_MS).await, [], "once");
}

#[tokio::test]
async fn predictions_are_loaded_within_15_minutes_without_a_monitor() {
    let file = PROJECT_FILE.split("[monitors.delay]").next().unwrap().to_owned();
    let monitored = Monitored::start(&file).await;
    monitored.tick().await;
    monitored.answer(WALL_MS, &[200]);
    let rows = async || {
        let list = perennial_ingest::datasets::list(&monitored.test().system(), monitored.project()).await.unwrap();
        let found = list.into_iter().find(|(dataset, _)| dataset.name.as_str() == "predictions_delay");
        found.and_then(|(_, version)| version).map_or(0, |version| version.row_count)
    };
    monitored.tick_at(WALL_MS + 15 * MINUTE_MS - 1).await;
    assert_eq!(rows().await, 0);
    monitored.tick_at(WALL_MS + 15 * MINUTE_MS).await;
    assert_eq!(rows().await, 1);
    monitored.answer(WALL_MS + 15 * MINUTE_MS, &[200]);
    monitored.tick_at(WALL_MS + 16 * MINUTE_MS).await;
    assert_eq!(rows().await, 1);
    monitored.tick_at(WALL_MS + 30 * MINUTE_MS).await;
    assert_eq!(rows().await, 2);
}

#[tokio::test]
async fn many_predictions_are_loaded_at_once() {
    let file = PROJECT_FILE.split("[monitors.delay]").next().unwrap().to_owned();
    let monitored = Monitored::start(&file).await;
    monitored.tick().await;
    // About 10 MB each.
    for loaded in [false, true] {
        monitored.predict(&Request { rows: 300_000, ..Request::at(WALL_MS) });
        monitored.tick_at(WALL_MS + 1).await;
        let list = perennial_ingest::datasets::list(&monitored.test().system(), monitored.project()).await.unwrap();
        let found = list.into_iter().find(|(dataset, _)| dataset.name.as_str() == "predictions_delay");
        assert_eq!(found.is_some_and(|(_, version)| version.is_some()), loaded);
    }
}

#[tokio::test]
async fn a_stepped_clock_runs_everything_at_its_own_instant() {
    let file = format!("{}\n[triggers.daily]\non = [\"schedule:0 6 * * *\"]\nrun = \"run\"\n", failing());
    let monitored = Monitored::start(&file).await;
    let (watch, caller, project) = (&monitored.test().app.watch, monitored.test().system(), monitored.project());
    monitored.answer(month(0).start_ms, &FAILING);
    watch.advance(&caller, project, WALL_MS).await.unwrap();
    let events = watch.advance(&caller, project, WALL_MS + 2 * DAY_MS).await.unwrap();
    let daily = |day: i64| WALL_MS + day * DAY_MS + DAY_MS / 4;
    assert_eq!(events.iter().map(|event| event.project_ms).collect::<Vec<_>>(), [daily(0), daily(1)]);
    let expected = "trigger `daily` (schedule:0 6 * * *): ";
    assert!(events.iter().all(|event| event.message.starts_with(expected)), "{events:?}");
    assert!(monitored.test().app.kernel.work.is_empty(), "what it started has finished");
    let events = watch.advance(&caller, project, month(0).end_ms).await.unwrap();
    let alert = events.iter().find(|event| event.needs_attention).expect("an alert");
    assert_eq!(alert.project_ms, month(0).end_ms);
    assert_eq!(events.len(), 1 + 28, "and a run a day");
    assert_eq!(project.now().project_ms, month(0).end_ms);
}

#[tokio::test]
async fn a_stepped_clock_moves_forward_only() {
    let (test, project) = source("").await;
    let watch = &test.app.watch;
    watch.advance(&test.system(), &project, WALL_MS).await.unwrap();
    let error = watch.advance(&test.system(), &project, WALL_MS - 1).await.unwrap_err();
    assert_eq!((error.code(), error.message()), (ErrorCode::InvalidArgument, "a project clock only moves forward"));
    watch.advance(&test.system(), &project, WALL_MS).await.unwrap();
    let (now, is_stepped) = watch.now(&test.system(), &project).unwrap();
    assert_eq!((now.project_ms, is_stepped), (WALL_MS, true));
}

#[tokio::test]
async fn a_step_of_the_clock_collects_new_files() {
    let (test, project) = source("").await;
    test.data.offer("a.csv", "n\n1\n");
    test.app.watch.advance(&test.system(), &project, WALL_MS).await.unwrap();
    let list = perennial_ingest::datasets::list(&test.system(), &project).await.unwrap();
    let version = list[0].1.as_ref().unwrap();
    assert_eq!((version.row_count, version.project_ms), (1, WALL_MS));
}

#[tokio::test]
async fn what_one_part_makes_due_runs_in_the_same_tick() {
    let file = format!("{}\n[triggers.renew]\non = [\"dataset:weather\"]\nrun = \"run\"\n", failing());
    let file = format!("{file}\n[datasets.weather]\nsource = {{ files = \"weather/*.csv\" }}\nmode = \"append\"\n");
    let monitored = Monitored::start(&file).await;
    monitored.tick().await;
    monitored.test().data.offer("weather/a.csv", "n\n1\n");
    let messages = monitored.tick().await;
    assert!(messages[0].starts_with("trigger `renew` (dataset:weather): pipeline run "), "{messages:?}");
    monitored.work_ends().await;
}

#[tokio::test]
async fn canaries_are_evaluated_at_each_tick_while_another_tick_runs() {
    let canary = "canary = { share = 0.5, for = \"3 days\", min_requests = 10, rollback = \"canary.requests >= 0\" }";
    let file = failing().replace("[endpoints.delay]", &format!("[endpoints.delay]\n{canary}"));
    let monitored = Monitored::start(&file).await;
    monitored.answer(month(0).start_ms, &[200]);
    monitored.test().clock.advance(month(0).end_ms - WALL_MS);
    let began = Arc::new(Notify::new());
    let begins = began.clone();
    monitored.test().data.before_frame(move |sql| {
        if !sql.contains("predictions_delay") {
            return Box::pin(std::future::ready(()));
        }
        begins.notify_one();
        Box::pin(pending())
    });
    let (caller, project) = (monitored.test().system(), monitored.project().clone());
    let watch = monitored.test().app.watch.clone();
    let long_tick = tokio::spawn(async move { watch.tick(&caller, &project).await });
    began.notified().await;
    monitored.trained.renew(2, TestModel::binary(1.0)).await;
    let released = monitored.trained.release(by_person()).await;
    assert!(released.starts_with("version 2 is the canary at `delay`"), "{released}");
    assert_eq!(monitored.tick().await, ["version 2 was rolled back at `delay`: its rollback rule holds"]);
    long_tick.abort();
}

#[tokio::test]
async fn a_tick_swaps_in_what_was_recorded_and_not_swapped_in() {
    let (test, project) = TestApp::with_project().await.unwrap();
    let first = test.deploy(&project, "delay", &TestModel::binary(0.0)).await.unwrap();
    let answers = || test.app.endpoints.router.find("delay").map(|deployment| deployment.champion().number);
    test.register(&project, &TestModel::binary(1.0)).await.unwrap();
    for champion in [Some(first + 1), None] {
        let id = project.id;
        let write = test.app.kernel.store().write(move |tx| {
            Box::pin(async move {
                let endpoint = endpoints::get(tx, id, &"delay".parse()?).await?;
                Ok(endpoints::set_champion(tx, &endpoint, champion, WALL_MS, WALL_MS).await?)
            })
        });
        write.await.unwrap();
        tick_after(&test, &project, 0).await;
        assert_eq!(answers(), champion);
    }
}
