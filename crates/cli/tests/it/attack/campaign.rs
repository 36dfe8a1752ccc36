//! Rounds of all kinds of attempts, several at once, while a client of `bravo` predicts and lists.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use futures::StreamExt;

use super::attempt::{Kind, Outcome};
use super::bystander::{self, Requests};
use super::memory_limit::{MemoryLimit, resident_bytes};
use super::report::Tally;
use super::target::Target;
use super::{CLASSES, SEED, exhaustion};
use crate::chance::Chance;
use crate::result_page;

/// Kinds whose attempts are made at the same time.
const KINDS_AT_ONCE: usize = 4;

/// Without `PERENNIAL_ATTACK_ROUNDS`, the short kinds of exhaustion alone, once, without limits of memory and time.
#[test]
fn large_and_slow_requests_leave_the_server_answering_others() {
    let rounds: Option<u64> = std::env::var("PERENNIAL_ATTACK_ROUNDS").ok().map(|rounds| rounds.parse().unwrap());
    let limit = if rounds.is_some() { MemoryLimit::new() } else { MemoryLimit::Measured };
    let target = Target::start(Some(&limit));
    let kinds: Vec<&'static Kind> = match rounds {
        Some(_) => CLASSES.iter().flat_map(|(_, kinds)| *kinds).collect(),
        None => exhaustion::KINDS.iter().filter(|kind| !exhaustion::LONG.contains(&kind.name)).collect(),
    };
    let mut tally = Tally::new(rounds.unwrap_or(1));
    let (requests, resident) = play(&target, &kinds, &mut tally);
    let mut holes = tally.holes();
    holes.extend(target.holes_at_the_end());
    let is_slow = |hole: &&String| hole.contains(" took ");
    holes.extend(requests.holes.iter().filter(|hole| rounds.is_some() || !is_slow(hole)).cloned());
    let text = tally.text(&requests, &limit, resident);
    drop(target);
    assert!(holes.is_empty(), "{text}\n{} holes:\n{}", holes.len(), holes.join("\n"));
    result_page::report("PERENNIAL_ATTACK_RESULT", &text);
}

/// Plays the rounds; gives the requests of the bystander and the most resident memory of the server's processes.
fn play(target: &Arc<Target>, kinds: &[&'static Kind], tally: &mut Tally) -> (Requests, u64) {
    let (is_over, resident) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    target.server.block_on(async {
        let bystander = tokio::spawn(bystander::observe(Arc::clone(target), Arc::clone(&is_over)));
        let watch = tokio::spawn(watch_memory(target.process(), Arc::clone(&is_over), Arc::clone(&resident)));
        let mut chance = Chance::new(SEED);
        for round in 1..=tally.rounds {
            let mut order: Vec<(u64, &'static Kind)> =
                kinds.iter().map(|kind| (chance.below(u64::MAX), *kind)).collect();
            order.sort_by_key(|(place, _)| *place);
            let attempts = order.into_iter().map(|(_, kind)| {
                let (target, chance) = (Arc::clone(target), chance.fork());
                async move { (kind.name, attempt(&target, kind, chance).await) }
            });
            let mut attempts = futures::stream::iter(attempts).buffer_unordered(KINDS_AT_ONCE);
            while let Some((kind, outcome)) = attempts.next().await {
                println!("round {round}: {kind}: {} attempts, {} holes", outcome.attempts, outcome.holes.len());
                tally.add(kind, outcome);
            }
            if !target.is_running() {
                break;
            }
        }
        is_over.store(true, Ordering::Relaxed);
        watch.await.unwrap();
        (bystander.await.unwrap(), resident.load(Ordering::Relaxed))
    })
}

/// Makes the attempts of a kind; a failed assertion is a hole, and so is a server that has ended meanwhile.
async fn attempt(target: &Arc<Target>, kind: &'static Kind, chance: Chance) -> Outcome {
    if !target.is_running() {
        return Outcome::default();
    }
    target.begin(kind.name);
    let run = kind.run;
    let mut outcome = match tokio::spawn(run(Arc::clone(target), chance)).await {
        Ok(outcome) => outcome,
        Err(error) => Outcome { attempts: 1, holes: vec![format!("the attempts ended: {error}")] },
    };
    let running = target.end(kind.name);
    if !target.is_running() {
        outcome.holes.push(format!("the server has ended during {running}"));
    }
    outcome
}

async fn watch_memory(process: u32, is_over: Arc<AtomicBool>, most: Arc<AtomicU64>) {
    let mut pause = tokio::time::interval(std::time::Duration::from_millis(200));
    while !is_over.load(Ordering::Relaxed) {
        pause.tick().await;
        most.fetch_max(resident_bytes(process), Ordering::Relaxed);
    }
}
