use axum::body::Body;
use http::{Method, Request, StatusCode};
use perennial_core::blob::{Blob, BlobDigest, Manifest, ManifestFile};
use perennial_core::permission::Role;
use perennial_testkit::PROJECT_FILE;
use perennial_testkit::toml_text::{rename, set};
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
async fn a_folder_that_came_up_is_the_project_and_is_not_sent_twice() {
    let server = with_empty_project().await;
    let files = [("perennial.toml", PROJECT_FILE), ("data/a.csv", "flight_id\n1\n"), ("data/deep/er/b.csv", "x\n")];
    let sent = folder(&server, &files).await;
    let submitted = submit(&server, sent).await;
    assert_eq!(
        (submitted.status, submitted.json()["goal"].clone()),
        (StatusCode::OK, json!("predict which flights will be late"))
    );
    assert_eq!(server.get(BASE).await.json()["file"], json!(PROJECT_FILE));

    let of = |text: &str| BlobDigest::of(text.as_bytes());
    let asked = [of(PROJECT_FILE), of("x\n"), of("new"), sent];
    assert_eq!(missing(&server, BASE, &asked).await, json!([of("new")]));
    let place = server.test.folder.path().join("sent");
    let project = std::fs::read_dir(&place).unwrap().next().unwrap().unwrap().path();
    let landed = |folder: BlobDigest| project.join(folder.to_string());
    assert_eq!(std::fs::read_to_string(landed(sent).join("data/deep/er/b.csv")).unwrap(), "x\n");
    assert!(!server.test.folder.path().join("root/data").exists());

    // The next folder takes over what it shares, under other names too, and the one before is gone.
    let new = put(&server, b"new").await;
    let file = |path: &str, text: &str, digest| ManifestFile {
        path: path.parse().unwrap(),
        blob: Blob { digest, size_bytes: text.len() as u64 },
        is_executable: false,
    };
    let listed = [
        file("perennial.toml", PROJECT_FILE, of(PROJECT_FILE)),
        file("data", "x\n", of("x\n")),
        file("data2/c.csv", "new", new),
    ];
    let next = put(&server, Manifest::new(listed.to_vec()).unwrap().text().as_bytes()).await;
    assert_eq!(submit(&server, next).await.status, StatusCode::OK);
    assert_eq!(std::fs::read_to_string(landed(next).join("data")).unwrap(), "x\n");
    assert!(!landed(sent).exists());
    assert_eq!(missing(&server, BASE, &[of("flight_id\n1\n"), new]).await, json!([of("flight_id\n1\n")]));
}

