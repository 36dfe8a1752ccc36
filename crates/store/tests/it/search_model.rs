//! Random runs and searches, and a naive filter over every run.

use std::cmp::Ordering;

use perennial_core::entity::{Run, RunData};
use perennial_core::filter::{Comparison, DatasetText, RunClause, RunKey, RunNumber, RunOrder, RunText, TextTest};
use proptest::prelude::*;

use crate::fixtures::NOW;

pub(crate) fn texts() -> impl Strategy<Value = String> {
    prop_oneof![Just("a"), Just("A"), Just("ab"), Just("b%"), Just("b_"), Just("*"), Just("[x]"), Just(""), Just("\\")]
        .prop_map(str::to_owned)
}

pub(crate) fn patterns() -> impl Strategy<Value = String> {
    prop_oneof![
        texts(),
        Just("a%".to_owned()),
        Just("_".to_owned()),
        Just("%B%".to_owned()),
        Just("%[x%".to_owned()),
        Just("%".to_owned())
    ]
}

pub(crate) fn keys() -> impl Strategy<Value = String> {
    prop_oneof![Just("k1".to_owned()), Just("k2".to_owned()), Just("k3".to_owned()), Just("none".to_owned())]
}

pub(crate) fn numbers() -> impl Strategy<Value = f64> {
    prop_oneof![Just(0.0), Just(1.0), Just(-2.5), Just(f64::INFINITY), Just(1e300), Just(-0.0)]
}

pub(crate) fn logged_numbers() -> impl Strategy<Value = f64> {
    prop_oneof![5 => numbers(), 1 => Just(f64::NAN)]
}

pub(crate) fn tests() -> BoxedStrategy<TextTest> {
    prop_oneof![
        texts().prop_map(TextTest::Equal),
        texts().prop_map(TextTest::NotEqual),
        patterns().prop_map(TextTest::Like),
        patterns().prop_map(TextTest::LikeAnyCase),
        prop::collection::vec(texts(), 0..3).prop_map(TextTest::In),
        prop::collection::vec(texts(), 1..3).prop_map(TextTest::NotIn),
        Just(TextTest::Missing),
        Just(TextTest::Present),
    ]
    .boxed()
}

pub(crate) fn comparisons() -> impl Strategy<Value = Comparison> {
    use Comparison::*;
    prop_oneof![Just(Equal), Just(NotEqual), Just(Less), Just(LessOrEqual), Just(Greater), Just(GreaterOrEqual)]
}

pub(crate) fn clauses() -> BoxedStrategy<RunClause> {
    let times = prop_oneof![Just(NOW as f64), Just(NOW as f64 + 1.0), Just(NOW as f64 + 1.5)];
    let attributes = prop_oneof![Just(RunText::Name), Just(RunText::Status), Just(RunText::UserId)];
    let inputs = prop_oneof![Just(DatasetText::Name), Just(DatasetText::Digest), Just(DatasetText::Context)];
    prop_oneof![
        (keys(), comparisons(), numbers())
            .prop_map(|(key, comparison, value)| RunClause::Metric(key, comparison, value)),
        (keys(), tests()).prop_map(|(key, test)| RunClause::Param(key, test)),
        (keys(), tests()).prop_map(|(key, test)| RunClause::Tag(key, test)),
        (attributes, tests()).prop_map(|(text, test)| RunClause::Text(text, test)),
        (prop_oneof![Just(RunNumber::Start), Just(RunNumber::End)], comparisons(), times)
            .prop_map(|(number, comparison, value)| RunClause::Number(number, comparison, value)),
        (inputs, tests()).prop_map(|(text, test)| RunClause::Dataset(text, test)),
    ]
    .boxed()
}

pub(crate) fn orders() -> BoxedStrategy<RunOrder> {
    let key = prop_oneof![
        keys().prop_map(RunKey::Metric),
        keys().prop_map(RunKey::Param),
        keys().prop_map(RunKey::Tag),
        prop_oneof![Just(RunText::Name), Just(RunText::Status), Just(RunText::RunId)].prop_map(RunKey::Text),
        prop_oneof![Just(RunNumber::Start), Just(RunNumber::End)].prop_map(RunKey::Number),
    ];
    (key, any::<bool>()).prop_map(|(key, is_descending)| RunOrder { key, is_descending }).boxed()
}

/// What one run is filled with.
#[derive(Debug, Clone)]
pub(crate) struct Filling {
    pub(crate) experiment: usize,
    pub(crate) name: String,
    pub(crate) start: i64,
    pub(crate) end: Option<i64>,
    pub(crate) is_deleted: bool,
    pub(crate) metrics: Vec<(String, f64)>,
    pub(crate) params: Vec<(String, String)>,
    pub(crate) tags: Vec<(String, String)>,
    pub(crate) inputs: Vec<(String, String, Option<String>)>,
}

pub(crate) fn fillings() -> BoxedStrategy<Filling> {
    let pairs =
        || prop::collection::btree_map(keys(), texts(), 0..3).prop_map(|map| map.into_iter().collect::<Vec<_>>());
    (
        (0_usize..3, texts(), 0_i64..3, prop::option::of(0_i64..3), prop::bool::weighted(0.2)),
        prop::collection::btree_map(keys(), logged_numbers(), 0..3).prop_map(|map| map.into_iter().collect()),
        pairs(),
        pairs(),
        prop::collection::vec((texts(), texts(), prop::option::of(texts())), 0..2),
    )
        .prop_map(|((experiment, name, start, end, is_deleted), metrics, params, tags, inputs)| Filling {
            experiment,
            name,
            start: NOW + start,
            end: end.map(|end| NOW + end),
            is_deleted,
            metrics,
            params,
            tags,
            inputs,
        })
        .boxed()
}

