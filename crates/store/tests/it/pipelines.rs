//! Pipeline runs, attempts at steps, what can be used again, lineage.

use perennial_core::ErrorCode;
use perennial_core::entity::{PipelineRun, StepOutcome, StepOutput, StepOutputKind, StepRun};
use perennial_core::id::{ProjectId, RunId, StepRunId};
use perennial_core::lineage::{Edge, Node, NodeKind};
use perennial_core::state::{PipelineRunEvent, PipelineRunState, StepRunEvent, StepRunState};
use perennial_store::{lineage, pipeline_runs, projects, step_runs};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use serde_json::json;
use std::collections::BTreeSet;

use crate::db::{Db, on_both, write_tx};
use crate::fixtures::{NOW, pipeline_run, project, step_run};

on_both! {
    a_pipeline_run_keeps_its_first_start_and_its_end,
    of_two_who_move_a_run_at_once_one_is_refused,
    followers_read_events_in_order,
    events_are_found_by_their_kind,
    only_a_succeeded_attempt_is_used_again,
    the_newest_good_attempt_of_each_step_comes_in_one_query,
    what_ran_when_a_server_died_is_marked,
    lineage_walks_back_and_forward,
    random_lineage_agrees_with_a_naive_walk,
}

async fn move_run(
    db: &Db,
    id: perennial_core::id::PipelineRunId,
    event: PipelineRunEvent,
    at: i64,
) -> perennial_core::Result<PipelineRunState> {
    write_tx!(db.store, tx => { Ok(pipeline_runs::apply(tx, id, event, None, at).await?) })
}

async fn insert(db: &Db, run: &StepRun) {
    let run = run.clone();
    write_tx!(db.store, tx => { Ok(step_runs::insert(tx, &run).await?) }).unwrap();
}

async fn step(db: &Db, id: StepRunId, event: StepRunEvent) -> StepRunState {
    write_tx!(db.store, tx => { Ok(step_runs::apply(tx, id, event, &StepOutcome::default(), NOW).await?) }).unwrap()
}

async fn a_pipeline_run_keeps_its_first_start_and_its_end(db: &Db) {
    use PipelineRunEvent::*;
    let project = project(&db.store, "p").await;
    let run = pipeline_run(&db.store, project.id).await;
    for (event, at) in [(Start, NOW + 1), (Interrupt, NOW + 2), (Resume, NOW + 3)] {
        move_run(db, run.id, event, at).await.unwrap();
    }
    let mut reader = db.store.read().await.unwrap();
    let open = pipeline_runs::list_open(&mut reader).await.unwrap().rows;
    assert_eq!(open.iter().map(|run| run.id).collect::<Vec<_>>(), [run.id]);
    drop(reader);
    let id = run.id;
    write_tx!(db.store, tx => {
        pipeline_runs::set_holder(tx, id, Some("server")).await?;
        Ok(pipeline_runs::apply(tx, id, Fail, Some("step `train` failed"), NOW + 4).await?)
    })
    .unwrap();
    let mut reader = db.store.read().await.unwrap();
    let expected = PipelineRun {
        state: PipelineRunState::Failed,
        holder: Some("server".to_owned()),
        message: Some("step `train` failed".to_owned()),
        started_ms: Some(NOW + 1),
        ended_ms: Some(NOW + 4),
        ..run
    };
    assert_eq!(pipeline_runs::get(&mut reader, id).await.unwrap(), expected);
    assert!(pipeline_runs::list_open(&mut reader).await.unwrap().rows.is_empty());
    assert_eq!(pipeline_runs::list(&mut reader, project.id, None, 5).await.unwrap().items, [expected]);
}

