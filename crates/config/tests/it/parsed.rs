//! What is read from files that hold together.

use std::path::Path;

use perennial_config::{
    CheckKind, Environment, Event, GraphNode, Input, Isolation, OutputKind, Project, Size, Start, StepKind,
    predictions_of, template,
};
use perennial_core::calendar::Duration;
use perennial_core::port::data::{Format, Mode, Severity};
use perennial_core::port::prediction::Durability;
use perennial_core::task::TaskKind;

use crate::suite::{FLIGHTS, FLIGHTS_PYTHON, edit, validate};

fn project(text: &str) -> Project {
    validate(text).unwrap_or_else(|mistakes| panic!("{}", mistakes.render_plain()))
}

#[test]
fn the_name_is_read_from_a_file_that_does_not_hold_together() {
    let name = |text: &str| Project::name_in(text).map(|name| name.to_string());
    assert_eq!(name("[project]\nname = \"trains\"\ngaol = 1\n[steps.x]\n").as_deref(), Some("trains"));
    for text in ["", "[project]\n", "[project]\nname = \"No Name\"\n", "[project\nname = \"trains\"\n"] {
        assert_eq!(name(text), None, "{text}");
    }
}

#[test]
fn the_flights_are_read_whole() {
    let project = project(FLIGHTS);
    assert_eq!(project.project.name.as_str(), "flight-delays");
    assert_eq!(project.project.timezone, "America/New_York");
    let task = project.task.as_ref().unwrap();
    assert_eq!((task.kind, task.data.as_str(), task.test.as_str()), (TaskKind::Binary, "features", "1 month"));
    assert_eq!(task.within.as_ref().map(Duration::as_str), Some("45 days"));
    assert_eq!(task.not_features().collect::<Vec<_>>(), ["flight_id", "time_hour", "late", "tailnum"]);

    let planes = &project.datasets[&"planes".parse().unwrap()];
    assert_eq!((planes.mode, planes.source.every.is_none()), (Mode::Replace, true));
    assert_eq!(planes.source.known_format(), Some(Format::Csv));
    assert!(planes.source.is_relative());

    let checks = &project.checks[&"schedule".parse().unwrap()];
    assert_eq!(checks["origin_known"].kind, CheckKind::Condition("origin IN ('EWR', 'JFK', 'LGA')".to_owned()));
    assert_eq!((checks["far_enough"].at_least, checks["far_enough"].severity), (0.999, Severity::Error));
    let known = CheckKind::References {
        column: "tailnum".to_owned(),
        dataset: "planes".parse().unwrap(),
        target: "tailnum".to_owned(),
    };
    assert_eq!((&checks["plane_known"].kind, checks["plane_known"].severity), (&known, Severity::Warn));

    let train = &project.steps[&"train".parse().unwrap()];
    let StepKind::Train { trainer, params } = &train.kind else { panic!("{train:?}") };
    assert_eq!(
        (trainer.as_str(), params["trees"].as_i64(), params["learning_rate"].as_f64()),
        ("gbdt", Some(300), Some(0.05))
    );
    assert_eq!(project.evaluation_step().unwrap().as_str(), "judge");

    assert_eq!(project.gates["fast"].text(), "serving.p99_ms <= 5");
    let release = project.release.as_ref().unwrap();
    assert_eq!((release.model.as_str(), release.approve.len(), release.fresh.as_str()), ("train", 0, "7 days"));

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
fn a_command_is_read_with_all_it_declares() {
    let project = project(FLIGHTS_PYTHON);
    let train = &project.steps[&"train".parse().unwrap()];
    assert!(train.produces_model());
    let StepKind::Run(run) = &train.kind else { panic!("{train:?}") };
    assert_eq!(run.argv, ["python", "train.py"]);
    assert_eq!(run.inputs, [Input::Train("features".parse().unwrap())]);
    assert_eq!(run.environment, Environment::Uv { file: "requirements.txt".to_owned() });
    assert_eq!((run.outputs["model"].path.as_str(), run.outputs["model"].kind), ("model", OutputKind::Model));
    assert_eq!((run.retries, run.isolation), (0, Isolation::Full));
    assert_eq!(project.declared_files(), ["requirements.txt", "sql/features.sql", "train.py"]);
}

#[test]
fn everything_a_command_may_declare_is_read() {
    let limits = "outputs = { model = { path = \"model\", kind = \"model\" }, scores = { path = \"s.parquet\", kind = \"dataset\" }, plot = { path = \"p.svg\" } }
limits = { time = \"30 minutes\", memory = \"2 GB\", cpus = 1.5 }
retries = 2
isolation = \"none\"
";
    let text = edit(FLIGHTS_PYTHON, "outputs = { model = { path = \"model\", kind = \"model\" } }\n", limits);
    let text =
        edit(&text, "run     = \"python train.py\"", "run     = [\"python\", \"train.py\", \"--note\", \"a b\"]");
    let project = project(&text);
    let StepKind::Run(run) = &project.steps[&"train".parse().unwrap()].kind else { panic!() };
    assert_eq!(run.argv[3], "a b");
    assert_eq!(run.limits.memory.map(Size::bytes), Some(2_000_000_000));
    assert_eq!((run.limits.cpus, run.retries, run.isolation), (Some(1.5), 2, Isolation::None));
    let scores = GraphNode::Dataset("scores".parse().unwrap());
    assert_eq!(project.graph.producer(&scores).unwrap().as_str(), "train");
}

#[test]
fn the_graph_knows_what_needs_and_makes_what() {
    let project = project(FLIGHTS);
    let graph = &project.graph;
    let order: Vec<&str> = graph.topological_order().into_iter().map(AsRef::as_ref).collect();
    assert_eq!(order, ["features", "simple", "train", "judge"]);
    let features = "features".parse().unwrap();
    let needs: Vec<String> = graph.inputs(&features).map(ToString::to_string).collect();
    assert_eq!(needs, ["dataset `arrivals`", "dataset `planes`", "dataset `schedule`", "dataset `weather`"]);
    let data = GraphNode::Dataset(project.task.as_ref().unwrap().data.clone());
    assert_eq!(graph.required_steps(&data), [&features]);
    assert!(graph.cycle().is_none());
}

#[test]
fn a_step_needs_what_its_dataset_is_judged_by_but_not_what_it_makes_itself() {
    let text = format!(
        "{FLIGHTS}\n[checks.features]\nknown = {{ column = \"flight_id\", references = \"arrivals.flight_id\" }}\n\
         own = {{ column = \"flight_id\", references = \"features.flight_id\" }}\n"
    );
    let project = Project::parse("perennial.toml", &text).unwrap();
    let needs: Vec<String> = project.graph.inputs(&"features".parse().unwrap()).map(ToString::to_string).collect();
    assert_eq!(needs, ["dataset `arrivals`"]);
}

#[test]
fn without_surroundings_files_and_trainers_stay_unseen() {
    let text = edit(FLIGHTS, "train  = \"gbdt\"", "train  = \"forest\"");
    let text = edit(&text, "sql/features.sql", "sql/nowhere.sql");
    assert!(Project::parse("perennial.toml", &text).is_ok());
    assert_eq!(validate(&text).unwrap_err().errors.len(), 2);
}

#[test]
fn events_of_every_kind_are_read() {
    let text = edit(
        FLIGHTS,
        "[\"alert:delay.stale\"]",
        "[\"alert:delay.stale\", \"dataset:features\", \"schedule:30 3 * * MON\"]",
    );
    let project = project(&text);
    let trigger = &project.triggers[&"renew".parse().unwrap()];
    assert_eq!(trigger.on[1], Event::Dataset("features".parse().unwrap()));
    let Event::Schedule(schedule) = &trigger.on[2] else { panic!("{trigger:?}") };
    // 2013-03-10 02:00 is skipped in New York; the Monday after is at summer time: 03:30 is 07:30 UTC.
    let zone = project.timezone();
    let at = |text: &str| perennial_core::calendar::parse_instant(text, &zone).unwrap();
    assert_eq!(schedule.next_after(at("2013-03-08T12:00:00"), &zone), Some(at("2013-03-11T07:30:00Z")));
    assert_eq!(schedule.next_after(at("2013-03-11T07:30:00Z"), &zone), Some(at("2013-03-18T07:30:00Z")));
    for until in ["2013-03-11T07:30:00Z", "2013-03-11T07:30:59.999Z", "2013-03-18T07:29:59.999Z"] {
        assert_eq!(schedule.last_until(at(until), &zone), Some(at("2013-03-11T07:30:00Z")), "{until}");
    }
}

#[test]
fn a_gate_may_run_over_several_lines() {
    let text = edit(
        FLIGHTS,
        "\"candidate.auc >= champion.auc + 0.005 && candidate.auc >= simple.auc\"",
        "'''\ncandidate.auc >= champion.auc + 0.005\n&& candidate.auc >= simple.auc'''",
    );
    assert_eq!(project(&text).gates["better"].roots().len(), 3);
}

#[test]
fn the_template_is_a_project_and_so_is_it_with_its_comments_taken_away() {
    let empty = Project::parse("perennial.toml", template()).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    assert!(empty.steps.is_empty() && empty.task.is_none());
    let lines = template().lines().map(|line| match line.strip_prefix("# ") {
        Some(rest) if rest.starts_with('[') || rest.contains(" = ") || rest.contains("  = ") => rest,
        _ => line,
    });
    let whole: Vec<&str> = lines.collect();
    let whole = Project::parse("perennial.toml", &whole.join("\n"))
        .unwrap_or_else(|mistakes| panic!("{}", mistakes.render_plain()));
    assert_eq!((whole.steps.len(), whole.gates.len(), whole.triggers.len()), (4, 3, 1));
}

#[test]
fn the_examples_of_the_repository_hold_together() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let mut count = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let file = entry.unwrap().path().join("perennial.toml");
        if let Ok(text) = std::fs::read_to_string(&file) {
            let judged = Project::parse(&file.to_string_lossy(), &text);
            assert!(judged.is_ok(), "{}", judged.unwrap_err().render_plain());
            count += 1;
        }
    }
    assert!(count >= 3, "{count} projects in {}", folder.display());
}

#[test]
fn predictions_are_a_dataset_that_steps_and_triggers_may_name() {
    let endpoint = "delay".parse().unwrap();
    assert_eq!(predictions_of(&endpoint).unwrap().as_str(), "predictions_delay");
    let text = edit(FLIGHTS, "sql/features.sql", "sql/looking_back.sql");
    let text = edit(&text, "\"alert:delay.stale\"", "\"dataset:predictions_delay\"");
    let project = project(&text);
    let predictions = GraphNode::Dataset(predictions_of(&endpoint).unwrap());
    assert!(project.graph.inputs(&"features".parse().unwrap()).any(|thing| *thing == predictions));
}
