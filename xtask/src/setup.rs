//! Everything the tests need, made once and kept in the cache folder.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::postgres::Postgres;
use crate::python;
use crate::shell::{apt, cargo, find, run};

/// What the tests need, ready; the services in it end with it.
pub(crate) struct Ready {
    python: PathBuf,
    postgres: Postgres,
    browser: Browser,
}

/// A browser, and what drives it.
struct Browser {
    chromium: PathBuf,
    driver: PathBuf,
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
        let browser = Browser::found()?;
        Ok(Self { python, postgres, browser })
    }

    /// Sets the variables by which tests find everything.
    pub(crate) fn apply(&self, mut command: Command) -> Command {
        command
            .env("PERENNIAL_TEST_PYTHON", &self.python)
            .env("PERENNIAL_TEST_POSTGRES", self.postgres.url())
            .env("PERENNIAL_TEST_CHROMIUM", &self.browser.chromium)
            .env("PERENNIAL_TEST_CHROMEDRIVER", &self.browser.driver);
        if let Some(library) = python::onnx_runtime(&self.python) {
            command.env("ORT_DYLIB_PATH", library);
        }
        command
    }

    /// Prints the variables for people who run tests by hand.
    pub(crate) fn print(&self) {
        println!("PERENNIAL_TEST_PYTHON={}", self.python.display());
        println!("PERENNIAL_TEST_CHROMIUM={}", self.browser.chromium.display());
        println!("PERENNIAL_TEST_CHROMEDRIVER={}", self.browser.driver.display());
        println!("PostgreSQL starts and stops with each `cargo xtask test`");
    }
}

impl Browser {
    /// The system's; the two come from one source, so that their versions agree.
    fn found() -> Result<Self> {
        if find("chromium").is_none() || find("chromedriver").is_none() {
            apt(&["chromium", "chromium-driver"])?;
        }
        let place = |name| find(name).with_context(|| format!("`{name}` is not there after its installation"));
        Ok(Self { chromium: place("chromium")?, driver: place("chromedriver")? })
    }
}
