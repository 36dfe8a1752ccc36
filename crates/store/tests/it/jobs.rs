//! Durable jobs.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::join_all;
use perennial_core::ErrorCode;
use perennial_core::clock::Instant;
use perennial_core::entity::{Job, JobClaim, JobClock, NewJob, RetryPolicy};
use perennial_core::id::{JobId, ServerId};
use perennial_core::state::JobState;
use perennial_store::{Store, jobs};
use serde_json::json;
use tokio::sync::Notify;

use crate::db::{Db, on_both, write_tx};
use crate::fixtures::{NOW, project};

on_both! {
    a_job_is_enqueued_with_its_transaction_or_not_at_all,
    a_unique_key_has_one_open_job,
    due_jobs_of_the_given_kinds_are_claimed_in_order,
    a_job_on_the_project_clock_waits_for_that_clock,
    a_lost_lease_settles_nothing,
    a_failing_job_is_retried_later_and_held_at_last,
    a_job_that_kills_its_servers_is_held,
    a_cancelled_job_is_not_completed,
    a_postponed_attempt_is_not_counted,
    a_waiter_is_notified_after_the_commit_only,
    jobs_are_listed_counted_and_deleted,
    servers_that_claim_at_the_same_time_share_the_jobs,
}

/// How long leases of these tests last.
const LEASE_MS: i64 = 1_000;

pub(crate) fn new_job(kind: &str) -> NewJob {
    NewJob {
        project_id: None,
        kind: kind.to_owned(),
        payload: json!({ "segment": 3 }),
        unique_key: None,
        clock: JobClock::Wall,
        due_ms: NOW,
        created_ms: NOW,
    }
}

pub(crate) fn claim_at(wall_ms: i64) -> JobClaim {
    JobClaim {
        kinds: vec!["ingest".to_owned(), "vacuum".to_owned()],
        holder: ServerId::generate(),
        wall_ms,
        project: None,
        lease_until_ms: wall_ms + LEASE_MS,
        attempts_max: 3,
        limit: 100,
    }
}

pub(crate) async fn enqueue(store: &Store, new: NewJob) -> Job {
    write_tx!(store, tx => { Ok(jobs::enqueue(tx, new).await?) }).unwrap()
}

pub(crate) async fn claim(store: &Store, claim: JobClaim) -> Vec<Job> {
    write_tx!(store, tx => { Ok(jobs::claim(tx, &claim).await?) }).unwrap().rows
}

async fn get(db: &Db, id: JobId) -> Job {
    jobs::get(&mut db.store.read().await.unwrap(), id).await.unwrap()
}

fn at(wall_ms: i64) -> Instant {
    Instant { wall_ms, project_ms: wall_ms }
}

async fn a_job_is_enqueued_with_its_transaction_or_not_at_all(db: &Db) {
    let refused = write_tx!(db.store, tx => {
        jobs::enqueue(tx, new_job("ingest")).await?;
        Err::<(), _>(perennial_core::Error::new(ErrorCode::WrongState, "undone"))
    });
    assert_eq!(refused.unwrap_err().message(), "undone");
    assert_eq!(claim(&db.store, claim_at(NOW)).await, []);
    let job = enqueue(&db.store, new_job("ingest")).await;
    assert_eq!(get(db, job.id).await, job);
    assert_eq!((job.state, job.attempts, job.payload["segment"].as_i64()), (JobState::Pending, 0, Some(3)));
}

