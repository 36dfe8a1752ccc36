//! The projects of valid files.

use std::path::Path;

use perennial_config::{
    Condition, Environment, Event, GraphNode, Input, Isolation, Network, OutputKind, Project, Size, Start, StepKind,
    declared_files_in, predictions_of, template,
};
use perennial_core::calendar::Duration;
use perennial_core::port::data::{Format, Mode, Severity};
use perennial_core::port::prediction::Durability;
use perennial_core::task::TaskKind;

use crate::suite::Edit::{Append, Rename, Set};
use crate::suite::{FLIGHTS, FLIGHTS_PYTHON, edited, validate};

fn project(text: &str) -> Project {
    validate(text).unwrap_or_else(|errors| panic!("{}", errors.render_plain()))
}

#[test]
fn the_name_is_found_in_an_invalid_file() {
    let name = |text: &str| Project::name_in(text).map(|name| name.to_string());
    assert_eq!(name("[project]\nname = \"trains\"\ngaol = 1\n[steps.x]\n").as_deref(), Some("trains"));
    for text in ["", "[project]\n", "[project]\nname = \"No Name\"\n", "[project\nname = \"trains\"\n"] {
        assert_eq!(name(text), None, "{text}");
    }
}

#[test]
fn the_flights_are_parsed_completely() {
    let project = project(FLIGHTS);
    assert_eq!(project.project.name.as_str(), "flight-delays");
    assert_eq!(project.project.timezone, "America/New_York");
    let task = project.task.as_ref().unwrap();
    assert_eq!((task.kind, task.data.as_str(), task.test.as_str()), (TaskKind::Binary, "features", "1 month"));
    assert_eq!(task.label_delay.as_ref().map(Duration::as_str), Some("45 days"));
    assert_eq!(task.not_features().collect::<Vec<_>>(), ["flight_id", "time_hour", "late", "tailnum"]);

    let planes = &project.datasets[&"planes".parse().unwrap()];
    assert_eq!((planes.mode, planes.source.every.is_none()), (Mode::Replace, true));
    assert_eq!(planes.source.known_format(), Some(Format::Csv));
    assert!(planes.source.is_relative());

    let checks = &project.checks[&"schedule".parse().unwrap()];
    let check = |name: &str| checks.iter().find(|check| check.name == name).unwrap();
    let origin_known = Condition::Expression("origin IN ('EWR', 'JFK', 'LGA')".to_owned());
    assert_eq!(check("origin_known").condition, origin_known);
    assert_eq!((check("far_enough").at_least, check("far_enough").severity), (0.999, Severity::Error));
    let known = Condition::References {
        column: "tailnum".to_owned(),
        dataset: "planes".parse().unwrap(),
        target: "tailnum".to_owned(),
    };
    assert_eq!((&check("plane_known").condition, check("plane_known").severity), (&known, Severity::Warn));

    let train = &project.steps[&"train".parse().unwrap()];
    let StepKind::Train { trainer, params } = &train.kind else { panic!("{train:?}") };
    assert_eq!(
        (trainer.as_str(), params["trees"].as_i64(), params["learning_rate"].as_f64()),
        ("gbdt", Some(300), Some(0.05))
    );
    assert_eq!(project.evaluation_step().unwrap().as_str(), "evaluation");

    assert_eq!(project.gates["fast"].text(), "serving.p99_ms <= 5");
    let release = project.release.as_ref().unwrap();
    assert_eq!((release.model.as_str(), release.approve.len(), release.evidence_ttl.as_str()), ("train", 0, "7 days"));

    let endpoint = &project.endpoints[&"delay".parse().unwrap()];
    let canary = endpoint.canary.as_ref().unwrap();
    assert_eq!((canary.share, canary.duration.as_str(), canary.min_requests), (0.1, "3 days", 200));
    assert!(canary.rollback.as_ref().unwrap().roots().contains("champion"));
    assert_eq!(endpoint.log, Durability::Batched);
    assert_eq!(endpoint.max_body, Size::from_bytes(16_000_000));

    let monitor = &project.monitors[&"delay".parse().unwrap()];
    assert_eq!((monitor.window.as_str(), monitor.min_rows, monitor.alerts.len()), ("1 month", 1000, 2));
    let trigger = &project.triggers[&"renew".parse().unwrap()];
    assert_eq!(trigger.on, [Event::Alert { monitor: "delay".parse().unwrap(), alert: "stale".to_owned() }]);
    assert_eq!((trigger.run, trigger.on[0].to_string()), (Start::Release, "alert:delay.stale".to_owned()));
    assert_eq!(project.declared_files(), ["sql/features.sql"]);
}

