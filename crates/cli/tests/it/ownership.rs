//! Two servers and one PostgreSQL database.

use std::process::Command;

use reqwest::Method;
use serde_json::json;

use crate::postgres::Database;
use crate::support::{Place, Server, text};

fn place() -> Place {
    let place = Place { folder: tempfile::tempdir().unwrap() };
    std::fs::create_dir(place.path()).unwrap();
    place
}

fn signal(name: &str, server: &Server) {
    assert!(Command::new("kill").args([name, &server.child.id().to_string()]).status().unwrap().success());
}

#[test]
fn a_second_server_is_refused_with_the_address_of_the_first() {
    let database = Database::create();
    let (first, second) = (place(), place());
    let server = Server::up(&first, &["--database", &database.url]);
    let output = second.run(&["up", "--port", "0", "--database", &database.url]);
    assert!(!output.status.success());
    let message = text(&output.stderr);
    assert!(message.contains(&format!("held by the server at `{}`", server.address)), "{message}");
    server.get("/api/v1/projects");
}

#[test]
fn a_paused_server_is_replaced_and_writes_nothing_when_it_resumes() {
    let database = Database::create();
    let (first, second) = (place(), place());
    let mut paused = Server::up(&first, &["--database", &database.url]);
    signal("-STOP", &paused);
    let replacing = Server::up(&second, &["--database", &database.url]);
    let body = json!({ "name": "late", "role": "viewer" });
    let url = format!("{}/api/v1/tokens", paused.address);
    let request = paused.http().post(url).bearer_auth(&paused.token).json(&body);
    let late = replacing.block_on(async {
        let asked = tokio::spawn(request.send());
        signal("-CONT", &paused);
        asked.await.unwrap()
    });
    // It refuses the request, or it has stopped already.
    if let Ok(answer) = late {
        assert_eq!(answer.status(), 503);
    }
    assert!(!paused.child.wait().unwrap().success(), "it ends with an error");
    let (status, tokens) = replacing.ask(Method::GET, "/api/v1/tokens", None);
    assert!(status.is_success(), "{status}");
    assert!(!tokens.to_string().contains("late"), "{tokens}");
}

#[test]
fn doctor_changes_no_table() {
    let database = Database::create();
    let doctor = |place: &Place| {
        let mut command = place.command(&["doctor"]);
        text(&command.env("PERENNIAL_DATABASE", &database.url).output().unwrap().stdout)
    };
    let place = place();
    for _ in 0..2 {
        let report = doctor(&place);
        assert!(report.contains("postgres, empty"), "{report}");
    }
}
