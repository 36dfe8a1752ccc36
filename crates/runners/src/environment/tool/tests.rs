use tempfile::TempDir;

use super::*;

fn shell(script: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script]);
    command
}

/// Whether this kernel isolates; tried in a thread of its own, which stays isolated.
fn kernel_isolates() -> bool {
    let attempt = thread::spawn(|| isolation::isolate(&[], &[]).unwrap());
    attempt.join().unwrap() != "none"
}

#[test]
fn a_tool_accesses_only_its_sandbox() {
    let temp = TempDir::new().unwrap();
    let path = |name: &str| temp.path().join(name);
    for name in ["own", "given", "other"] {
        std::fs::create_dir(path(name)).unwrap();
        std::fs::write(path(name).join("file"), name).unwrap();
    }
    let sandbox = Sandbox { writable: vec![path("own")], readable: vec![path("given")] };
    let run = |script: &str| sandbox.run(shell(script).current_dir(temp.path()), &[], "").unwrap();
    assert_eq!(run("cat own/file given/file; echo x > own/new"), Ok("owngiven".to_owned()));
    if kernel_isolates() {
        for script in ["cat other/file", "echo x > given/new", "echo x > other/new"] {
            let error = run(script).unwrap_err();
            assert!(error.contains("Permission denied"), "{script}: {error}");
        }
    }
}

#[test]
fn a_tool_does_not_inherit_the_servers_variables() {
    let variables = [("TMPDIR", PathBuf::from("/chosen"))];
    let output = Sandbox::default().run(&mut shell("env"), &variables, "").unwrap().unwrap();
    assert!(output.contains("TMPDIR=/chosen\n"), "{output}");
    for name in output.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name) {
        let is_passed = ["PIP_", "UV_"].iter().any(|stem| name.starts_with(stem)) || PASSED_VARIABLES.contains(&name);
        // The shell adds the last three.
        assert!(is_passed || ["TMPDIR", "PWD", "OLDPWD", "_"].contains(&name), "{name}");
    }
}

#[test]
fn a_tool_reads_its_input() {
    assert_eq!(
        Sandbox::default().run(&mut shell("cat"), &[], "six==1.16.0\n").unwrap(),
        Ok("six==1.16.0\n".to_owned())
    );
}

#[test]
fn an_error_text_is_one_line_without_box_drawing() {
    let error = query(&mut shell("printf '  × No solution\\n  ╰─▶ Because six\\n' >&2; exit 1")).unwrap();
    assert_eq!(error, Err("No solution Because six".to_owned()));
    let long = query(&mut shell("seq 1 5000 >&2; exit 1")).unwrap().unwrap_err();
    assert!(long.starts_with("… ") && long.ends_with(" 5000"), "{long}");
}