#[test]
fn a_command_is_parsed_with_everything_it_declares() {
    let project = project(FLIGHTS_PYTHON);
    let train = &project.steps[&"train".parse().unwrap()];
    assert!(train.produces_model());
    let StepKind::Run(run) = &train.kind else { panic!("{train:?}") };
    assert_eq!(run.argv, ["python", "train.py"]);
    assert_eq!(run.inputs, [Input::Train("features".parse().unwrap())]);
    assert_eq!(run.environment, Environment::Uv { file: "requirements.txt".to_owned() });
    assert_eq!((run.outputs["model"].path.as_str(), run.outputs["model"].kind), ("model", OutputKind::Model));
    assert_eq!((run.retries, run.isolation, run.network), (0, Isolation::Full, Network::Full));
    assert_eq!(project.declared_files(), ["requirements.txt", "sql/features.sql", "train.py"]);
}

#[test]
fn declared_files_are_found_in_a_file_with_mistakes() {
    let paths = |text: &str| {
        let files = declared_files_in(text).into_iter();
        files.map(|file| (file.path, file.is_sql)).collect::<Vec<_>>()
    };
    let expected = [("requirements.txt", false), ("sql/features.sql", true), ("train.py", false)];
    let expected = expected.map(|(path, is_sql)| (path.to_owned(), is_sql));
    assert_eq!(paths(FLIGHTS_PYTHON), expected);
    let wrong = FLIGHTS_PYTHON.replace("metric", "metrik").replace("slices", "slises");
    assert!(perennial_config::Project::parse("perennial.toml", &wrong).is_err());
    assert_eq!(paths(&wrong), expected);
    assert_eq!(paths("[steps.a]\nsql = \"/etc/passwd\"\ncode = [\"../x.py\", 7]\nenv = \"system\"\n"), []);
    assert_eq!(paths("steps = 1"), []);
    assert_eq!(paths("not toml"), []);
}

#[test]
fn every_key_of_a_command_is_parsed() {
    let edits = [
        Set("steps.train.outputs.scores", "{ path = 's.parquet', kind = 'dataset' }"),
        Set("steps.train.outputs.plot", "{ path = 'p.svg' }"),
        Set("steps.train.limits", "{ time = '30 minutes', memory = '2 GB', cpus = 1.5 }"),
        Set("steps.train.retries", "2"),
        Set("steps.train.isolation", "'none'"),
        Set("steps.train.network", "'server'"),
        Set("steps.train.run", "['python', 'train.py', '--note', 'a b']"),
    ];
    let project = project(&edited(FLIGHTS_PYTHON, &edits));
    let StepKind::Run(run) = &project.steps[&"train".parse().unwrap()].kind else { panic!() };
    assert_eq!(run.argv[3], "a b");
    assert_eq!(run.limits.memory.map(Size::bytes), Some(2_000_000_000));
    assert_eq!((run.limits.cpus, run.retries, run.isolation), (Some(1.5), 2, Isolation::None));
    assert_eq!(run.network, Network::Server);
    let scores = GraphNode::Dataset("scores".parse().unwrap());
    assert_eq!(project.graph.producer(&scores).unwrap().as_str(), "train");
}

#[test]
fn the_graph_has_the_inputs_and_outputs_of_steps() {
    let project = project(FLIGHTS);
    let graph = &project.graph;
    let order: Vec<&str> = graph.topological_order().into_iter().map(AsRef::as_ref).collect();
    assert_eq!(order, ["features", "simple", "train", "evaluation"]);
    let features = "features".parse().unwrap();
    let inputs: Vec<String> = graph.inputs(&features).map(ToString::to_string).collect();
    assert_eq!(inputs, ["dataset `arrivals`", "dataset `planes`", "dataset `schedule`", "dataset `weather`"]);
    let data = GraphNode::Dataset(project.task.as_ref().unwrap().data.clone());
    assert_eq!(graph.required_steps(&data), [&features]);
    assert!(graph.cycle().is_none());
}

#[test]
fn datasets_that_checks_refer_to_are_inputs_unless_the_step_produces_them() {
    let checks = Append(
        "[checks.features]\nknown = { column = 'flight_id', references = 'arrivals.flight_id' }\n\
         own = { column = 'flight_id', references = 'features.flight_id' }\n",
    );
    let text = edited(FLIGHTS, &[checks]);
    let project = Project::parse("perennial.toml", &text).unwrap();
    let inputs: Vec<String> = project.graph.inputs(&"features".parse().unwrap()).map(ToString::to_string).collect();
    assert_eq!(inputs, ["dataset `arrivals`"]);
}

#[test]
fn without_a_context_files_and_trainers_are_not_validated() {
    let text = edited(FLIGHTS, &[Set("steps.train.train", "'forest'"), Set("steps.features.sql", "'sql/nowhere.sql'")]);
    assert!(Project::parse("perennial.toml", &text).is_ok());
    assert_eq!(validate(&text).unwrap_err().errors.len(), 2);
}

