//! Secrets in logs, pages and answers, and what the code of a step can read of the server.

use std::future::{Ready, ready};

use reqwest::Method;
use serde_json::{Value, json};

use super::attempt::{Kind, Outcome, kind};
use super::project::ALPHA;
use super::target::{Target, shortened};
use crate::chance::Chance;

pub(super) const KINDS: &[Kind] = &[
    kind!("code of a step that reads the server's files", step_reads),
    kind!("code of a step that sends requests", step_requests),
    kind!("steps that ask for no isolation", step_without_isolation),
    kind!("tokens in URLs and logs", logs),
    kind!("secrets in answers of every route", answers),
    kind!("modes of the files of the data folder", modes),
];

/// Runs a script as a step of `alpha`; gives its log.
pub(super) async fn run_script(target: &Target, script: &str) -> String {
    run_step(target, script, "").await
}

async fn run_step(target: &Target, script: &str, further: &str) -> String {
    let added = format!(
        "\n[steps.hostile]\nrun = \"sh hostile.sh\"\ncode = [\"hostile.sh\"]\nenv = \"system\"\n\
         limits = {{ time = \"1 minute\", memory = \"200 MB\" }}\noutputs = {{ out = {{ path = \"out\" }} }}\n{further}"
    );
    let script = format!("echo started\n{script}\necho done > out\n");
    let (status, run) = target.run_changed(&added, &[("hostile.sh", script.as_bytes())], &["hostile"]).await;
    format!("{status} {run}")
}

/// A project file that asks for no isolation does not get it.
async fn step_without_isolation(target: &Target, _: Chance) -> Outcome {
    let mut outcome = Outcome::default();
    let folder = target.place.folder.path().display().to_string();
    let script = format!("cat {folder}/outside/secret.csv {folder}/project/.perennial/server.json; env");
    let log = run_step(target, &script, "isolation = \"none\"\n").await;
    outcome.add(target.hole(&target.contributor, "a step without isolation", 200, &log));
    outcome.expect(!log.contains("\"pid\":") && !log.contains("\"succeeded\""), || {
        format!("a step runs without isolation: {log}")
    });
    outcome
}

/// The files of the server, of other projects and of its process; a step's answer contains no secret of them.
async fn step_reads(target: &Target, _: Chance) -> Outcome {
    let mut outcome = Outcome::default();
    let data = target.place.path().join(".perennial").display().to_string();
    let outside = target.place.folder.path().join("outside").display().to_string();
    let process = target.process();
    for script in [
        format!("cat {data}/server.json; ls -la {data}; cat {data}/metadata.sqlite | head -c 100000"),
        format!("cat {outside}/secret.csv; echo written > {outside}/written; ls {outside}"),
        format!("cat /proc/{process}/environ /proc/{process}/cmdline /proc/{process}/maps"),
        "cat /proc/self/environ /proc/$PPID/environ; env".to_owned(),
        format!(
            "ls -la /proc/{process}/fd /proc/{process}/cwd/ /proc/{process}/root/; cat /proc/{process}/cwd/.perennial/server.json"
        ),
        format!("grep -ral bravo {data}/blobs {data}/tables; cat {data}/tables/*/*/*.parquet | head -c 100000"),
        format!("ln -s {data}/server.json out; cat out; rm out"),
        format!("kill -9 {process}; kill -STOP {process}"),
        format!("unshare -r cat {data}/server.json; chroot {data} cat server.json; cd {data} && cat server.json"),
    ] {
        let log = run_script(target, &script).await;
        outcome.add(target.hole(&target.contributor, &script, 200, &log));
        for part in ["\"pid\":", "SQLite format", "AWS_SECRET_ACCESS_KEY", "PERENNIAL_ATTACK_SECRET"] {
            outcome.expect(!log.contains(part), || format!("`{script}` prints `{part}`: {}", shortened(&log)));
        }
    }
    outcome.expect(target.is_running(), || "a step has ended the server".to_owned());
    outcome
}