async fn a_unique_key_has_one_open_job(db: &Db) {
    let keyed = || NewJob { unique_key: Some("segment/1".to_owned()), ..new_job("ingest") };
    let first = enqueue(&db.store, keyed()).await;
    assert_eq!(enqueue(&db.store, keyed()).await.id, first.id, "while it is pending");
    let lease = claim(&db.store, claim_at(NOW)).await[0].lease().unwrap();
    assert_eq!(enqueue(&db.store, keyed()).await.id, first.id, "while it is running");
    let no_retry = RetryPolicy { attempts_max: 1, ..RetryPolicy::default() };
    write_tx!(db.store, tx => { Ok(jobs::fail(tx, &lease, "no", &no_retry, at(NOW)).await?) }).unwrap();
    assert_eq!(enqueue(&db.store, keyed()).await.state, JobState::Held, "while it is held");
    write_tx!(db.store, tx => { Ok(jobs::cancel(tx, first.id, NOW).await?) }).unwrap();
    let mut reader = db.store.read().await.unwrap();
    assert_eq!(jobs::find_open(&mut reader, "segment/1").await.unwrap(), None);
    drop(reader);
    assert_ne!(enqueue(&db.store, keyed()).await.id, first.id);
    let other = NewJob { unique_key: Some("segment/2".to_owned()), ..new_job("ingest") };
    assert_eq!(enqueue(&db.store, other).await.state, JobState::Pending);
}

async fn due_jobs_of_the_given_kinds_are_claimed_in_order(db: &Db) {
    let mut due = Vec::new();
    for (kind, due_ms) in
        [("ingest", NOW - 1), ("vacuum", NOW - 3), ("ingest", NOW), ("ingest", NOW + 1), ("mail", NOW)]
    {
        due.push(enqueue(&db.store, NewJob { due_ms, ..new_job(kind) }).await.id);
    }
    let first = claim(&db.store, JobClaim { limit: 2, ..claim_at(NOW) }).await;
    assert_eq!(first.iter().map(|job| job.id).collect::<Vec<_>>(), [due[1], due[0]]);
    assert!(first.iter().all(|job| job.state == JobState::Running && job.attempts == 1));
    assert_eq!(get(db, due[0]).await, first[1], "what is claimed is what is stored");
    let rest = claim(&db.store, claim_at(NOW)).await;
    assert_eq!(rest.iter().map(|job| job.id).collect::<Vec<_>>(), [due[2]]);
    assert_eq!(claim(&db.store, claim_at(NOW)).await, []);
    let mut reader = db.store.read().await.unwrap();
    assert_eq!(jobs::next_due(&mut reader, &["ingest", "mail"]).await.unwrap(), Some(NOW));
    assert_eq!(jobs::next_due(&mut reader, &["vacuum"]).await.unwrap(), Some(NOW + LEASE_MS), "when its lease expires");
    assert_eq!(jobs::next_due(&mut reader, &["other"]).await.unwrap(), None);
}

async fn a_job_on_the_project_clock_waits_for_that_clock(db: &Db) {
    let project = project(&db.store, "p").await;
    let other = self::project(&db.store, "q").await;
    let new = NewJob { project_id: Some(project.id), clock: JobClock::Project, due_ms: 500, ..new_job("ingest") };
    let job = enqueue(&db.store, new).await;
    for project in [None, Some((project.id, 499)), Some((other.id, NOW))] {
        assert_eq!(claim(&db.store, JobClaim { project, ..claim_at(NOW) }).await, []);
    }
    let mut reader = db.store.read().await.unwrap();
    assert_eq!(jobs::next_due(&mut reader, &["ingest"]).await.unwrap(), None);
    drop(reader);
    let claimed = claim(&db.store, JobClaim { project: Some((project.id, 500)), ..claim_at(NOW) }).await;
    assert_eq!(claimed[0].id, job.id);
}

