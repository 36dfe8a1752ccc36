//! Jobs: claimed by one at a time, again when a lease runs out, on two clocks.

use std::collections::BTreeSet;

use futures::future::join_all;
use perennial_core::ErrorCode;
use perennial_core::id::{JobId, ProjectId};
use perennial_core::state::{JobEvent, JobState};
use perennial_store::jobs::{Job, JobClock};
use perennial_store::{jobs, projects};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use serde_json::json;

use crate::db::{Db, on_both, write_tx};
use crate::fixtures::{NOW, project};

on_both! {
    an_open_job_with_the_same_key_is_not_doubled,
    a_project_job_is_due_by_its_project_clock,
    a_lease_that_ran_out_lets_another_claim,
    claims_at_once_give_each_job_to_one,
    a_step_of_the_clock_knows_what_is_unfinished,
    settled_jobs_are_forgotten_after_a_while,
    random_claims_agree_with_a_model,
}

fn job(project: Option<ProjectId>, clock: JobClock, due_ms: i64) -> Job {
    Job {
        id: JobId::generate(),
        project_id: project,
        kind: "monitor".to_owned(),
        payload: json!({"window": 1}),
        unique_key: None,
        state: JobState::Pending,
        clock,
        due_ms,
        attempts: 0,
        lease_holder: None,
        lease_until_ms: None,
        message: None,
        created_ms: NOW,
        settled_ms: None,
    }
}

async fn enqueue(db: &Db, job: &Job) -> bool {
    let job = job.clone();
    write_tx!(db.store, tx => { Ok(jobs::enqueue(tx, &job).await?) }).unwrap()
}

async fn claim(db: &Db, holder: &'static str, now: i64, lease: i64, limit: u32) -> Vec<JobId> {
    let claimed = write_tx!(db.store, tx => { Ok(jobs::claim(tx, holder, now, now + lease, limit).await?) }).unwrap();
    claimed.into_iter().map(|job| job.id).collect()
}

async fn settle(db: &Db, id: JobId, holder: &'static str, event: JobEvent) -> perennial_core::Result<JobState> {
    write_tx!(db.store, tx => { Ok(jobs::settle(tx, id, holder, event, None, NOW).await?) })
}

async fn an_open_job_with_the_same_key_is_not_doubled(db: &Db) {
    let keyed = || Job { unique_key: Some("drift:delay:2013-07".to_owned()), ..job(None, JobClock::Wall, NOW) };
    let (one, two, three) = (keyed(), keyed(), keyed());
    assert!(enqueue(db, &one).await);
    assert!(!enqueue(db, &two).await);
    assert_eq!(claim(db, "a", NOW, 10, 5).await, [one.id]);
    assert!(!enqueue(db, &two).await, "a running one is open too");
    settle(db, one.id, "a", JobEvent::Complete).await.unwrap();
    assert!(enqueue(db, &three).await);
}

async fn a_project_job_is_due_by_its_project_clock(db: &Db) {
    let stepped = project(&db.store, "stepped").await;
    let id = stepped.id;
    write_tx!(db.store, tx => { Ok(projects::set_clock(tx, id, Some(NOW - 1_000)).await?) }).unwrap();
    let following = project(&db.store, "following").await;
    let late = job(Some(stepped.id), JobClock::Project, NOW);
    let due = job(Some(following.id), JobClock::Project, NOW);
    let wall = job(Some(stepped.id), JobClock::Wall, NOW - 1);
    for job in [&late, &due, &wall] {
        enqueue(db, job).await;
    }
    assert_eq!(claim(db, "a", NOW, 10, 5).await, [wall.id, due.id]);
    write_tx!(db.store, tx => { Ok(projects::set_clock(tx, id, Some(NOW)).await?) }).unwrap();
    let mut reader = db.store.read().await.unwrap();
    assert_eq!(jobs::next_due(&mut reader, id).await.unwrap(), Some(NOW));
    drop(reader);
    assert_eq!(claim(db, "a", NOW, 10, 5).await, [late.id]);
}

