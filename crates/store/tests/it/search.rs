//! Search over runs returns the same pages as a naive filter over every run.

use perennial_core::entity::{NewRun, Run, RunBatch, RunData, RunInput, RunUpdate};
use perennial_core::filter::{RunClause, RunKey, RunNumber, RunOrder, TextTest};
use perennial_core::id::ExperimentId;
use perennial_core::state::{Lifecycle, RunStatus};
use perennial_store::runs;
use perennial_store::runs::RunSearch;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use serde_json::json;

use crate::db::{Db, on_both, write_tx};
use crate::fixtures::{NOW, experiment, run};
use crate::search_model::{Filling, by_order, clauses, fillings, holds, orders};
use crate::tracking::{create, log, param, point, tag};

on_both! { search_agrees_with_a_naive_search, a_foreign_page_token_is_refused, wildcards_of_one_database_mean_nothing_in_another, long_lists_are_taken }

const SEARCHES: usize = 250;

async fn fill(db: &Db, fillings: Vec<Filling>) -> (Vec<ExperimentId>, Vec<(Run, RunData)>) {
    let mut experiments = Vec::new();
    for name in ["e1", "e2", "e3"] {
        experiments.push(experiment(&db.store, name).await);
    }
    let mut all = Vec::new();
    for filling in fillings {
        let new = NewRun { name: filling.name, start_ms: filling.start, ..run(&experiments[filling.experiment]) };
        let id = create(db, new).await.run_id;
        let batch = RunBatch {
            metrics: filling.metrics.iter().map(|(key, value)| point(key, *value, 0, 0)).collect(),
            params: filling.params.iter().map(|(key, value)| param(key, value)).collect(),
            tags: filling.tags.iter().map(|(key, value)| tag(key, value)).collect(),
        };
        log(db, id, batch).await.unwrap();
        let inputs: Vec<RunInput> = filling
            .inputs
            .iter()
            .map(|(name, digest, context)| RunInput {
                name: name.clone(),
                digest: digest.clone(),
                source_type: String::new(),
                source: String::new(),
                schema: None,
                profile: None,
                tags: context.as_ref().map_or(json!({}), |context| json!({"mlflow.data.context": context})),
            })
            .collect();
        let update = RunUpdate { status: filling.end.map(|_| RunStatus::Finished), end_ms: filling.end, name: None };
        let run = write_tx!(db.store, tx => {
            runs::log_inputs(tx, id, &inputs).await?;
            let updated = runs::update(tx, id, &update).await?;
            if filling.is_deleted {
                runs::set_lifecycle(tx, id, Lifecycle::Deleted, NOW).await?;
                return Ok(runs::get(tx, id).await?);
            }
            Ok(updated)
        })
        .unwrap();
        all.push(run);
    }
    let mut reader = db.store.read().await.unwrap();
    let data = runs::data(&mut reader, &all).await.unwrap();
    (experiments.iter().map(|experiment| experiment.id).collect(), all.into_iter().zip(data).collect())
}

