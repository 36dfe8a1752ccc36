use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::Spool;

#[test]
fn a_spool_is_private_and_removed_when_dropped() {
    let (one, other) = (Spool::create().unwrap(), Spool::create().unwrap());
    assert_ne!(one.0, other.0);
    assert_eq!(fs::metadata(&one.0).unwrap().permissions().mode() & 0o777, 0o700);
    let path = one.0.clone();
    fs::write(path.join("unfinished"), "x").unwrap();
    drop(one);
    assert!(!path.exists() && other.0.exists());
}
