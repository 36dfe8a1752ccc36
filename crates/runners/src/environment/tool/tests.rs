use tempfile::TempDir;

use super::*;

fn shell(script: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script]);
    command
}

/// Whether this kernel isolates: asked in a thread that is given up for it.
fn kernel_isolates() -> bool {
    let asked = thread::spawn(|| isolation::isolate(&[], &[]).unwrap());
    asked.join().unwrap() != "none"
}

#[test]
fn a_tool_that_runs_code_of_packages_reaches_its_room_alone() {
    let temp = TempDir::new().unwrap();
    let place = |name: &str| temp.path().join(name);
    for name in ["own", "given", "other"] {
        std::fs::create_dir(place(name)).unwrap();
        std::fs::write(place(name).join("file"), name).unwrap();
    }
    let room = Room { writable: vec![place("own")], readable: vec![place("given")] };
    let run = |script: &str| room.run(shell(script).current_dir(temp.path()), &[], "").unwrap();
    assert_eq!(run("cat own/file given/file; echo x > own/new"), Ok("owngiven".to_owned()));
    if kernel_isolates() {
        for script in ["cat other/file", "echo x > given/new", "echo x > other/new"] {
            let complaint = run(script).unwrap_err();
            assert!(complaint.contains("Permission denied"), "{script}: {complaint}");
        }
    }
}

#[test]
fn a_tool_that_runs_code_of_packages_does_not_see_the_servers_variables() {
    let variables = [("TMPDIR", PathBuf::from("/chosen"))];
    let told = Room::default().run(&mut shell("env"), &variables, "").unwrap().unwrap();
    assert!(told.contains("TMPDIR=/chosen\n"), "{told}");
    for name in told.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name) {
        let is_kept = ["PIP_", "UV_"].iter().any(|stem| name.starts_with(stem)) || KEPT.contains(&name);
        // The shell itself adds the last two.
        assert!(is_kept || ["TMPDIR", "PWD", "OLDPWD", "_"].contains(&name), "{name}");
    }
}

#[test]
fn input_reaches_the_tool() {
    assert_eq!(Room::default().run(&mut shell("cat"), &[], "six==1.16.0\n").unwrap(), Ok("six==1.16.0\n".to_owned()));
}

#[test]
fn a_complaint_is_one_line_without_drawing() {
    let complaint = ask(&mut shell("printf '  × No solution\\n  ╰─▶ Because six\\n' >&2; exit 1")).unwrap();
    assert_eq!(complaint, Err("No solution Because six".to_owned()));
    let long = ask(&mut shell("seq 1 5000 >&2; exit 1")).unwrap().unwrap_err();
    assert!(long.starts_with("… ") && long.ends_with(" 5000"), "{long}");
}
