//! Batches, params, tags and dataset inputs.

use perennial_core::ErrorCode;
use perennial_core::entity::{RunBatch, RunInput};
use perennial_core::state::RunStatus;
use perennial_tracking::{limits, logging};

use crate::support::{Tracking, input, metrics, param, params, point, refused, tag, tags};

#[tokio::test]
async fn a_refused_batch_leaves_nothing() {
    let tracking = Tracking::start().await;
    let id = tracking.begin("one").await;
    tracking.log(id, params(vec![param("p", "1")])).await.unwrap();
    let before = tracking.data(id).await;
    let batch = RunBatch {
        metrics: vec![point("m", 1, 1.0)],
        params: vec![param("q", "1"), param("p", "2")],
        tags: vec![tag("t", "1")],
    };
    let error =
        refused(tracking.log(id, batch).await, ErrorCode::InvalidArgument, "Changing param values is not allowed");
    assert!(error.message().contains("`p` with value `1`, new value `2`"), "{}", error.message());
    assert_eq!(tracking.data(id).await, before);
}

#[tokio::test]
async fn a_param_logged_again_with_its_value_is_accepted() {
    let tracking = Tracking::start().await;
    let id = tracking.begin("one").await;
    for _ in 0..2 {
        tracking.log(id, params(vec![param("p", "1"), param("q", "2")])).await.unwrap();
    }
    assert_eq!(tracking.data(id).await.params, [param("p", "1"), param("q", "2")]);
}

#[tokio::test]
async fn a_param_occurs_once_in_a_batch() {
    let tracking = Tracking::start().await;
    let id = tracking.begin("one").await;
    let twice = tracking.log(id, params(vec![param("p", "1"), param("p", "1")])).await;
    refused(twice, ErrorCode::InvalidArgument, "Duplicate parameter keys have been submitted: \"p\"");
}

#[tokio::test]
async fn the_last_tag_of_a_key_stays() {
    let tracking = Tracking::start().await;
    let id = tracking.begin("one").await;
    tracking.log(id, tags(vec![tag("t", "1"), tag("t", "2")])).await.unwrap();
    tracking.log(id, tags(vec![tag("t", "3"), tag("u", "1")])).await.unwrap();
    let stored = tracking.data(id).await.tags;
    assert!(stored.contains(&tag("t", "3")) && stored.contains(&tag("u", "1")) && stored.len() == 3, "{stored:?}");
}

#[tokio::test]
async fn deleting_a_tag_that_does_not_exist_is_not_found() {
    let tracking = Tracking::start().await;
    let id = tracking.begin("one").await;
    tracking.log(id, tags(vec![tag("t", "1")])).await.unwrap();
    logging::delete_tag(&tracking.caller, id, "t".to_owned()).await.unwrap();
    refused(logging::delete_tag(&tracking.caller, id, "t".to_owned()).await, ErrorCode::NotFound, "`t`");
}

#[tokio::test]
async fn the_parts_of_a_batch_and_all_together_have_limits() {
    let tracking = Tracking::start().await;
    let id = tracking.begin("one").await;
    let many = |count: usize| (0..count).map(|n| point("m", n as i64, 0.5)).collect::<Vec<_>>();
    let named = |count: usize| (0..count).map(|n| param(&format!("p{n}"), "1")).collect::<Vec<_>>();
    let tagged = |count: usize| (0..count).map(|n| tag(&format!("t{n}"), "1")).collect::<Vec<_>>();
    for (batch, words) in [
        (metrics(many(limits::BATCH_METRICS_MAX + 1)), "at most 1000 metrics, this one has 1001"),
        (params(named(limits::BATCH_PARAMS_MAX + 1)), "at most 100 params, this one has 101"),
        (tags(tagged(limits::BATCH_TAGS_MAX + 1)), "at most 100 tags, this one has 101"),
        (
            RunBatch { metrics: many(900), params: named(50), tags: tagged(51) },
            "at most 1000 metrics, params and tags together, this one has 1001",
        ),
    ] {
        refused(tracking.log(id, batch).await, ErrorCode::InvalidArgument, words);
    }
    let largest = RunBatch { metrics: many(800), params: named(100), tags: tagged(100) };
    tracking.log(id, largest).await.unwrap();
    assert_eq!(tracking.data(id).await.params.len(), 100);
}

