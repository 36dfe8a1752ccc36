use std::collections::BTreeMap;

use perennial_core::id::RunnerJobId;
use perennial_core::port::runner::{Environment, JobIsolation, JobNetwork, Limits};
use perennial_testkit::fakes::FakeRunner;

use super::*;

#[test]
fn paths_are_found_in_what_programs_print() {
    let cases: [(&str, &[&str]); 9] = [
        ("cat: /data/secret: Permission denied", &["/data/secret"]),
        ("PermissionError: [Errno 13] Permission denied: '/home/me/my data.csv'", &["/home/me/my data.csv"]),
        ("cat: ../secret: Permission denied", &["../secret"]),
        ("  File \"/work/train.py\", line 3, in <module>", &["/work/train.py"]),
        ("open(/etc/shadow) failed, see (/var/log)", &["/etc/shadow", "/var/log"]),
        ("GET http://127.0.0.1:5000/api/2.0/mlflow", &[]),
        ("loss 0.1/0.2 and/or w/o a path", &[]),
        ("Permission denied", &[]),
        ("wrote model/model.onnx", &[]),
    ];
    for (line, expected) in cases {
        assert_eq!(paths_in(line), expected, "{line}");
    }
}

#[test]
fn the_last_path_that_exists_and_is_denied_is_named() {
    let temp = tempfile::TempDir::new().unwrap();
    let root = temp.path().canonicalize().unwrap();
    let folder = root.join("work");
    std::fs::create_dir(&folder).unwrap();
    for file in ["secret", "other", "library"] {
        std::fs::write(root.join(file), "").unwrap();
    }
    std::fs::write(folder.join("input"), "").unwrap();
    let job = JobSpec {
        id: RunnerJobId::generate(),
        argv: Vec::new(),
        inputs: Vec::new(),
        outputs: Vec::new(),
        env: BTreeMap::new(),
        environment: Environment {
            digest: "none".to_owned(),
            lock: None,
            path: Vec::new(),
            readable: vec![root.join("library")],
            reproducible: true,
        },
        isolation: JobIsolation::Full,
        network: JobNetwork::Full,
        limits: Limits::default(),
        log: root.join("log"),
        folder: folder.clone(),
    };
    let text = |path: &Path| path.display().to_string();
    let denied = |log: &str, isolation| denied_path(&FakeRunner::default(), &JobSpec { isolation, ..job.clone() }, log);
    let full = JobIsolation::Full;
    let secret = Some(root.join("secret"));
    assert_eq!(denied(&format!("cat: {}: Permission denied", text(&root.join("secret"))), full), secret);
    assert_eq!(denied("cat: ../secret: Permission denied", full), secret);
    assert_eq!(denied(&format!("{} {}", text(&root.join("other")), "\n../secret"), full), secret, "the last line");
    let new = root.join("results.csv");
    assert_eq!(denied(&format!("cannot create {}", text(&new)), full), Some(new), "its folder exists");
    for harmless in [
        "Permission denied".to_owned(),
        format!("read {}", text(&folder.join("input"))),
        format!("read {}", text(&root.join("library"))),
        "GET /api/2.0/mlflow/runs and /metrics".to_owned(),
    ] {
        assert_eq!(denied(&harmless, full), None, "{harmless}");
    }
    assert_eq!(denied("cat: ../secret: No such file", JobIsolation::ReadAll), None, "everything may be read");
}
