//! A team's server, and projects whose files are on other machines.

use std::path::Path;
use std::process::{Command, Output};

use perennial_core::blob::{Blob, BlobDigest, Manifest, ManifestFile};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Place, Server, text};

/// A server over an empty folder.
struct Team {
    server: Server,
    place: Place,
}

impl Team {
    fn start() -> Self {
        let place = Place { folder: tempfile::tempdir().unwrap() };
        std::fs::create_dir(place.path()).unwrap();
        Self { server: Server::up(&place, &[]), place }
    }

    fn token(&self, name: &str, role: &str) -> String {
        let made = self.server.post("/api/v1/tokens", &json!({ "name": name, "role": role }));
        made["secret"].as_str().unwrap().to_owned()
    }

    fn command(&self, place: &Place, args: &[&str], token: &str) -> Command {
        let mut command = place.command(args);
        command.env("PERENNIAL_SERVER", &self.server.address).env("PERENNIAL_TOKEN", token);
        command
    }

    fn run(&self, place: &Place, args: &[&str]) -> Output {
        self.command(place, args, &self.server.token).output().unwrap()
    }

    fn good(&self, place: &Place, args: &[&str]) -> String {
        let output = self.run(place, args);
        assert!(output.status.success(), "perennial {args:?}\n{}\n{}", text(&output.stdout), text(&output.stderr));
        text(&output.stdout)
    }

    fn refused(&self, place: &Place, args: &[&str], words: &[&str]) {
        assert_refused(&self.run(place, args), words);
    }

    /// Uploads bytes under a name.
    fn put(&self, project: &str, name: &str, bytes: &[u8]) -> (StatusCode, Value) {
        let url = format!("{}/api/v1/projects/{project}/files/{name}", self.server.address);
        let request = self.server.http().put(url).bearer_auth(&self.server.token).body(bytes.to_vec());
        self.server.block_on(async {
            let answer = request.send().await.unwrap();
            (answer.status(), answer.json().await.unwrap())
        })
    }

    /// Submits a folder with a manifest, which may be wrong.
    fn submit(&self, project: &str, manifest: &str) -> (StatusCode, Value) {
        let digest = BlobDigest::of(manifest.as_bytes()).to_string();
        assert_eq!(self.put(project, &digest, manifest.as_bytes()).0, StatusCode::OK);
        let path = format!("/api/v1/projects/{project}/submit");
        self.server.ask(Method::POST, &path, Some(&json!({ "folder": digest })))
    }
}

fn assert_refused(output: &Output, words: &[&str]) {
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    for word in words {
        assert!(errors.contains(word), "`{word}` in: {errors}");
    }
}

fn ten_days() -> Place {
    let place = Place::example("weather");
    place.keep_only("data/observations", |name| name < "2013-04-18");
    place
}

/// Every dataset with the digest of its latest version.
fn digests(list: &Value) -> Vec<(String, String)> {
    let rows = list["items"].as_array().unwrap().iter();
    let mut digests: Vec<_> =
        rows.map(|row| (row["name"].to_string(), row.pointer("/version/digest").unwrap().to_string())).collect();
    digests.sort();
    digests
}