#[tokio::test]
async fn keys_are_paths_of_plain_characters() {
    let tracking = Tracking::start().await;
    let id = tracking.begin("one").await;
    let longest = "k".repeat(limits::KEY_CHARS_MAX);
    for key in ["a", "ä b", "a/b.c-d_e:f", ".a", "a..b", &longest] {
        let batch =
            RunBatch { metrics: vec![point(key, 1, 1.0)], params: vec![param(key, "1")], tags: vec![tag(key, "1")] };
        tracking.log(id, batch).await.unwrap();
    }
    let too_long = format!("{longest}k");
    for (key, words) in [
        ("", "Missing value for required parameter 'params[0].key'."),
        ("a!b", "Invalid value \"a!b\" for parameter 'params[0].key' supplied: expected letters"),
        ("/a", "not in its normal form"),
        ("a/", "not in its normal form"),
        ("a//b", "not in its normal form"),
        ("../a", "not in its normal form"),
        ("a/./b", "not in its normal form"),
        (".", "not in its normal form"),
        (&too_long, "'params[0].key' exceeds the maximum length of 250 characters"),
    ] {
        refused(tracking.log(id, params(vec![param(key, "1")])).await, ErrorCode::InvalidArgument, words);
        assert!(tracking.log(id, metrics(vec![point(key, 1, 1.0)])).await.is_err(), "metric `{key}`");
        assert!(tracking.log(id, tags(vec![tag(key, "1")])).await.is_err(), "tag `{key}`");
    }
}

#[tokio::test]
async fn long_values_are_truncated_at_a_character() {
    let tracking = Tracking::start().await;
    let id = tracking.begin("one").await;
    let long = "ä".repeat(9_000);
    let batch = RunBatch { params: vec![param("p", &long)], tags: vec![tag("t", &long)], metrics: Vec::new() };
    tracking.log(id, batch).await.unwrap();
    let data = tracking.data(id).await;
    let tagged = data.tags.iter().find(|tag| tag.key == "t").unwrap();
    assert_eq!(data.params[0].value.chars().count(), limits::PARAM_CHARS_MAX);
    assert_eq!(tagged.value.chars().count(), limits::TAG_CHARS_MAX);
}

#[tokio::test]
async fn a_dataset_input_is_identified_by_name_and_digest() {
    let tracking = Tracking::start().await;
    let id = tracking.begin("one").await;
    for inputs in [vec![input("d", "1"), input("d", "2")], vec![input("d", "1")]] {
        logging::log_inputs(&tracking.caller, id, inputs).await.unwrap();
    }
    let digests: Vec<String> = tracking.data(id).await.inputs.into_iter().map(|input| input.digest).collect();
    assert_eq!(digests, ["1", "2"]);
}

#[tokio::test]
async fn the_fields_of_a_dataset_input_have_limits() {
    let tracking = Tracking::start().await;
    let id = tracking.begin("one").await;
    let long = |length: usize| "x".repeat(length);
    let tagged = |key: &str, value: &str| serde_json::json!({ key: value });
    for (changed, words) in [
        (RunInput { name: long(501), ..input("d", "1") }, "datasets[0].dataset.name"),
        (RunInput { digest: long(37), ..input("d", "1") }, "datasets[0].dataset.digest"),
        (RunInput { source: long(65_536), ..input("d", "1") }, "datasets[0].dataset.source"),
        (RunInput { schema: Some(long(1_048_576)), ..input("d", "1") }, "datasets[0].dataset.schema"),
        (RunInput { profile: Some(long(16_777_216)), ..input("d", "1") }, "datasets[0].dataset.profile"),
        (RunInput { tags: tagged(&long(256), "v"), ..input("d", "1") }, "datasets[0].tags.key"),
        (RunInput { tags: tagged("k", &long(501)), ..input("d", "1") }, "datasets[0].tags.value"),
    ] {
        let result = logging::log_inputs(&tracking.caller, id, vec![changed]).await;
        refused(result, ErrorCode::InvalidArgument, words);
    }
    let many = vec![input("d", "1"); limits::INPUTS_MAX + 1];
    let result = logging::log_inputs(&tracking.caller, id, many).await;
    refused(result, ErrorCode::InvalidArgument, "at most 1000 datasets are logged at once, these are 1001");
}

#[tokio::test]
async fn an_empty_batch_is_accepted_and_changes_nothing() {
    let tracking = Tracking::start().await;
    let id = tracking.begin("one").await;
    let before = tracking.data(id).await;
    tracking.log(id, RunBatch::default()).await.unwrap();
    assert_eq!(tracking.data(id).await, before);
}

#[tokio::test]
async fn an_ended_run_accepts_writes_and_the_ledger_records_them() {
    let tracking = Tracking::start().await;
    let id = tracking.begin("one").await;
    tracking.set(id, RunStatus::Finished).await.unwrap();
    tracking.log(id, metrics(vec![point("m", 1, 1.0)])).await.unwrap();
    logging::log_inputs(&tracking.caller, id, vec![input("d", "1")]).await.unwrap();
    assert_eq!(tracking.verbs(id).await, ["end", "seal", "seal"]);
}
