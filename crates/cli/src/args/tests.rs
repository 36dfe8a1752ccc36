use std::path::{Path, PathBuf};

use clap::CommandFactory;
use clap::error::ErrorKind;

use super::*;

/// First lines of what is digested, which begin like commands, and how a step's launcher is started.
const FORMATS: [&str; 4] =
    ["perennial table 1", "perennial manifest 1", "perennial ledger entry 1", "perennial __launch"];

fn files_below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if name != "target" && !name.starts_with('.') {
                files_below(&path, found);
            }
        } else if [".rs", ".md", ".html", ".toml"].iter().any(|ending| name.ends_with(ending)) {
            found.push(path);
        }
    }
}

/// What stands between backticks or as code of a page, and the lines of blocks of code, as far as they begin with
/// the binary's name.
fn commands_in(text: &str) -> Vec<&str> {
    let quoted = text.lines().flat_map(|line| line.split('`').skip(1).step_by(2));
    let code = text.split("<code>").skip(1).filter_map(|rest| rest.split('<').next());
    let mut commands: Vec<&str> =
        quoted.chain(code).chain(text.lines()).filter(|text| text.starts_with("perennial ")).collect();
    // What follows a command on its line is told about it; what a template puts in is a value.
    for command in &mut commands {
        *command = command.split("{{").next().unwrap_or_default();
        *command = command.split(['#', '|', '>', '&', ';']).next().unwrap_or_default().trim_end();
    }
    commands
}

#[test]
fn the_arguments_hold_together() {
    Arguments::command().debug_assert();
}

#[test]
fn every_command_that_a_text_names_is_one() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut files = Vec::new();
    for folder in ["crates", "docs", "examples"] {
        files_below(&root.join(folder), &mut files);
    }
    files.extend(["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"].map(|name| root.join(name)));
    let (mut seen, mut wrong) = (0, Vec::new());
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        for command in commands_in(&text).into_iter().filter(|command| !FORMATS.contains(command)) {
            seen += 1;
            let words = command.split_whitespace().map(|word| word.trim_matches(['"', '\'']));
            let refused = Arguments::try_parse_from(words).err().map(|error| error.kind());
            // A verb may be named without what it needs, and with a word that stands for a value.
            if matches!(refused, Some(ErrorKind::InvalidSubcommand | ErrorKind::UnknownArgument)) {
                wrong.push(format!("{}: {command}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "no command of this binary:\n{}", wrong.join("\n"));
    assert!(seen > 100, "only {seen} commands were seen");
}

/// Every verb below, with the words that lead to it.
fn verbs(command: &clap::Command, path: &[&str]) -> Vec<(String, clap::Command)> {
    let below = command.get_subcommands().filter(|below| below.get_name() != "help");
    let below = below.flat_map(|below| {
        let path = [path, &[below.get_name()]].concat();
        let own = (path.join(" "), below.clone());
        std::iter::once(own).chain(verbs(below, &path)).collect::<Vec<_>>()
    });
    below.collect()
}

#[test]
fn every_verb_that_takes_something_shows_examples_that_it_takes() {
    for (verb, command) in verbs(&Arguments::command(), &["perennial"]) {
        let examples = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let examples: Vec<&str> = examples.lines().filter(|line| line.starts_with("  perennial ")).collect();
        let takes = command.get_positionals().next().is_some();
        assert!(!takes || !examples.is_empty(), "`{verb}` shows no example");
        for example in examples {
            let words = example.split('>').next().unwrap().split('\'').enumerate().flat_map(|(place, part)| {
                // What stands between quotes is one word.
                if place % 2 == 1 { vec![part] } else { part.split_whitespace().collect() }
            });
            Arguments::try_parse_from(words).unwrap_or_else(|error| panic!("{example}: {error}"));
        }
    }
}
