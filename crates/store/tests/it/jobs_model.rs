//! Random sequences of operations on jobs, beside a model in memory.

use std::collections::BTreeMap;

use perennial_core::clock::Instant;
use perennial_core::entity::{Job, JobClaim, JobLease, NewJob, RetryPolicy};
use perennial_core::id::JobId;
use perennial_store::jobs;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngSeed, TestRunner};

use crate::db::{Db, on_both, write_tx};
use crate::fixtures::NOW;
use crate::jobs::{claim, claim_at, enqueue, new_job};

on_both! { random_sequences_agree_with_a_model }

#[derive(Debug, Clone)]
enum Operation {
    Enqueue(Option<u8>),
    Wait(i64),
    Claim(u32),
    Complete(usize),
    Fail(usize),
    Cancel(usize),
    Requeue(usize),
}

fn operation() -> impl Strategy<Value = Operation> {
    let place = || 0_usize..6;
    prop_oneof![
        3 => prop::option::of(0_u8..3).prop_map(Operation::Enqueue),
        2 => (0_i64..1_500).prop_map(Operation::Wait),
        4 => (1_u32..4).prop_map(Operation::Claim),
        2 => place().prop_map(Operation::Complete),
        3 => place().prop_map(Operation::Fail),
        1 => place().prop_map(Operation::Cancel),
        1 => place().prop_map(Operation::Requeue),
    ]
}

const POLICY: RetryPolicy = RetryPolicy { attempts_max: 3, first_delay_ms: 200, delay_max_ms: 500 };

/// The jobs as they must be stored, and every lease that was ever given.
#[derive(Default)]
struct Model {
    now: i64,
    jobs: BTreeMap<JobId, Job>,
    leases: Vec<JobLease>,
}

impl Model {
    fn is_claimable(&self, job: &Job) -> bool {
        match job.lease_until_ms {
            Some(until) => until <= self.now,
            None => job.state == perennial_core::state::JobState::Pending && job.due_ms <= self.now,
        }
    }

    /// What a claim has to return; the jobs change accordingly.
    fn claim(&mut self, claim: &JobClaim) -> Vec<Job> {
        let mut due: Vec<(i64, JobId)> =
            self.jobs.values().filter(|job| self.is_claimable(job)).map(|job| (job.due_ms, job.id)).collect();
        due.sort_unstable();
        due.truncate(claim.limit as usize);
        let mut claimed = Vec::new();
        for (_, id) in due {
            let job = self.jobs.get_mut(&id).unwrap();
            job.claim(claim).unwrap();
            claimed.push(job.clone());
        }
        claimed
    }
}

async fn random_sequences_agree_with_a_model(db: &Db) {
    let mut runner = TestRunner::new(Config { rng_seed: RngSeed::Fixed(7), ..Config::default() });
    let operations = prop::collection::vec(operation(), 150).new_tree(&mut runner).unwrap().current();
    let mut model = Model { now: NOW, ..Model::default() };
    for operation in operations {
        apply(db, &mut model, operation).await;
        let mut reader = db.store.read().await.unwrap();
        let stored = jobs::list(&mut reader, None, None, None, 1_000).await.unwrap().items;
        let stored: BTreeMap<JobId, Job> = stored.into_iter().map(|job| (job.id, job)).collect();
        assert_eq!(stored, model.jobs);
    }
    assert!(model.leases.len() > 20, "{} leases", model.leases.len());
}

async fn apply(db: &Db, model: &mut Model, operation: Operation) {
    let now = Instant { wall_ms: model.now, project_ms: model.now };
    let ids: Vec<JobId> = model.jobs.keys().copied().collect();
    let at = |place: usize| ids.iter().rev().nth(place).copied();
    match operation {
        Operation::Wait(ms) => model.now += ms,
        Operation::Enqueue(key) => {
            let unique_key = key.map(|key| format!("key {key}"));
            let open = |job: &&Job| job.state.is_open() && job.unique_key.is_some() && job.unique_key == unique_key;
            let expected = model.jobs.values().find(open).map(|job| job.id);
            let job =
                enqueue(&db.store, NewJob { unique_key: unique_key.clone(), due_ms: model.now, ..new_job("ingest") })
                    .await;
            assert_eq!(expected.unwrap_or(job.id), job.id);
            model.jobs.entry(job.id).or_insert(job);
        }
        Operation::Claim(limit) => {
            let request = JobClaim { limit, ..claim_at(model.now) };
            let expected = model.claim(&request);
            let claimed = claim(&db.store, request).await;
            assert_eq!(claimed, expected);
            model.leases.extend(claimed.iter().filter_map(Job::lease));
        }
        Operation::Complete(place) => {
            let Some(lease) = model.leases.iter().rev().nth(place).copied() else { return };
            let result = write_tx!(db.store, tx => { Ok(jobs::complete(tx, &lease, now.wall_ms).await?) });
            let job = model.jobs.get_mut(&lease.id).unwrap();
            let is_current = job.lease() == Some(lease);
            assert_eq!(result.is_ok(), is_current);
            if is_current {
                job.complete(now.wall_ms).unwrap();
            }
        }
        Operation::Fail(place) => {
            let Some(lease) = model.leases.iter().rev().nth(place).copied() else { return };
            let result = write_tx!(db.store, tx => { Ok(jobs::fail(tx, &lease, "no", &POLICY, now).await?) });
            let job = model.jobs.get_mut(&lease.id).unwrap();
            let is_current = job.lease() == Some(lease);
            assert_eq!(result.is_ok(), is_current);
            if is_current {
                job.fail("no", &POLICY, now).unwrap();
            }
        }
        Operation::Cancel(place) => {
            let Some(id) = at(place) else { return };
            let result = write_tx!(db.store, tx => { Ok(jobs::cancel(tx, id, now.wall_ms).await?) });
            let mut job = model.jobs[&id].clone();
            assert_eq!(job.cancel(now.wall_ms).is_ok(), result.is_ok());
            if result.is_ok() {
                model.jobs.insert(id, job);
            }
        }
        Operation::Requeue(place) => {
            let Some(id) = at(place) else { return };
            let result = write_tx!(db.store, tx => { Ok(jobs::requeue(tx, id, now.wall_ms).await?) });
            let mut job = model.jobs[&id].clone();
            assert_eq!(job.requeue(now.wall_ms).is_ok(), result.is_ok());
            if result.is_ok() {
                model.jobs.insert(id, job);
            }
        }
    }
}
