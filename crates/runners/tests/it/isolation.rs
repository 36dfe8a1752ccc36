use std::path::Path;

use landlock::{ABI, Access, AccessFs, CompatLevel, Compatible, Ruleset, RulesetAttr};
use perennial_core::port::runner::{Command, Exit, Outcome};

use crate::Place;

/// Whether this kernel can isolate at all.
fn kernel_isolates() -> bool {
    let ruleset = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
    ruleset.handle_access(AccessFs::from_all(ABI::V1)).and_then(Ruleset::create).is_ok()
}

/// Runs a step that tries something forbidden: refused where the kernel isolates, else recorded.
async fn refused(place: &Place, command: Command) {
    let outcome = place.run(command).await;
    if kernel_isolates() {
        assert!(outcome.isolation.starts_with("landlock v"), "{outcome:?}");
        assert_eq!(outcome.exit, Exit::Code(1), "{}", place.log());
        assert!(place.log().contains("Permission denied"), "{}", place.log());
    } else {
        assert_eq!(outcome.isolation, "none");
    }
}

async fn allowed(place: &Place, command: Command) -> Outcome {
    let outcome = place.run(command).await;
    assert_eq!(outcome.exit, Exit::Code(0), "{}", place.log());
    outcome
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test]
async fn a_step_reads_and_writes_its_own_folder() {
    let place = Place::new();
    std::fs::write(place.folder().join("input"), "declared").unwrap();
    allowed(&place, place.probe(&["read", "input"])).await;
    assert_eq!(place.log(), "declared\n");
    allowed(&place, place.probe(&["write", "output"])).await;
    assert_eq!(std::fs::read_to_string(place.folder().join("output")).unwrap(), "written");
}

#[tokio::test]
async fn a_step_cannot_read_what_it_did_not_declare() {
    for path in ["secret", "/etc/shadow", "/etc/hostname", "/root", "../secret"] {
        let place = Place::new();
        std::fs::write(place.outside("secret"), "s").unwrap();
        let path = if path == "secret" { place.outside("secret") } else { path.into() };
        if place.folder().join(&path).exists() {
            let verb = if path.is_dir() { "list" } else { "read" };
            refused(&place, place.probe(&[verb, text(&path)])).await;
        }
    }
}

#[tokio::test]
async fn a_link_does_not_lead_out() {
    let place = Place::new();
    std::fs::write(place.outside("secret"), "s").unwrap();
    std::os::unix::fs::symlink(place.outside("secret"), place.folder().join("link")).unwrap();
    refused(&place, place.probe(&["read", "link"])).await;
}

#[tokio::test]
async fn a_step_cannot_list_other_folders() {
    let place = Place::new();
    refused(&place, place.probe(&["list", text(place.outside("").as_path())])).await;
}

#[tokio::test]
async fn a_step_cannot_write_outside() {
    let place = Place::new();
    let target = place.outside("target");
    refused(&place, place.probe(&["write", text(&target)])).await;
    assert_eq!(target.exists(), !kernel_isolates());
}

#[tokio::test]
async fn what_is_readable_can_be_read_but_not_written() {
    let place = Place::new();
    let package = place.outside("environment");
    std::fs::create_dir(&package).unwrap();
    std::fs::write(package.join("module"), "code").unwrap();
    let with_package = |words: &[&str]| Command { readable: vec![package.clone()], ..place.probe(words) };
    let module = package.join("module");
    allowed(&place, with_package(&["read", text(&module)])).await;
    assert_eq!(place.log(), "code\n");
    refused(&place, with_package(&["write", text(&module)])).await;
}

#[tokio::test]
async fn the_servers_secrets_in_proc_are_closed() {
    let place = Place::new();
    let environ = format!("/proc/{}/environ", std::process::id());
    refused(&place, place.probe(&["read", &environ])).await;
}

#[tokio::test]
async fn the_system_can_be_used() {
    let place = Place::new();
    let script = "ls /usr/bin >/dev/null && echo x >/dev/null && head -c 1 /dev/urandom >/dev/null && cat /proc/self/stat >/dev/null";
    allowed(&place, place.command(&["sh", "-c", script])).await;
}

#[tokio::test]
async fn the_temporary_folder_is_the_steps_own_and_goes_with_it() {
    let place = Place::new();
    allowed(&place, place.probe(&["temporary"])).await;
    let folder = place.log().trim().to_owned();
    assert!(folder.contains("perennial-step-"), "{folder}");
    assert!(!Path::new(&folder).exists());
}

#[tokio::test]
async fn nothing_is_inherited_from_the_server() {
    let place = Place::new();
    let mut command = place.probe(&["env"]);
    command.env.insert("PERENNIAL_STEP".to_owned(), "train".to_owned());
    command.env.insert("TMPDIR".to_owned(), "/chosen".to_owned());
    allowed(&place, command).await;
    let log = place.log();
    let mut names: Vec<&str> = log.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
    names.sort_unstable();
    assert_eq!(names, ["HOME", "LANG", "PATH", "PERENNIAL_STEP", "TMPDIR"]);
    assert!(log.contains("TMPDIR=/chosen\n"), "what the step names stays: {log}");
}

#[tokio::test]
async fn a_step_has_no_capabilities() {
    let place = Place::new();
    allowed(&place, place.probe(&["read", "/proc/self/status"])).await;
    let log = place.log();
    for set in ["CapInh:", "CapPrm:", "CapEff:"] {
        let line = log.lines().find(|line| line.starts_with(set)).unwrap();
        assert!(line.ends_with("\t0000000000000000"), "{line}");
    }
}

#[tokio::test]
async fn a_read_only_file_stays_so() {
    let place = Place::new();
    let shared = place.folder().join("shared");
    std::fs::write(&shared, "input").unwrap();
    std::fs::set_permissions(&shared, std::os::unix::fs::PermissionsExt::from_mode(0o444)).unwrap();
    let outcome = place.run(place.probe(&["write", "shared"])).await;
    assert_eq!(outcome.exit, Exit::Code(1));
    assert_eq!(std::fs::read_to_string(&shared).unwrap(), "input");
}