async fn search_agrees_with_a_naive_search(db: &Db) {
    let mut runner = TestRunner::new(Config { rng_seed: RngSeed::Fixed(7_041), ..Config::default() });
    let draw = |runner: &mut TestRunner| prop::collection::vec(fillings(), 40).new_tree(runner).unwrap().current();
    let (experiments, all) = fill(db, draw(&mut runner)).await;
    let lifecycle =
        prop_oneof![3 => Just(Some(Lifecycle::Active)), 1 => Just(Some(Lifecycle::Deleted)), 1 => Just(None)];
    let searches = (
        prop::collection::btree_set(0_usize..3, 0..3),
        lifecycle,
        prop::collection::vec(clauses(), 0..3),
        prop::collection::vec(orders(), 0..4),
        1_u32..15,
    );
    let mut reader = db.store.read().await.unwrap();
    let mut found = 0;
    for _ in 0..SEARCHES {
        let (places, lifecycle, clauses, order, limit) = searches.new_tree(&mut runner).unwrap().current();
        let mut search = RunSearch {
            experiment_ids: places.iter().map(|place| experiments[*place]).collect(),
            lifecycle,
            clauses,
            order,
            after: None,
            limit,
        };
        let mut expected: Vec<&(Run, RunData)> = all
            .iter()
            .filter(|(run, _)| search.experiment_ids.contains(&run.experiment_id))
            .filter(|(run, _)| lifecycle.is_none_or(|lifecycle| run.lifecycle == lifecycle))
            .filter(|(run, data)| search.clauses.iter().all(|clause| holds(clause, run, data)))
            .collect();
        expected.sort_by(|left, right| by_order(&search.order, left, right));
        let expected: Vec<Run> = expected.into_iter().map(|(run, _)| run.clone()).collect();
        let mut seen = Vec::new();
        loop {
            let page = runs::search(&mut reader, &search).await.unwrap();
            assert!(page.items.len() <= limit as usize);
            seen.extend(page.items);
            search.after = page.next;
            if search.after.is_none() {
                break;
            }
        }
        found += seen.len();
        assert_eq!(seen, expected, "{search:#?}");
    }
    assert!(found > SEARCHES, "the searches find enough to mean something: {found}");
}

async fn a_foreign_page_token_is_refused(db: &Db) {
    let experiment = experiment(&db.store, "e").await;
    let mut reader = db.store.read().await.unwrap();
    for token in ["", "[]", "[1,2,3]", "[\"x\",\"y\"]", "nonsense"] {
        let search = RunSearch {
            experiment_ids: vec![experiment.id],
            after: Some(token.to_owned()),
            limit: 5,
            ..RunSearch::default()
        };
        let refused = runs::search(&mut reader, &search).await.unwrap_err();
        assert!(refused.to_string().contains("is not a page token of this search"), "{refused}");
    }
    let order = RunOrder { key: RunKey::Number(RunNumber::Start), is_descending: false };
    let search =
        RunSearch { experiment_ids: vec![experiment.id], order: vec![order; 9], limit: 5, ..RunSearch::default() };
    runs::search(&mut reader, &search).await.unwrap_err();
}

async fn wildcards_of_one_database_mean_nothing_in_another(db: &Db) {
    let experiment = experiment(&db.store, "e").await;
    let made = create(db, run(&experiment)).await;
    log(db, made.run_id, RunBatch { tags: vec![tag("k", "a*b")], ..RunBatch::default() }).await.unwrap();
    let mut reader = db.store.read().await.unwrap();
    for (pattern, expected) in [("a*b", 1), ("a%", 1), ("*", 0), ("a?b", 0), ("A*B", 0), ("a\\*b", 0), ("a[*]b", 0)] {
        let clause = RunClause::Tag("k".to_owned(), TextTest::Like(pattern.to_owned()));
        let search =
            RunSearch { experiment_ids: vec![experiment.id], clauses: vec![clause], limit: 5, ..RunSearch::default() };
        assert_eq!(runs::search(&mut reader, &search).await.unwrap().items.len(), expected, "{pattern}");
    }
}

async fn long_lists_are_taken(db: &Db) {
    let experiment = experiment(&db.store, "e").await;
    let (one, two) = (create(db, run(&experiment)).await, create(db, run(&experiment)).await);
    let mut experiment_ids: Vec<ExperimentId> = (1_000..40_000).map(|id| ExperimentId::try_from(id).unwrap()).collect();
    experiment_ids.push(experiment.id);
    let mut ids: Vec<String> = (0..5_000).map(|number| format!("{number:032x}")).collect();
    ids.push(one.run_id.to_string());
    let mut reader = db.store.read().await.unwrap();
    for (test, expected) in [(TextTest::In(ids.clone()), &one), (TextTest::NotIn(ids), &two)] {
        let clauses = vec![RunClause::Text(perennial_core::filter::RunText::RunId, test)];
        let search = RunSearch { experiment_ids: experiment_ids.clone(), clauses, limit: 5, ..RunSearch::default() };
        assert_eq!(runs::search(&mut reader, &search).await.unwrap().items, std::slice::from_ref(expected));
    }
}