async fn a_lost_lease_settles_nothing(db: &Db) {
    let job = enqueue(&db.store, new_job("ingest")).await;
    let first = claim(&db.store, claim_at(NOW)).await[0].lease().unwrap();
    write_tx!(db.store, tx => { Ok(jobs::renew(tx, &first, NOW + 2 * LEASE_MS).await?) }).unwrap();
    assert_eq!(claim(&db.store, claim_at(NOW + LEASE_MS)).await, [], "the lease was renewed");
    let second = claim(&db.store, claim_at(NOW + 2 * LEASE_MS)).await[0].lease().unwrap();
    assert_eq!((second.id, second.attempt), (job.id, 2));
    let renewed = write_tx!(db.store, tx => { Ok(jobs::renew(tx, &first, NOW).await?) });
    let completed = write_tx!(db.store, tx => { Ok(jobs::complete(tx, &first, NOW).await?) });
    let failed = write_tx!(db.store, tx => {
        Ok(jobs::fail(tx, &first, "late", &RetryPolicy::default(), at(NOW)).await?)
    });
    for refused in [renewed.unwrap_err(), completed.unwrap_err(), failed.unwrap_err()] {
        assert_eq!(refused.code(), ErrorCode::WrongState);
        assert!(refused.message().contains("changed"), "{refused}");
    }
    write_tx!(db.store, tx => { Ok(jobs::complete(tx, &second, NOW + 9).await?) }).unwrap();
    let done = get(db, job.id).await;
    assert_eq!((done.state, done.settled_ms, done.lease()), (JobState::Succeeded, Some(NOW + 9), None));
    write_tx!(db.store, tx => { Ok(jobs::complete(tx, &second, NOW + 9).await?) }).unwrap_err();
}

async fn a_failing_job_is_retried_later_and_held_at_last(db: &Db) {
    let job = enqueue(&db.store, new_job("ingest")).await;
    let policy = RetryPolicy { attempts_max: 2, first_delay_ms: 100, delay_max_ms: 1_000 };
    let mut now = NOW;
    for (attempt, expected) in [(1, JobState::Pending), (2, JobState::Held)] {
        let lease = claim(&db.store, claim_at(now)).await[0].lease().unwrap();
        assert_eq!(lease.attempt, attempt);
        let state = write_tx!(db.store, tx => { Ok(jobs::fail(tx, &lease, "no space", &policy, at(now)).await?) });
        assert_eq!(state.unwrap(), expected);
        assert_eq!(claim(&db.store, claim_at(now + 99)).await, [], "not before its time");
        now += 100;
    }
    let held = get(db, job.id).await;
    assert_eq!((held.attempts, held.message.as_deref(), held.settled_ms), (2, Some("no space"), Some(NOW + 100)));
    assert_eq!(claim(&db.store, claim_at(NOW + 1_000_000)).await, [], "a held job is not claimed");
    write_tx!(db.store, tx => { Ok(jobs::requeue(tx, job.id, NOW + 5).await?) }).unwrap();
    assert_eq!(claim(&db.store, claim_at(NOW + 5)).await[0].attempts, 1);
}

async fn a_job_that_kills_its_servers_is_held(db: &Db) {
    let job = enqueue(&db.store, new_job("ingest")).await;
    for attempt in 1..=3 {
        assert_eq!(claim(&db.store, claim_at(NOW + attempt * LEASE_MS)).await[0].attempts, attempt);
    }
    let claimed = claim(&db.store, claim_at(NOW + 4 * LEASE_MS)).await;
    let held = get(db, job.id).await;
    assert_eq!(claimed, std::slice::from_ref(&held), "it is returned, so that it can be reported");
    assert_eq!((held.state, held.attempts), (JobState::Held, 3));
    assert!(held.message.unwrap().contains("lease of attempt 3 expired"));
}

async fn a_cancelled_job_is_not_completed(db: &Db) {
    let job = enqueue(&db.store, new_job("ingest")).await;
    let lease = claim(&db.store, claim_at(NOW)).await[0].lease().unwrap();
    write_tx!(db.store, tx => { Ok(jobs::cancel(tx, job.id, NOW + 1).await?) }).unwrap();
    write_tx!(db.store, tx => { Ok(jobs::complete(tx, &lease, NOW + 2).await?) }).unwrap_err();
    let cancelled = get(db, job.id).await;
    assert_eq!((cancelled.state, cancelled.settled_ms), (JobState::Cancelled, Some(NOW + 1)));
    write_tx!(db.store, tx => { Ok(jobs::cancel(tx, job.id, NOW + 3).await?) }).unwrap_err();
}