async fn a_lease_that_ran_out_lets_another_claim(db: &Db) {
    let one = job(None, JobClock::Wall, NOW);
    enqueue(db, &one).await;
    assert_eq!(claim(db, "a", NOW, 10, 5).await, [one.id]);
    assert!(claim(db, "b", NOW + 9, 10, 5).await.is_empty());
    let id = one.id;
    write_tx!(db.store, tx => { Ok(jobs::renew(tx, id, "a", NOW + 20).await?) }).unwrap();
    assert!(claim(db, "b", NOW + 19, 10, 5).await.is_empty());
    assert_eq!(claim(db, "b", NOW + 20, 10, 5).await, [one.id]);
    let lost = write_tx!(db.store, tx => { Ok(jobs::renew(tx, id, "a", NOW + 40).await?) }).unwrap_err();
    assert_eq!(lost.code(), ErrorCode::WrongState);
    settle(db, id, "a", JobEvent::Complete).await.unwrap_err();
    settle(db, id, "b", JobEvent::Claim).await.unwrap_err();
    write_tx!(db.store, tx => { Ok(jobs::retry(tx, id, "a", "x", NOW + 50).await?) }).unwrap_err();
    write_tx!(db.store, tx => { Ok(jobs::retry(tx, id, "b", "no answer", NOW + 50).await?) }).unwrap();
    assert!(claim(db, "b", NOW + 49, 10, 5).await.is_empty());
    assert_eq!(claim(db, "c", NOW + 50, 10, 5).await, [one.id]);
    assert_eq!(write_tx!(db.store, tx => { Ok(jobs::release_leases(tx, "c").await?) }).unwrap(), 1);
    assert_eq!(claim(db, "d", NOW + 51, 10, 5).await, [one.id]);
    settle(db, id, "d", JobEvent::GiveUp).await.unwrap();
    let mut reader = db.store.read().await.unwrap();
    let dead = jobs::get(&mut reader, id).await.unwrap();
    assert_eq!((dead.state, dead.attempts, dead.message.as_deref()), (JobState::Dead, 4, Some("no answer")));
}

async fn claims_at_once_give_each_job_to_one(db: &Db) {
    let mut all = BTreeSet::new();
    for _ in 0..30 {
        let one = job(None, JobClock::Wall, NOW);
        enqueue(db, &one).await;
        all.insert(one.id);
    }
    let claimed: Vec<JobId> = join_all(["a", "b", "c", "d", "e", "f"].map(|holder| claim(db, holder, NOW, 10, 10)))
        .await
        .into_iter()
        .flatten()
        .collect();
    assert_eq!(claimed.len(), 30);
    assert_eq!(claimed.into_iter().collect::<BTreeSet<_>>(), all);
}

async fn a_step_of_the_clock_knows_what_is_unfinished(db: &Db) {
    let project = project(&db.store, "p").await;
    let (one, two) =
        (job(Some(project.id), JobClock::Project, NOW), job(Some(project.id), JobClock::Project, NOW + 100));
    let started = job(Some(project.id), JobClock::Wall, NOW);
    for job in [&one, &two, &started] {
        enqueue(db, job).await;
    }
    let unfinished = async || {
        let mut reader = db.store.read().await.unwrap();
        jobs::count_unfinished(&mut reader, project.id, NOW + 50, NOW).await.unwrap()
    };
    assert_eq!(unfinished().await, 2);
    for id in claim(db, "a", NOW, 10, 5).await {
        assert!(unfinished().await > 0, "a running job is not finished");
        settle(db, id, "a", JobEvent::Complete).await.unwrap();
    }
    assert_eq!(unfinished().await, 0);
    settle(db, two.id, "nobody", JobEvent::Cancel).await.unwrap();
    let mut reader = db.store.read().await.unwrap();
    assert_eq!(jobs::next_due(&mut reader, project.id).await.unwrap(), None);
    assert_eq!(jobs::list(&mut reader, project.id, None, 10).await.unwrap().items.len(), 3);
}

async fn settled_jobs_are_forgotten_after_a_while(db: &Db) {
    let (one, two) = (job(None, JobClock::Wall, NOW), job(None, JobClock::Wall, NOW + 1));
    enqueue(db, &one).await;
    enqueue(db, &two).await;
    claim(db, "a", NOW, 10, 5).await;
    settle(db, one.id, "a", JobEvent::Complete).await.unwrap();
    assert_eq!(write_tx!(db.store, tx => { Ok(jobs::delete_settled(tx, NOW).await?) }).unwrap(), 0);
    assert_eq!(write_tx!(db.store, tx => { Ok(jobs::delete_settled(tx, NOW + 1).await?) }).unwrap(), 1);
    let mut reader = db.store.read().await.unwrap();
    jobs::get(&mut reader, two.id).await.unwrap();
}

