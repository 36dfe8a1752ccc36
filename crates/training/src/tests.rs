//! Tests of parameters and limits.

use perennial_core::frame::Column;
use serde_json::{Map, Value, json};

use super::*;

fn given(params: Value) -> Map<String, Value> {
    params.as_object().cloned().unwrap_or_default()
}

#[track_caller]
fn assert_refused(kind: Kind, params: Value, message: &str, hint: &str) {
    let error = perennial_core::Error::from(validate_params(kind, &given(params)).expect_err("a refusal"));
    assert_eq!((error.message(), error.hint().unwrap_or_default()), (message, hint));
}

#[test]
fn absent_parameters_have_their_defaults() {
    for &kind in Kind::ALL {
        let validated = validate_params(kind, &Map::new()).unwrap();
        let expected: Map<_, _> =
            params(kind).iter().map(|spec| (spec.name.to_owned(), spec.default_value())).collect();
        assert_eq!(validated, expected);
    }
}

#[test]
fn defaults_and_both_ends_of_a_range_are_accepted() {
    for &kind in Kind::ALL {
        for spec in params(kind) {
            let ends = match spec.range {
                Range::Whole { min, max } => [json!(min), json!(max)],
                Range::Number { min, max } => [json!(min), json!(max)],
            };
            for value in ends.into_iter().chain([spec.default_value()]) {
                let params = Map::from_iter([(spec.name.to_owned(), value.clone())]);
                assert_eq!(validate_params(kind, &params).unwrap()[spec.name], value);
            }
        }
    }
}

#[test]
fn a_number_parameter_accepts_a_whole_number() {
    assert_eq!(validate_params(Kind::Gbdt, &given(json!({ "learning_rate": 1 }))).unwrap()["learning_rate"], 1);
}

#[test]
fn a_value_out_of_range_is_refused_with_the_range() {
    assert_refused(
        Kind::Gbdt,
        json!({ "trees": 0 }),
        "parameter `trees` is 0, expected a whole number from 1 to 10000",
        "change it in `params` of the step",
    );
    assert_refused(
        Kind::Gbdt,
        json!({ "learning_rate": 1.5 }),
        "parameter `learning_rate` is 1.5, expected a number from 0.0001 to 1",
        "change it in `params` of the step",
    );
}

#[test]
fn a_value_of_another_type_is_refused() {
    for value in [json!("300"), json!(2.5), json!(true), json!(null), json!([1]), json!(-3)] {
        assert_refused(
            Kind::Gbdt,
            json!({ "trees": value }),
            &format!("parameter `trees` is {value}, expected a whole number from 1 to 10000"),
            "change it in `params` of the step",
        );
    }
}

#[test]
fn a_misspelled_parameter_is_refused_with_a_suggestion() {
    for (written, meant) in [("tres", "trees"), ("learning-rate", "learning_rate"), ("dept", "depth"), ("L2", "l2")] {
        assert_refused(
            Kind::Gbdt,
            json!({ written: 1 }),
            &format!("trainer `gbdt` has no parameter `{written}`"),
            &format!("did you mean `{meant}`?"),
        );
    }
}

#[test]
fn the_name_of_another_library_is_refused_with_ours() {
    for (written, meant) in [("n_estimators", "trees"), ("num_leaves", "leaves"), ("random_state", "seed")] {
        assert_refused(
            Kind::Gbdt,
            json!({ written: 1 }),
            &format!("trainer `gbdt` has no parameter `{written}`"),
            &format!("did you mean `{meant}`?"),
        );
    }
}

#[test]
fn an_unknown_parameter_is_refused_with_the_known_ones() {
    assert_refused(
        Kind::Linear,
        json!({ "momentum": 0.9 }),
        "trainer `linear` has no parameter `momentum`",
        "its parameters are l2, iterations, tolerance",
    );
}

#[test]
fn trainers_are_found_by_name() {
    for &kind in Kind::ALL {
        assert_eq!(Kind::find(kind.as_str()), Some(kind));
    }
    assert_eq!(Kind::find("forest"), None);
}

#[test]
fn histograms_beyond_the_memory_limit_are_refused() {
    let mut frame = Frame::new();
    for column in 0..100 {
        frame.push(format!("x{column}"), Column::Number(vec![0.0, 1.0]));
    }
    let params = given(json!({ "bins": 4096, "leaves": 4096, "depth": 12 }));
    let error = train(Kind::Gbdt, &frame, &Target::Binary(vec![0.0, 1.0]), TaskKind::Binary, &params).err().unwrap();
    assert!(matches!(error, Error::TooMany { actual: 1_677_721_600, .. }), "{error}");
}

#[test]
fn one_thread_gives_the_same_bytes_as_two() {
    const ROWS: u32 = 40_000;
    let mixed = |row: u32, salt: u32| row.wrapping_mul(0x9E37_79B9 ^ salt).rotate_left(13) % 1_000;
    let column = |salt: u32| (0..ROWS).map(|row| f64::from(mixed(row, salt))).collect::<Vec<f64>>();
    let mut frame = Frame::new();
    for salt in 0..12 {
        frame.push(format!("x{salt}"), Column::Number(column(salt)));
    }
    let outcomes = column(0).into_iter().zip(column(99)).map(|(x, noise)| f64::from(u8::from(x + noise > 1_000.0)));
    let target = Target::Binary(outcomes.collect());
    for (kind, given_params) in [(Kind::Gbdt, json!({ "trees": 10, "subsample": 0.9 })), (Kind::Linear, json!({}))] {
        let params = validate_params(kind, &given(given_params)).unwrap();
        let [one, two] = [1, 2].map(|threads| {
            let params = params::ValidParams { all: &params, given: &params };
            run_in_pool(threads, || fit(kind, &frame, &target, TaskKind::Binary, &params)).unwrap().onnx
        });
        assert!(one == two, "{} differs", kind.as_str());
    }
}

/// The parameter table of a trainer, as on the reference page.
fn table(kind: Kind) -> String {
    let rows = params(kind)
        .iter()
        .map(|spec| format!("| `{}` | {} | {} | {} |\n", spec.name, spec.default_value(), spec.range, spec.about));
    ["| parameter | default | takes | meaning |\n| --- | --- | --- | --- |\n".to_owned()]
        .into_iter()
        .chain(rows)
        .collect()
}

#[test]
fn the_reference_page_has_every_parameter() {
    let page = include_str!("../../../docs/reference/trainers.md");
    for &kind in Kind::ALL {
        let table = table(kind);
        assert!(page.contains(&table), "docs/reference/trainers.md lacks\n{table}");
    }
}
