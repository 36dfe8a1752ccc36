//! Triggers: each cause starts one pipeline run.

use perennial_core::cause::{Cause, TriggerEvent};
use perennial_core::entity::PipelineKind;
use perennial_core::permission::Role;
use perennial_core::state::PipelineRunState;
use perennial_testkit::TestModel;

use crate::support::{DAY_MS, FAILING, Monitored, failing, month};

/// [`failing`] with a trigger.
fn triggered(on: &str, run: &str) -> String {
    format!("{}\n[triggers.renew]\non = [{on}]\nrun = \"{run}\"\n", failing())
}

/// What started each run: the kind, and the event.
async fn started(monitored: &Monitored) -> Vec<(PipelineKind, String)> {
    monitored
        .started_runs()
        .await
        .into_iter()
        .map(|run| match run.cause {
            Cause::Trigger { event, .. } => (run.kind, event),
            other => panic!("{other:?}"),
        })
        .collect()
}

#[tokio::test]
async fn an_alert_fires_a_trigger_once() {
    let monitored = Monitored::start(&triggered("\"alert:delay.failing\"", "run")).await;
    let june = month(0);
    monitored.answer(june.start_ms, &FAILING);
    let messages = monitored.tick_at(june.end_ms).await;
    let runs = monitored.started_runs().await;
    assert_eq!(messages[1], format!("trigger `renew` (alert:delay.failing): pipeline run {} began", runs[0].id));
    let alert = monitored.alerts("failing").await.remove(0);
    let because = TriggerEvent::Alert { alert: alert.id, message: alert.message };
    let event = "alert:delay.failing".to_owned();
    assert_eq!(runs[0].cause, Cause::Trigger { trigger: "renew".parse().unwrap(), event, because });
    monitored.work_ends().await;
    for days in [1, 2] {
        monitored.tick_at(june.end_ms + days * DAY_MS).await;
    }
    monitored.answer(june.start_ms, &FAILING);
    monitored.tick_at(month(1).end_ms).await;
    assert_eq!(monitored.started_runs().await.len(), 1, "a revision of the window is the same alert");
    monitored.answer(month(2).start_ms, &FAILING);
    monitored.tick_at(month(2).end_ms).await;
    assert_eq!(monitored.started_runs().await.len(), 2, "another window is another alert");
    monitored.work_ends().await;
}

#[tokio::test]
async fn each_version_of_a_dataset_fires_a_trigger_once() {
    let file = triggered("\"dataset:flown\"", "run");
    let file = format!("{file}\n[datasets.weather]\nsource = {{ files = \"weather/*.csv\" }}\nmode = \"append\"\n");
    let monitored = Monitored::start(&file).await;
    monitored.tick().await;
    monitored.work_ends().await;
    assert_eq!(started(&monitored).await, [(PipelineKind::Run, "dataset:flown".to_owned())]);
    for (number, versions, runs) in [(1, vec![], 1), (2, vec![2], 2), (4, vec![3, 4], 3)] {
        for version in versions {
            monitored.trained.renew(version, TestModel::binary(0.0)).await;
        }
        // A new file of another dataset makes the tick due.
        monitored.test().data.offer(&format!("weather/{number}.csv"), "n\n1\n");
        monitored.tick_at(monitored.project().now().wall_ms + DAY_MS).await;
        monitored.work_ends().await;
        let found = monitored.started_runs().await;
        assert_eq!(found.len(), runs, "version {number}");
    }
    let last = monitored.started_runs().await.pop().unwrap();
    let because = TriggerEvent::Dataset { dataset: "flown".parse().unwrap(), number: 4 };
    assert!(
        matches!(last.cause, Cause::Trigger { because: found, .. } if found == because),
        "versions between are skipped"
    );
}

