//! Results of trainings, also on unusual rows.

use perennial_core::frame::{Column, Frame, TextColumn};
use perennial_core::model::{InputKind, PredictError, Predictor};
use perennial_core::task::TaskKind;
use perennial_training::{Kind, Target, Trained, train};
use serde_json::{Map, Value, json};

use crate::data::{self, Rows};
use crate::flights::rows::auc;

fn with(kind: Kind, rows: &Rows, target: &Target, task: TaskKind, params: Value) -> Trained {
    train(kind, &rows.frame, target, task, &params.as_object().cloned().unwrap_or_default()).expect("training succeeds")
}

fn quick(kind: Kind) -> Value {
    match kind {
        Kind::Gbdt => {
            json!({ "trees": 20, "learning_rate": 0.2, "subsample": 0.7, "columns": 0.7, "seed": 4 })
        }
        Kind::Linear => json!({}),
    }
}

#[test]
fn the_same_rows_and_parameters_give_the_same_bytes() {
    let rows = data::rows(30_000, 1, false);
    for &kind in Kind::ALL {
        let once = with(kind, &rows, &rows.binary(), TaskKind::Binary, quick(kind));
        let again = with(kind, &rows, &rows.binary(), TaskKind::Binary, quick(kind));
        assert!(once.onnx == again.onnx, "{} differs", kind.as_str());
    }
}

#[test]
fn another_seed_gives_other_trees() {
    let rows = data::rows(1_000, 1, false);
    let seed = |seed: u64| {
        let params = json!({ "trees": 5, "subsample": 0.5, "seed": seed });
        with(Kind::Gbdt, &rows, &rows.binary(), TaskKind::Binary, params).onnx
    };
    assert_ne!(seed(1), seed(2));
}

#[test]
fn the_signature_has_every_column_in_order() {
    let rows = data::rows(500, 1, false);
    let trained = with(Kind::Gbdt, &rows, &rows.classes(), TaskKind::Multiclass, json!({ "trees": 2 }));
    let inputs: Vec<_> = trained.signature.inputs.iter().map(|input| (input.name.as_str(), input.kind)).collect();
    let number = InputKind::Number;
    assert_eq!(
        inputs,
        [
            ("x", number),
            ("hour", number),
            ("gust", number),
            ("time", number),
            ("fixed", number),
            ("never", number),
            ("carrier", InputKind::Text),
            ("tail", InputKind::Text),
            ("mood", InputKind::Text),
        ]
    );
    assert_eq!(trained.signature.classes, ["low", "middle", "high", "never"]);
}

#[test]
fn the_result_has_every_parameter() {
    let rows = data::rows(500, 1, false);
    let trained = with(Kind::Linear, &rows, &rows.binary(), TaskKind::Binary, json!({ "l2": 3 }));
    assert_eq!(Value::Object(trained.params), json!({ "l2": 3, "iterations": 100, "tolerance": 1e-6 }));
}

#[test]
fn the_training_loss_falls() {
    let rows = data::rows(2_000, 1, false);
    for &kind in Kind::ALL {
        for (target, task, name) in [
            (rows.binary(), TaskKind::Binary, "train_log_loss"),
            (rows.classes(), TaskKind::Multiclass, "train_log_loss"),
            (rows.numbers(), TaskKind::Regression, "train_rmse"),
        ] {
            let metrics = with(kind, &rows, &target, task, json!({})).metrics;
            assert!(metrics.len() > 1 && metrics.len() <= 101);
            assert!(metrics.iter().all(|metric| metric.name == name));
            assert!(metrics.windows(2).all(|two| two[1].step > two[0].step));
            // The linear trainer minimises loss plus penalty, so the loss alone may rise slightly at the end.
            assert!(metrics.windows(2).all(|two| two[1].value <= two[0].value * 1.0001), "{metrics:?}");
            assert!(metrics[metrics.len() - 1].value < 0.8 * metrics[0].value, "{metrics:?}");
        }
    }
}

#[test]
fn importance_sums_to_one_and_ranks_the_informative_feature_first() {
    let rows = data::rows(4_000, 1, false);
    for &kind in Kind::ALL {
        let importance = with(kind, &rows, &rows.binary(), TaskKind::Binary, json!({})).importance;
        let share_of =
            |name: &str| importance.iter().find(|(feature, _)| feature == name).map_or(f64::NAN, |(_, share)| *share);
        assert!((importance.iter().map(|(_, share)| share).sum::<f64>() - 1.0).abs() < 1e-9);
        assert_eq!(importance.len(), rows.frame.columns().len());
        assert_eq!((share_of("fixed"), share_of("never")), (0.0, 0.0));
        assert!(share_of("x") > 0.2 && share_of("x") > 5.0 * share_of("time"), "{importance:?}");
    }
}

#[test]
fn both_trainers_rank_rows_outside_the_training_set() {
    let (seen, new) = (data::rows(4_000, 1, false), data::rows(2_000, 2, false));
    let Target::Binary(truth) = new.binary() else { unreachable!() };
    for (kind, least) in [(Kind::Gbdt, 0.94), (Kind::Linear, 0.90)] {
        let trained = with(kind, &seen, &seen.binary(), TaskKind::Binary, json!({}));
        let reached = auc(&truth, &trained.predict(&new.frame).unwrap().values);
        assert!(reached > least, "{} reaches {reached}", kind.as_str());
    }
}

