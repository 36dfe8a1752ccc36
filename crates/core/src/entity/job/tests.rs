use proptest::prelude::*;
use serde_json::json;

use super::*;

const SECOND: i64 = 1_000;

fn at(ms: i64) -> Instant {
    Instant { wall_ms: ms, project_ms: ms }
}

fn job() -> Job {
    let new = NewJob {
        project_id: None,
        kind: "ingest".to_owned(),
        payload: json!({}),
        unique_key: None,
        clock: JobClock::Wall,
        due_ms: 0,
        created_ms: 0,
    };
    Job::new(JobId::generate(), new)
}

fn claim(wall_ms: i64) -> JobClaim {
    JobClaim {
        kinds: vec!["ingest".to_owned()],
        holder: ServerId::generate(),
        wall_ms,
        project: None,
        lease_until_ms: wall_ms + SECOND,
        attempts_max: 3,
        limit: 1,
    }
}

#[test]
fn the_delay_doubles_up_to_a_limit_until_no_attempt_is_left() {
    let policy = RetryPolicy { attempts_max: 5, first_delay_ms: SECOND, delay_max_ms: 3 * SECOND };
    let delays: Vec<Option<i64>> = (1..=6).map(|attempts| policy.delay_ms(attempts)).collect();
    let seconds = |seconds: i64| Some(seconds * SECOND);
    assert_eq!(delays, [seconds(1), seconds(2), seconds(3), seconds(3), None, None]);
    let patient = RetryPolicy { attempts_max: i64::MAX, first_delay_ms: i64::MAX, delay_max_ms: i64::MAX };
    assert_eq!(patient.delay_ms(1_000), Some(i64::MAX));
}

#[test]
fn a_postponed_attempt_is_not_counted() {
    let mut job = job();
    for _ in 0..10 {
        job.claim(&claim(0)).unwrap();
        assert_eq!(job.attempts, 1);
        job.postpone(7).unwrap();
        assert_eq!((job.state, job.due_ms, job.attempts, job.lease()), (JobState::Pending, 7, 0, None));
    }
    assert!(job.postpone(8).is_err(), "it is not running");
}

#[test]
fn a_failed_attempt_is_repeated_until_the_job_is_held() {
    let mut job = job();
    let policy = RetryPolicy { attempts_max: 2, ..RetryPolicy::default() };
    job.claim(&claim(0)).unwrap();
    job.fail("no space", &policy, at(50)).unwrap();
    assert_eq!((job.state, job.due_ms, job.message.as_deref()), (JobState::Pending, 50 + SECOND, Some("no space")));
    assert_eq!((job.lease(), job.settled_ms), (None, None));
    job.claim(&claim(2 * SECOND)).unwrap();
    job.fail("no space", &policy, at(3 * SECOND)).unwrap();
    assert_eq!((job.state, job.settled_ms), (JobState::Held, Some(3 * SECOND)));
    job.requeue(9).unwrap();
    assert_eq!((job.state, job.attempts, job.due_ms, job.settled_ms), (JobState::Pending, 0, 9, None));
}

#[test]
fn a_job_on_the_project_clock_is_retried_on_that_clock() {
    let mut job = Job { clock: JobClock::Project, ..job() };
    job.claim(&claim(0)).unwrap();
    job.fail("no", &RetryPolicy::default(), Instant { wall_ms: 7, project_ms: 1_000_000 }).unwrap();
    assert_eq!(job.due_ms, 1_000_000 + SECOND);
}

#[test]
fn a_job_that_kills_every_server_is_held() {
    let mut job = job();
    for attempt in 1..=3 {
        job.claim(&claim(0)).unwrap();
        assert_eq!((job.state, job.attempts), (JobState::Running, attempt));
    }
    job.claim(&claim(0)).unwrap();
    assert_eq!((job.state, job.attempts), (JobState::Held, 3));
    assert!(job.message.unwrap().contains("attempt 3 expired"));
}

/// One of the changes of a job, with its time in milliseconds.
#[derive(Debug, Clone)]
enum Change {
    Claim,
    Complete,
    Fail,
    Requeue,
    Cancel,
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => Just(Change::Claim),
        2 => Just(Change::Fail),
        1 => Just(Change::Complete),
        1 => Just(Change::Requeue),
        1 => Just(Change::Cancel),
    ]
}

proptest! {
    #[test]
    fn only_a_running_job_has_a_lease_and_only_a_settled_one_an_end(changes in prop::collection::vec(change(), 0..40)) {
        let mut job = job();
        for (now, change) in (1..).zip(changes) {
            let before = job.clone();
            let result = match change {
                Change::Claim => job.claim(&claim(now)),
                Change::Complete => job.complete(now),
                Change::Fail => job.fail("no", &RetryPolicy { attempts_max: 3, ..RetryPolicy::default() }, at(now)),
                Change::Requeue => job.requeue(now),
                Change::Cancel => job.cancel(now),
            };
            if result.is_err() {
                prop_assert_eq!((before.state, before.attempts), (job.state, job.attempts));
            }
            prop_assert_eq!(job.lease().is_some(), job.state == JobState::Running);
            prop_assert_eq!(job.lease_until_ms.is_some(), job.state == JobState::Running);
            let is_settled = !matches!(job.state, JobState::Pending | JobState::Running);
            prop_assert_eq!(job.settled_ms.is_some(), is_settled);
            prop_assert!(job.attempts <= 3, "{} attempts", job.attempts);
        }
    }
}
