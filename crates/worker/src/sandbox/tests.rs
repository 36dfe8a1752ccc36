use super::*;

#[test]
fn an_isolation_is_described_by_what_is_in_force() {
    let all = Isolation {
        landlock: Some(7),
        system_calls: true,
        network: true,
        files: true,
        user: true,
        control_group: true,
    };
    assert_eq!(all.to_string(), "landlock v7, seccomp, own network, own file tree, own user, own control group");
    let some = Isolation { landlock: Some(3), ..Isolation::default() };
    assert_eq!(some.to_string(), "landlock v3");
    let files_are_open = Isolation { landlock: None, ..all };
    assert_eq!(files_are_open.to_string(), "none");
}
