//! A project file that is not valid is refused with the place of each error, and changes nothing.

use std::collections::BTreeMap;

use perennial_config::FILE_BYTES_MAX;
use perennial_core::ErrorCode;
use perennial_core::permission::Role;
use perennial_testkit::toml_text::{remove, rename, set};
use perennial_testkit::{PROJECT_FILE, TestApp};

use crate::support::{caller_on, diagnostics, followed, refused, submit_as, with_another_step, with_sql};

/// Submits a text in place of the project's file; returns line, offending words, message and suggestion of its errors.
async fn errors_of(text: &str) -> Vec<(usize, String, String, Option<String>)> {
    let (test, project) = TestApp::with_project().await.unwrap();
    let before = (followed(&project), project.revision());
    let error = refused(submit_as(&test, &test.system(), text).await);
    assert_eq!((followed(&project), project.revision()), before, "the project follows the file before");
    let found = diagnostics(&error).errors.clone();
    found.into_iter().map(|error| (error.line, error.words, error.message, error.suggestion)).collect()
}

fn line_of(text: &str, words: &str) -> usize {
    text.lines().position(|line| line.contains(words)).unwrap() + 1
}

#[tokio::test]
async fn an_unknown_section_is_named_with_its_line_and_the_likely_word() {
    let text = PROJECT_FILE.replace("[endpoints.delay]", "[endpoint.delay]");
    let errors = errors_of(&text).await;
    let (line, words, _, suggestion) = &errors[0];
    assert_eq!((*line, words.as_str()), (line_of(&text, "[endpoint.delay]"), "endpoint"));
    assert!(suggestion.as_ref().unwrap().contains("endpoints"), "{suggestion:?}");
}

#[tokio::test]
async fn every_error_of_a_file_is_reported_in_the_order_of_the_lines() {
    let text = set(&set(PROJECT_FILE, "datasets.flown.mode", "'simpel'"), "monitors.delay.alerts.drifted", "'drift >'");
    let lines: Vec<usize> = errors_of(&text).await.iter().map(|(line, ..)| *line).collect();
    assert!(lines.is_sorted(), "{lines:?}");
    assert_eq!((lines[0], lines.len() > 1), (line_of(&text, "'simpel'"), true), "{lines:?}");
}

#[tokio::test]
async fn an_old_key_is_answered_with_the_new_one() {
    let delayed = set(PROJECT_FILE, "task.label_delay", "'45 days'");
    let old_task = rename(&delayed, "task.label_delay", "within");
    let timed = set(PROJECT_FILE, "release.evidence_ttl", "'30 days'");
    let old_release = rename(&timed, "release.evidence_ttl", "fresh");
    for (text, message, suggestion) in [
        (old_task, "`within` is now `label_delay`", "rename the key to `label_delay`"),
        (old_release, "`fresh` is now `evidence_ttl`", "rename the key to `evidence_ttl`"),
    ] {
        let errors = errors_of(&text).await;
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert_eq!((errors[0].2.as_str(), errors[0].3.as_deref()), (message, Some(suggestion)));
    }
}

#[tokio::test]
async fn a_declared_file_that_does_not_exist_is_refused_with_its_path() {
    let errors = errors_of(&with_sql()).await;
    assert_eq!(errors[0].0, line_of(&with_sql(), "sql/prepared.sql"));
    assert!(errors[0].2.contains("sql/prepared.sql"), "{errors:?}");
}

#[tokio::test]
async fn a_project_without_a_name_creates_nothing() {
    let test = TestApp::start().await.unwrap();
    let error = refused(submit_as(&test, &test.system(), &remove(PROJECT_FILE, "project.name")).await);
    assert!(!diagnostics(&error).errors.is_empty());
    let names = test.app.projects.list(&test.system()).await.unwrap();
    assert_eq!(names.iter().map(|project| project.name.as_str()).collect::<Vec<_>>(), ["default"]);
}

