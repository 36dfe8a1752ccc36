//! A crash at any point of a tick: a result and its alert are recorded together.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use perennial_testkit::{TestApp, WALL_MS, toml_text};

use crate::support::{Monitored, failing, month};

/// The output of a future, unless it is pending more often than `polls` times: then it is dropped there.
async fn interrupted<F: Future>(future: F, polls: usize) -> Option<F::Output> {
    let (mut future, mut left) = (pin!(future), polls);
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending if left == 0 => Poll::Ready(None),
        Poll::Pending => {
            left -= 1;
            Poll::Pending
        }
    })
    .await
}

#[tokio::test]
async fn a_result_has_its_alert_wherever_a_tick_is_interrupted() {
    let monitored = Monitored::start(&toml_text::set(&failing(), "task.label_delay", "\"1 day\"")).await;
    for polls in 0.. {
        let window = month(polls);
        monitored.answer(window.start_ms, &[200, 500, 500, 500]);
        let system = monitored.test().system();
        let ingest = &monitored.test().app.ingest;
        ingest.ingest_segments(&system, monitored.project(), &"delay".parse().unwrap()).await.unwrap();
        let start = async || {
            let test = TestApp::beside(monitored.test()).await.unwrap();
            test.clock.advance(window.end_ms - WALL_MS);
            let project = test.app.projects.get(monitored.project().id).await.unwrap();
            (test, project)
        };
        let (test, project) = start().await;
        let whole = interrupted(Box::pin(test.app.watch.tick(&test.system(), &project)), polls).await;
        let (test, project) = start().await;
        test.app.watch.tick(&test.system(), &project).await.unwrap();
        let fired = monitored.alert_states("failing").await;
        let fired = fired.iter().filter(|(start_ms, _)| *start_ms == window.start_ms);
        assert_eq!(fired.count(), 1, "interrupted after {polls} polls");
        if whole.is_some() {
            return;
        }
    }
}