#[tokio::test]
async fn a_plan_is_made_by_a_folder_that_came_up_and_the_project_follows_the_one_before() {
    let server = with_empty_project().await;
    let kept = folder(&server, &[("perennial.toml", PROJECT_FILE)]).await;
    assert_eq!(submit(&server, kept).await.status, StatusCode::OK);
    let before = server.get(BASE).await.json();
    let other =
        set(PROJECT_FILE, "steps.evaluation.evaluate", "['train', 'more']") + "\n[steps.more]\ntrain = \"gbdt\"\n";
    let checked = folder(&server, &[("perennial.toml", &other)]).await;
    let steps = async |body: Value| {
        let planned = server.post(&format!("{BASE}/plan"), body).await;
        assert_eq!(planned.status, StatusCode::OK, "{}", planned.text());
        let plan = planned.json()["plan"].as_array().unwrap().clone();
        plan.iter().map(|why| why["step"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(steps(json!({ "folder": checked, "steps": ["evaluation"] })).await, ["more", "train", "evaluation"]);
    assert_eq!(steps(json!({})).await, ["train", "evaluation"]);
    assert_eq!(server.get(BASE).await.json(), before);
    assert_eq!(server.get(&format!("{BASE}/pipeline-runs")).await.json()["items"], json!([]));
    assert_eq!(missing(&server, BASE, &[BlobDigest::of(other.as_bytes())]).await, json!([]), "it is not sent twice");
    assert_eq!(submit(&server, checked).await.status, StatusCode::OK);
    assert_eq!(server.get(BASE).await.json()["file"], json!(other));
}

#[tokio::test]
async fn a_folder_with_mistakes_leaves_the_project_as_it_was() {
    let server = with_empty_project().await;
    let good = folder(&server, &[("perennial.toml", PROJECT_FILE)]).await;
    assert_eq!(submit(&server, good).await.status, StatusCode::OK);
    let before = server.get(BASE).await.json();
    let bad = rename(PROJECT_FILE, "endpoints", "endpoint");
    let refused = submit(&server, folder(&server, &[("perennial.toml", &bad)]).await).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert_eq!(refused.json()["error"]["diagnostics"][0]["words"], json!("endpoint"));
    let other = set(PROJECT_FILE, "project.name", "'trains'");
    let refused = submit(&server, folder(&server, &[("perennial.toml", &other)]).await).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert!(refused.message().contains("`trains`"), "{}", refused.message());
    let without = folder(&server, &[("a.csv", "x\n")]).await;
    assert!(submit(&server, without).await.message().contains("has no `perennial.toml`"));
    let unsent = submit(&server, BlobDigest::of(b"nothing")).await;
    assert_eq!(unsent.status, StatusCode::NOT_FOUND);
    assert_eq!(server.get(BASE).await.json(), before);
    assert_eq!(missing(&server, BASE, &[good]).await, json!([]));
}

#[tokio::test]
async fn what_one_project_was_sent_another_does_not_have() {
    let server = with_empty_project().await;
    server.post("/api/v1/projects", json!({ "name": "trains" })).await;
    let secret = put(&server, b"of the flights").await;
    assert_eq!(missing(&server, "/api/v1/projects/trains", &[secret]).await, json!([secret]));
    assert_eq!(missing(&server, BASE, &[secret]).await, json!([]));
}

#[tokio::test]
async fn sending_asks_for_write_on_the_project_and_making_one_for_manage_on_the_server() {
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
        let status = server.call_as(&token, Method::POST, &format!("{BASE}/submit"), folder).await.status;
        assert_eq!(status == StatusCode::FORBIDDEN, !may, "{role:?} {status}");
        let made = server.call_as(&token, Method::POST, "/api/v1/projects", Some(json!({ "name": "trains" }))).await;
        assert_eq!(made.status, StatusCode::FORBIDDEN, "{role:?}");
    }
    let again = server.post("/api/v1/projects", json!({ "name": "flights" })).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    let wrong = server.post("/api/v1/projects", json!({ "name": "../flights" })).await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn what_does_not_hash_to_its_name_is_refused_and_not_kept() {
    let server = with_empty_project().await;
    let (promised, came) = (BlobDigest::of(b"promised"), BlobDigest::of(b"came"));
    let refused = put_as(&server, &server.admin, BASE, &promised.to_string(), b"came").await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert!(refused.message().contains(&promised.to_string()), "{}", refused.message());
    assert_eq!(missing(&server, BASE, &[promised, came]).await, json!([promised, came]));
    for name in ["abc", "..%2F..%2Fx", &promised.to_string().to_uppercase()] {
        let refused = put_as(&server, &server.admin, BASE, name, b"x").await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{name}");
    }
}

#[tokio::test]
async fn more_digests_than_are_answered_at_once_are_refused() {
    let server = with_empty_project().await;
    let many = vec![BlobDigest::of(b"x"); perennial_projects::uploads::DIGESTS_MAX + 1];
    let refused = server.post(&format!("{BASE}/files/missing"), json!({ "digests": many })).await;
    assert_eq!(refused.json()["error"]["code"], json!("too-large"));
}

#[tokio::test]
async fn a_text_is_validated_with_the_files_that_it_names() {
    let server = Server::start().await;
    let text = format!("{PROJECT_FILE}\n[steps.prepared]\nsql = \"sql/prepared.sql\"\n");
    let reply = server.post("/api/v1/check", json!({ "text": text })).await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    assert!(reply.text().contains("sql/prepared.sql"), "{}", reply.text());
    let files = json!({ "sql/prepared.sql": "SELECT 1" });
    let reply = server.post("/api/v1/check", json!({ "text": text, "files": files })).await;
    assert_eq!((reply.status, reply.json()["name"].clone()), (StatusCode::OK, json!("flights")), "{}", reply.text());
    assert_eq!(server.get(BASE).await.status, StatusCode::NOT_FOUND, "nothing is kept");
}
