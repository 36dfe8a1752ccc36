//! Uploaded files that other systems execute when they open them: pickles, archives, YAML with constructors, models.

use reqwest::Method;
use serde_json::json;

use super::attempt::{Kind, Outcome, kind};
use super::onnx;
use super::target::{Target, shortened};
use crate::chance::Chance;

pub(super) const KINDS: &[Kind] = &[
    kind!("pickles, archives and YAML as artifacts", artifacts),
    kind!("pickles as models", pickles),
    kind!("ONNX files that read files", external_data),
];

/// Bytes that execute a command where something unpickles, unpacks or constructs them.
fn payloads(target: &Target) -> Vec<(&'static str, Vec<u8>)> {
    let marker = target.place.folder.path().join("outside/executed").display().to_string();
    vec![
        ("model.pkl", format!("cposix\nsystem\n(S'touch {marker}'\ntR.").into_bytes()),
        ("MLmodel", format!("flavors: !!python/object/apply:os.system ['touch {marker}']\n").into_bytes()),
        ("conda.yaml", format!("name: !!python/object/new:os.system [touch {marker}]\n").into_bytes()),
        ("bomb.yaml", b"a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\n".to_vec()),
        ("page.html", b"<script>fetch('/api/v1/tokens')</script>".to_vec()),
        ("picture.svg", b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>".to_vec()),
        ("link.tar", tar_with_link()),
    ]
}

/// An archive whose only entry is a link to a file outside.
fn tar_with_link() -> Vec<u8> {
    let mut block = vec![0_u8; 1_536];
    block[..4].copy_from_slice(b"link");
    block[156] = b'2';
    block[157..170].copy_from_slice(b"../../../etc/");
    block
}

/// Artifacts are returned byte by byte, as a download that no browser shows.
async fn artifacts(target: &Target, _: Chance) -> Outcome {
    let mut outcome = Outcome::default();
    let experiment = &target.alpha_ids["experiment"];
    let body = json!({ "experiment_id": experiment });
    let (_, run) = target.ask(&target.contributor, Method::POST, "/api/2.0/mlflow/runs/create", Some(&body)).await;
    let run = run["run"]["info"]["run_id"].as_str().unwrap_or_default().to_owned();
    for (name, bytes) in payloads(target) {
        let path = format!("/api/2.0/mlflow-artifacts/artifacts/{experiment}/{run}/artifacts/{name}");
        let stored = target.send(&target.contributor, "PUT", &path, &bytes).await;
        outcome.expect(stored.status == 200, || {
            format!("{name} is answered {}: {}", stored.status, shortened(&stored.body))
        });
        let answer = target.send(&target.viewer, "GET", &path, b"").await;
        let disposition = answer.header("content-disposition").unwrap_or_default();
        let is_download =
            disposition.starts_with("attachment") && answer.header("x-content-type-options") == Some("nosniff");
        outcome.expect(is_download, || format!("{name} is answered as {}", answer.head));
    }
    outcome.expect(!is_executed(target), || "an artifact was executed".to_owned());
    outcome
}

/// A model folder of pickles is stored and never opened; evaluating it is refused.
async fn pickles(target: &Target, _: Chance) -> Outcome {
    let mut outcome = Outcome::default();
    let payloads = payloads(target);
    let files: Vec<(&str, &[u8])> = payloads.iter().map(|(name, bytes)| (*name, bytes.as_slice())).collect();
    let added = "\n[steps.hostile]\nrun = [\"sh\", \"-c\", \"mkdir model && cp model.pkl conda.yaml MLmodel model\"]\n\
                 code = [\"model.pkl\", \"conda.yaml\", \"MLmodel\"]\nenv = \"system\"\n\
                 outputs = { model = { path = \"model\", kind = \"model\" } }\n\n[steps.opened]\nevaluate = [\"hostile\"]\n";
    let (status, run) = target.run_changed(added, &files, &["opened"]).await;
    outcome.add(target.hole(&target.contributor, "a pickle as model", status, &run.to_string()));
    outcome.expect(run["state"] != "succeeded", || format!("a pickle was evaluated: {run}"));
    outcome.expect(!is_executed(target), || "a model was executed".to_owned());
    outcome
}

fn is_executed(target: &Target) -> bool {
    target.place.folder.path().join("outside/executed").exists()
}

/// Weights in another file: at the top, in a subgraph, in a function.
async fn external_data(target: &Target, mut chance: Chance) -> Outcome {
    let mut outcome = Outcome::default();
    let outside = target.place.folder.path().join("outside/secret.csv").display().to_string();
    let metadata = target.place.path().join(".perennial/metadata.sqlite").display().to_string();
    let locations = ["/etc/passwd", "../../../../../../etc/passwd", outside.as_str(), metadata.as_str()];
    let location = *chance.choose(&locations);
    let weights = onnx::external("w", location, 2);
    let axes = onnx::integers("axes", &[1]);
    let top = onnx::graph(
        &[onnx::node("Mul", &["x", "w"], &["m"], &[]), onnx::node("ReduceSum", &["m", "axes"], &["y"], &[])],
        &[weights.clone(), axes.clone()],
    );
    let branch = onnx::Message::default()
        .message(1, &onnx::node("Identity", &["w"], &["b"], &[]))
        .text(2, "branch")
        .message(5, &weights)
        .message(12, &onnx::Message::default().text(1, "b"));
    let condition = onnx::Message::default().number(2, 9).text(8, "true").bytes(9, &[1]);
    let branches = [onnx::graph_attribute("then_branch", &branch), onnx::graph_attribute("else_branch", &branch)];
    let nested = onnx::graph(
        &[
            onnx::node("If", &["true"], &["i"], &branches),
            onnx::node("Mul", &["x", "i"], &["m"], &[]),
            onnx::node("ReduceSum", &["m", "axes"], &["y"], &[]),
        ],
        &[condition, axes],
    );
    for (what, graph) in [("at the top", top), ("in a subgraph", nested)] {
        let run = evaluate(target, &onnx::model(&graph)).await;
        let text = run.to_string();
        outcome.add(target.hole(&target.contributor, what, 200, &text));
        outcome.expect(run["state"] != "succeeded", || format!("weights of {location} {what} are read: {text}"));
    }
    outcome
}

/// Runs a step that puts a model file out and one that evaluates it; gives the run.
pub(super) async fn evaluate(target: &Target, model: &[u8]) -> serde_json::Value {
    let added = "\n[steps.hostile]\nrun = [\"sh\", \"-c\", \"mkdir model && cp hostile.onnx model/model.onnx\"]\n\
                 code = [\"hostile.onnx\"]\nenv = \"system\"\nlimits = { time = \"1 minute\" }\n\
                 outputs = { model = { path = \"model\", kind = \"model\" } }\n\n[steps.opened]\nevaluate = [\"hostile\"]\n";
    target.run_changed(added, &[("hostile.onnx", model)], &["opened"]).await.1
}
