//! Random lives of loads, beside a model in memory.

use std::collections::{BTreeMap, BTreeSet};

use perennial_core::entity::Load;
use perennial_core::id::LoadId;
use perennial_core::state::{LoadEvent, LoadState};
use perennial_store::loads;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngSeed, TestRunner};

use crate::data::{begin, commit, stage};
use crate::db::{Db, on_both, write_tx};
use crate::fixtures::{NOW, dataset, intent, load, project};

on_both! { random_lives_of_loads_agree_with_a_model }

/// What a test knows of the loads of one dataset.
#[derive(Default)]
struct Model {
    states: BTreeMap<LoadId, LoadState>,
    open: Option<(LoadId, i64)>,
    newest: i64,
}

impl Model {
    fn apply(&mut self, id: LoadId, event: LoadEvent) -> bool {
        let Ok(next) = self.states[&id].transition(event) else {
            return false;
        };
        self.states.insert(id, next);
        true
    }
}

#[derive(Debug, Clone)]
enum Operation {
    Stage,
    Hold(usize),
    Replace(usize),
    Begin(usize, bool),
    Commit(usize),
    Abandon(usize),
}

fn operations() -> impl Strategy<Value = Operation> {
    let place = || 0_usize..4;
    prop_oneof![
        3 => Just(Operation::Stage),
        1 => place().prop_map(Operation::Hold),
        1 => place().prop_map(Operation::Replace),
        4 => (place(), any::<bool>()).prop_map(|(place, held)| Operation::Begin(place, held)),
        4 => place().prop_map(Operation::Commit),
        1 => place().prop_map(Operation::Abandon),
    ]
}

async fn random_lives_of_loads_agree_with_a_model(db: &Db) {
    let mut runner = TestRunner::new(Config { rng_seed: RngSeed::Fixed(2_013), ..Config::default() });
    let project = project(&db.store, "p").await;
    let dataset = dataset(&db.store, project.id, "d").await;
    let (mut model, mut known): (Model, Vec<Load>) = Default::default();
    for step in 0..200 {
        let operation = operations().new_tree(&mut runner).unwrap().current();
        // One of the newest loads.
        let pick = |place: usize| known.len().checked_sub(place + 1).map(|place| known[place].clone());
        let (answer, expected) = match operation {
            Operation::Stage => {
                let one = load(&dataset, &step.to_string());
                stage(db, &one).await;
                model.states.insert(one.id, LoadState::Staged);
                known.push(one);
                (Ok(()), true)
            }
            Operation::Hold(place) => {
                let Some(one) = pick(place) else { continue };
                let answer =
                    write_tx!(db.store, tx => { Ok(loads::apply(tx, one.id, LoadEvent::Hold, None, NOW).await?) });
                (answer.map(|_| ()), model.apply(one.id, LoadEvent::Hold))
            }
            Operation::Replace(place) => {
                let (Some(one), Some(by)) = (pick(place), pick(0)) else {
                    continue;
                };
                let answer = write_tx!(db.store, tx => { Ok(loads::replace(tx, one.id, by.id, NOW).await?) });
                (answer, model.apply(one.id, LoadEvent::Replace))
            }
            Operation::Begin(place, held) => {
                let Some(one) = pick(place) else { continue };
                let event = if held { LoadEvent::Accept } else { LoadEvent::Begin };
                let number = model.newest + 1;
                let answer = begin(db, &one, number, event).await;
                let expected = model.open.is_none() && model.apply(one.id, event);
                if expected {
                    model.open = Some((one.id, number));
                }
                (answer, expected)
            }
            Operation::Commit(place) => {
                // Mostly the one whose commit is under way.
                let open = model.open.and_then(|(id, _)| known.iter().find(|load| load.id == id).cloned());
                let Some(one) = open.filter(|_| place > 0).or_else(|| pick(place)) else {
                    continue;
                };
                let answer = commit(db, &one, model.newest + 1).await;
                let expected = model.apply(one.id, LoadEvent::Commit);
                if expected {
                    model.newest += 1;
                    model.open = None;
                }
                (answer, expected)
            }
            Operation::Abandon(place) => {
                let Some(one) = pick(place) else { continue };
                let given_up = intent(&one, model.newest + 1);
                let answer = write_tx!(db.store, tx => { Ok(loads::abandon(tx, &given_up, "x", NOW).await?) });
                let expected = model.states[&one.id] == LoadState::Committing && model.apply(one.id, LoadEvent::Fail);
                if expected {
                    model.open = None;
                }
                (answer, expected)
            }
        };
        assert_eq!(answer.is_ok(), expected, "step {step}: {operation:?}: {answer:?}");
        let mut reader = db.store.read().await.unwrap();
        let open =
            loads::find_intent(&mut reader, dataset.id).await.unwrap().map(|intent| (intent.load_id, intent.number));
        assert_eq!(open, model.open, "step {step}: {operation:?}");
    }
    let mut reader = db.store.read().await.unwrap();
    let kept = loads::list(&mut reader, dataset.id, None, 1_000).await.unwrap().items;
    let states: BTreeMap<LoadId, LoadState> = kept.iter().map(|load| (load.id, load.state)).collect();
    assert_eq!(states, model.states);
    let numbers: BTreeSet<i64> = kept.iter().filter_map(|load| load.number).collect();
    assert_eq!(numbers, (1..=model.newest).collect());
    assert!(model.newest > 10, "the lives reach commits: {}", model.newest);
}
