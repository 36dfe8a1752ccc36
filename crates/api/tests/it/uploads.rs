use axum::body::Body;
use http::{Method, Request, StatusCode};
use perennial_core::blob::{Blob, BlobDigest, Manifest, ManifestFile};
use perennial_core::permission::Role;
use perennial_testkit::PROJECT_FILE;
use perennial_testkit::toml_text::set;
use serde_json::{Value, json};

use crate::support::{Answer, Server};

const BASE: &str = "/api/v1/projects/flights";

async fn put_as(server: &Server, token: &str, base: &str, name: &str, bytes: &[u8]) -> Answer {
    let request = Request::put(format!("{base}/files/{name}")).header("authorization", format!("Bearer {token}"));
    server.send(request.body(Body::from(bytes.to_vec())).unwrap()).await
}

async fn put(server: &Server, bytes: &[u8]) -> BlobDigest {
    let digest = BlobDigest::of(bytes);
    let answer = put_as(server, &server.admin, BASE, &digest.to_string(), bytes).await;
    assert_eq!((answer.status, answer.json()), (StatusCode::OK, json!({ "size_bytes": bytes.len() })));
    digest
}

/// Sends files and the manifest of the folder they make.
async fn folder(server: &Server, files: &[(&str, &str)]) -> BlobDigest {
    let mut listed = Vec::new();
    for (path, text) in files {
        let blob = Blob { digest: put(server, text.as_bytes()).await, size_bytes: text.len() as u64 };
        listed.push(ManifestFile { path: path.parse().unwrap(), blob, is_executable: false });
    }
    put(server, Manifest::new(listed).unwrap().text().as_bytes()).await
}

async fn submit(server: &Server, folder: BlobDigest) -> Answer {
    server.post(&format!("{BASE}/submit"), json!({ "folder": folder })).await
}

async fn missing(server: &Server, base: &str, digests: &[BlobDigest]) -> Value {
    server.post(&format!("{base}/files/missing"), json!({ "digests": digests })).await.json()["digests"].clone()
}

async fn with_empty_project() -> Server {
    let server = Server::start().await;
    let made = server.post("/api/v1/projects", json!({ "name": "flights" })).await;
    assert_eq!((made.status, made.json()["file_digest"].clone()), (StatusCode::OK, Value::Null));
    server
}