async fn of_two_who_move_a_run_at_once_one_is_refused(db: &Db) {
    let project = project(&db.store, "p").await;
    for _ in 0..5 {
        let run = pipeline_run(&db.store, project.id).await;
        let (one, two) = futures::join!(
            move_run(db, run.id, PipelineRunEvent::Start, NOW),
            move_run(db, run.id, PipelineRunEvent::Cancel, NOW)
        );
        // Started then cancelled is a way; both out of `pending` is not.
        let mut reader = db.store.read().await.unwrap();
        let state = pipeline_runs::get(&mut reader, run.id).await.unwrap().state;
        match (&one, &two) {
            (Ok(_), Ok(_)) => assert_eq!(state, PipelineRunState::Cancelled),
            (Ok(_), Err(error)) => {
                assert_eq!((state, error.code()), (PipelineRunState::Running, ErrorCode::WrongState));
            }
            (Err(error), Ok(_)) => {
                assert_eq!((state, error.code()), (PipelineRunState::Cancelled, ErrorCode::WrongState));
            }
            (Err(_), Err(_)) => panic!("{one:?} {two:?}"),
        }
    }
}

async fn followers_read_events_in_order(db: &Db) {
    let project = project(&db.store, "p").await;
    let id = pipeline_run(&db.store, project.id).await.id;
    for number in 1..=5 {
        let sequence =
            write_tx!(db.store, tx => { Ok(pipeline_runs::add_event(tx, id, &json!({"n": number}), NOW).await?) })
                .unwrap();
        assert_eq!(sequence, number);
    }
    let mut reader = db.store.read().await.unwrap();
    let events = pipeline_runs::list_events(&mut reader, id, 2, 2).await.unwrap();
    assert_eq!(
        events.iter().map(|event| (event.sequence, &event.body)).collect::<Vec<_>>(),
        [(3, &json!({"n": 3})), (4, &json!({"n": 4}))]
    );
}

async fn events_are_found_by_their_kind(db: &Db) {
    let project = project(&db.store, "p").await;
    let id = pipeline_run(&db.store, project.id).await.id;
    for event in ["step_log", "decided", "step_log", "released", "decided"] {
        let body = json!({ "line": "decided", "event": event });
        write_tx!(db.store, tx => { Ok(pipeline_runs::add_event(tx, id, &body, NOW).await?) }).unwrap();
    }
    let mut reader = db.store.read().await.unwrap();
    for (kinds, limit, expected) in [
        (&["decided", "released"][..], 9, &[2, 4, 5][..]),
        (&["decided"], 1, &[2]),
        (&["step_lo"], 9, &[]),
        (&[], 9, &[]),
    ] {
        let found = pipeline_runs::list_events_of(&mut reader, id, kinds, limit).await.unwrap();
        assert_eq!(found.iter().map(|event| event.sequence).collect::<Vec<_>>(), expected, "{kinds:?}");
    }
}

async fn only_a_succeeded_attempt_is_used_again(db: &Db) {
    let project = project(&db.store, "p").await;
    let pipeline = pipeline_run(&db.store, project.id).await;
    let cached = async || {
        let mut reader = db.store.read().await.unwrap();
        step_runs::find_cached(&mut reader, project.id, "key").await.unwrap().map(|run| run.id)
    };
    let failed = step_run(&pipeline, "train", 1, "key");
    insert(db, &failed).await;
    step(db, failed.id, StepRunEvent::Start).await;
    let id = failed.id;
    let outcome = StepOutcome {
        exit: Some(json!({"code": 1})),
        peak_memory_bytes: Some(5),
        isolation: Some("none".to_owned()),
        message: Some("exit 1".to_owned()),
        log_digest: Some("log".to_owned()),
    };
    let kept = outcome.clone();
    write_tx!(db.store, tx => { Ok(step_runs::apply(tx, id, StepRunEvent::Fail, &kept, NOW + 9).await?) }).unwrap();
    let mut reader = db.store.read().await.unwrap();
    let expected = StepRun {
        state: StepRunState::Failed,
        exit: outcome.exit,
        peak_memory_bytes: outcome.peak_memory_bytes,
        isolation: outcome.isolation,
        message: outcome.message,
        log_digest: outcome.log_digest,
        started_ms: Some(NOW),
        ended_ms: Some(NOW + 9),
        ..failed
    };
    assert_eq!(step_runs::get(&mut reader, id).await.unwrap(), expected);
    drop(reader);
    assert_eq!(cached().await, None);

    let good = step_run(&pipeline, "train", 2, "key");
    let run_id = RunId::generate();
    insert(db, &good).await;
    let good_id = good.id;
    write_tx!(db.store, tx => { Ok(step_runs::set_run(tx, good_id, run_id, "local").await?) }).unwrap();
    step(db, good.id, StepRunEvent::Start).await;
    assert_eq!(cached().await, None, "not before it succeeded");
    step(db, good.id, StepRunEvent::Succeed).await;
    assert_eq!(cached().await, Some(good.id));
    let reused = StepRun { reused_from: Some(good.id), ..step_run(&pipeline, "train", 3, "key") };
    insert(db, &reused).await;
    step(db, reused.id, StepRunEvent::Reuse).await;
    assert_eq!(cached().await, Some(good.id), "the one that left the outputs");

    let mut reader = db.store.read().await.unwrap();
    assert_eq!(step_runs::get(&mut reader, good.id).await.unwrap().run_id, Some(run_id));
    let attempts = step_runs::list_of_step(&mut reader, project.id, &good.step, None, 2).await.unwrap();
    assert_eq!(attempts.items.iter().map(|run| run.id).collect::<Vec<_>>(), [reused.id, good.id]);
    assert_eq!(step_runs::list(&mut reader, pipeline.id).await.unwrap().len(), 3);
    assert!(
        step_runs::find_cached(&mut reader, projects::default_id(), "key").await.unwrap().is_none(),
        "another project's"
    );
}

