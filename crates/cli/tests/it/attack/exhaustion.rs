//! Requests, queries, models, files and steps that take all memory, all connections or all time.

use std::fmt::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::attempt::{Kind, Outcome, kind};
use super::deserialization::evaluate;
use super::exchange::request;
use super::leaks::run_script;
use super::onnx;
use super::project::{self, ALPHA, BRAVO, BRAVO_ENDPOINT};
use super::routes::MLFLOW_CALLS;
use super::target::{Target, shortened};
use crate::chance::Chance;

pub(super) const KINDS: &[Kind] = &[
    kind!("bodies that are deep, large or broken", bodies),
    kind!("large bodies of tracking", large_bodies),
    kind!("half-sent forms", half_sent_forms),
    kind!("long polls of one person", long_polls),
    kind!("clients that leave answers unread", slow_readers),
    kind!("compressed bodies that expand", compressed),
    kind!("queries without end", queries),
    kind!("models without end", models),
    kind!("files that expand", files),
    kind!("steps without end", steps),
];

/// Kinds that take minutes until their limits of time are reached: made by the campaign alone.
pub(super) const LONG: [&str; 5] =
    ["large bodies of tracking", "queries without end", "models without end", "files that expand", "steps without end"];

/// Connections of one peer: more than the server keeps requests in flight.
const CONNECTIONS: usize = 2_060;
/// Requests of others while an attempt holds what it takes.
const OTHER_REQUESTS: usize = 5;

/// Others are answered: probes, predictions and lists.
async fn others(target: &Target, outcome: &mut Outcome, during: &str) {
    let infer = format!("/v2/models/{BRAVO_ENDPOINT}/infer");
    let list = format!("/api/v1/projects/{BRAVO}/datasets");
    for _ in 0..OTHER_REQUESTS {
        let predicted = target.ask(&target.bystander, Method::POST, &infer, Some(&project::prediction())).await;
        let listed = target.ask(&target.bystander, Method::GET, &list, None).await;
        let probed = target.send(&target.anonymous, "GET", "/health", b"").await.status;
        for (what, (status, answer)) in
            [("a prediction", predicted), ("a list", listed), ("a probe", (probed, json!(null)))]
        {
            outcome
                .expect(status == 200, || format!("{what} of others is answered {status} during {during}: {answer}"));
        }
    }
}

async fn bodies(target: &Target, mut chance: Chance) -> Outcome {
    let mut outcome = Outcome::default();
    let depth = 10_000 + chance.below(90_000) as usize;
    let number = chance.below(1_000);
    let bodies: Vec<Vec<u8>> = vec![
        "[".repeat(depth).into_bytes(),
        "{\"a\":".repeat(depth / 4).into_bytes(),
        format!("{}{}", "[".repeat(depth), "]".repeat(depth)).into_bytes(),
        format!("{{{}\"a\":1}}", format!("\"a\":{number},").repeat(40_000)).into_bytes(),
        format!("{{\"name\":{number}e999999999,\"sql\":-1e-999999}}").into_bytes(),
        format!("{{\"name\":\"{}\"}}", "x".repeat(1_000_000)).into_bytes(),
        format!("{{\"name\":\"{}\"}}", "\\u0000\\ud800".repeat(1_000)).into_bytes(),
        vec![0xff; 100_000],
        b"{\"sql\":\"SELECT 1\",".to_vec(),
        vec![b' '; 1_100_000],
    ];
    let routes = target.routes.iter().filter(|route| route.method != "GET" && !route.path.contains("/artifacts"));
    let mut paths: Vec<(String, String)> =
        routes.map(|route| (route.method.clone(), route.fill_ids(&target.alpha_ids))).collect();
    paths.extend(MLFLOW_CALLS.iter().map(|(call, _)| ("POST".to_owned(), format!("/api/2.0/mlflow/{call}"))));
    // A contributor's POST that ignores its body would change `alpha`; the viewer's bodies are parsed where they may be.
    for (method, path) in &paths {
        for body in [chance.choose(&bodies), chance.choose(&bodies), chance.choose(&bodies)] {
            let answer = target.send(&target.viewer, method, path, body).await;
            let what = format!("{method} {path} with {} bytes", body.len());
            outcome.add(target.hole(&target.viewer, &what, answer.status, &answer.body));
        }
    }
    for path in
        ["query", "files/missing", "plan", "pipeline-runs"].map(|call| format!("/api/v1/projects/{ALPHA}/{call}"))
    {
        for body in &bodies {
            let answer = target.send(&target.contributor, "POST", &path, body).await;
            let what = format!("POST {path} with {} bytes", body.len());
            outcome.add(target.hole(&target.contributor, &what, answer.status, &answer.body).or_else(|| {
                (!(400..500).contains(&answer.status)).then(|| format!("{what} is answered {}", answer.status))
            }));
        }
    }
    others(target, &mut outcome, "deep bodies").await;
    outcome
}