#[test]
fn events_of_every_kind_are_parsed() {
    let events = Set("triggers.renew.on", "['alert:delay.stale', 'dataset:features', 'schedule:30 3 * * MON']");
    let project = project(&edited(FLIGHTS, &[events]));
    let trigger = &project.triggers[&"renew".parse().unwrap()];
    assert_eq!(trigger.on[1], Event::Dataset("features".parse().unwrap()));
    let Event::Schedule(schedule) = &trigger.on[2] else { panic!("{trigger:?}") };
    // New York skips 2013-03-10 02:00, so on the next Monday 03:30 is 07:30 UTC.
    let zone = project.timezone();
    let at = |text: &str| perennial_core::calendar::parse_instant(text, &zone).unwrap();
    assert_eq!(schedule.next_after(at("2013-03-08T12:00:00"), &zone), Some(at("2013-03-11T07:30:00Z")));
    assert_eq!(schedule.next_after(at("2013-03-11T07:30:00Z"), &zone), Some(at("2013-03-18T07:30:00Z")));
    for until in ["2013-03-11T07:30:00Z", "2013-03-11T07:30:59.999Z", "2013-03-18T07:29:59.999Z"] {
        assert_eq!(schedule.last_until(at(until), &zone), Some(at("2013-03-11T07:30:00Z")), "{until}");
    }
}

#[test]
fn a_gate_may_have_several_lines() {
    let gate = Set("gates.better", "'''\ncandidate.auc >= champion.auc + 0.005\n&& candidate.auc >= simple.auc'''");
    assert_eq!(project(&edited(FLIGHTS, &[gate])).gates["better"].roots().len(), 3);
}

#[test]
fn the_template_is_valid_with_and_without_its_comment_signs() {
    let empty = Project::parse("perennial.toml", template()).unwrap_or_else(|errors| panic!("{errors}"));
    assert!(empty.steps.is_empty() && empty.task.is_none());
    let lines = template().lines().map(|line| match line.strip_prefix("# ") {
        Some(rest) if rest.starts_with('[') || rest.contains(" = ") || rest.contains("  = ") => rest,
        _ => line,
    });
    let whole: Vec<&str> = lines.collect();
    let whole = Project::parse("perennial.toml", &whole.join("\n"))
        .unwrap_or_else(|errors| panic!("{}", errors.render_plain()));
    assert_eq!((whole.steps.len(), whole.gates.len(), whole.triggers.len()), (4, 3, 1));
}

#[test]
fn the_examples_of_the_repository_are_valid() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let mut count = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let file = entry.unwrap().path().join("perennial.toml");
        if let Ok(text) = std::fs::read_to_string(&file) {
            let project = Project::parse(&file.to_string_lossy(), &text);
            assert!(project.is_ok(), "{}", project.unwrap_err().render_plain());
            count += 1;
        }
    }
    assert!(count >= 3, "{count} projects in {}", folder.display());
}

#[test]
fn steps_and_triggers_may_name_the_dataset_of_predictions() {
    let endpoint = "delay".parse().unwrap();
    assert_eq!(predictions_of(&endpoint).unwrap().as_str(), "predictions_delay");
    let edits = [
        Set("steps.features.sql", "'sql/looking_back.sql'"),
        Set("triggers.renew.on", "['dataset:predictions_delay']"),
    ];
    let project = project(&edited(FLIGHTS, &edits));
    let predictions = GraphNode::Dataset(predictions_of(&endpoint).unwrap());
    assert!(project.graph.inputs(&"features".parse().unwrap()).any(|node| *node == predictions));
}

#[test]
fn a_stored_submission_of_an_earlier_version_may_have_old_keys() {
    let old = edited(FLIGHTS, &[Rename("task.label_delay", "within"), Set("release.fresh", "'3 days'")]);
    let project = Project::parse_stored("perennial.toml", &old).unwrap();
    assert_eq!(project.task.unwrap().label_delay.as_ref().map(Duration::as_str), Some("45 days"));
    assert_eq!(project.release.unwrap().evidence_ttl.as_str(), "3 days");
    assert_eq!(Project::parse("perennial.toml", &old).unwrap_err().errors.len(), 2);
}

#[test]
fn a_stored_submission_of_an_earlier_version_may_have_old_facts() {
    let rules = [
        (
            "'canary.unfit > 5 || canary.requests > canary.unfit'",
            "canary.fallbacks > 5 || canary.requests > canary.fallbacks",
        ),
        ("\"'unfit' in canary && canary['unfit'] > 5\"", "'fallbacks' in canary && canary['fallbacks'] > 5"),
        ("'[canary].exists(unfit, unfit.unfit > 5)'", "[canary].exists(unfit, unfit.fallbacks > 5)"),
    ];
    for (old, expected) in rules {
        let text = edited(FLIGHTS, &[Set("endpoints.delay.canary.rollback", old)]);
        let project = Project::parse_stored("perennial.toml", &text).unwrap();
        let canary = project.endpoints[&"delay".parse().unwrap()].canary.clone().unwrap();
        assert_eq!(canary.rollback.unwrap().text(), expected);
        let errors = Project::parse("perennial.toml", &text).unwrap_err().errors;
        assert!(errors.iter().all(|error| error.message == "`unfit` is now `fallbacks`"), "{errors:?}");
    }
}
