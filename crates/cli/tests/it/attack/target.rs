//! The server under attack, the people of its projects, and the files beside it.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use perennial_core::blob::{Blob, BlobDigest, Manifest, ManifestFile};
use reqwest::Method;
use serde_json::{Value, json};

use super::attempt::{Kind, Outcome};
use super::exchange::{Answer, exchange, request};
use super::memory_limit::MemoryLimit;
use super::project::{self, ALPHA, BRAVO, BRAVO_ENDPOINT, BRAVO_SECRET};
use super::routes::Route;
use super::server_side_requests::Listener;
use crate::chance::Chance;
use crate::support::{Place, Server, perennial, text};

/// A text in files beside the data folder, which no answer and no step contains.
pub(super) const OUTSIDE_SECRET: &str = "outside-secret-91c4";
/// A variable of the server's process.
pub(super) const VARIABLE_SECRET: &str = "variable-secret-55d0";

/// A person who sends requests.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    pub(super) name: &'static str,
    pub(super) token: Option<String>,
    /// The cookie of a session of the console.
    pub(super) cookie: Option<String>,
}

/// The server with both projects.
pub(super) struct Target {
    pub(super) server: Server,
    pub(super) http: reqwest::Client,
    /// The address and port of the server.
    pub(super) host: String,
    /// The folder that contains the server's data folder.
    pub(super) place: Place,
    /// The folder from which `alpha` was submitted.
    pub(super) alpha: Place,
    pub(super) administrator: Caller,
    pub(super) contributor: Caller,
    pub(super) viewer: Caller,
    /// Authenticated, without a grant.
    pub(super) stranger: Caller,
    pub(super) anonymous: Caller,
    /// A contributor of `bravo`.
    pub(super) bystander: Caller,
    pub(super) routes: Vec<Route>,
    /// An id of `alpha` and of `bravo` for each parameter of the routes.
    pub(super) alpha_ids: Ids,
    pub(super) bravo_ids: Ids,
    pub(super) listener: Listener,
    /// Held while the submission of `alpha` is replaced.
    alpha_submission: tokio::sync::Mutex<()>,
    /// Kinds whose attempts are being made.
    running: Mutex<Vec<&'static str>>,
    files_beside: BTreeMap<String, String>,
}

/// A value for each parameter of a route.
pub(super) type Ids = BTreeMap<&'static str, String>;

impl Target {
    /// Starts the server, releases a model of each project, and grants the roles.
    pub(super) fn start(limit: Option<&MemoryLimit>) -> Arc<Self> {
        let listener = Listener::start();
        let place = Place { folder: tempfile::tempdir().unwrap() };
        for folder in ["project", "home", "tmp", "outside"] {
            std::fs::create_dir(place.folder.path().join(folder)).unwrap();
        }
        std::fs::write(place.folder.path().join("outside/secret.csv"), format!("id,secret\n1,{OUTSIDE_SECRET}\n"))
            .unwrap();
        let server = Server::start(command(&place, &listener, limit), &place.path().join(".perennial"));
        let (alpha, bravo) = (project::place(ALPHA), project::place(BRAVO));
        for project in [&alpha, &bravo] {
            let output = client(&server, project, &["release"]).output().unwrap();
            assert!(output.status.success(), "{}\n{}", text(&output.stdout), text(&output.stderr));
        }
        let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let host = server.address.trim_start_matches("http://").to_owned();
        let signed_in = |name, token: String| {
            let cookie = server.block_on(session(&host, &token));
            Caller { name, token: Some(token), cookie: Some(cookie) }
        };
        let caller = |name, role, project| signed_in(name, token(&server, name, role, project));
        let contributor = caller("contributor of alpha", "contributor", ALPHA);
        let viewer = caller("viewer of alpha", "viewer", ALPHA);
        let bystander = caller("contributor of bravo", "contributor", BRAVO);
        let stranger = caller("stranger", "viewer", ALPHA);
        let (status, answer) = server.ask(
            Method::DELETE,
            &format!("/api/v1/principals/stranger/grants?role=viewer&project={ALPHA}"),
            None,
        );
        assert!(status.is_success(), "{answer}");
        let target = Self {
            http,
            administrator: signed_in("administrator", server.token.clone()),
            anonymous: Caller { name: "anonymous", token: None, cookie: None },
            host: host.clone(),
            contributor,
            viewer,
            stranger,
            bystander,
            routes: Route::all(&server.get("/api/v1/openapi.json")),
            alpha_ids: ids(&server, ALPHA),
            bravo_ids: ids(&server, BRAVO),
            listener,
            alpha_submission: tokio::sync::Mutex::default(),
            running: Mutex::default(),
            files_beside: files(place.folder.path()),
            server,
            place,
            alpha,
        };
        Arc::new(target)
    }

