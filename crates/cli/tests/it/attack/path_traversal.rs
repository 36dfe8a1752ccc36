//! Paths that lead elsewhere: in parameters of routes, in names of artifacts, in manifests and project files.

use perennial_core::blob::BlobDigest;
use reqwest::Method;
use serde_json::json;

use super::attempt::{Kind, Outcome, kind};
use super::project::{self, ALPHA};
use super::target::{Target, shortened};
use crate::chance::Chance;

pub(super) const KINDS: &[Kind] = &[
    kind!("paths in parameters of routes", parameters),
    kind!("paths of artifacts", artifacts),
    kind!("paths in manifests", manifests),
    kind!("paths in project files", project_files),
];

/// Attempts at each parameter of each route.
const TRICKS_A_PARAMETER: usize = 4;

/// Encoded paths, as they stand in the target of a request.
const TRICKS: [&str; 24] = [
    "..",
    "%2e%2e",
    "../../../../etc/passwd",
    "..%2f..%2f..%2f..%2f..%2f..%2f..%2fetc%2fpasswd",
    "%2e%2e%2f%2e%2e%2f%2e%2e%2f%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "%252e%252e%252f%252e%252e%252fetc%252fpasswd",
    "%25252e%25252e%25252fetc%25252fpasswd",
    "..%5c..%5c..%5cetc%5cpasswd",
    "%2fetc%2fpasswd",
    "/etc/passwd",
    "file:%2f%2f%2fetc%2fpasswd",
    "....%2f%2f....%2f%2fetc%2fpasswd",
    "..;%2fetc%2fpasswd",
    "%c0%ae%c0%ae%c0%af%c0%ae%c0%ae%c0%afetc%c0%afpasswd",
    "%ef%bc%8e%ef%bc%8e%ef%bc%8fetc%ef%bc%8fpasswd",
    "%00",
    "model.onnx%00.txt",
    "%ff%fe",
    "%2e%2fserver.json",
    "..%2fserver.json",
    "..%2f..%2foutside%2fsecret.csv",
    "..%2f..%2f..%2foutside%2fsecret.csv",
    "C:%5cWindows%5cwin.ini",
    "%e2%80%aegpj.%2f..",
];

async fn parameters(target: &Target, mut chance: Chance) -> Outcome {
    let mut outcome = Outcome::default();
    let long = "a".repeat(9_000);
    for route in &target.routes {
        let filled = route.fill_ids(&target.alpha_ids);
        for parameter in route.parameters() {
            for trick in 0..TRICKS_A_PARAMETER {
                let path = if trick == 0 && chance.below(4) == 0 { &*long } else { chance.choose(&TRICKS) };
                let marked = route.path.replace(&format!("{{{parameter}}}"), "\u{1}");
                let marked = super::routes::Route { path: marked, method: route.method.clone() };
                let tricked = marked.fill_ids(&target.alpha_ids).replace('\u{1}', path);
                debug_assert_ne!(tricked, filled);
                let caller = *chance.choose(&[&target.contributor, &target.administrator]);
                let answer = target.send(caller, &route.method, &tricked, b"").await;
                let what = format!("{} {}", route.method, shortened(&tricked));
                outcome.add(target.hole(caller, &what, answer.status, &answer.body).or_else(|| {
                    // An unknown link shows the form; an empty list and a path that ends at another route reveal nothing.
                    let is_answered = (200..300).contains(&answer.status)
                        && answer.body.trim() != "{}"
                        && !(path.contains("..") || path.starts_with('/') || route.path.starts_with("/login/"));
                    is_answered.then(|| format!("{what} is answered {}: {}", answer.status, shortened(&answer.body)))
                }));
            }
        }
    }
    outcome
}