pub(crate) fn like(pattern: &[char], text: &[char]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some(('%', rest)) => (0..=text.len()).any(|skip| like(rest, &text[skip..])),
        Some((one, rest)) => {
            text.split_first().is_some_and(|(first, others)| (*one == '_' || one == first) && like(rest, others))
        }
    }
}

pub(crate) fn like_text(pattern: &str, text: &str) -> bool {
    like(&pattern.chars().collect::<Vec<_>>(), &text.chars().collect::<Vec<_>>())
}

pub(crate) fn text_holds(test: &TextTest, text: Option<&str>) -> bool {
    let Some(text) = text else {
        return *test == TextTest::Missing;
    };
    match test {
        TextTest::Equal(other) => text == other,
        TextTest::NotEqual(other) => text != other,
        TextTest::Like(pattern) => like_text(pattern, text),
        TextTest::LikeAnyCase(pattern) => like_text(&pattern.to_ascii_lowercase(), &text.to_ascii_lowercase()),
        TextTest::In(others) => others.iter().any(|other| other == text),
        TextTest::NotIn(others) => others.iter().all(|other| other != text),
        TextTest::Missing => false,
        TextTest::Present => true,
    }
}

pub(crate) fn number_holds(comparison: Comparison, left: f64, right: f64) -> bool {
    match comparison {
        Comparison::Equal => left == right,
        Comparison::NotEqual => left != right,
        Comparison::Less => left < right,
        Comparison::LessOrEqual => left <= right,
        Comparison::Greater => left > right,
        Comparison::GreaterOrEqual => left >= right,
    }
}

pub(crate) fn text_of(run: &Run, text: RunText) -> String {
    match text {
        RunText::RunId => run.run_id.to_string(),
        RunText::Name => run.name.clone(),
        RunText::Status => run.status.to_string(),
        RunText::ArtifactUri => run.artifact_uri.clone(),
        RunText::UserId => run.user_id.clone(),
    }
}

pub(crate) fn number_of(run: &Run, number: RunNumber) -> Option<i64> {
    match number {
        RunNumber::Start => Some(run.start_ms),
        RunNumber::End => run.end_ms,
    }
}

pub(crate) fn metric_of(data: &RunData, key: &str) -> Option<f64> {
    data.metrics.iter().find(|point| point.key == key).map(|point| point.value)
}

pub(crate) fn param_of<'a>(data: &'a RunData, key: &str) -> Option<&'a str> {
    data.params.iter().find(|param| param.key == key).map(|param| param.value.as_str())
}

pub(crate) fn tag_of<'a>(data: &'a RunData, key: &str) -> Option<&'a str> {
    data.tags.iter().find(|tag| tag.key == key).map(|tag| tag.value.as_str())
}

pub(crate) fn holds(clause: &RunClause, run: &Run, data: &RunData) -> bool {
    match clause {
        RunClause::Metric(key, comparison, value) => {
            metric_of(data, key).is_some_and(|seen| number_holds(*comparison, seen, *value))
        }
        RunClause::Param(key, test) => text_holds(test, param_of(data, key)),
        RunClause::Tag(key, test) => text_holds(test, tag_of(data, key)),
        RunClause::Text(text, test) => text_holds(test, Some(&text_of(run, *text))),
        RunClause::Number(number, comparison, value) => {
            number_of(run, *number).is_some_and(|seen| number_holds(*comparison, seen as f64, *value))
        }
        RunClause::Dataset(text, test) => data.inputs.iter().any(|input| {
            let seen = match text {
                DatasetText::Name => Some(input.name.as_str()),
                DatasetText::Digest => Some(input.digest.as_str()),
                DatasetText::Context => input.tags["mlflow.data.context"].as_str(),
            };
            text_holds(test, seen)
        }),
    }
}

pub(crate) fn directed(ordering: Ordering, is_descending: bool) -> Ordering {
    if is_descending { ordering.reverse() } else { ordering }
}

/// Missing last, whatever the direction.
pub(crate) fn compare<T: Ord>(left: Option<T>, right: Option<T>, is_descending: bool) -> Ordering {
    match (left, right) {
        (Some(left), Some(right)) => directed(left.cmp(&right), is_descending),
        (left, right) => left.is_none().cmp(&right.is_none()),
    }
}

pub(crate) fn compare_metric(left: Option<f64>, right: Option<f64>, is_descending: bool) -> Ordering {
    let rank = |value: Option<f64>| value.map_or(2, |value| i32::from(value.is_nan()));
    match (left, right) {
        (Some(one), Some(two)) if !one.is_nan() && !two.is_nan() => {
            directed(one.partial_cmp(&two).unwrap(), is_descending)
        }
        _ => rank(left).cmp(&rank(right)),
    }
}

pub(crate) fn by_order(order: &[RunOrder], left: &(Run, RunData), right: &(Run, RunData)) -> Ordering {
    for order in order {
        let ordering = match &order.key {
            RunKey::Metric(key) => {
                compare_metric(metric_of(&left.1, key), metric_of(&right.1, key), order.is_descending)
            }
            RunKey::Param(key) => compare(param_of(&left.1, key), param_of(&right.1, key), order.is_descending),
            RunKey::Tag(key) => compare(tag_of(&left.1, key), tag_of(&right.1, key), order.is_descending),
            RunKey::Text(text) => {
                compare(Some(text_of(&left.0, *text)), Some(text_of(&right.0, *text)), order.is_descending)
            }
            RunKey::Number(number) => {
                compare(number_of(&left.0, *number), number_of(&right.0, *number), order.is_descending)
            }
        };
        if ordering.is_ne() {
            return ordering;
        }
    }
    right.0.start_ms.cmp(&left.0.start_ms).then(left.0.run_id.cmp(&right.0.run_id))
}