/// Code of a step asks the server: its token reads its project alone, and other processes answer it nothing.
async fn step_requests(target: &Target, _: Chance) -> Outcome {
    let mut outcome = Outcome::default();
    let (address, data) = (&target.server.address, target.place.path().join(".perennial").display().to_string());
    for path in
        ["/api/v1/projects/bravo/datasets", "/api/v1/tokens", "/api/v1/projects/alpha/pipeline-runs", "/api/v1/backup"]
    {
        let script = format!(
            "curl -s -m 5 -X POST -H \"Authorization: Bearer $MLFLOW_TRACKING_TOKEN\" -d '{{\"kind\":\"run\"}}' {address}{path}\n\
             curl -s -m 5 -H \"Authorization: Bearer $MLFLOW_TRACKING_TOKEN\" {address}{path}"
        );
        let log = run_script(target, &script).await;
        outcome.add(target.hole(&target.contributor, path, 200, &log));
    }
    let script = format!("curl -s -m 5 --unix-socket {data}/server.sock http://localhost/api/v1/tokens");
    let log = run_script(target, &script).await;
    outcome.add(target.hole(&target.contributor, "the socket of the server", 200, &log));
    outcome
}

/// A token in the target of a request, a header or a form is refused or used, and never logged. The end of the attempts
/// compares the server's log with every token.
async fn logs(target: &Target, _: Chance) -> Outcome {
    let mut outcome = Outcome::default();
    for caller in target.callers() {
        let Some(token) = &caller.token else { continue };
        for path in [
            format!("/api/v1/projects?token={token}"),
            format!("/api/v1/projects?access_token={token}"),
            format!("/api/v1/projects/{token}"),
            format!("/login/{token}"),
            format!("/{token}"),
            format!("/p/{ALPHA}?next={token}"),
        ] {
            let answer = target.send(&target.anonymous, "GET", &path, b"").await;
            outcome.expect(answer.status != 200 || path.starts_with("/login/"), || {
                format!("a token in {} is used", &path[..20])
            });
        }
        let body = format!("{{\"sql\":\"SELECT '{token}' FROM nowhere\"}}");
        target.send(caller, "POST", &format!("/api/v1/projects/{ALPHA}/query"), body.as_bytes()).await;
    }
    let log = target.server.log();
    outcome.add(target.hole(&target.anonymous, "the server's log", 0, &log));
    outcome
}

/// Everybody reads every route of the own project; no answer contains a secret, and none a path of this machine.
async fn answers(target: &Target, _: Chance) -> Outcome {
    let mut outcome = Outcome::default();
    let folder = target.place.folder.path().display().to_string();
    for route in target.routes.iter().filter(|route| route.method == "GET") {
        let path = route.fill_ids(&target.alpha_ids);
        for caller in [&target.contributor, &target.viewer] {
            let answer = if route.is_page() {
                target.page(caller, &path).await
            } else {
                target.send(caller, "GET", &path, b"").await
            };
            outcome.add(target.hole(caller, &path, answer.status, &answer.body));
            outcome.expect(!answer.body.contains(&folder), || {
                format!("{path} names a folder of the server: {}", shortened(&answer.body))
            });
            let names_version = answer.header("server").is_some_and(|value| !value.is_empty());
            outcome.expect(!names_version, || format!("{path} names the server's software"));
        }
    }
    let failing: [(&str, Value); 3] = [
        ("query", json!({ "sql": "SELECT * FROM orders WHERE kind = 1 / 0" })),
        ("query", json!({ "sql": "SELECT nowhere FROM orders" })),
        ("plan", json!({ "folder": "0".repeat(64) })),
    ];
    for (call, body) in failing {
        let path = format!("/api/v1/projects/{ALPHA}/{call}");
        let (status, answer) = target.ask(&target.contributor, Method::POST, &path, Some(&body)).await;
        let text = answer.to_string();
        outcome.add(target.hole(&target.contributor, &path, status, &text));
        outcome.expect(!text.contains(&folder), || format!("{path} {body} names a folder of the server: {text}"));
    }
    outcome
}

/// The data folder and everything in it belong to its owner alone.
fn modes(target: &Target, _: Chance) -> Ready<Outcome> {
    use std::os::unix::fs::PermissionsExt;
    let mut outcome = Outcome::default();
    let data = target.place.path().join(".perennial");
    let is_private = |path: &std::path::Path| {
        std::fs::symlink_metadata(path)
            .is_ok_and(|found| found.is_symlink() || found.permissions().mode().trailing_zeros() >= 6)
    };
    outcome.expect(is_private(&data), || "others may enter the data folder".to_owned());
    for entry in
        std::fs::read_dir(&data).unwrap().flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()))
    {
        let path = entry.path();
        outcome.expect(is_private(&path) || !path.exists(), || format!("others may read {}", path.display()));
    }
    ready(outcome)
}
