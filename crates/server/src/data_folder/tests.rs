use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use perennial_core::ErrorCode;

use super::create;

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn only_its_owner_can_enter_a_new_data_folder() {
    let place = tempfile::tempdir().unwrap();
    let data = place.path().join("project/.perennial");
    create(&data).unwrap();
    assert_eq!(mode(&data), 0o700);
    create(&data).unwrap();
}

#[test]
fn a_wider_data_folder_is_repaired() {
    let place = tempfile::tempdir().unwrap();
    let data = place.path().join("data");
    std::fs::create_dir(&data).unwrap();
    for content in [None, Some("lock"), Some("metadata.sqlite")] {
        if let Some(name) = content {
            std::fs::write(data.join(name), "").unwrap();
        }
        set_mode(&data, 0o755);
        create(&data).unwrap();
        assert_eq!(mode(&data), 0o700, "{content:?}");
    }
}

#[test]
fn the_metadata_in_a_data_folder_lose_the_permissions_of_others() {
    let place = tempfile::tempdir().unwrap();
    let data = place.path().join("data");
    create(&data).unwrap();
    let metadata = data.join("metadata.sqlite");
    std::fs::write(&metadata, "").unwrap();
    for (folder, wide) in [(0o700, 0o644), (0o755, 0o666)] {
        set_mode(&data, folder);
        set_mode(&metadata, wide);
        create(&data).unwrap();
        assert_eq!((mode(&data), mode(&metadata)), (0o700, 0o600));
    }
}

#[test]
fn a_wider_folder_of_something_else_is_refused_with_the_remedy() {
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join("letter.txt"), "").unwrap();
    for wide in [0o755, 0o750, 0o701] {
        set_mode(place.path(), wide);
        let error = create(place.path()).unwrap_err();
        assert_eq!(error.code(), ErrorCode::WrongState);
        assert!(error.hint().unwrap().starts_with(&format!("`chmod 700 {}`", place.path().display())));
        assert_eq!(mode(place.path()), wide, "it is left as it is");
    }
    set_mode(place.path(), 0o700);
    create(place.path()).unwrap();
}
