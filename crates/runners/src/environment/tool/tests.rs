use tempfile::TempDir;

use super::*;

fn shell(script: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script]);
    command
}

#[test]
fn an_error_text_is_one_line_without_box_drawing() {
    let error = query(&mut shell("printf '  × No solution\\n  ╰─▶ Because six\\n' >&2; exit 1")).unwrap();
    assert_eq!(error, Err("No solution Because six".to_owned()));
    let long = query(&mut shell("seq 1 5000 >&2; exit 1")).unwrap().unwrap_err();
    assert!(long.starts_with("… ") && long.ends_with(" 5000"), "{long}");
}

#[test]
fn the_output_of_a_query_is_bounded() {
    let output = query(&mut shell("head -c 3000000 /dev/zero")).unwrap().unwrap();
    assert_eq!(output.len() as u64, LOG_MAX_BYTES);
}

#[test]
fn a_link_that_a_tool_left_is_not_read() {
    let temp = TempDir::new().unwrap();
    let workspace = Workspace::new(&Cache::new(temp.path(), "")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", workspace.file("result")).unwrap();
    assert!(workspace.read("result").is_err());
    workspace.write("text", "six==1.16.0").unwrap();
    assert_eq!(workspace.read("text").unwrap(), "six==1.16.0");
    let folder = workspace.folder.clone();
    drop(workspace);
    assert!(!folder.exists());
}