#[test]
fn a_server_runs_a_project_whose_files_are_uploaded() {
    let (team, client, alone) = (Team::start(), ten_days(), ten_days());
    team.refused(&client, &["data", "list"], &["warming", "perennial run"]);
    assert!(team.good(&client, &["check"]).contains("is valid"));
    team.refused(&client, &["models"], &["warming"]);

    team.good(&client, &["run", "features"]);
    alone.good(&["run", "features"]);
    let listed: Value = serde_json::from_str(&team.good(&client, &["--json", "data", "list"])).unwrap();
    assert_eq!(
        digests(&listed),
        digests(&alone.json(&["data", "list"])),
        "the rows differ from those of an embedded server"
    );
    assert!(team.good(&client, &["run", "features"]).contains("nothing to do"));
    assert!(team.good(&client, &["why", "features"]).contains("up to date"));
    let mut own: Vec<_> =
        std::fs::read_dir(team.place.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    own.retain(|name| name != ".perennial");
    assert!(own.is_empty(), "files were written to the server's own folder: {own:?}");

    // A new file becomes one more load; the rows of a deleted file stay.
    let next = "data/observations/2013-04-18.csv";
    std::fs::write(client.path().join(next), new_day(&client)).unwrap();
    std::fs::remove_file(client.path().join("data/observations/2013-04-08.csv")).unwrap();
    team.good(&client, &["run", "features"]);
    let loads: Value = serde_json::from_str(&team.good(&client, &["--json", "data", "show", "observations"])).unwrap();
    let paths: Vec<&str> =
        loads["loads"]["items"].as_array().unwrap().iter().filter_map(|load| load["source_path"].as_str()).collect();
    assert_eq!(paths.len(), 11, "{paths:?}");
    assert!(paths.contains(&next) && paths.contains(&"data/observations/2013-04-08.csv"), "{paths:?}");

    // Changed content of a loaded file is refused, as on an embedded server.
    client.edit("data/observations/2013-04-09.csv", "EWR", "LGA");
    team.refused(&client, &["run", "features"], &["data/observations/2013-04-09.csv", "on_change"]);
}

/// The file of the next day: that of the last day, one day later.
fn new_day(place: &Place) -> String {
    let last = std::fs::read_to_string(place.path().join("data/observations/2013-04-17.csv")).unwrap();
    last.replace("2013-04-18", "2013-04-19").replace("2013-04-17", "2013-04-18")
}

#[test]
fn reading_commands_submit_nothing_and_work_with_a_wrong_project_file() {
    let (team, client) = (Team::start(), ten_days());
    team.good(&client, &["run", "features"]);
    let before = team.server.get("/api/v1/projects/warming")["file_digest"].clone();
    let (sql, other) = ("SELECT", "-- a comment\nSELECT");
    client.edit("sql/features.sql", sql, other);
    assert!(team.good(&client, &["why", "features"]).contains("sql changed"));
    assert!(team.good(&client, &["run", "features", "--dry-run"]).contains("would run"));
    assert_eq!(team.server.get("/api/v1/projects/warming")["file_digest"], before);
    client.edit("sql/features.sql", other, sql);
    client.edit("perennial.toml", "[gates]", "[gaits]");
    for verb in ["models", "endpoints", "monitors", "alerts", "runs", "ledger", "clock", "verify"] {
        team.good(&client, &[verb]);
    }
    team.good(&client, &["data", "list"]);
    team.refused(&client, &["check"], &["gaits", "gates"]);
    team.refused(&client, &["run"], &["gaits", "gates"]);
    assert_eq!(team.server.get("/api/v1/projects/warming")["file_digest"], before);

    let elsewhere = Place { folder: tempfile::tempdir().unwrap() };
    std::fs::create_dir(elsewhere.path()).unwrap();
    assert!(
        team.good(&elsewhere, &["data", "list"]).contains("observations"),
        "the only project of the server is used"
    );
    team.refused(&elsewhere, &["run"], &["perennial.toml", "-C DIR"]);
    let other = Place::with_file("[project]\nname = \"other\"\ngoal = \"to be another\"\n");
    team.good(&other, &["run"]);
    team.refused(&elsewhere, &["data", "list"], &["several projects", "-C DIR", "other", "warming"]);
    let verified = team.good(&elsewhere, &["verify"]);
    assert!(verified.contains("of `other` is intact") && verified.contains("of `warming` is intact"), "{verified}");
    assert!(!team.run(&client, &["backup", "copy"]).status.success());
    assert!(!client.path().join("copy").exists());
}

#[test]
fn a_viewer_can_read_and_cannot_submit() {
    let (team, client) = (Team::start(), ten_days());
    let viewer = team.token("guest", "viewer");
    let as_viewer = |args: &[&str]| team.command(&client, args, &viewer).output().unwrap();
    assert_refused(&as_viewer(&["run", "features"]), &["lacks the permission `manage`"]);
    assert_eq!(team.server.ask(Method::GET, "/api/v1/projects/warming", None).0, StatusCode::NOT_FOUND);
    team.good(&client, &["run", "features"]);
    assert_refused(&as_viewer(&["run", "features"]), &["lacks the permission `write`"]);
    assert_refused(&as_viewer(&["why", "features"]), &["lacks the permission `write`"]);
    assert!(as_viewer(&["data", "list"]).status.success());
    let wrong = team.command(&client, &["run"], "prn_unknown").output().unwrap();
    assert_refused(&wrong, &["token"]);
}

#[test]
fn a_token_for_one_project_is_created_listed_and_revoked() {
    let (team, client) = (Team::start(), ten_days());
    team.good(&client, &["run", "features"]);
    team.refused(&client, &["tokens", "create", "ci", "--on", "elsewhere"], &["elsewhere"]);
    let made: Value = serde_json::from_str(
        &team.good(&client, &["tokens", "create", "ci", "--role", "contributor", "--on", "warming", "--json"]),
    )
    .unwrap();
    let (id, secret) = (made["id"].as_str().unwrap(), made["secret"].as_str().unwrap());
    let as_ci = |args: &[&str]| team.command(&client, args, secret).output().unwrap();
    assert!(as_ci(&["run", "features"]).status.success());
    client.edit("perennial.toml", "0.97", "2.0");
    assert_refused(
        &as_ci(&["run", "features"]),
        &["lacks the permission `approve`", "[gates]", "the token of an approver"],
    );
    client.edit("perennial.toml", "2.0", "0.97");
    assert_refused(&as_ci(&["tokens", "list"]), &["lacks the permission `manage`"]);
    let listed = team.good(&client, &["tokens", "list"]);
    assert!(
        listed
            .lines()
            .any(|line| line.starts_with(id) && line.contains("  ci ") && line.contains("contributor  warming")),
        "{listed}"
    );
    team.good(&client, &["tokens", "revoke", id]);
    assert!(!team.good(&client, &["tokens", "list"]).contains(id));
    assert_refused(&as_ci(&["data", "list"]), &["token"]);
}

#[test]
fn a_person_holds_several_roles_that_are_granted_and_revoked_one_by_one() {
    let (team, client) = (Team::start(), ten_days());
    team.good(&client, &["run", "features"]);
    let secret = team.good(&client, &["tokens", "create", "ada"]);
    let as_ada = |args: &[&str]| team.command(&client, args, secret.trim()).output().unwrap();
    assert_refused(&as_ada(&["run", "features"]), &["lacks the permission `write`"]);
    let role = ["ada", "--role", "contributor", "--on", "warming"];
    let granted = team.good(&client, &[&["principals", "grant"], &role[..]].concat());
    assert!(granted.contains("`ada` is contributor on project `warming`"), "{granted}");
    assert!(as_ada(&["run", "features"]).status.success());
    let listed = team.good(&client, &["principals", "list"]);
    assert_eq!(listed.lines().filter(|line| line.starts_with("ada ")).count(), 2, "{listed}");
    team.good(&client, &[&["principals", "revoke"], &role[..]].concat());
    assert_refused(&as_ada(&["run", "features"]), &["lacks the permission `write`"]);
    assert!(as_ada(&["data", "list"]).status.success());
}

#[test]
fn uploads_are_verified_by_content_and_paths_are_validated() {
    let (team, client) = (Team::start(), ten_days());
    team.good(&client, &["run", "features"]);
    let outside = team.place.folder.path().join("outside.csv");

    let claimed = BlobDigest::of(b"promised content").to_string();
    let (status, answer) = team.put("warming", &claimed, b"other content");
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(answer["error"]["message"].as_str().unwrap().contains(&claimed), "{answer}");
    let asked = json!({ "digests": [claimed, BlobDigest::of(b"other content")] });
    let missing = team.server.post("/api/v1/projects/warming/files/missing", &asked);
    assert_eq!(missing["digests"].as_array().unwrap().len(), 2, "neither content is stored: {missing}");

    let file = std::fs::read(client.path().join("perennial.toml")).unwrap();
    let digest = BlobDigest::of(&file);
    assert_eq!(team.put("warming", &digest.to_string(), &file).0, StatusCode::OK);
    for path in ["../outside.csv", "/etc/outside.csv", "data/../../outside.csv", "data\\..\\outside.csv", "data//a.csv"]
    {
        let line = |path: &str| format!("{digest} {} - {path}", file.len());
        let manifest = format!("perennial manifest 1\n{}\n{}\n", line(path), line("perennial.toml"));
        let (status, answer) = team.submit("warming", &manifest);
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path}: {answer}");
        assert!(answer["error"]["message"].as_str().unwrap().contains("is refused"), "{path}: {answer}");
    }
    assert!(!outside.exists() && !Path::new("/etc/outside.csv").exists());
    assert_eq!(team.put("warming", "..%2F..%2Foutside", &file).0, StatusCode::BAD_REQUEST);

    // A source outside the folder is a mistake in the project file, on a team's server too.
    let climbing = Place::with_file(
        "[project]\nname = \"climbing\"\ngoal = \"up\"\n\n[datasets.a]\nsource = { files = \"../*.csv\" }\nmode = \"append\"\n",
    );
    team.refused(&climbing, &["run"], &["../*.csv"]);

    let unsent = listed("perennial.toml", b"never sent").text();
    let (status, answer) = team.submit("warming", &unsent);
    assert_eq!(status, StatusCode::NOT_FOUND, "{answer}");
    assert!(answer["error"]["message"].as_str().unwrap().contains("was not uploaded"), "{answer}");
    let (status, answer) = team.submit("warming", &listed("a.csv", &file).text());
    assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
    assert!(answer["error"]["message"].as_str().unwrap().contains("perennial.toml"), "{answer}");
    assert!(team.good(&client, &["run", "features"]).contains("nothing to do"), "the project has changed");
}

fn listed(path: &str, content: &[u8]) -> Manifest {
    let blob = Blob { digest: BlobDigest::of(content), size_bytes: content.len() as u64 };
    Manifest::new(vec![ManifestFile { path: path.parse().unwrap(), blob, is_executable: false }]).unwrap()
}