#[tokio::test]
async fn a_schedule_fires_once_however_many_instants_were_missed() {
    let monitored = Monitored::start(&triggered("\"schedule:0 6 * * *\"", "run")).await;
    let start = monitored.project().now().wall_ms;
    monitored.tick().await;
    monitored.tick_at(start + DAY_MS / 4 - 1).await;
    assert!(started(&monitored).await.is_empty());
    monitored.tick_at(start + DAY_MS / 4).await;
    monitored.tick_at(start + DAY_MS / 2).await;
    assert_eq!(started(&monitored).await, [(PipelineKind::Run, "schedule:0 6 * * *".to_owned())]);
    monitored.tick_at(start + 5 * DAY_MS).await;
    monitored.tick_at(start + 5 * DAY_MS + 1).await;
    assert_eq!(started(&monitored).await.len(), 2, "four instants were missed");
    let last = monitored.started_runs().await.pop().unwrap();
    let Cause::Trigger { because: TriggerEvent::Schedule { due_ms, .. }, .. } = last.cause else { panic!() };
    assert_eq!(due_ms, start + 4 * DAY_MS + DAY_MS / 4, "the last of them");
    monitored.work_ends().await;
}

#[tokio::test]
async fn a_trigger_starts_the_declared_kind_of_run() {
    for (run, kind) in [("run", PipelineKind::Run), ("release", PipelineKind::Release)] {
        let monitored = Monitored::start(&triggered("\"dataset:flown\"", run)).await;
        monitored.tick().await;
        monitored.work_ends().await;
        let runs = monitored.started_runs().await;
        assert_eq!(
            runs.iter().map(|run| (run.kind, run.state)).collect::<Vec<_>>(),
            [(kind, PipelineRunState::Succeeded)]
        );
    }
}

#[tokio::test]
async fn several_events_of_a_trigger_and_several_triggers_fire_independently() {
    let file = triggered("\"dataset:flown\", \"schedule:0 6 * * *\"", "run");
    let file = format!("{file}\n[triggers.other]\non = [\"dataset:flown\"]\nrun = \"run\"\n");
    let monitored = Monitored::start(&file).await;
    monitored.tick_at(monitored.project().now().wall_ms + DAY_MS).await;
    monitored.work_ends().await;
    let mut events: Vec<String> = started(&monitored).await.into_iter().map(|(_, event)| event).collect();
    events.sort();
    assert_eq!(events, ["dataset:flown", "dataset:flown", "schedule:0 6 * * *"]);
}

#[tokio::test]
async fn a_restarted_server_does_not_fire_a_trigger_again() {
    let monitored = Monitored::start(&triggered("\"dataset:flown\"", "run")).await;
    monitored.tick().await;
    monitored.work_ends().await;
    let restarted = perennial_testkit::TestApp::beside(monitored.test()).await.unwrap();
    let project = restarted.app.projects.get(monitored.project().id).await.unwrap();
    restarted.app.watch.tick(&restarted.system(), &project).await.unwrap();
    assert_eq!(monitored.started_runs().await.len(), 1);
}

#[tokio::test]
async fn a_dataset_that_does_not_exist_and_an_alert_that_does_not_fire_start_nothing() {
    let file = triggered("\"dataset:weather\", \"alert:delay.failing\"", "run");
    let file = format!("{file}\n[datasets.weather]\nsource = {{ files = \"weather/*.csv\" }}\nmode = \"append\"\n");
    let monitored = Monitored::start(&file).await;
    monitored.answer(month(0).start_ms, &[200]);
    monitored.tick_at(month(0).end_ms).await;
    assert!(monitored.started_runs().await.is_empty());
}

#[tokio::test]
async fn a_trigger_releases_nothing_that_only_a_contributor_has_submitted() {
    let file = triggered("\"dataset:flown\"", "release");
    let weather = "\n[datasets.weather]\nsource = { files = \"weather/*.csv\" }\nmode = \"append\"\n";
    for (name, role, champion) in [("cam", Role::Contributor, 1), ("ann", Role::Approver, 2)] {
        let monitored = Monitored::start(&file).await;
        let caller = monitored.test().caller(name, role).await.unwrap();
        monitored.test().write_file(&format!("{file}{weather}")).unwrap();
        monitored.test().app.projects.submit(&caller).await.unwrap();
        monitored.trained.renew(2, TestModel::binary(2.0)).await;
        monitored.tick().await;
        monitored.work_ends().await;
        let ended = monitored.started_runs().await.pop().unwrap();
        assert_eq!(ended.state, PipelineRunState::Succeeded, "{:?}", ended.message);
        assert_eq!(monitored.trained.answers(), Some(champion), "{name}: {:?}", ended.message);
    }
}