    /// Makes the attempts of a kind.
    pub(super) fn run(self: &Arc<Self>, kind: &Kind, seed: u64) -> Outcome {
        self.server.block_on((kind.run)(Arc::clone(self), Chance::new(seed)))
    }

    /// Notes that the attempts of a kind begin.
    pub(super) fn begin(&self, kind: &'static str) {
        self.running.lock().unwrap().push(kind);
    }

    /// Notes that the attempts of a kind have ended; gives the kinds that were being made at the end.
    pub(super) fn end(&self, kind: &'static str) -> String {
        let mut running = self.running.lock().unwrap();
        let names = running.join(", ");
        running.retain(|name| *name != kind);
        names
    }

    /// The kinds whose attempts are being made.
    pub(super) fn running(&self) -> String {
        self.running.lock().unwrap().join(", ")
    }

    /// Sends a request, which a client library would change, as it is.
    pub(super) async fn send(&self, caller: &Caller, method: &str, path: &str, body: &[u8]) -> Answer {
        exchange(&self.host, &request(method, path, &self.host, caller.token.as_deref(), body)).await
    }

    /// Sends JSON; gives the status and the answer, parsed if it is JSON.
    pub(super) async fn ask(&self, caller: &Caller, method: Method, path: &str, body: Option<&Value>) -> (u16, Value) {
        let mut request = self.http.request(method, format!("{}{path}", self.server.address));
        if let Some(token) = &caller.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let Ok(answer) = request.send().await else { return (0, Value::Null) };
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap_or_default();
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// The hole that an answer shows whatever was asked: an internal error, or a secret that the caller must not know.
    pub(super) fn hole(&self, caller: &Caller, what: &str, status: u16, text: &str) -> Option<String> {
        if status == 500 {
            return Some(format!("{what} as {}: an internal error: {}", caller.name, shortened(text)));
        }
        let may_read_bravo = [self.administrator.name, self.bystander.name].contains(&caller.name);
        let secrets = [OUTSIDE_SECRET, VARIABLE_SECRET, "root:x:0:0:"]
            .into_iter()
            .chain((!may_read_bravo).then_some(BRAVO_SECRET))
            .chain(self.callers().into_iter().filter_map(|caller| caller.token.as_deref()));
        let found = secrets.into_iter().find(|secret| text.contains(secret))?;
        Some(format!("{what} as {}: {status} with the secret `{}…`", caller.name, &found[..4]))
    }

    /// Everybody, with the fewest permissions last.
    pub(super) fn callers(&self) -> [&Caller; 6] {
        [&self.administrator, &self.bystander, &self.contributor, &self.viewer, &self.stranger, &self.anonymous]
    }

    /// Those who must not read `bravo`.
    pub(super) fn people_without_bravo(&self) -> [&Caller; 4] {
        [&self.contributor, &self.viewer, &self.stranger, &self.anonymous]
    }

    /// Gets a page with the caller's session.
    pub(super) async fn page(&self, caller: &Caller, path: &str) -> Answer {
        let cookie = caller.cookie.as_deref().unwrap_or("none=");
        let bytes =
            format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nCookie: {cookie}\r\n\r\n", self.host);
        exchange(&self.host, bytes.as_bytes()).await
    }

    /// Submits `alpha` as its contributor, with text added to the project file and with further files, runs steps and
    /// submits the original again. Gives what the run answered at its end, or the refusal of the submission.
    pub(super) async fn run_changed(&self, added: &str, files: &[(&str, &[u8])], steps: &[&str]) -> (u16, Value) {
        let _turn = self.alpha_submission.lock().await;
        let file = project::file(ALPHA) + added;
        let answer = match self.submit(&file, files).await {
            (200, _) => self.run_steps(steps).await,
            refused => refused,
        };
        let (status, restored) = self.submit(&project::file(ALPHA), &[]).await;
        assert_eq!(status, 200, "the original project file is refused: {restored}");
        answer
    }

    async fn submit(&self, file: &str, further: &[(&str, &[u8])]) -> (u16, Value) {
        let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        files.insert("perennial.toml".to_owned(), file.as_bytes().to_vec());
        files.insert("sql/features.sql".to_owned(), project::FEATURES.as_bytes().to_vec());
        for entry in std::fs::read_dir(self.alpha.path().join("data")).unwrap() {
            let entry = entry.unwrap();
            let name = format!("data/{}", entry.file_name().to_string_lossy());
            files.insert(name, std::fs::read(entry.path()).unwrap());
        }
        files.extend(further.iter().map(|(path, content)| ((*path).to_owned(), content.to_vec())));
        let mut listed = Vec::new();
        for (path, content) in &files {
            let blob = Blob { digest: BlobDigest::of(content), size_bytes: content.len() as u64 };
            self.upload(&blob.digest, content.clone()).await;
            listed.push(ManifestFile { path: path.parse().unwrap(), blob, is_executable: false });
        }
        self.submit_manifest(&Manifest::new(listed).unwrap().text()).await
    }

    /// Uploads content under its digest.
    pub(super) async fn upload(&self, digest: &BlobDigest, content: Vec<u8>) {
        let url = format!("{}/api/v1/projects/{ALPHA}/files/{digest}", self.server.address);
        let token = self.contributor.token.as_deref().unwrap();
        let answer = self.http.put(url).bearer_auth(token).body(content).send().await;
        assert!(answer.is_ok_and(|answer| answer.status().is_success()), "an upload is refused");
    }

    /// Submits the folder of a manifest, whose files were uploaded.
    pub(super) async fn submit_manifest(&self, manifest: &str) -> (u16, Value) {
        let digest = BlobDigest::of(manifest.as_bytes());
        self.upload(&digest, manifest.as_bytes().to_vec()).await;
        let path = format!("/api/v1/projects/{ALPHA}/submit");
        self.ask(&self.contributor, Method::POST, &path, Some(&json!({ "folder": digest.to_string() }))).await
    }

    async fn run_steps(&self, steps: &[&str]) -> (u16, Value) {
        let runs = format!("/api/v1/projects/{ALPHA}/pipeline-runs");
        let body = json!({ "kind": "run", "options": { "steps": steps } });
        let (status, run) = self.ask(&self.contributor, Method::POST, &runs, Some(&body)).await;
        let Some(id) = run["id"].as_str() else { return (status, run) };
        let (path, mut after) = (format!("{runs}/{id}"), 0);
        loop {
            let events = format!("{path}/events?after={after}&wait_ms=20000");
            let (status, page) = self.ask(&self.contributor, Method::GET, &events, None).await;
            if status != 200 {
                return (status, page);
            }
            if page["is_over"] == true {
                let (status, mut run) = self.ask(&self.contributor, Method::GET, &path, None).await;
                run["log"] = self.logs(&path, steps).await;
                return (status, run);
            }
            after = page["events"].as_array().and_then(|events| events.last()?["sequence"].as_i64()).unwrap_or(after);
        }
    }

    async fn logs(&self, run: &str, steps: &[&str]) -> Value {
        let mut logs = serde_json::Map::new();
        for step in steps {
            let (_, log) = self.ask(&self.contributor, Method::GET, &format!("{run}/steps/{step}/log"), None).await;
            logs.insert((*step).to_owned(), log);
        }
        Value::Object(logs)
    }

    /// The id of the server's process.
    pub(super) fn process(&self) -> u32 {
        self.server.child.id()
    }

    /// Whether the server's process is the one that was started and has not ended.
    pub(super) fn is_running(&self) -> bool {
        let status = std::fs::read_to_string(format!("/proc/{}/stat", self.process())).unwrap_or_default();
        status.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
    }

    /// What the attempts left: an ended server, a broken ledger, changed files, secrets in the log.
    pub(super) fn holes_at_the_end(&self) -> Vec<String> {
        let mut holes = Vec::new();
        if !self.is_running() {
            return vec![format!("the server has ended; its log ends with\n{}", last_lines(&self.server.log()))];
        }
        let path = format!("/v2/models/{BRAVO_ENDPOINT}/infer");
        let prediction = project::prediction();
        let predicted = self.ask(&self.bystander, Method::POST, &path, Some(&prediction));
        let (status, answer) = self.server.block_on(predicted);
        if status != 200 {
            holes.push(format!("the endpoint of bravo answers {status}: {answer}"));
        }
        for project in [&self.alpha, &project::place(BRAVO)] {
            let output = client(&self.server, project, &["verify"]).output().unwrap();
            if !output.status.success() {
                holes.push(format!("`verify` fails: {}{}", text(&output.stdout), text(&output.stderr)));
            }
        }
        let doctor = client(&self.server, &self.alpha, &["--json", "doctor"]).output().unwrap();
        let findings: Value = serde_json::from_slice(&doctor.stdout).unwrap_or_default();
        let wrong = findings.as_array().into_iter().flatten().filter(|finding| finding["state"] == "wrong");
        holes.extend(wrong.map(|finding| format!("`doctor` finds {finding}")));
        let now = files(self.place.folder.path());
        for (path, content) in &now {
            if self.files_beside.get(path) != Some(content) {
                holes.push(format!("the file `{path}` outside the data folder was written"));
            }
        }
        holes.extend(
            self.files_beside.keys().filter(|path| !now.contains_key(*path)).map(|path| format!("`{path}` is gone")),
        );
        holes.extend(self.hole(&self.contributor, "the server's log", 0, &self.server.log()));
        if self.server.log().contains('\u{1b}') {
            holes.push("a control sequence is in the server's log".to_owned());
        }
        holes
    }
}

/// The command that starts the server: its home, its temporary files and everything it could write are below one folder.
fn command(place: &Place, listener: &Listener, limit: Option<&MemoryLimit>) -> Command {
    let mut command = perennial(&place.path(), &["up", "--port", "0"]);
    if let Some(limit) = limit {
        command = limit.wrap(&command);
    }
    command
        .env("HOME", place.folder.path().join("home"))
        .env("TMPDIR", place.folder.path().join("tmp"))
        .env("PERENNIAL_ATTACK_SECRET", VARIABLE_SECRET)
        .env("AWS_ENDPOINT_URL", format!("http://{}", listener.address))
        .env("AWS_ALLOW_HTTP", "true")
        .env("AWS_ACCESS_KEY_ID", "key")
        .env("AWS_SECRET_ACCESS_KEY", VARIABLE_SECRET)
        .env("AWS_REGION", "us-east-1");
    command
}

/// A command of the administrator against a server.
fn client(server: &Server, place: &Place, args: &[&str]) -> Command {
    let mut command = place.command(args);
    command.env("PERENNIAL_SERVER", &server.address).env("PERENNIAL_TOKEN", &server.token);
    command
}

fn token(server: &Server, name: &str, role: &str, project: &str) -> String {
    let name = name.replace(' ', "-");
    let made = server.post("/api/v1/tokens", &json!({ "name": name, "role": role, "project": project }));
    made["secret"].as_str().unwrap().to_owned()
}

/// Signs in to the console; gives the cookie.
async fn session(host: &str, token: &str) -> String {
    let form = format!("token={token}&next=/");
    let bytes = format!(
        "POST /login HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {}\r\n\r\n{form}",
        form.len()
    );
    let answer = exchange(host, bytes.as_bytes()).await;
    let cookie = answer.header("set-cookie").and_then(|cookie| cookie.split(';').next());
    cookie.unwrap_or_else(|| panic!("no session: {answer:?}")).to_owned()
}

/// An id of a project for each parameter of the routes.
fn ids(server: &Server, project: &str) -> Ids {
    let base = format!("/api/v1/projects/{project}");
    let first = |list: &str, field: &str| match server.list(&format!("{base}/{list}")).first() {
        Some(item) => item[field].as_str().map_or_else(|| item[field].to_string(), str::to_owned),
        None => "0".repeat(32),
    };
    let decision = first("decisions", "id");
    let evidence = server.get(&format!("{base}/decisions/{decision}"))["evidence_id"].as_str().map(str::to_owned);
    let run = server.get(&format!("{base}/pipeline-runs/{}", first("pipeline-runs", "id")));
    let tracked = run["steps"].as_array().unwrap().iter().find_map(|step| step["run_id"].as_str());
    let tracked = tracked.unwrap_or("00000000000000000000000000000000").to_owned();
    let found = server.get(&format!("/api/2.0/mlflow/runs/get?run_id={tracked}"));
    let experiment = found["run"]["info"]["experiment_id"].as_str().unwrap().to_owned();
    let evidence = evidence.unwrap_or_else(|| "0".repeat(32));
    BTreeMap::from([
        ("project", project.to_owned()),
        ("dataset", "orders".to_owned()),
        ("name", format!("{project}_hours")),
        ("monitor", format!("{project}_hours")),
        ("model", project.to_owned()),
        ("number", "1".to_owned()),
        ("version", "1".to_owned()),
        ("step", "train".to_owned()),
        ("kind", "model".to_owned()),
        ("sequence", "1".to_owned()),
        ("id", run["id"].as_str().unwrap().to_owned()),
        ("load", first("datasets/orders/loads", "id")),
        ("digest", first("releases", "digest")),
        ("decision", decision),
        ("evidence", evidence),
        ("plot", "residuals".to_owned()),
        ("run", tracked),
        ("experiment", experiment),
        ("file", "model.onnx".to_owned()),
        ("hash", "0".repeat(16)),
        ("link", "0".repeat(32)),
    ])
}

/// The files beside the data folder with their content; folders with an empty one.
fn files(folder: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(current) = open.pop() {
        for entry in std::fs::read_dir(&current).into_iter().flatten().flatten() {
            let path = entry.path();
            let name = path.strip_prefix(folder).unwrap().to_string_lossy().into_owned();
            if name == "project/.perennial" {
                continue;
            }
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                open.push(path);
                found.insert(name, String::new());
            } else {
                found.insert(name, text(&std::fs::read(&path).unwrap_or_default()));
            }
        }
    }
    found
}

/// The first characters of a text.
pub(super) fn shortened(text: &str) -> String {
    text.chars().take(300).collect()
}

fn last_lines(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}