async fn a_postponed_attempt_is_not_counted(db: &Db) {
    let job = enqueue(&db.store, new_job("ingest")).await;
    let mut leases = Vec::new();
    for round in 0..5 {
        let lease = claim(&db.store, claim_at(NOW + round)).await[0].lease().unwrap();
        write_tx!(db.store, tx => { Ok(jobs::postpone(tx, &lease, NOW + round + 1).await?) }).unwrap();
        leases.push(lease);
    }
    let waiting = get(db, job.id).await;
    assert_eq!((waiting.state, waiting.attempts, waiting.due_ms), (JobState::Pending, 0, NOW + 5));
    for lease in leases {
        write_tx!(db.store, tx => { Ok(jobs::postpone(tx, &lease, NOW).await?) }).unwrap_err();
    }
}

async fn a_waiter_is_notified_after_the_commit_only(db: &Db) {
    let waiter = Arc::new(Notify::new());
    let (notified, refused) = (waiter.clone(), waiter.clone());
    let result = write_tx!(db.store, tx => {
        tx.notify_after_commit(&refused);
        Err::<(), _>(perennial_core::Error::new(ErrorCode::WrongState, "undone"))
    });
    result.unwrap_err();
    write_tx!(db.store, tx => { Ok(jobs::enqueue(tx, new_job("ingest")).await?) }).unwrap();
    assert_eq!(waiter.notified().now_or_never(), None, "neither by an undone write nor by another one");
    write_tx!(db.store, tx => {
        tx.notify_after_commit(&notified);
        Ok(jobs::enqueue(tx, new_job("ingest")).await?)
    })
    .unwrap();
    assert_eq!(waiter.notified().now_or_never(), Some(()));
}

async fn jobs_are_listed_counted_and_deleted(db: &Db) {
    let project = project(&db.store, "p").await;
    let mut ids = Vec::new();
    for number in 0..5 {
        let project_id = (number % 2 == 0).then_some(project.id);
        ids.push(enqueue(&db.store, NewJob { project_id, ..new_job("ingest") }).await.id);
    }
    let lease = claim(&db.store, JobClaim { limit: 1, ..claim_at(NOW) }).await[0].lease().unwrap();
    write_tx!(db.store, tx => { Ok(jobs::complete(tx, &lease, NOW + 1).await?) }).unwrap();
    let mut reader = db.store.read().await.unwrap();
    let listed = jobs::list(&mut reader, None, None, None, 2).await.unwrap();
    assert_eq!(listed.items.iter().map(|job| job.id).collect::<Vec<_>>(), [ids[4], ids[3]]);
    let rest = jobs::list(&mut reader, None, None, listed.next.as_deref(), 10).await.unwrap();
    assert_eq!((rest.items.len(), rest.next), (3, None));
    let own = jobs::list(&mut reader, Some(project.id), Some(JobState::Pending), None, 10).await.unwrap();
    assert!(own.items.iter().all(|job| job.project_id == Some(project.id) && job.state == JobState::Pending));
    assert_eq!(jobs::count_by_state(&mut reader).await.unwrap(), [(JobState::Pending, 4)]);
    drop(reader);
    for (before_ms, deleted) in [(NOW + 1, 0), (NOW + 2, 1)] {
        let count = write_tx!(db.store, tx => { Ok(jobs::delete_settled(tx, before_ms).await?) });
        assert_eq!(count.unwrap(), deleted);
    }
}

async fn servers_that_claim_at_the_same_time_share_the_jobs(db: &Db) {
    for _ in 0..40 {
        enqueue(&db.store, new_job("ingest")).await;
    }
    let claims = (0..8).map(|_| async {
        let mut claimed = Vec::new();
        loop {
            let jobs = claim(&db.store, JobClaim { limit: 3, ..claim_at(NOW) }).await;
            if jobs.is_empty() {
                return claimed;
            }
            claimed.extend(jobs.into_iter().map(|job| job.id));
        }
    });
    let claimed: Vec<JobId> = join_all(claims).await.into_iter().flatten().collect();
    assert_eq!((claimed.len(), claimed.iter().collect::<BTreeSet<_>>().len()), (40, 40), "each job once");
}
