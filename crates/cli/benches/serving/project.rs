//! The project whose model is served; the binary collects, trains, evaluates and releases it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::load::{Connection, http};
use crate::support::{Server, free_port, good};
use crate::tools::perennial;

/// The endpoint, and the model's name in MLServer.
pub(crate) const MODEL: &str = "delay";

/// The number of different flights in the requests.
const ROWS: usize = 256;

/// Releases the project, with `python` first in `PATH`; gives its folder.
pub(crate) fn release(place: &Path, python: &str) -> Result<PathBuf> {
    let folder = place.join("flights");
    good(&mut perennial(place, &["init", "--example", "flights", "flights"]))?;
    std::fs::write(folder.join(perennial_config::FILE_NAME), include_str!("perennial.toml"))?;
    std::fs::write(folder.join("train.py"), include_str!("train.py"))?;
    let first = Path::new(python).parent().context("the path of the Python has no parent folder")?;
    let path = format!("{}:{}", first.display(), std::env::var("PATH").unwrap_or_default());
    good(perennial(&folder, &["release"]).env("PATH", path))?;
    Ok(folder)
}

/// Starts `perennial up`; gives its port.
pub(crate) fn start(folder: &Path) -> Result<(Server, u16)> {
    let port = free_port()?;
    Ok((Server::start(&mut perennial(folder, &["up", "--port", &port.to_string()]))?, port))
}

/// A new token of the server over `folder`.
pub(crate) fn token(folder: &Path) -> Result<String> {
    // Until the server answers, a command would start one of its own.
    anyhow::ensure!(folder.join(".perennial/server.json").exists(), "the server has not started yet");
    Ok(good(&mut perennial(folder, &["tokens", "create", "bench", "--role", "admin"]))?.trim().to_owned())
}

/// The released model, and rows for requests.
pub(crate) struct Released {
    /// The model in LightGBM's own format.
    pub(crate) booster: Vec<u8>,
    columns: Vec<String>,
    codes: BTreeMap<String, Vec<String>>,
    /// The latest flights whose columns are all known, in the order of the columns.
    rows: Vec<Vec<Value>>,
}

/// The content of `codes.json`, which `train.py` writes.
#[derive(Deserialize)]
struct Codes {
    columns: Vec<String>,
    codes: BTreeMap<String, Vec<String>>,
}

impl Released {
    /// Fetches the model's files from its run, and rows from the features.
    pub(crate) async fn fetch(port: u16, token: &str) -> Result<Self> {
        let mut server = Connection::open(port).await?;
        let mut ask = async |method: &str, path: &str, body: &Value| -> Result<Vec<u8>> {
            Ok(server.ask(&http(method, path, Some(token), body)).await?.to_vec())
        };
        let none = Value::Null;
        let project = "/api/v1/projects/flight-delays";
        let models: Value = serde_json::from_slice(&ask("GET", &format!("{project}/models"), &none).await?)?;
        let run = models["items"][0]["run_id"].as_str().context("the released model names no run")?;
        let run = ask("GET", &format!("/api/2.0/mlflow/runs/get?run_id={run}"), &none).await?;
        let run: Value = serde_json::from_slice(&run)?;
        let root = run["run"]["info"]["artifact_uri"].as_str().and_then(|uri| uri.strip_prefix("mlflow-artifacts:"));
        let root = format!("/api/2.0/mlflow-artifacts/artifacts{}/model", root.context("the run keeps no artifacts")?);
        let booster = ask("GET", &format!("{root}/model.bst"), &none).await?;
        let Codes { columns, codes } =
            serde_json::from_slice(&ask("GET", &format!("{root}/codes.json"), &none).await?)?;

        let known: Vec<String> = columns.iter().map(|column| format!("{column} IS NOT NULL")).collect();
        let sql = format!(
            "SELECT {} FROM features WHERE late IS NOT NULL AND {} ORDER BY flight_id DESC",
            columns.join(", "),
            known.join(" AND ")
        );
        let page = ask("POST", &format!("{project}/query"), &json!({ "sql": sql, "limit": ROWS })).await?;
        let mut page: Value = serde_json::from_slice(&page)?;
        let rows = serde_json::from_value(page["rows"].take())?;
        Ok(Self { booster, columns, codes, rows })
    }

    /// The request of each row for Perennial: one tensor per feature, by name.
    pub(crate) fn by_name(&self) -> Vec<Value> {
        let tensor = |(name, value): (&String, &Value)| {
            let datatype = if value.is_string() { "BYTES" } else { "FP32" };
            json!({ "name": name, "shape": [1], "datatype": datatype, "data": [value] })
        };
        let body = |row: &Vec<Value>| json!({ "inputs": self.columns.iter().zip(row).map(tensor).collect::<Vec<_>>() });
        self.rows.iter().map(body).collect()
    }

    /// The request of each row for MLServer: one tensor of numbers, with texts as codes.
    pub(crate) fn by_place(&self) -> Vec<Value> {
        let body = |row: &Vec<Value>| {
            let data: Vec<Value> = self.columns.iter().zip(row).map(|(name, value)| self.coded(name, value)).collect();
            json!({ "inputs": [{ "name": "input", "shape": [1, data.len()], "datatype": "FP32", "data": data }] })
        };
        self.rows.iter().map(body).collect()
    }

    fn coded(&self, column: &str, value: &Value) -> Value {
        let Some(codes) = self.codes.get(column) else { return value.clone() };
        // A text that is not in the training data has the code -1.
        let code = codes.iter().position(|text| Some(text.as_str()) == value.as_str());
        code.map_or(json!(-1), |code| json!(code))
    }
}
