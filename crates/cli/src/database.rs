//! The URL of the metadata database, whose password stands neither in arguments nor in messages.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::Result;
use perennial_core::ErrorCode;

use crate::args::Up;
use crate::output::user_error;

/// The variable with the URL.
const DATABASE: &str = "PERENNIAL_DATABASE";
/// The variable with the path of a file that contains the URL.
const DATABASE_FILE: &str = "PERENNIAL_DATABASE_FILE";
/// The variable with the folder or URL of blobs and datasets.
const ARTIFACTS: &str = "PERENNIAL_ARTIFACTS";

/// The database that the environment names; `None` for SQLite in the data folder.
///
/// # Errors
/// If the file with the URL cannot be read.
pub(crate) fn from_environment() -> Result<Option<String>> {
    choose(variable(DATABASE), variable(DATABASE_FILE).map(PathBuf::from).as_deref())
}

/// The database that `perennial up` is to use.
///
/// # Errors
/// If its arguments contain a password, which every user of the machine can read in the list of processes, or if the file
/// with the URL cannot be read.
pub(crate) fn from_arguments(options: &Up) -> Result<Option<String>> {
    if let Some(url) = &options.database
        && has_password(url)
        && std::env::args().any(|word| word.contains(url.as_str()))
    {
        let message = "`--database` contains a password, which other users of this machine can read";
        let hint = "write the URL into a file that only you can read and name it: `perennial up --database-file FILE`; \
                    or set PERENNIAL_DATABASE";
        return Err(user_error(ErrorCode::InvalidArgument, message.to_owned(), hint));
    }
    choose(options.database.clone(), options.database_file.as_deref())
}

/// Fails when the environment names storage outside the data folder, which `verb` would not reach.
///
/// # Errors
/// Names the variable that is set.
pub(crate) fn refuse_outside_storage(verb: &str) -> Result<()> {
    let set = [DATABASE, DATABASE_FILE, ARTIFACTS].into_iter().find(|name| variable(name).is_some());
    let Some(name) = set else { return Ok(()) };
    let message = format!("{name} is set, and `perennial {verb}` reaches only what is stored in the data folder");
    let hint = format!(
        "use the tools of the database and of the object store, or unset {name} if the data is in the data folder"
    );
    Err(user_error(ErrorCode::WrongState, message, &hint))
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn choose(url: Option<String>, file: Option<&Path>) -> Result<Option<String>> {
    let Some(file) = file else { return Ok(url) };
    require_private(file)?;
    let text = std::fs::read_to_string(file).map_err(|cause| {
        let message = format!("cannot read the URL of the database from {}: {cause}", file.display());
        user_error(ErrorCode::InvalidArgument, message, "the file contains one line: the URL")
    })?;
    Ok(Some(text.trim().to_owned()))
}

/// Fails when other users can read or change the file, which has a password. The group may read a file of `root`, as secrets
/// of containers are mounted. A file that does not exist is reported when it is read.
fn require_private(file: &Path) -> Result<()> {
    let Ok(metadata) = std::fs::metadata(file) else { return Ok(()) };
    let refused = if metadata.uid() == 0 { 0o037 } else { 0o077 };
    if metadata.mode() & refused == 0 {
        return Ok(());
    }
    let message = format!("other users can read {}, which contains the URL of the database", file.display());
    Err(user_error(ErrorCode::WrongState, message, &format!("`chmod 600 {}`", file.display())))
}

/// Whether a URL contains a password.
fn has_password(url: &str) -> bool {
    reqwest::Url::parse(url)
        .is_ok_and(|url| url.password().is_some() || url.query_pairs().any(|(name, _)| name == "password"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_password_is_found_wherever_a_url_may_have_one() {
        for url in ["postgres://ada:secret@db/perennial", "postgres://db/perennial?user=ada&password=secret"] {
            assert!(has_password(url), "{url}");
        }
        for url in ["postgres://ada@db/perennial", "postgres://db/perennial?sslmode=require", "sqlite:///a:b@c"] {
            assert!(!has_password(url), "{url}");
        }
    }

    #[test]
    fn the_file_with_the_url_takes_precedence_and_has_to_exist() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("database");
        std::fs::write(&file, "postgres://ada:secret@db/perennial\n").unwrap();
        for wide in [0o644, 0o604, 0o622] {
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(wide)).unwrap();
            let refused = choose(None, Some(&file)).unwrap_err().to_string();
            assert!(refused.starts_with("other users can read "), "{refused}");
        }
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        let chosen = choose(None, Some(&file)).unwrap();
        assert_eq!(chosen.as_deref(), Some("postgres://ada:secret@db/perennial"));
        let missing = choose(None, Some(&place.path().join("missing"))).unwrap_err();
        assert!(missing.to_string().starts_with("cannot read the URL of the database from "), "{missing}");
    }
}