#[test]
fn both_trainers_separate_several_classes() {
    let (seen, new) = (data::rows(4_000, 1, false), data::rows(2_000, 2, false));
    let Target::Classes { codes, .. } = new.classes() else { unreachable!() };
    for (kind, least) in [(Kind::Gbdt, 0.75), (Kind::Linear, 0.65)] {
        let trained = with(kind, &seen, &seen.classes(), TaskKind::Multiclass, json!({}));
        let scores = trained.predict(&new.frame).unwrap();
        let correct = codes.iter().enumerate().filter(|&(row, &code)| {
            let row = scores.row(row);
            assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-9);
            row.iter().all(|&score| score <= row[code as usize])
        });
        let share = correct.count() as f64 / codes.len() as f64;
        assert!(share > least, "{} classifies {share} correctly", kind.as_str());
    }
}

#[test]
fn a_column_of_nulls_is_accepted_as_either_type() {
    let rows = data::rows(500, 1, false);
    for &kind in Kind::ALL {
        let trained = with(kind, &rows, &rows.binary(), TaskKind::Binary, json!({}));
        let predict = |gust: Column, mood: Column| {
            let mut frame = rows.frame.select(&["x", "hour", "time", "fixed", "never", "carrier", "tail"]);
            frame.push("gust", gust);
            frame.push("mood", mood);
            trained.predict(&frame).unwrap()
        };
        let numbers = || Column::Number(vec![f64::NAN; 500]);
        let texts = || Column::Text(TextColumn::encode(vec![None; 500]));
        assert_eq!(predict(numbers(), texts()), predict(texts(), numbers()));
    }
}

#[test]
fn an_invalid_request_is_refused_with_the_column() {
    let rows = data::rows(500, 1, false);
    let trained = with(Kind::Linear, &rows, &rows.binary(), TaskKind::Binary, json!({}));
    let refusal = |frame: &Frame| match trained.predict(frame) {
        Err(PredictError::Input(message)) => message,
        other => panic!("expected a refusal, not {other:?}"),
    };
    assert_eq!(refusal(&rows.frame.select(&["x"])), "column `hour` is missing");
    let mut swapped = rows.frame.select(&["hour", "gust", "time", "fixed", "never", "carrier", "tail", "mood"]);
    swapped.push("x", Column::Text(TextColumn::encode((0..500).map(|_| Some("1")))));
    assert_eq!(refusal(&swapped), "column `x` is text, expected numbers");
}

#[test]
fn one_row_of_each_class_is_enough() {
    let mut frame = Frame::new();
    frame.push("a", Column::Number(vec![1.0, 2.0]));
    frame.push("b", Column::Text(TextColumn::encode([Some("x"), None])));
    for &kind in Kind::ALL {
        let trained = train(kind, &frame, &Target::Binary(vec![0.0, 1.0]), TaskKind::Binary, &Map::new()).unwrap();
        let scores = trained.predict(&frame).unwrap();
        assert!(scores.values[0] <= scores.values[1]);
    }
}

#[test]
fn a_feature_may_have_the_name_of_an_output_or_a_node() {
    let mut frame = Frame::new();
    for name in ["label", "probabilities", "variable", "concat_1", "concat_2", "imputer_2", "score"] {
        frame.push(name, Column::Number((0..64).map(|row| f64::from(row % 7)).collect()));
    }
    let target = Target::Numbers((0..64).map(|row| f64::from(row % 7) * 2.0).collect());
    for &kind in Kind::ALL {
        let trained = train(kind, &frame, &target, TaskKind::Regression, &Map::new()).unwrap();
        let model = perennial_onnx::proto::decode(&trained.onnx).unwrap();
        let graph = model.graph.unwrap();
        let produced = graph.node.iter().flat_map(|node| node.output.iter().map(String::as_str));
        let mut names: Vec<&str> =
            graph.input.iter().map(perennial_onnx::proto::ValueInfoProto::name).chain(produced).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
        assert_eq!(graph.output[0].name(), "variable_");
    }
}

/// The AUC of trees on their own training rows: `positives` of `rows` rows, decided by `x` alone.
fn auc_of_trees(rows: usize, positives: usize, params: Value) -> f64 {
    let mut frame = Frame::new();
    frame.push("x", Column::Number((0..rows).map(|row| row as f64).collect()));
    frame.push("noise", Column::Number((0..rows).map(|row| (row * 7 % 5) as f64).collect()));
    let outcomes: Vec<f64> = (0..rows).map(|row| f64::from(u8::from(row >= rows - positives))).collect();
    let target = Target::Binary(outcomes.clone());
    let params = params.as_object().cloned().unwrap_or_default();
    let trained = train(Kind::Gbdt, &frame, &target, TaskKind::Binary, &params).expect("training succeeds");
    auc(&outcomes, &trained.predict(&frame).unwrap().values)
}

#[test]
fn few_rows_and_rare_positives_do_not_make_trees_constant() {
    for (rows, positives) in [(12, 6), (20, 10), (34, 21), (1_000, 10), (5_000, 12)] {
        let auc = auc_of_trees(rows, positives, json!({}));
        assert!(auc > 0.99, "{positives} of {rows}: {auc}");
    }
    assert_eq!(auc_of_trees(20, 10, json!({ "min_leaf_weight": 5 })), 0.5, "a given weight is kept");
}

#[test]
fn the_weight_of_a_leaf_follows_the_rows_only_where_they_have_little() {
    let weight = |count: usize, params: Value| {
        let rows = data::rows(count, 1, false);
        let trained = with(Kind::Gbdt, &rows, &rows.binary(), TaskKind::Binary, params);
        trained.params["min_leaf_weight"].as_f64().unwrap()
    };
    assert_eq!(weight(3_000, json!({ "trees": 1 })), 5.0);
    assert!(weight(100, json!({ "trees": 1 })) < 1.0);
    assert_eq!(weight(100, json!({ "trees": 1, "min_leaf_weight": 0.1 })), 0.1);
}