async fn the_newest_good_attempt_of_each_step_comes_in_one_query(db: &Db) {
    let project = project(&db.store, "p").await;
    let pipeline = pipeline_run(&db.store, project.id).await;
    let output = |run: &StepRun, digest: &str| StepOutput {
        step_run_id: run.id,
        name: "model".to_owned(),
        kind: StepOutputKind::Model,
        digest: digest.to_owned(),
        reference: json!({"blob": digest}),
    };
    let mut expected = Vec::new();
    for name in ["evaluation", "train"] {
        for attempt in 1..=2 {
            let run = step_run(&pipeline, name, attempt, "key");
            insert(db, &run).await;
            step(db, run.id, StepRunEvent::Start).await;
            for digest in ["first", "second"] {
                let output = output(&run, &format!("{digest} {attempt}"));
                write_tx!(db.store, tx => { Ok(step_runs::upsert_output(tx, &output).await?) }).unwrap();
            }
            step(db, run.id, StepRunEvent::Succeed).await;
            if attempt == 2 {
                expected.push(output(&run, "second 2"));
            }
        }
        let failed = step_run(&pipeline, name, 3, "other");
        insert(db, &failed).await;
        step(db, failed.id, StepRunEvent::Skip).await;
    }
    let mut reader = db.store.read().await.unwrap();
    let newest = step_runs::list_newest_good(&mut reader, project.id).await.unwrap();
    assert_eq!(
        newest.iter().map(|run| (run.step.as_str(), run.attempt)).collect::<Vec<_>>(),
        [("evaluation", 2), ("train", 2)]
    );
    assert_eq!(step_runs::list_newest_outputs(&mut reader, project.id).await.unwrap(), expected);
    assert_eq!(step_runs::list_outputs(&mut reader, expected[0].step_run_id).await.unwrap(), expected[..1]);
}

async fn what_ran_when_a_server_died_is_marked(db: &Db) {
    let project = project(&db.store, "p").await;
    let pipeline = pipeline_run(&db.store, project.id).await;
    let (running, pending) = (step_run(&pipeline, "a", 1, "k"), step_run(&pipeline, "b", 1, "k"));
    insert(db, &running).await;
    insert(db, &pending).await;
    step(db, running.id, StepRunEvent::Start).await;
    let id = pipeline.id;
    assert_eq!(write_tx!(db.store, tx => { Ok(step_runs::interrupt_running(tx, id, NOW).await?) }).unwrap(), 1);
    let mut reader = db.store.read().await.unwrap();
    assert_eq!(step_runs::get(&mut reader, running.id).await.unwrap().state, StepRunState::Interrupted);
    assert_eq!(step_runs::get(&mut reader, pending.id).await.unwrap().state, StepRunState::Pending);
}

