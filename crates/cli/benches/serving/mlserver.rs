//! MLServer with a repository of one LightGBM model.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use crate::project::MODEL;
use crate::support::{Server, free_port};

/// One configuration of MLServer.
pub(crate) struct Setting {
    pub(crate) title: &'static str,
    /// Settings that differ from the defaults.
    pub(crate) settings: fn(&mut Map<String, Value>),
    pub(crate) environment: &'static [(&'static str, &'static str)],
}

/// The defaults; without a worker process; and with LightGBM limited to one thread, because one row is too little work
/// for several.
pub(crate) const SETTINGS: [Setting; 3] = [
    Setting { title: "MLServer, its defaults (one worker process)", settings: |_| (), environment: &[] },
    Setting { title: "MLServer, `parallel_workers` 0", settings: no_worker, environment: &[] },
    Setting {
        title: "MLServer, `parallel_workers` 0, `OMP_NUM_THREADS` 1",
        settings: no_worker,
        environment: &[("OMP_NUM_THREADS", "1")],
    },
];

fn no_worker(settings: &mut Map<String, Value>) {
    settings.insert("parallel_workers".to_owned(), json!(0));
}

/// Writes the model repository.
pub(crate) fn repository(place: &Path, booster: &[u8]) -> Result<PathBuf> {
    let folder = place.join("mlserver");
    std::fs::create_dir_all(folder.join(MODEL))?;
    std::fs::write(folder.join(MODEL).join("model.bst"), booster)?;
    let model = json!({
        "name": MODEL,
        "implementation": "mlserver_lightgbm.LightGBMModel",
        "parameters": { "uri": "./model.bst" },
    });
    std::fs::write(folder.join(MODEL).join("model-settings.json"), model.to_string())?;
    Ok(folder)
}

/// Starts MLServer; gives its port.
pub(crate) fn start(tools: &str, repository: &Path, setting: &Setting) -> Result<(Server, u16)> {
    let port = free_port()?;
    let mut settings = Map::new();
    settings.insert("host".to_owned(), json!("127.0.0.1"));
    for (name, port) in [("http_port", port), ("grpc_port", free_port()?), ("metrics_port", free_port()?)] {
        settings.insert(name.to_owned(), json!(port));
    }
    (setting.settings)(&mut settings);
    std::fs::write(repository.join("settings.json"), Value::Object(settings).to_string())?;
    let program = Path::new(tools).parent().context("the path of the Python has no parent folder")?.join("mlserver");
    let mut command = Command::new(program);
    command.current_dir(repository).args(["start", "."]).envs(setting.environment.iter().copied());
    Ok((Server::start(&mut command)?, port))
}
