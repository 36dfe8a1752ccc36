use tempfile::TempDir;

use super::*;

/// An environment with a file, a folder and a link, and the path of its seal.
fn environment() -> (TempDir, PathBuf, PathBuf) {
    let temp = TempDir::new().unwrap();
    let (folder, seal_path) = (temp.path().join("env"), temp.path().join("env.seal"));
    fs::create_dir_all(folder.join("lib")).unwrap();
    fs::write(folder.join("lib/module.py"), "code").unwrap();
    std::os::unix::fs::symlink("/usr/bin/python3", folder.join("python")).unwrap();
    fs::write(&seal_path, seal(&folder).unwrap()).unwrap();
    (temp, folder, seal_path)
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// Whether an environment is intact after a change.
fn intact_after(change: impl FnOnce(&Path)) -> bool {
    let (_temp, folder, seal) = environment();
    change(&folder);
    is_intact(&folder, &seal).unwrap()
}

#[test]
fn a_sealed_environment_is_read_only_and_intact() {
    assert!(intact_after(|folder| {
        assert_eq!(folder.join("lib/module.py").metadata().unwrap().mode() & 0o777, FILE);
        assert_eq!(folder.join("lib").metadata().unwrap().mode() & 0o777, FOLDER);
    }));
}

#[test]
fn every_change_is_found() {
    let module = "lib/module.py";
    assert!(!intact_after(|folder| {
        set_mode(&folder.join(module), 0o644);
        fs::write(folder.join(module), "evil").unwrap();
        set_mode(&folder.join(module), 0o444);
    }));
    assert!(!intact_after(|folder| set_mode(&folder.join(module), 0o644)));
    assert!(!intact_after(|folder| {
        set_mode(&folder.join("lib"), 0o755);
        fs::write(folder.join("lib/more.pth"), "import evil").unwrap();
        set_mode(&folder.join("lib"), 0o555);
    }));
    assert!(!intact_after(|folder| {
        set_mode(&folder.join("lib"), 0o755);
        fs::remove_file(folder.join(module)).unwrap();
        set_mode(&folder.join("lib"), 0o555);
    }));
    assert!(!intact_after(|folder| {
        set_mode(folder, 0o755);
        fs::remove_file(folder.join("python")).unwrap();
        std::os::unix::fs::symlink("/tmp/evil", folder.join("python")).unwrap();
        set_mode(folder, 0o555);
    }));
}

#[test]
fn another_time_with_the_same_content_is_no_change() {
    assert!(intact_after(|folder| {
        let file = File::options().read(true).open(folder.join("lib/module.py")).unwrap();
        file.set_modified(std::time::UNIX_EPOCH).unwrap();
    }));
}

#[test]
fn an_environment_is_removed_with_its_seal() {
    let (_temp, folder, seal) = environment();
    remove(&folder, &seal).unwrap();
    assert!(!folder.exists() && !seal.exists());
    remove(&folder, &seal).unwrap();
    assert!(!is_intact(&folder, &seal).unwrap());
}
