//! Flights as requests of the Open Inference Protocol.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Map, Value, json};

use super::month_start;
use crate::client::Client;

/// Connections that ask at the same time.
const CONNECTIONS: usize = 8;
/// Days asked for at once when a month's flights are read.
const DAYS: i64 = 4;
/// Columns of the features that are no inputs.
const NOT_INPUTS: [&str; 3] = ["time_hour", "tailnum", "late"];

/// The flights of a month as request bodies, by the hour they leave, in order.
pub(crate) async fn of_month(client: &Client, project: &str, month: i8) -> Result<BTreeMap<i64, Vec<Value>>> {
    // The month's schedule and weather are there: the features follow them.
    let made = client
        .post(
            &format!("/api/v1/projects/{project}/pipeline-runs"),
            &json!({ "kind": "run", "options": { "steps": ["features"] } }),
        )
        .await?;
    let id = made.get("id").and_then(Value::as_str).context("no pipeline run was made")?;
    crate::follow::follow(client, project, id, true).await?;
    let mut flights: BTreeMap<i64, Vec<Value>> = BTreeMap::new();
    let (mut from, end) = (month_start(month), month_start(month + 1));
    while from < end {
        let to = (from + DAYS * 86_400_000).min(end);
        let sql = format!(
            "SELECT *, CAST(to_unixtime(time_hour) AS BIGINT) AS hour_s FROM features WHERE time_hour >= to_timestamp_millis({from}) AND time_hour < to_timestamp_millis({to})"
        );
        let page =
            client.post(&format!("/api/v1/projects/{project}/query"), &json!({ "sql": sql, "limit": 10_000 })).await?;
        let names: Vec<String> = page["columns"]
            .as_array()
            .context("the query told no columns")?
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

/// One flight: each feature a tensor of one value, the key beside them.
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

/// Asks an endpoint, a few requests at a time; each must be answered.
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
