//! Running the binary in a folder of its own.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A folder with an example in it.
pub(crate) struct Place {
    pub(crate) folder: TempDir,
}

impl Place {
    /// An example written out by the binary.
    pub(crate) fn example(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let told = perennial(folder.path(), &["init", "--example", name, "project"]).output().unwrap();
        assert!(told.status.success(), "{}", text(&told.stderr));
        Self { folder }
    }

    /// A folder that holds nothing but a project file.
    pub(crate) fn with_file(content: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("project")).unwrap();
        std::fs::write(folder.path().join("project/perennial.toml"), content).unwrap();
        Self { folder }
    }

    pub(crate) fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("project")
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        perennial(&self.path(), args)
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs a verb that has to end well; gives what it printed.
    pub(crate) fn good(&self, args: &[&str]) -> String {
        let told = self.run(args);
        assert!(told.status.success(), "perennial {args:?}\n{}\n{}", text(&told.stdout), text(&told.stderr));
        text(&told.stdout)
    }

    /// The same, read as JSON.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let mut all = vec!["--json"];
        all.extend(args);
        serde_json::from_str(&self.good(&all)).unwrap()
    }

    /// Answers one SELECT.
    pub(crate) fn query(&self, sql: &str) -> Vec<Vec<Value>> {
        let page = self.json(&["data", "query", sql, "--limit", "1000"]);
        page["rows"].as_array().unwrap().iter().map(|row| row.as_array().unwrap().clone()).collect()
    }

    /// Keeps only the source files below `folder` whose names `keep` accepts.
    pub(crate) fn keep_only(&self, folder: &str, keep: impl Fn(&str) -> bool) {
        for entry in std::fs::read_dir(self.path().join(folder)).unwrap() {
            let entry = entry.unwrap();
            if !keep(&entry.file_name().to_string_lossy()) {
                std::fs::remove_file(entry.path()).unwrap();
            }
        }
    }
}

fn perennial(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_perennial"));
    command.current_dir(folder).args(args).stdin(Stdio::null()).env("NO_COLOR", "1");
    for name in ["PERENNIAL_SERVER", "PERENNIAL_TOKEN", "PERENNIAL_DATABASE", "PERENNIAL_ARTIFACTS", "PERENNIAL_DATA"] {
        command.env_remove(name);
    }
    command
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
