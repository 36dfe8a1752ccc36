use std::path::{Path, PathBuf};

use super::*;

/// Texts that start like a command: the first lines of digested formats, and the launcher of steps.
const FORMATS: [&str; 4] =
    ["perennial table 1", "perennial manifest 1", "perennial ledger entry 1", "perennial {verb}"];

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

/// The texts between backticks, the code elements of pages, and the lines of code blocks that start with the name of
/// the binary.
fn commands_in(text: &str) -> Vec<&str> {
    let quoted = text.lines().flat_map(|line| line.split('`').skip(1).step_by(2));
    let code = text.split("<code>").skip(1).filter_map(|rest| rest.split('<').next());
    let mut commands: Vec<&str> =
        quoted.chain(code).chain(text.lines()).filter(|text| text.starts_with("perennial ")).collect();
    // The rest of the line is a comment or another command; `{{` starts a value of a template.
    for command in &mut commands {
        *command = command.split("{{").next().unwrap_or_default();
        *command = command.split(['#', '|', '>', '&', ';']).next().unwrap_or_default().trim_end();
    }
    commands
}

/// The arguments in a command line; a quoted text is one argument.
fn words_of(command: &str) -> Vec<&str> {
    let parts = command.split(['"', '\'']).enumerate();
    parts
        .flat_map(|(place, part)| if place % 2 == 1 { vec![part] } else { part.split_whitespace().collect() })
        .collect()
}

#[test]
fn the_arguments_are_consistent() {
    Arguments::command().debug_assert();
}

#[test]
fn every_command_in_documents_and_messages_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut files = Vec::new();
    for folder in ["crates", "docs", "examples"] {
        files_below(&root.join(folder), &mut files);
    }
    files.extend(["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"].map(|name| root.join(name)));
    let (mut seen, mut wrong) = (0, Vec::new());
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        for command in commands_in(&text)
            .into_iter()
            .filter(|command| !FORMATS.contains(command) && !command.starts_with("perennial __"))
        {
            seen += 1;
            let refused = Arguments::try_parse_from(words_of(command)).err().map(|error| error.kind());
            // A text may name a command without its arguments, or with placeholders.
            if matches!(refused, Some(ErrorKind::InvalidSubcommand | ErrorKind::UnknownArgument)) {
                wrong.push(format!("{}: {command}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "these commands do not exist:\n{}", wrong.join("\n"));
    assert!(seen > 100, "only {seen} commands were found");
}

#[test]
fn an_old_verb_is_answered_with_the_new_one() {
    for (old, new) in [("release", "perennial data accept LOAD"), ("discard", "perennial data reject LOAD")] {
        let words = ["perennial", "data", old, "01a2"].map(str::to_owned);
        let error = name_new_verb(Arguments::try_parse_from(&words).unwrap_err(), &words);
        assert_eq!((error.kind(), error.exit_code()), (ErrorKind::InvalidSubcommand, 2));
        assert!(error.to_string().contains(&format!("`data {old}` has a new name: use `{new}`")), "{error}");
    }
    let words = ["perennial", "runs", "discard"].map(str::to_owned);
    let error = name_new_verb(Arguments::try_parse_from(&words).unwrap_err(), &words);
    assert!(!error.to_string().contains("new name"), "{error}");
    assert!(Arguments::try_parse_from(["perennial", "-C", "data", "release"]).is_ok());
}

/// Every subcommand, with its full path.
fn paths_and_commands(command: &clap::Command, path: &[&str]) -> Vec<(String, clap::Command)> {
    let below = command.get_subcommands().filter(|below| below.get_name() != "help");
    let below = below.flat_map(|below| {
        let path = [path, &[below.get_name()]].concat();
        let own = (path.join(" "), below.clone());
        std::iter::once(own).chain(paths_and_commands(below, &path)).collect::<Vec<_>>()
    });
    below.collect()
}

#[test]
fn every_command_with_arguments_has_valid_examples() {
    for (name, command) in paths_and_commands(&Arguments::command(), &["perennial"]) {
        let examples = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let examples: Vec<&str> = examples.lines().filter(|line| line.starts_with("  perennial ")).collect();
        let has_arguments = command.get_positionals().next().is_some();
        assert!(!has_arguments || !examples.is_empty(), "`{name}` has no example");
        for example in examples {
            let words = words_of(example.split('>').next().unwrap());
            Arguments::try_parse_from(words).unwrap_or_else(|error| panic!("{example}: {error}"));
        }
    }
}

#[test]
fn the_exit_status_of_every_command_is_documented() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/exit-status.md");
    let page = std::fs::read_to_string(page).unwrap();
    let documented: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let all = paths_and_commands(&Arguments::command(), &["perennial"]);
    let executed = all.iter().filter(|(_, command)| !command.is_subcommand_required_set());
    let missing: Vec<&str> = executed
        .map(|(name, _)| name.trim_start_matches("perennial "))
        .filter(|name| !documented.contains(name))
        .collect();
    assert!(missing.is_empty(), "docs/reference/exit-status.md has no row for {missing:?}");
    let exists = |command: &&str| all.iter().any(|(name, _)| name.trim_start_matches("perennial ") == *command);
    let (_, table) = page.split_once("## Each command").unwrap();
    let (table, _) = table.split_once("\n## ").unwrap();
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    assert_eq!(rows.filter(|row| !exists(row)).collect::<Vec<_>>(), Vec::<&str>::new(), "rows without a command");
}
