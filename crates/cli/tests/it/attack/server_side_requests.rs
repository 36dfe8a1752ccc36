//! Addresses that a contributor names: the server connects to none of them.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use reqwest::Method;
use serde_json::{Value, json};

use super::attempt::{Kind, Outcome, kind};
use super::project::ALPHA;
use super::target::Target;
use crate::chance::Chance;

pub(super) const KINDS: &[Kind] =
    &[kind!("URLs of sources", sources), kind!("URLs in tracking", tracking), kind!("URLs in queries", queries)];

/// A listener that counts connections; the server's object store and the attackers' URLs lead to it.
pub(super) struct Listener {
    pub(super) address: String,
    connections: Arc<AtomicU64>,
}

impl Listener {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let connections = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&connections);
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                counted.fetch_add(1, Ordering::Relaxed);
                drop(connection);
            }
        });
        Self { address, connections }
    }

    pub(super) fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }
}

/// URLs of the listener, of metadata services, of files, and of buckets that the server's credentials open.
fn urls(target: &Target) -> Vec<String> {
    let address = &target.listener.address;
    let port = address.rsplit_once(':').unwrap().1;
    let mut urls = vec![
        format!("http://{address}/secret.csv"),
        format!("https://{address}/secret.csv"),
        format!("http://localhost:{port}/secret.csv"),
        format!("http://[::ffff:127.0.0.1]:{port}/secret.csv"),
        format!("http://2130706433:{port}/secret.csv"),
        format!("http://user@{address}/secret.csv"),
        format!("ftp://{address}/secret.csv"),
        format!("gopher://{address}/_secret"),
        format!("//{address}/secret.csv"),
        format!("s3://{address}/secret.csv"),
    ];
    let further = [
        "http://169.254.169.254/latest/meta-data/iam/security-credentials/",
        "file:///etc/passwd",
        "s3://perennial/secret.csv",
        "s3://perennial/../other/secret.csv",
        "s3a://perennial/secret.csv",
        "memory:///secret.csv",
    ];
    urls.extend(further.map(str::to_owned));
    urls
}

async fn sources(target: &Target, _: Chance) -> Outcome {
    let mut outcome = Outcome::default();
    for url in urls(target) {
        let before = target.listener.connections();
        let added = format!("\n[datasets.foreign]\nsource = {{ files = \"{url}\" }}\nmode = \"replace\"\n");
        let (status, answer) = target.run_changed(&added, &[], &["features"]).await;
        outcome.add(target.hole(&target.contributor, &url, status, &answer.to_string()));
        let connections = target.listener.connections() - before;
        outcome.expect(connections == 0, || format!("a source at {url} made {connections} connections"));
    }
    outcome
}

/// An experiment's location and a dataset's source are text that the server keeps.
async fn tracking(target: &Target, mut chance: Chance) -> Outcome {
    let mut outcome = Outcome::default();
    let before = target.listener.connections();
    for url in urls(target) {
        let name = format!("location {}", chance.below(u64::MAX));
        let body = json!({ "name": name, "artifact_location": url });
        let path = "/api/2.0/mlflow/experiments/create";
        let (status, made) = target.ask(&target.contributor, Method::POST, path, Some(&body)).await;
        outcome.add(target.hole(&target.contributor, &url, status, &made.to_string()));
        let Some(experiment) = made["experiment_id"].as_str() else { continue };
        let body = json!({ "experiment_id": experiment });
        let (_, run) = target.ask(&target.contributor, Method::POST, "/api/2.0/mlflow/runs/create", Some(&body)).await;
        let run = run["run"]["info"]["run_id"].as_str().unwrap_or_default().to_owned();
        let dataset = json!({ "name": "d", "digest": "d", "source_type": "http", "source": url });
        let calls: [(Method, String, Value); 3] = [
            (
                Method::POST,
                "/api/2.0/mlflow/runs/log-inputs".into(),
                json!({ "run_id": run, "datasets": [{ "dataset": dataset }] }),
            ),
            (Method::GET, format!("/api/2.0/mlflow/artifacts/list?run_id={run}"), Value::Null),
            (
                Method::PUT,
                format!("/api/2.0/mlflow-artifacts/artifacts/{experiment}/{run}/artifacts/a.txt"),
                json!("a"),
            ),
        ];
        for (method, path, body) in calls {
            let (status, answer) = target.ask(&target.contributor, method, &path, Some(&body)).await;
            outcome.add(target.hole(&target.contributor, &path, status, &answer.to_string()));
        }
    }
    let connections = target.listener.connections() - before;
    outcome.expect(connections == 0, || format!("tracking made {connections} connections"));
    outcome
}

/// No query reads a file or an address, and none writes.
async fn queries(target: &Target, _: Chance) -> Outcome {
    let mut outcome = Outcome::default();
    let before = target.listener.connections();
    let mut texts: Vec<String> = Vec::new();
    let outside = target.place.folder.path().join("outside/secret.csv");
    for url in urls(target).into_iter().chain([outside.display().to_string(), "/etc/passwd".to_owned()]) {
        texts.push(format!("SELECT * FROM '{url}'"));
        texts.push(format!("SELECT * FROM \"{url}\""));
        texts.push(format!("SELECT * FROM read_csv('{url}')"));
        texts.push(format!("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '{url}'"));
    }
    let written = target.place.folder.path().join("outside/written.csv").display().to_string();
    texts.push(format!("COPY (SELECT 1) TO '{written}'"));
    texts.push(format!("COPY orders TO '{written}' STORED AS CSV"));
    for statement in [
        "DROP TABLE orders",
        "DELETE FROM orders",
        "INSERT INTO orders SELECT * FROM orders",
        "UPDATE orders SET kind = 'x'",
        "CREATE TABLE t AS SELECT 1",
        "CREATE VIEW v AS SELECT 1",
        "SET datafusion.execution.batch_size = 1",
        "SHOW ALL",
        "SELECT 1; SELECT 2",
        "EXPLAIN ANALYZE SELECT * FROM orders",
        "SELECT * FROM information_schema.tables",
    ] {
        texts.push(statement.to_owned());
    }
    for sql in texts {
        let path = format!("/api/v1/projects/{ALPHA}/query");
        let (status, answer) = target.ask(&target.contributor, Method::POST, &path, Some(&json!({ "sql": sql }))).await;
        outcome.add(target.hole(&target.contributor, &sql, status, &answer.to_string()));
        outcome.expect((400..500).contains(&status), || format!("`{sql}` is answered {status}: {answer}"));
    }
    let connections = target.listener.connections() - before;
    outcome.expect(connections == 0, || format!("queries made {connections} connections"));
    outcome
}