/// Bodies of tens of megabytes, several at once.
async fn large_bodies(target: &Target, _: Chance) -> Outcome {
    let mut outcome = Outcome::default();
    let run = &target.alpha_ids["run"];
    let tag = "{\"key\":\"k\",\"value\":\"v\"},".repeat(1_000_000);
    let metric = "{\"key\":\"m\",\"value\":1,\"timestamp\":1,\"step\":1},".repeat(500_000);
    let bodies = [
        ("log-batch", format!("{{\"run_id\":\"{run}\",\"tags\":[{}]}}", tag.trim_end_matches(','))),
        ("log-batch", format!("{{\"run_id\":\"{run}\",\"metrics\":[{}]}}", metric.trim_end_matches(','))),
        ("log-batch", format!("{{\"run_id\":\"{run}\",\"unknown\":[{}1]}}", "[],".repeat(8_000_000))),
        ("search", format!("{{\"experiment_ids\":[{}\"1\"]}}", "\"1\",".repeat(5_000_000))),
    ];
    let sent = bodies.iter().map(|(call, body)| {
        let path = format!("/api/2.0/mlflow/runs/{call}");
        async move { target.send(&target.contributor, "POST", &path, body.as_bytes()).await }
    });
    let (answers, ()) = tokio::join!(futures::future::join_all(sent), others(target, &mut outcome, "large bodies"));
    for answer in answers {
        outcome.add(target.hole(&target.contributor, "a body of 24 MB", answer.status, &answer.body));
        // A connection may be closed while its body is on the way.
        // Fields that a call does not know are ignored, however long.
        let is_bounded = [0, 200, 503].contains(&answer.status) || (400..500).contains(&answer.status);
        outcome.expect(is_bounded, || format!("a body of 24 MB is answered {}", answer.status));
    }
    outcome
}

/// Opens connections that send bytes and nothing more. Fewer may be accepted.
async fn hold(target: &Target, bytes: &[u8]) -> Vec<TcpStream> {
    raise_open_files();
    let mut held = Vec::new();
    for _ in 0..CONNECTIONS {
        let Ok(Ok(mut stream)) = tokio::time::timeout(Duration::from_secs(1), TcpStream::connect(&target.host)).await
        else {
            break;
        };
        // An error means that the server has closed the connection.
        let _ = stream.write_all(bytes).await;
        held.push(stream);
    }
    held
}

async fn half_sent_forms(target: &Target, mut chance: Chance) -> Outcome {
    let mut outcome = Outcome::default();
    let host = &target.host;
    let form = "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n\r\ntoken=";
    let json = "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{\"sql\":";
    let bearer = target.viewer.token.as_deref().unwrap_or_default();
    let heads = [
        format!("POST /login HTTP/1.1\r\nHost: {host}\r\n{form}"),
        format!("POST /login HTTP/1.1\r\nHost: {host}\r\nX: "),
        format!(
            "POST /api/v1/projects/{ALPHA}/query HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {bearer}\r\n{json}"
        ),
    ];
    let kinds = if chance.below(2) == 0 { &heads[..1] } else { &heads[..] };
    for head in kinds {
        let held = hold(target, head.as_bytes()).await;
        others(target, &mut outcome, &format!("{} half-sent requests of `{}`", held.len(), shortened(&head[..20])))
            .await;
    }
    outcome
}

/// One viewer follows a run on thousands of connections.
async fn long_polls(target: &Target, _: Chance) -> Outcome {
    let mut outcome = Outcome::default();
    let followed = async {
        let mut outcome = Outcome::default();
        let Some(run) = running(target).await else {
            outcome.expect(false, || "no run of alpha has begun".to_owned());
            return outcome;
        };
        let path = format!("/api/v1/projects/{ALPHA}/pipeline-runs/{run}/events?after=1000000&wait_ms=30000");
        let poll = request("GET", &path, &target.host, target.viewer.token.as_deref(), b"");
        let held = hold(target, &poll).await;
        others(target, &mut outcome, &format!("{} long polls of one viewer", held.len())).await;
        outcome
    };
    let (_, followed) = tokio::join!(run_script(target, "sleep 15"), followed);
    outcome.extend(followed);
    outcome
}

