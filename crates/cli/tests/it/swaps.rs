//! The champion changes a hundred times while eight connections send requests. Every status is 2xx, every prediction
//! is that of the named version, and after the acknowledgement of a change the old version answers nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::{Map, Value, json};
use tokio::sync::watch;

use crate::drifting::{self, month};
use crate::support::{Place, Server};

/// Changes of the champion.
const SWAPS: usize = 100;
/// Connections that send requests all the time.
const CONNECTIONS: usize = 8;
/// Distinct rows, one per request.
const ROWS: usize = 32;

/// The champion after a number of changes.
fn champion(changes: usize) -> i64 {
    1 + (changes % 2) as i64
}

/// The number of changes that have started, and of those that are acknowledged.
#[derive(Default)]
struct Changes {
    started: AtomicUsize,
    acknowledged: AtomicUsize,
    over: AtomicBool,
}

impl Changes {
    /// Makes a change, and waits until every connection has received an answer to a request that it sent after the
    /// acknowledgement.
    fn make(&self, server: &Server, settled: &mut [watch::Receiver<usize>], number: usize, change: impl FnOnce()) {
        self.started.store(number, Ordering::SeqCst);
        change();
        self.acknowledged.store(number, Ordering::SeqCst);
        server.block_on(async {
            for settled in settled {
                settled.wait_for(|seen| *seen == number).await.expect("a connection failed; its panic is above");
            }
        });
    }
}

/// An answer: the row, the named version, the prediction, and whether a change was in progress.
struct Answer {
    row: usize,
    version: i64,
    probability: f64,
    is_during_change: bool,
}

/// One connection that sends requests until the test is over.
struct Connection {
    http: reqwest::Client,
    address: String,
    token: String,
    /// Whether it uses MLflow's scoring protocol instead of the Open Inference Protocol.
    is_scoring: bool,
    rows: Arc<Vec<Value>>,
    changes: Arc<Changes>,
    settled: watch::Sender<usize>,
}

impl Connection {
    async fn send_until_over(self) -> Vec<Answer> {
        let mut answers = Vec::new();
        while !self.changes.over.load(Ordering::SeqCst) {
            let row = answers.len() % self.rows.len();
            let before = self.changes.acknowledged.load(Ordering::SeqCst);
            let (version, probability) = self.ask(&self.rows[row]).await;
            let after = self.changes.started.load(Ordering::SeqCst);
            assert!(
                (before..=after).any(|changes| champion(changes) == version),
                "version {version} answered a request that was sent after change {before} was acknowledged and before the next one started"
            );
            if before == after {
                self.settled.send_replace(before);
            }
            answers.push(Answer { row, version, probability, is_during_change: before < after });
        }
        answers
    }

    async fn ask(&self, row: &Value) -> (i64, f64) {
        let (path, body) = if self.is_scoring {
            ("/endpoints/late/invocations", json!({ "dataframe_records": [record(row)] }))
        } else {
            ("/v2/models/late/infer", row.clone())
        };
        let request = self.http.post(format!("{}{path}", self.address)).bearer_auth(&self.token).json(&body);
        let answer = request.send().await.unwrap();
        let (status, named) = (answer.status(), answer.headers().get("x-model-version").cloned());
        let answer: Value = answer.json().await.unwrap();
        assert!(status.is_success(), "{path}: {status} {answer}");
        if self.is_scoring {
            let version = named.unwrap().to_str().unwrap().parse().unwrap();
            return (version, answer["predictions"][0]["probability"].as_f64().unwrap());
        }
        (answer["model_version"].as_str().unwrap().parse().unwrap(), probability(&answer))
    }
}

/// The inputs of a request of one row as an object.
fn record(request: &Value) -> Map<String, Value> {
    let inputs = request["inputs"].as_array().unwrap();
    inputs.iter().map(|input| (input["name"].as_str().unwrap().to_owned(), input["data"][0].clone())).collect()
}

fn probability(answer: &Value) -> f64 {
    let outputs = answer["outputs"].as_array().unwrap();
    let output = outputs.iter().find(|output| output["name"] == json!("probability")).unwrap();
    output["data"][0].as_f64().unwrap()
}

/// The predictions of a version for each row.
fn predictions_of(server: &Server, version: i64, rows: &[Value]) -> Vec<f64> {
    let path = format!("/v2/models/late/versions/{version}/infer");
    rows.iter().map(|row| probability(&server.post(&path, row))).collect()
}

/// The project, with a gate that is easy to pass and without a canary.
fn place() -> Place {
    let lines = drifting::FILE.lines().map(|line| match line {
        line if line.starts_with("canary = ") => "",
        line if line.starts_with("better = ") => "better = \"candidate.auc >= 0.5\"",
        line => line,
    });
    drifting::place(&lines.collect::<Vec<_>>().join("\n"))
}

#[test]
fn a_hundred_swaps_under_load_drop_no_request_and_mix_no_versions() {
    let place = place();
    let server = Server::up(&place, &[]);
    drifting::three_months(&place, &server);
    assert!(place.good(&["release"]).contains("version 1 answers at `late`"));
    let rows: Arc<Vec<Value>> = Arc::new(month(4)[..ROWS].chunks(1).map(drifting::request).collect());
    let first = predictions_of(&server, 1, &rows);

    let changes = Arc::new(Changes::default());
    let (mut connections, mut settled) = (Vec::new(), Vec::new());
    for number in 0..CONNECTIONS {
        let (sender, receiver) = watch::channel(0);
        settled.push(receiver);
        let connection = Connection {
            http: server.http(),
            address: server.address.clone(),
            token: server.token.clone(),
            is_scoring: number % 2 == 1,
            rows: rows.clone(),
            changes: changes.clone(),
            settled: sender,
        };
        server.block_on(async { connections.push(tokio::spawn(connection.send_until_over())) });
    }

    // Alternately a release of the second version, and a rollback to the first.
    place.edit(
        "perennial.toml",
        "trees = 40, learning_rate = 0.2, depth = 4",
        "trees = 10, learning_rate = 0.1, depth = 2",
    );
    let mut second = Vec::new();
    for number in (1..SWAPS).step_by(2) {
        changes.make(&server, &mut settled, number, || {
            let released = place.good(&["release", "--again", "the test repeats it"]);
            assert!(released.contains("version 2 answers at `late`"), "{released}");
        });
        if second.is_empty() {
            second = predictions_of(&server, 2, &rows);
        }
        changes.make(&server, &mut settled, number + 1, || {
            let answer = server.post("/api/v1/projects/drifting/endpoints/late/rollback", &json!({}));
            assert!(answer["message"].as_str().unwrap().starts_with("version 1 answers at `late` again"), "{answer}");
        });
    }
    changes.over.store(true, Ordering::SeqCst);

    assert!(
        first.iter().zip(&second).all(|(first, second)| first != second),
        "the versions give different predictions"
    );
    let numbers = BTreeMap::from([(1, first), (2, second)]);
    let answers: Vec<Answer> = connections
        .into_iter()
        .flat_map(|connection| server.block_on(connection).expect("a connection failed"))
        .collect();
    for answer in &answers {
        assert_eq!(
            answer.probability, numbers[&answer.version][answer.row],
            "version {}, row {}",
            answer.version, answer.row
        );
    }
    assert!(
        answers.iter().filter(|answer| answer.is_during_change).count() >= SWAPS,
        "too few requests were sent during changes"
    );
    assert!(place.good(&["verify"]).contains("is intact"));
}
