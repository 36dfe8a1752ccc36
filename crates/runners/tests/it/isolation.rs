use std::net::TcpListener;
use std::path::Path;

use perennial_core::port::runner::{EnvValue, Exit, JobNetwork, JobSpec, Outcome, PathAccess, Runner};
use perennial_worker::kernel_isolates;

use crate::TestStep;

/// Runs a step that attempts a forbidden access: denied if the kernel supports isolation, else recorded as `none`.
async fn denied(step: &TestStep, job: JobSpec) {
    let outcome = step.run(job).await;
    if kernel_isolates() {
        assert!(outcome.isolation.starts_with("landlock v"), "{outcome:?}");
        assert_eq!(outcome.exit, Exit::Code(1), "{}", step.log());
        assert!(is_denied(&step.log()), "{}", step.log());
    } else {
        assert_eq!(outcome.isolation, "none");
    }
}

/// A path that is not granted may be denied, or not exist.
fn is_denied(log: &str) -> bool {
    ["Permission denied", "No such file or directory"].iter().any(|error| log.contains(error))
}

async fn allowed(step: &TestStep, job: JobSpec) -> Outcome {
    let outcome = step.run(job).await;
    assert_eq!(outcome.exit, Exit::Code(0), "{}", step.log());
    outcome
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test]
async fn a_step_reads_and_writes_its_own_folder() {
    let step = TestStep::new();
    std::fs::write(step.folder().join("input"), "declared").unwrap();
    allowed(&step, step.probe(&["read", "input"])).await;
    assert_eq!(step.log(), "declared\n");
    allowed(&step, step.probe(&["write", "output"])).await;
    assert_eq!(std::fs::read_to_string(step.folder().join("output")).unwrap(), "written");
}

#[tokio::test]
async fn a_step_cannot_read_what_it_did_not_declare() {
    for path in ["secret", "/etc/shadow", "/etc/hostname", "/root", "../secret"] {
        let step = TestStep::new();
        std::fs::write(step.outside("secret"), "s").unwrap();
        let path = if path == "secret" { step.outside("secret") } else { path.into() };
        if step.folder().join(&path).exists() {
            let verb = if path.is_dir() { "list" } else { "read" };
            denied(&step, step.probe(&[verb, text(&path)])).await;
        }
    }
}

#[tokio::test]
async fn a_link_gives_no_access_outside() {
    let step = TestStep::new();
    std::fs::write(step.outside("secret"), "s").unwrap();
    std::os::unix::fs::symlink(step.outside("secret"), step.folder().join("link")).unwrap();
    denied(&step, step.probe(&["read", "link"])).await;
}

#[tokio::test]
async fn a_step_cannot_list_other_folders() {
    let step = TestStep::new();
    denied(&step, step.probe(&["list", text(step.outside("").as_path())])).await;
}

#[tokio::test]
async fn a_step_cannot_write_outside() {
    let step = TestStep::new();
    let target = step.outside("target");
    denied(&step, step.probe(&["write", text(&target)])).await;
    assert_eq!(target.exists(), !kernel_isolates());
}

#[tokio::test]
async fn a_readable_path_can_be_read_but_not_written() {
    let step = TestStep::new();
    let package = step.outside("environment");
    std::fs::create_dir(&package).unwrap();
    std::fs::write(package.join("module"), "code").unwrap();
    let with_package = |words: &[&str]| {
        let mut job = step.probe(words);
        job.environment.readable.push(package.clone());
        job
    };
    let module = package.join("module");
    allowed(&step, with_package(&["read", text(&module)])).await;
    assert_eq!(step.log(), "code\n");
    denied(&step, with_package(&["write", text(&module)])).await;
}

#[tokio::test]
async fn the_servers_environment_in_proc_is_not_readable() {
    let step = TestStep::new();
    let environ = format!("/proc/{}/environ", std::process::id());
    denied(&step, step.probe(&["read", &environ])).await;
}

#[tokio::test]
async fn the_systems_programs_and_devices_can_be_used() {
    let step = TestStep::new();
    let script = "ls /usr/bin >/dev/null && echo x >/dev/null && head -c 1 /dev/urandom >/dev/null && cat /proc/self/stat >/dev/null";
    allowed(&step, step.job(&["sh", "-c", script])).await;
}

#[tokio::test]
async fn the_temporary_folder_is_private_and_removed_after_the_step() {
    let step = TestStep::new();
    allowed(&step, step.probe(&["temporary"])).await;
    let folder = step.log().trim().to_owned();
    assert!(folder.starts_with(text(&step.outside("jobs"))), "{folder}");
    assert!(!Path::new(&folder).exists());
}