#[derive(Debug, Clone)]
enum Operation {
    Enqueue(i64),
    Claim(usize, u32),
    Settle(usize, usize, bool),
    Retry(usize, usize, i64),
    Pass(i64),
}

fn operations() -> impl Strategy<Value = Operation> {
    prop_oneof![
        3 => (-5_i64..20).prop_map(Operation::Enqueue),
        3 => (0_usize..3, 1_u32..3).prop_map(|(holder, limit)| Operation::Claim(holder, limit)),
        3 => (0_usize..8, 0_usize..3, any::<bool>()).prop_map(|(job, holder, done)| Operation::Settle(job, holder, done)),
        1 => (0_usize..8, 0_usize..3, 0_i64..10).prop_map(|(job, holder, delay)| Operation::Retry(job, holder, delay)),
        2 => (1_i64..8).prop_map(Operation::Pass),
    ]
}

async fn random_claims_agree_with_a_model(db: &Db) {
    const HOLDERS: [&str; 3] = ["a", "b", "c"];
    const LEASE: i64 = 5;
    let mut runner = TestRunner::new(Config { rng_seed: RngSeed::Fixed(41), ..Config::default() });
    let mut model: Vec<Job> = Vec::new();
    let mut now = NOW;
    let mut claims = 0;
    for step in 0..250 {
        let operation = operations().new_tree(&mut runner).unwrap().current();
        let newest = model.len();
        match operation {
            Operation::Enqueue(delay) => {
                let one = job(None, JobClock::Wall, now + delay);
                enqueue(db, &one).await;
                model.push(one);
            }
            Operation::Pass(time) => now += time,
            Operation::Claim(holder, limit) => {
                let mut due: Vec<&mut Job> = model
                    .iter_mut()
                    .filter(|job| job.due_ms <= now)
                    .filter(|job| {
                        job.state == JobState::Pending
                            || (job.state == JobState::Running && job.lease_until_ms <= Some(now))
                    })
                    .collect();
                due.sort_by_key(|job| (job.due_ms, job.id));
                let mut expected = Vec::new();
                for job in due.into_iter().take(limit as usize) {
                    job.state = JobState::Running;
                    job.lease_holder = Some(HOLDERS[holder].to_owned());
                    job.lease_until_ms = Some(now + LEASE);
                    job.attempts += 1;
                    expected.push(job.id);
                }
                claims += expected.len();
                assert_eq!(claim(db, HOLDERS[holder], now, LEASE, limit).await, expected, "step {step}");
            }
            Operation::Settle(place, holder, done) => {
                let Some(job) = newest.checked_sub(place + 1).map(|place| &mut model[place]) else {
                    continue;
                };
                let event = if done { JobEvent::Complete } else { JobEvent::GiveUp };
                let is_holder = job.state == JobState::Running && job.lease_holder.as_deref() == Some(HOLDERS[holder]);
                let answer = settle(db, job.id, HOLDERS[holder], event).await;
                assert_eq!(answer.is_ok(), is_holder, "step {step}: {answer:?}");
                if is_holder {
                    let state = if done { JobState::Done } else { JobState::Dead };
                    *job =
                        Job { state, lease_holder: None, lease_until_ms: None, settled_ms: Some(NOW), ..job.clone() };
                }
            }
            Operation::Retry(place, holder, delay) => {
                let Some(job) = newest.checked_sub(place + 1).map(|place| &mut model[place]) else {
                    continue;
                };
                let is_holder = job.state == JobState::Running && job.lease_holder.as_deref() == Some(HOLDERS[holder]);
                let (id, due) = (job.id, now + delay);
                let answer = write_tx!(db.store, tx => { Ok(jobs::retry(tx, id, HOLDERS[holder], "x", due).await?) });
                assert_eq!(answer.is_ok(), is_holder, "step {step}: {answer:?}");
                if is_holder {
                    let message = Some("x".to_owned());
                    *job = Job {
                        state: JobState::Pending,
                        due_ms: due,
                        message,
                        lease_holder: None,
                        lease_until_ms: None,
                        ..job.clone()
                    };
                }
            }
        }
    }
    let mut reader = db.store.read().await.unwrap();
    for expected in &model {
        assert_eq!(jobs::get(&mut reader, expected.id).await.unwrap(), *expected);
    }
    assert!(claims > 30, "jobs are claimed: {claims}");
}