/// The run of `alpha` that has not ended, once there is one.
async fn running(target: &Target) -> Option<String> {
    let mut pause = tokio::time::interval(Duration::from_millis(100));
    let path = format!("/api/v1/projects/{ALPHA}/pipeline-runs?limit=5");
    for _ in 0..600 {
        pause.tick().await;
        let (_, list) = target.ask(&target.viewer, Method::GET, &path, None).await;
        let running = list["items"].as_array()?.iter().find(|run| run["state"] == "running");
        if let Some(run) = running {
            return run["id"].as_str().map(str::to_owned);
        }
    }
    None
}

/// Requests of large answers whose clients read one byte.
async fn slow_readers(target: &Target, mut chance: Chance) -> Outcome {
    let mut outcome = Outcome::default();
    let columns = 20 + chance.below(20);
    let select = (0..columns)
        .map(|column| format!("a.kind || '{column}' || b.kind AS c{column}"))
        .collect::<Vec<_>>()
        .join(", ");
    let sql = format!("SELECT {select} FROM orders a CROSS JOIN orders b");
    let body = json!({ "sql": sql, "limit": 10_000 }).to_string();
    let path = format!("/api/v1/projects/{ALPHA}/query");
    let bytes = request("POST", &path, &target.host, target.viewer.token.as_deref(), body.as_bytes());
    let mut held = Vec::new();
    for _ in 0..60 {
        let Ok(mut stream) = TcpStream::connect(&target.host).await else { break };
        let _ = stream.write_all(&bytes).await;
        held.push(stream);
    }
    others(target, &mut outcome, "answers that are not read").await;
    let mut first = [0; 1];
    if let Some(stream) = held.first_mut() {
        let _ = tokio::time::timeout(Duration::from_secs(60), stream.read(&mut first)).await;
    }
    others(target, &mut outcome, "answers that are not read").await;
    outcome
}

async fn compressed(target: &Target, _: Chance) -> Outcome {
    let mut outcome = Outcome::default();
    let bytes = zeros_compressed(400);
    let twice = compress(&bytes);
    for (path, caller) in [
        (format!("/v2/models/{ALPHA}_hours/infer"), &target.contributor),
        (format!("/endpoints/{ALPHA}_hours/invocations"), &target.contributor),
        ("/api/2.0/mlflow/runs/log-batch".to_owned(), &target.contributor),
        (format!("/api/v1/projects/{ALPHA}/query"), &target.viewer),
        ("/login".to_owned(), &target.anonymous),
    ] {
        for (encoding, body) in
            [("gzip", &bytes), ("gzip, gzip", &twice), ("deflate", &bytes), ("zstd", &bytes), ("br", &bytes)]
        {
            let mut head = format!("POST {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", target.host);
            if let Some(token) = &caller.token {
                let _ = write!(head, "Authorization: Bearer {token}\r\n");
            }
            let _ = write!(
                head,
                "Content-Type: application/json\r\nContent-Encoding: {encoding}\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            let answer = super::exchange::exchange(&target.host, &[head.as_bytes(), body].concat()).await;
            let what = format!("{path} with a body in {encoding} that expands to 400 MB");
            outcome.add(target.hole(caller, &what, answer.status, &answer.body).or_else(|| {
                let is_refused = answer.status == 0 || (400..500).contains(&answer.status) || answer.status == 503;
                (!is_refused).then(|| format!("{what} is answered {}: {}", answer.status, shortened(&answer.body)))
            }));
        }
    }
    others(target, &mut outcome, "compressed bodies").await;
    outcome
}

/// Zeros of so many megabytes in gzip, by the system's program.
fn zeros_compressed(megabytes: u32) -> Vec<u8> {
    let script = format!("head -c {megabytes}M /dev/zero | gzip -9");
    Command::new("sh").args(["-c", &script]).stdin(Stdio::null()).output().unwrap().stdout
}

fn compress(bytes: &[u8]) -> Vec<u8> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    Command::new("gzip").arg("-9c").arg(file.path()).stdin(Stdio::null()).output().unwrap().stdout
}