#[tokio::test]
async fn a_step_inherits_no_variable_of_the_server() {
    let step = TestStep::new();
    let mut job = step.probe(&["env"]);
    job.env.insert("PERENNIAL_STEP".to_owned(), EnvValue::Text("train".to_owned()));
    job.env.insert("TMPDIR".to_owned(), EnvValue::Text("/chosen".to_owned()));
    allowed(&step, job).await;
    let log = step.log();
    let mut names: Vec<&str> = log.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
    names.sort_unstable();
    assert_eq!(names, ["HOME", "LANG", "LOGNAME", "PATH", "PERENNIAL_STEP", "TMPDIR", "USER"]);
    assert!(log.contains("TMPDIR=/chosen\n"), "a variable set by the step is kept: {log}");
}

#[tokio::test]
async fn a_step_has_no_capabilities() {
    let step = TestStep::new();
    allowed(&step, step.probe(&["read", "/proc/self/status"])).await;
    let log = step.log();
    for set in ["CapInh:", "CapPrm:", "CapEff:"] {
        let line = log.lines().find(|line| line.starts_with(set)).unwrap();
        assert!(line.ends_with("\t0000000000000000"), "{line}");
    }
}

#[tokio::test]
async fn a_read_only_file_cannot_be_written() {
    let step = TestStep::new();
    let shared = step.folder().join("shared");
    std::fs::write(&shared, "input").unwrap();
    std::fs::set_permissions(&shared, std::os::unix::fs::PermissionsExt::from_mode(0o444)).unwrap();
    let outcome = step.run(step.probe(&["write", "shared"])).await;
    assert_eq!(outcome.exit, Exit::Code(1));
    assert_eq!(std::fs::read_to_string(&shared).unwrap(), "input");
}

#[tokio::test]
async fn variables_may_name_the_working_folder_and_paths_in_it() {
    let step = TestStep::new();
    let mut job = step.probe(&["env"]);
    job.env.insert("HOME".to_owned(), EnvValue::Folder);
    job.env.insert("INPUT".to_owned(), EnvValue::InFolder("inputs/rows.parquet".parse().unwrap()));
    allowed(&step, job).await;
    let folder = step.folder().canonicalize().unwrap();
    for line in [format!("HOME={}", folder.display()), format!("INPUT={}/inputs/rows.parquet", folder.display())] {
        assert!(step.log().lines().any(|found| found == line), "{line}: {}", step.log());
    }
}

#[test]
fn the_access_to_a_path_is_that_of_the_isolation() {
    let step = TestStep::new();
    let (package, runner) = (step.outside("environment"), step.runner());
    std::fs::create_dir(&package).unwrap();
    let mut job = step.probe(&["env"]);
    job.environment.readable.push(package.clone());
    let folder = step.folder().canonicalize().unwrap();
    let cases = [
        (folder.join("output"), PathAccess::Write),
        ("/dev/null".into(), PathAccess::Write),
        (package.canonicalize().unwrap().join("module"), PathAccess::Read),
        ("/usr/bin/env".into(), PathAccess::Read),
        (step.outside("secret"), PathAccess::Denied),
        ("/etc/shadow".into(), PathAccess::Denied),
    ];
    for (path, expected) in cases {
        assert_eq!(runner.access(&job, &path), expected, "{}", path.display());
    }
}

#[tokio::test]
async fn the_network_of_a_step_is_what_it_declares() {
    let (server, other) = (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
    let same_port = TcpListener::bind(("127.0.0.2", server.local_addr().unwrap().port())).unwrap();
    let url = format!("http://{}", server.local_addr().unwrap());
    for (network, reaches_server, reaches_other) in
        [(JobNetwork::Full, true, true), (JobNetwork::Server(url), true, false), (JobNetwork::None, false, false)]
    {
        // Without a network of its own, a step is restricted by port.
        let by_port = matches!(network, JobNetwork::Server(_));
        for (listener, is_reached, by_port) in
            [(&server, reaches_server, false), (&other, reaches_other, false), (&same_port, reaches_other, by_port)]
        {
            let step = TestStep::new();
            let mut job = step.probe(&["connect", &listener.local_addr().unwrap().to_string()]);
            job.network = network.clone();
            let outcome = step.run(job).await;
            let is_reached = is_reached || (by_port && !outcome.isolation.contains("own network"));
            assert_eq!(outcome.exit == Exit::Code(0), is_reached, "{network:?}: {}", step.log());
        }
    }
}
