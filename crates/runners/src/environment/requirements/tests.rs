use super::*;

fn report(packages: &[(&str, &str, Option<&str>)]) -> String {
    let install: Vec<_> = packages
        .iter()
        .map(|(name, version, hash)| {
            let archive = hash.map(|hash| serde_json::json!({ "hashes": { "sha256": hash } }));
            serde_json::json!({
                "metadata": { "name": name, "version": version },
                "download_info": { "url": "x", "archive_info": archive },
            })
        })
        .collect();
    serde_json::json!({ "version": "1", "install": install }).to_string()
}

#[test]
fn a_report_becomes_a_sorted_lock_with_hashes() {
    let report = report(&[("Typing_Extensions", "4.1", Some("bb")), ("six", "1.16.0", Some("aa"))]);
    assert_eq!(
        lock_of_report(&report).unwrap(),
        "six==1.16.0 --hash=sha256:aa\ntyping-extensions==4.1 --hash=sha256:bb\n"
    );
}

#[test]
fn a_lock_has_no_hashes_when_one_package_has_none() {
    let report = report(&[("a", "1", Some("aa")), ("b", "2", None)]);
    assert_eq!(lock_of_report(&report).unwrap(), "a==1\nb==2\n");
}

#[test]
fn text_that_is_not_a_report_is_refused() {
    assert!(matches!(lock_of_report("{}"), Err(Error::Resolve(_))));
}
