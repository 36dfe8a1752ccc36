//! Requests of the Open Inference Protocol, one per flight.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Map, Value, json};

use super::month_start;
use crate::client::Client;

/// Requests at the same time.
const CONNECTIONS: usize = 8;
/// Days per query for the flights of a month.
const DAYS_PER_QUERY: i64 = 4;
/// Columns of the features that the model does not use.
const NOT_INPUTS: [&str; 3] = ["time_hour", "tailnum", "late"];

/// The request bodies for the flights of a month, by the hour of departure.
pub(crate) async fn of_month(client: &Client, project: &str, month: i8) -> Result<BTreeMap<i64, Vec<Value>>> {
    // Computes the features from the month's schedule and weather, which have arrived.
    let made = client
        .post(
            &format!("/api/v1/projects/{project}/pipeline-runs"),
            &json!({ "kind": "run", "options": { "steps": ["features"] } }),
        )
        .await?;
    let id = made.get("id").and_then(Value::as_str).context("the server did not name the pipeline run")?;
    crate::follow::follow(client, project, id, crate::follow::Form::Hidden).await?;
    let mut flights: BTreeMap<i64, Vec<Value>> = BTreeMap::new();
    let (mut from, end) = (month_start(month), month_start(month + 1));
    while from < end {
        let to = (from + DAYS_PER_QUERY * 86_400_000).min(end);
        let sql = format!(
            "SELECT *, CAST(to_unixtime(time_hour) AS BIGINT) AS hour_s FROM features WHERE time_hour >= to_timestamp_millis({from}) AND time_hour < to_timestamp_millis({to})"
        );
        let page =
            client.post(&format!("/api/v1/projects/{project}/query"), &json!({ "sql": sql, "limit": 10_000 })).await?;
        let names: Vec<String> = page["columns"]
            .as_array()
            .context("the response has no columns")?
            .iter()
            .filter_map(|column| column["name"].as_str().map(str::to_owned))
            .collect();
        for row in page["rows"].as_array().into_iter().flatten() {
            let (hour_ms, body) = request(&names, row);
            flights.entry(hour_ms).or_default().push(body);
        }
        from = to;
    }
    Ok(flights)
}

/// The hour of departure and the request body for one flight: a tensor of one value per feature, and one for the key.
fn request(names: &[String], row: &Value) -> (i64, Value) {
    let mut inputs = Vec::with_capacity(names.len());
    let mut hour_ms = 0;
    for (name, value) in names.iter().zip(row.as_array().into_iter().flatten()) {
        if name == "hour_s" {
            hour_ms = value.as_i64().unwrap_or_default() * 1000;
        } else if !NOT_INPUTS.contains(&name.as_str()) {
            let is_text = matches!(name.as_str(), "flight_id" | "carrier" | "origin" | "dest");
            let mut tensor = Map::new();
            tensor.insert("name".to_owned(), json!(name));
            tensor.insert("shape".to_owned(), json!([1]));
            tensor.insert("datatype".to_owned(), json!(if is_text { "BYTES" } else { "FP64" }));
            tensor.insert("data".to_owned(), json!([value]));
            inputs.push(Value::Object(tensor));
        }
    }
    (hour_ms, json!({ "inputs": inputs }))
}

/// Sends the requests to an endpoint, several at the same time.
///
/// # Errors
/// If one of them fails.
pub(crate) async fn ask(client: &Client, endpoint: &str, bodies: Vec<Value>) -> Result<()> {
    let path = format!("/v2/models/{endpoint}/infer");
    stream::iter(bodies)
        .map(|body| {
            let (client, path) = (client.clone(), path.clone());
            async move { client.post(&path, &body).await.map(|_| ()) }
        })
        .buffer_unordered(CONNECTIONS)
        .try_collect::<Vec<()>>()
        .await?;
    Ok(())
}