/// Queries of one viewer, several at once, while others query too.
async fn queries(target: &Target, mut chance: Chance) -> Outcome {
    let mut outcome = Outcome::default();
    let n = 1_000_000_000 + chance.below(1_000_000_000);
    let all = [
        format!("SELECT repeat('x', {n})"),
        format!("SELECT octet_length(repeat(kind, {n})) FROM orders"),
        format!("SELECT * FROM range(0, {n}0) ORDER BY value DESC"),
        format!("SELECT count(*) FROM range(0, {n}) a CROSS JOIN range(0, {n}) b"),
        "SELECT count(*) FROM orders a, orders b, orders c, orders d, orders e".to_owned(),
        format!("SELECT lpad('x', {n}, 'y')"),
        format!("SELECT array_repeat('x', {n})"),
        format!("SELECT unnest(range(0, {n}))"),
        format!("SELECT sum(value) FROM (SELECT unnest(range(0, {n})) AS value)"),
        "SELECT regexp_replace(repeat('a', 1000000), 'a', repeat('b', 1000), 'g')".to_owned(),
        "SELECT levenshtein(repeat('a', 200000), repeat('b', 200000))".to_owned(),
        format!("WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < {n}) SELECT count(*) FROM t"),
        "WITH RECURSIVE t(s) AS (SELECT 'x' UNION ALL SELECT s || s FROM t) SELECT count(*) FROM t".to_owned(),
        format!("SELECT string_agg(CAST(value AS TEXT), repeat(',', 1000)) FROM range(0, {n})"),
        format!("SELECT array_agg(value) FROM range(0, {n})"),
        format!("SELECT value % 1000003, count(DISTINCT value) FROM range(0, {n}) GROUP BY 1"),
        format!("SELECT row_number() OVER (ORDER BY value DESC) FROM range(0, {n}) LIMIT 1"),
        format!("SELECT {}", vec!["1"; 20_000].join("+")),
        format!("SELECT {}1{}", "(".repeat(5_000), ")".repeat(5_000)),
        format!("SELECT * FROM orders WHERE {}", vec!["kind = 'a'"; 10_000].join(" OR ")),
        format!("SELECT 1 {}", "UNION ALL SELECT 1 ".repeat(5_000)),
        format!("SELECT kind FROM orders WHERE kind ~ '{}'", "(a*)*".repeat(200)),
        "SELECT to_char(to_timestamp(1), repeat('%c', 100000000))".to_owned(),
        format!("SELECT concat({})", vec!["repeat('x', 100000000)"; 100].join(", ")),
    ];
    let path = format!("/api/v1/projects/{ALPHA}/query");
    for _ in 0..3 {
        let three = [chance.choose(&all), chance.choose(&all), chance.choose(&all)];
        let asked = three.map(|sql| {
            let body = json!({ "sql": sql }).to_string();
            let path = &path;
            async move { target.send(&target.viewer, "POST", path, body.as_bytes()).await }
        });
        let (answers, ()) = tokio::join!(futures::future::join_all(asked), others(target, &mut outcome, three[0]));
        for (sql, answer) in three.into_iter().zip(answers) {
            outcome.add(target.hole(&target.viewer, &shortened(sql), answer.status, &answer.body));
            outcome.expect(answer.status != 0, || format!("`{}` has no answer within 2 minutes", shortened(sql)));
        }
        let own = json!({ "sql": "SELECT count(*) FROM orders" });
        let at = format!("/api/v1/projects/{BRAVO}/query");
        let (status, answer) = target.ask(&target.bystander, Method::POST, &at, Some(&own)).await;
        outcome.expect(status == 200, || format!("a query of others is answered {status} after {three:?}: {answer}"));
    }
    outcome
}

/// Models that allocate, loop or claim more than they have.
async fn models(target: &Target, mut chance: Chance) -> Outcome {
    let mut outcome = Outcome::default();
    let turns = 1 << (40 + chance.below(20));
    let large = 1 << (34 + chance.below(8));
    let fill = onnx::graph(
        &[
            onnx::node("ConstantOfShape", &["shape"], &["c"], &[]),
            onnx::node("ReduceSum", &["c", "axes"], &["s"], &[]),
            onnx::node("Add", &["x", "s"], &["a"], &[]),
            onnx::node("ReduceSum", &["a", "columns"], &["y"], &[]),
        ],
        &[onnx::integers("shape", &[large]), onnx::integers("axes", &[0]), onnx::integers("columns", &[1])],
    );
    let claim = onnx::graph(&[onnx::node("MatMul", &["x", "w"], &["y"], &[])], &[onnx::empty("w", &[2, large])]);
    let expand = onnx::graph(
        &[onnx::node("Tile", &["x", "times"], &["t"], &[]), onnx::node("ReduceSum", &["t", "axes"], &["y"], &[])],
        &[onnx::integers("times", &[1, large]), onnx::integers("axes", &[1])],
    );
    let mut nodes = vec![onnx::node("Concat", &["x", "x"], &["c0"], &[axis(1)])];
    for doubling in 1..40 {
        let (from, to) = (format!("c{}", doubling - 1), format!("c{doubling}"));
        nodes.push(onnx::node("Concat", &[&from, &from], &[&to], &[axis(1)]));
    }
    nodes.push(onnx::node("ReduceSum", &["c39", "axes"], &["y"], &[]));
    let doubled = onnx::graph(&nodes, &[onnx::integers("axes", &[1])]);
    for (what, model) in [
        ("a loop", onnx::idle_loop(turns)),
        ("a constant", onnx::model(&fill)),
        ("a claimed tensor", onnx::model(&claim)),
        ("a tile", onnx::model(&expand)),
        ("40 doublings", onnx::model(&doubled)),
        ("bytes of no model", vec![0xff; 7_000]),
    ] {
        let (run, ()) = tokio::join!(evaluate(target, &model), others(target, &mut outcome, what));
        outcome.add(target.hole(&target.contributor, what, 200, &run.to_string()));
        outcome.expect(run["state"] == "failed", || format!("a model with {what} is not refused: {run}"));
    }
    outcome
}