#[tokio::test]
async fn an_uploaded_folder_is_planned_and_the_project_follows_the_one_before() {
    let server = with_empty_project().await;
    let kept = folder(&server, &[("perennial.toml", PROJECT_FILE)]).await;
    assert_eq!(submit(&server, kept).await.status, StatusCode::OK);
    let before = server.get(BASE).await.json();
    let other =
        set(PROJECT_FILE, "steps.evaluation.evaluate", "['train', 'more']") + "\n[steps.more]\ntrain = \"gbdt\"\n";
    let planned_folder = folder(&server, &[("perennial.toml", &other)]).await;
    let steps = async |body: Value| {
        let planned = server.post(&format!("{BASE}/plan"), body).await;
        assert_eq!(planned.status, StatusCode::OK, "{}", planned.text());
        let plan = planned.json()["plan"].as_array().unwrap().clone();
        plan.iter().map(|why| why["step"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(
        steps(json!({ "folder": planned_folder, "steps": ["evaluation"] })).await,
        ["more", "train", "evaluation"]
    );
    assert_eq!(steps(json!({})).await, ["train", "evaluation"]);
    assert_eq!(server.get(BASE).await.json(), before);
    assert_eq!(server.get(&format!("{BASE}/pipeline-runs")).await.json()["items"], json!([]));
    assert_eq!(missing(&server, BASE, &[BlobDigest::of(other.as_bytes())]).await, json!([]), "it is not sent twice");
    assert_eq!(submit(&server, planned_folder).await.status, StatusCode::OK);
    assert_eq!(server.get(BASE).await.json()["file"], json!(other));
}

#[tokio::test]
async fn an_uploaded_folder_is_submitted_and_a_refused_one_is_answered_with_the_place_of_each_error() {
    let server = with_empty_project().await;
    let good = folder(&server, &[("perennial.toml", PROJECT_FILE), ("data/a.csv", "flight_id\n1\n")]).await;
    let submitted = submit(&server, good).await;
    assert_eq!(submitted.status, StatusCode::OK);
    assert_eq!(submitted.json()["goal"], json!("predict which flights will be late"));
    assert_eq!(missing(&server, BASE, &[BlobDigest::of(b"new"), good]).await, json!([BlobDigest::of(b"new")]));
    let before = server.get(BASE).await.json();
    let bad = PROJECT_FILE.replace("[endpoints.delay]", "[endpoint.delay]");
    let refused = submit(&server, folder(&server, &[("perennial.toml", &bad)]).await).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert_eq!(refused.json()["error"]["diagnostics"][0]["words"], json!("endpoint"));
    assert_eq!(submit(&server, BlobDigest::of(b"nothing")).await.status, StatusCode::NOT_FOUND);
    assert_eq!(server.get(BASE).await.json(), before);
}

#[tokio::test]
async fn an_upload_under_a_wrong_or_malformed_digest_is_a_bad_request() {
    let server = with_empty_project().await;
    let promised = BlobDigest::of(b"promised").to_string();
    for name in [promised.as_str(), "abc", "..%2F..%2Fx", &promised.to_uppercase()] {
        let refused = put_as(&server, &server.admin, BASE, name, b"received").await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{name}");
    }
}

#[tokio::test]
async fn uploading_needs_write_on_the_project_and_creating_one_manage_on_the_server() {
    let server = with_empty_project().await;
    let project = server.test.app.projects.get_by_name(&"flights".parse().unwrap()).await.unwrap();
    let digest = BlobDigest::of(b"x").to_string();
    for (role, may) in [(Role::Viewer, false), (Role::Contributor, true)] {
        let token = server.test.token(role.as_str(), role, Some(&project)).await.unwrap();
        let expected = if may { StatusCode::OK } else { StatusCode::FORBIDDEN };
        assert_eq!(put_as(&server, &token, BASE, &digest, b"x").await.status, expected, "{role:?}");
        let asked = Some(json!({ "digests": [digest] }));
        let path = format!("{BASE}/files/missing");
        assert_eq!(server.call_as(&token, Method::POST, &path, asked).await.status, expected, "{role:?}");
        let folder = Some(json!({ "folder": digest }));
        let submitted = server.call_as(&token, Method::POST, &format!("{BASE}/submit"), folder).await.status;
        assert_eq!(submitted == StatusCode::FORBIDDEN, !may, "{role:?} {submitted}");
        let made = server.call_as(&token, Method::POST, "/api/v1/projects", Some(json!({ "name": "trains" }))).await;
        assert_eq!(made.status, StatusCode::FORBIDDEN, "{role:?}");
    }
    let again = server.post("/api/v1/projects", json!({ "name": "flights" })).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    let wrong = server.post("/api/v1/projects", json!({ "name": "../flights" })).await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_text_is_checked_with_the_files_that_are_described() {
    let server = Server::start().await;
    let text = format!("{PROJECT_FILE}\n[steps.prepared]\nsql = \"sql/prepared.sql\"\n");
    let submitted = server.post("/api/v1/check", json!({ "text": text })).await;
    assert_eq!(submitted.status, StatusCode::BAD_REQUEST);
    assert!(submitted.text().contains("sql/prepared.sql"), "{}", submitted.text());
    let files = json!({ "sql/prepared.sql": "SELECT 1" });
    let submitted = server.post("/api/v1/check", json!({ "text": text, "files": files })).await;
    assert_eq!(
        (submitted.status, submitted.json()["name"].clone()),
        (StatusCode::OK, json!("flights")),
        "{}",
        submitted.text()
    );
    assert_eq!(server.get(BASE).await.status, StatusCode::NOT_FOUND, "nothing is kept");
}
