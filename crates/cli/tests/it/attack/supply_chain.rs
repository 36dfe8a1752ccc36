//! Code that comes with packages, and code of one project in the environment of another.

use std::future::{Ready, ready};
use std::path::Path;

use super::attempt::{Kind, Outcome, kind};
use super::target::Target;
use crate::chance::Chance;

pub(super) const KINDS: &[Kind] =
    &[kind!("packages that run code when they are built", builds), kind!("dependencies of the binary", dependencies)];

/// Requirements from which an installer would run code of a stranger, or connect to an address of the contributor.
fn requirements(target: &Target) -> Vec<String> {
    let address = &target.listener.address;
    vec![
        "./hostile\n".to_owned(),
        "-e ./hostile\n".to_owned(),
        "hostile @ file:./hostile\n".to_owned(),
        format!("hostile @ http://{address}/hostile-1.0.tar.gz\n"),
        format!("hostile @ git+http://{address}/hostile\n"),
        format!("--index-url http://{address}/simple\nhostile==1.0\n"),
        format!("--extra-index-url http://{address}/simple\nhostile==1.0\n"),
        format!("--find-links http://{address}/\nhostile==1.0\n"),
        "-r ../../outside/secret.csv\n".to_owned(),
        "-c /etc/passwd\n".to_owned(),
        "--no-binary :all:\nhostile==1.0\n".to_owned(),
    ]
}

/// A build writes the marker.
async fn builds(target: &Target, mut chance: Chance) -> Outcome {
    let mut outcome = Outcome::default();
    let marker = target.place.folder.path().join("outside/built");
    let setup = format!(
        "import pathlib\npathlib.Path({:?}).write_text('built')\nimport setuptools\nsetuptools.setup(name='hostile', version='1.0')\n",
        marker.display().to_string()
    );
    let all = requirements(target);
    let first = chance.below(all.len() as u64) as usize;
    for text in all.iter().cycle().skip(first).take(4) {
        let before = target.listener.connections();
        let added = "\n[steps.hostile]\nrun = \"python -c pass\"\ncode = [\"hostile/setup.py\"]\nenv = \"uv:hostile.txt\"\n\
                     limits = { time = \"1 minute\" }\noutputs = { a = { path = \"a\" } }\n";
        let files: [(&str, &[u8]); 2] = [("hostile.txt", text.as_bytes()), ("hostile/setup.py", setup.as_bytes())];
        let (status, run) = target.run_changed(added, &files, &["hostile"]).await;
        let what = format!("the requirement `{}`", text.trim());
        outcome.add(target.hole(&target.contributor, &what, status, &run.to_string()));
        outcome.expect(run["state"] != "succeeded", || format!("{what} was installed: {run}"));
        let connections = target.listener.connections() - before;
        // An index may be named; an archive or a repository may not.
        let names_index = text.starts_with("--");
        outcome.expect(names_index || connections == 0, || format!("{what} made {connections} connections"));
    }
    outcome.expect(!marker.exists(), || "a package was built outside its environment".to_owned());
    outcome
}

/// Each dependency comes from crates.io with a checksum.
fn dependencies(_: &Target, _: Chance) -> Ready<Outcome> {
    let mut outcome = Outcome::default();
    let lock = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.lock")).unwrap();
    for package in lock.split("[[package]]").skip(1) {
        let name = package.lines().find(|line| line.starts_with("name = ")).unwrap_or_default();
        let source = package.lines().find_map(|line| line.strip_prefix("source = "));
        let is_own = source.is_none()
            && (name.contains("\"perennial-") || ["xtask", "protos"].iter().any(|own| name.contains(own)));
        let is_fixed = source == Some("\"registry+https://github.com/rust-lang/crates.io-index\"")
            && package.contains("checksum = ");
        outcome.expect(is_own || is_fixed, || format!("{name} comes from {source:?} without a checksum"));
    }
    ready(outcome)
}