async fn artifacts(target: &Target, _: Chance) -> Outcome {
    let mut outcome = Outcome::default();
    let body = json!({ "experiment_id": target.alpha_ids["experiment"] });
    let path = "/api/2.0/mlflow/runs/create";
    let (_, run) = target.ask(&target.contributor, Method::POST, path, Some(&body)).await;
    let run = run["run"]["info"]["run_id"].as_str().unwrap_or(&target.alpha_ids["run"]).to_owned();
    let folder = format!("/api/2.0/mlflow-artifacts/artifacts/{}/{run}/artifacts", target.alpha_ids["experiment"]);
    for trick in TRICKS {
        for (method, path, body) in [
            ("PUT", format!("{folder}/{trick}"), &b"written by alpha"[..]),
            ("GET", format!("{folder}/{trick}"), b""),
            ("DELETE", format!("{folder}/{trick}"), b""),
            ("GET", format!("/api/2.0/mlflow/artifacts/list?run_id={run}&path={trick}"), b""),
            ("GET", format!("/api/2.0/mlflow-artifacts/artifacts?path={trick}"), b""),
        ] {
            let answer = target.send(&target.contributor, method, &path, body).await;
            let what = format!("{method} {path}");
            // `file:///…` and names with other characters are names of a file in the folder, or refused.
            let climbs = ["../", "..%2f", "..%5c", "%2e%2e", "%25"].iter().any(|start| trick.starts_with(start));
            outcome.add(target.hole(&target.contributor, &what, answer.status, &answer.body).or_else(|| {
                let is_written = method == "PUT" && answer.status == 200 && climbs;
                is_written.then(|| format!("{what} is accepted"))
            }));
        }
    }
    outcome
}

/// A folder whose manifest names a path is refused.
async fn manifests(target: &Target, mut chance: Chance) -> Outcome {
    let mut outcome = Outcome::default();
    let file = project::file(ALPHA);
    let digest = BlobDigest::of(file.as_bytes());
    target.upload(&digest, file.clone().into_bytes()).await;
    let line = |path: &str| format!("{digest} {} - {path}\n", file.len());
    for path in [
        "../outside.csv",
        "/etc/outside.csv",
        "data/../../outside.csv",
        "data\\..\\..\\outside.csv",
        "data//a.csv",
        "./a.csv",
        "data/.",
        "..",
        "a\0b.csv",
        "a\rb.csv",
        ".perennial/server.json",
        "C:\\outside.csv",
    ] {
        let text = format!("perennial manifest 1\n{}{}", line(path), line("perennial.toml"));
        let (status, answer) = target.submit_manifest(&text).await;
        outcome.expect((400..500).contains(&status), || {
            format!("a manifest with `{path}` is answered {status}: {answer}")
        });
    }
    // Two files at one path, a file where another needs a folder, a size that is not the content's.
    let wrong_size = format!("{digest} {} - perennial.toml\n", chance.below(file.len() as u64));
    for lines in [
        line("perennial.toml").repeat(2),
        line("perennial.toml") + &line("perennial.toml/a"),
        line("PERENNIAL.toml") + &line("perennial.toml"),
        wrong_size,
    ] {
        let (status, answer) = target.submit_manifest(&format!("perennial manifest 1\n{lines}")).await;
        outcome
            .expect((400..500).contains(&status), || format!("a manifest of {lines} is answered {status}: {answer}"));
    }
    outcome
}

/// A project file that names a path outside its folder is refused.
async fn project_files(target: &Target, mut chance: Chance) -> Outcome {
    let mut outcome = Outcome::default();
    let paths = [
        "../../outside/secret.csv",
        "/etc/passwd",
        "data/../../outside/secret.csv",
        "../../../outside/*.csv",
        "file:///etc/passwd",
        "~/secret.csv",
        ".perennial/metadata.sqlite",
        "a\\..\\..\\secret.csv",
    ];
    let path = *chance.choose(&paths);
    for added in [
        format!("\n[datasets.foreign]\nsource = {{ files = '{path}' }}\nmode = \"replace\"\n"),
        format!("\n[steps.foreign]\nsql = '{path}'\n"),
        format!(
            "\n[steps.foreign]\nrun = \"cat a\"\ncode = ['{path}']\nenv = \"system\"\noutputs = {{ a = {{ path = \"a\" }} }}\n"
        ),
        format!("\n[steps.foreign]\nrun = \"cat a\"\nenv = \"uv:{path}\"\noutputs = {{ a = {{ path = \"a\" }} }}\n"),
        format!("\n[steps.foreign]\nrun = \"cp a b\"\nenv = \"system\"\noutputs = {{ a = {{ path = '{path}' }} }}\n"),
    ] {
        let (status, answer) = target.run_changed(&added, &[], &[]).await;
        let text = answer.to_string();
        outcome.add(target.hole(&target.contributor, &added, status, &text).or_else(|| {
            (answer["state"] == "succeeded" && !path.starts_with(['~', '.'])).then(|| format!("{added} is run: {text}"))
        }));
        let query = json!({ "sql": "SELECT * FROM foreign" });
        let at = format!("/api/v1/projects/{ALPHA}/query");
        let (status, answer) = target.ask(&target.contributor, Method::POST, &at, Some(&query)).await;
        outcome.add(target.hole(&target.contributor, &added, status, &answer.to_string()));
    }
    outcome
}
