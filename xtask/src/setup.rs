//! Everything the tests need, made once and kept in the cache folder.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::postgres::Postgres;
use crate::python;
use crate::shell::{apt, cargo, find, run};

/// What the tests need, ready; the services in it end with it.
pub(crate) struct Ready {
    python: PathBuf,
    postgres: Postgres,
    chromium: PathBuf,
}

impl Ready {
    pub(crate) fn new() -> Result<Self> {
        if find("cargo-nextest").is_none() {
            run(cargo().args(["install", "--locked", "cargo-nextest"]))?;
        }
        if find("curl").is_none() {
            apt(&["curl"])?;
        }
        let python = python::environment()?;
        let postgres = Postgres::start()?;
        let chromium = chromium()?;
        Ok(Self { python, postgres, chromium })
    }

    /// Tells a command where everything is.
    pub(crate) fn apply(&self, mut command: Command) -> Command {
        command
            .env("PERENNIAL_TEST_PYTHON", &self.python)
            .env("PERENNIAL_TEST_POSTGRES", self.postgres.url())
            .env("PERENNIAL_TEST_CHROMIUM", &self.chromium);
        if let Some(library) = python::onnx_runtime(&self.python) {
            command.env("ORT_DYLIB_PATH", library);
        }
        command
    }

    pub(crate) fn tell(&self) {
        println!("PERENNIAL_TEST_PYTHON={}", self.python.display());
        println!("PERENNIAL_TEST_CHROMIUM={}", self.chromium.display());
        println!("PostgreSQL starts and stops with each `cargo xtask test`");
    }
}

fn chromium() -> Result<PathBuf> {
    if let Some(found) = find("chromium").or_else(|| find("google-chrome")) {
        return Ok(found);
    }
    apt(&["chromium"])?;
    Ok(find("chromium").unwrap_or_else(|| PathBuf::from("/usr/bin/chromium")))
}