#[tokio::test]
async fn a_folder_without_a_project_file_names_the_command_that_writes_one() {
    let test = TestApp::start().await.unwrap();
    let error = refused(test.app.projects.submit(&test.system()).await);
    assert_eq!(error.code(), ErrorCode::ProjectFile);
    assert!(error.message().starts_with("`perennial.toml` cannot be read in `"), "{}", error.message());
    assert!(error.hint().unwrap().contains("`perennial init`"));
}

#[tokio::test]
async fn a_file_that_is_too_large_or_not_text_is_refused() {
    let test = TestApp::start().await.unwrap();
    let place = test.folder.path().join("root/perennial.toml");
    for (content, code, words) in [
        (vec![b'#'; FILE_BYTES_MAX + 1], ErrorCode::TooLarge, "at most"),
        (vec![0xff, 0xfe], ErrorCode::ProjectFile, "not UTF-8"),
    ] {
        std::fs::write(&place, content).unwrap();
        let error = refused(test.app.projects.submit(&test.system()).await);
        assert_eq!(error.code(), code);
        assert!(error.message().contains(words), "{}", error.message());
    }
    std::fs::File::create(&place).unwrap().set_len(1 << 40).unwrap();
    let error = refused(test.app.projects.submit(&test.system()).await);
    assert_eq!(error.code(), ErrorCode::TooLarge, "only as much as is allowed is read");
    let largest = format!("{PROJECT_FILE}{}", "#".repeat(FILE_BYTES_MAX - PROJECT_FILE.len()));
    submit_as(&test, &test.system(), &largest).await.unwrap();
}

#[tokio::test]
async fn a_check_of_the_own_folder_stores_nothing_and_needs_read_on_the_server() {
    let (test, project) = TestApp::with_project().await.unwrap();
    let before = followed(&project);
    test.write_file(&with_another_step()).unwrap();
    let checked = test.app.projects.check(&test.caller("ann", Role::Viewer).await.unwrap()).await.unwrap();
    assert_eq!(checked.text, with_another_step());
    assert_eq!(followed(&project), before);
    let lead = caller_on(&test, &project, Role::Admin).await;
    assert_eq!(refused(test.app.projects.check(&lead).await).code(), ErrorCode::PermissionDenied);
}

#[tokio::test]
async fn a_text_is_checked_with_the_files_that_the_client_describes() {
    let test = TestApp::start().await.unwrap();
    let caller = test.system();
    let files = |listed: &[(&str, Option<&str>)]| {
        listed.iter().map(|(path, text)| ((*path).to_owned(), text.map(str::to_owned))).collect::<BTreeMap<_, _>>()
    };
    let error = refused(test.app.projects.check_text(&caller, with_sql(), &files(&[])).await);
    assert!(diagnostics(&error).errors[0].message.contains("sql/prepared.sql"));
    let described = files(&[("sql/prepared.sql", Some("SELECT 1"))]);
    let checked = test.app.projects.check_text(&caller, with_sql(), &described).await.unwrap();
    assert_eq!(checked.declared_text("sql/prepared.sql").unwrap(), "SELECT 1");
    assert_eq!(refused(test.app.projects.get_by_name(&"flights".parse().unwrap()).await).code(), ErrorCode::NotFound);
}

#[tokio::test]
async fn a_step_without_isolation_needs_the_administrators_consent() {
    let step = "[steps.copy]\nrun = \"cat\"\nenv = \"system\"\nisolation = \"none\"\n";
    let text = format!("{PROJECT_FILE}\n{step}");
    let strict = TestApp::that_isolates().await.unwrap();
    let error = refused(submit_as(&strict, &strict.system(), &text).await);
    assert_eq!(error.code(), ErrorCode::PermissionDenied);
    assert!(error.message().contains("step `copy`"), "{error}");
    assert!(error.hint().unwrap().contains("--allow-unisolated-steps"), "{error:?}");
    submit_as(&strict, &strict.system(), &text.replace("\"none\"", "\"full\"")).await.unwrap();

    let permitted = TestApp::start().await.unwrap();
    submit_as(&permitted, &permitted.system(), &text).await.unwrap();
}