fn axis(axis: u64) -> onnx::Message {
    onnx::Message::default().text(1, "axis").number(3, axis).number(20, 2)
}

/// Small files that become large when they are read.
async fn files(target: &Target, mut chance: Chance) -> Outcome {
    let mut outcome = Outcome::default();
    let columns = 20_000 + chance.below(20_000) as usize;
    let header: Vec<String> = (0..columns).map(|column| format!("c{column}")).collect();
    let wide = format!("{}\n{}\n", header.join(","), vec!["1"; columns].join(","));
    let deep = format!("{{\"a\":{}1{}}}\n", "[".repeat(50_000), "]".repeat(50_000));
    let nested = format!("{{\"a\":{}1{}}}\n", "{\"b\":".repeat(55), "}".repeat(55));
    let keys = (0..columns).map(|row| format!("{{\"k{row}\":1}}\n")).collect::<Vec<_>>().concat();
    let long = format!("id,text\n1,\"{}\"\n", "x".repeat(30_000_000));
    let open = format!("id,text\n1,\"{}", "x\n".repeat(3_000_000));
    let footer = [b"PAR1", &[0x15_u8; 64][..], &u32::MAX.to_le_bytes(), b"PAR1"].concat();
    for (name, content) in [
        ("hostile.csv", wide.into_bytes()),
        ("hostile.jsonl", deep.into_bytes()),
        ("hostile.jsonl", nested.into_bytes()),
        ("hostile.jsonl", keys.into_bytes()),
        ("hostile.csv", long.into_bytes()),
        ("hostile.csv", open.into_bytes()),
        ("hostile.parquet", footer),
        ("hostile.csv", vec![0; 1_000_000]),
    ] {
        let added = format!("\n[datasets.hostile]\nsource = {{ files = \"{name}\" }}\nmode = \"replace\"\n");
        let files: [(&str, &[u8]); 1] = [(name, &content)];
        let (answer, ()) =
            tokio::join!(target.run_changed(&added, &files, &["features"]), others(target, &mut outcome, name));
        let (status, run) = answer;
        outcome.add(target.hole(&target.contributor, name, status, &run.to_string()));
    }
    outcome
}

/// Steps that take memory, processes, the log and the disk.
async fn steps(target: &Target, mut chance: Chance) -> Outcome {
    let mut outcome = Outcome::default();
    let processes = 200 + chance.below(300);
    for script in [
        "tail /dev/zero".to_owned(),
        format!("i=0; while [ $i -lt {processes} ]; do sleep 5 & i=$((i+1)); done; wait"),
        "yes | head -c 50000000".to_owned(),
        "head -c 300000000 /dev/zero > big; mkdir -p d/d; ln -s .. d/up".to_owned(),
        "(setsid sleep 600 &) ; (sleep 600 > /dev/null 2>&1 &); exit 0".to_owned(),
    ] {
        let (log, ()) = tokio::join!(run_script(target, &script), others(target, &mut outcome, &script));
        outcome.add(target.hole(&target.contributor, &script, 200, &log));
    }
    outcome
}

/// The test holds thousands of connections.
fn raise_open_files() {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let raised = rustix::process::Rlimit { current: limit.maximum, ..limit };
    // A refusal leaves fewer connections, which the server must answer beside others as well.
    let _ = rustix::process::setrlimit(rustix::process::Resource::Nofile, raised);
}