async fn add(db: &Db, project: ProjectId, from: &Node, to: &Node) {
    let (from, to) = (from.clone(), to.clone());
    write_tx!(db.store, tx => { Ok(lineage::add(tx, project, &from, &to, NOW).await?) }).unwrap();
}

async fn lineage_walks_back_and_forward(db: &Db) {
    let project = project(&db.store, "p").await;
    let file = Node::new(NodeKind::SourceFile, "d/a.csv@c");
    let version = Node::new(NodeKind::DatasetVersion, "d/1");
    let model = Node::new(NodeKind::ModelVersion, "m/1");
    let endpoint = Node::new(NodeKind::Endpoint, "delay");
    let same_id = Node::new(NodeKind::Release, "d/1");
    for (from, to) in
        [(&file, &version), (&version, &model), (&model, &endpoint), (&same_id, &endpoint), (&file, &version)]
    {
        add(db, project.id, from, to).await;
    }
    let edge = |from: &Node, to: &Node| Edge {
        from_kind: from.kind,
        from_id: from.id.clone(),
        to_kind: to.kind,
        to_id: to.id.clone(),
    };
    let mut reader = db.store.read().await.unwrap();
    let back = lineage::backward(&mut reader, project.id, &model).await.unwrap();
    assert_eq!(back, [edge(&version, &model), edge(&file, &version)]);
    let forward = lineage::forward(&mut reader, project.id, &file).await.unwrap();
    assert_eq!(forward, [edge(&file, &version), edge(&version, &model), edge(&model, &endpoint)]);
    assert!(
        lineage::forward(&mut reader, projects::default_id(), &file).await.unwrap().is_empty(),
        "another project's"
    );
    assert!(lineage::backward(&mut reader, project.id, &file).await.unwrap().is_empty());
}

async fn random_lineage_agrees_with_a_naive_walk(db: &Db) {
    let mut runner = TestRunner::new(Config { rng_seed: RngSeed::Fixed(5), ..Config::default() });
    let project = project(&db.store, "p").await;
    let node = |number: usize| {
        Node::new(if number.is_multiple_of(2) { NodeKind::Load } else { NodeKind::DatasetVersion }, number)
    };
    // Things are made from earlier things.
    let edges = prop::collection::btree_set(
        (0_usize..12, 0_usize..12).prop_filter("from before to", |(from, to)| from < to),
        20,
    )
    .new_tree(&mut runner)
    .unwrap()
    .current();
    for (from, to) in &edges {
        add(db, project.id, &node(*from), &node(*to)).await;
    }
    let number = |id: &str| id.parse::<usize>().unwrap();
    let mut reader = db.store.read().await.unwrap();
    for start in 0..12 {
        let mut reached = BTreeSet::from([start]);
        let mut back = BTreeSet::from([start]);
        for _ in 0..12 {
            reached
                .extend(edges.iter().filter(|(from, _)| reached.contains(from)).map(|(_, to)| *to).collect::<Vec<_>>());
            back.extend(edges.iter().filter(|(_, to)| back.contains(to)).map(|(from, _)| *from).collect::<Vec<_>>());
        }
        let expected: BTreeSet<(usize, usize)> =
            edges.iter().filter(|(from, _)| reached.contains(from)).copied().collect();
        let seen = lineage::forward(&mut reader, project.id, &node(start)).await.unwrap();
        assert_eq!(
            seen.iter().map(|edge| (number(&edge.from_id), number(&edge.to_id))).collect::<BTreeSet<_>>(),
            expected
        );
        assert_eq!(seen.len(), expected.len(), "each edge once");
        let expected: BTreeSet<(usize, usize)> = edges.iter().filter(|(_, to)| back.contains(to)).copied().collect();
        let seen = lineage::backward(&mut reader, project.id, &node(start)).await.unwrap();
        assert_eq!(
            seen.iter().map(|edge| (number(&edge.from_id), number(&edge.to_id))).collect::<BTreeSet<_>>(),
            expected
        );
    }
}
