//! Requirements, and which of them need a build. Building a package runs the package's code, which could change what other
//! projects install, so packages come as wheels; where the administrator allows it, those that are named as source packages
//! are built.
//!
//! `uv` and `pip` are called with options that say so. Lines of a requirements file take precedence over these options, and
//! the tools parse files in different ways; so they get lines that were parsed here, without comments and continuations.

use std::path::Path;

use serde::Serialize;

/// Options that choose indexes and versions. All others are refused: they build packages, or lead to other files.
const OPTIONS: &[&str] = &[
    "-f",
    "-i",
    "--extra-index-url",
    "--find-links",
    "--hash",
    "--index-url",
    "--no-index",
    "--pre",
    "--prefer-binary",
    "--require-hashes",
    "--trusted-host",
];

/// Endings of files with packages.
const ARCHIVES: &[&str] = &["bz2", "gz", "tar", "tgz", "whl", "xz", "zip"];

/// Endings of source packages.
const SOURCES: &[&str] = &[".tar.gz", ".tgz", ".zip", ".tar.bz2", ".tar.xz"];

/// The option that names packages which are built from source.
const BUILD_OPTION: &str = "--no-binary";

/// Whether packages may be built from source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Builds {
    /// Requirements that name a source package are refused.
    Refused,
    /// Those that are named with their version or address are built.
    Allowed,
}

/// Requirements, parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Requirements {
    /// Packages that come as wheels, and options, a line each.
    pub(crate) wheels: String,
    /// Packages to build.
    pub(crate) sources: Vec<SourcePackage>,
}

/// A package to build from source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct SourcePackage {
    /// Its name, normalized.
    pub(crate) name: String,
    /// Where its source is.
    #[serde(flatten)]
    pub(crate) origin: Origin,
}

/// Where the source of a package is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Origin {
    /// In an index, in this version.
    Version(String),
    /// At this address, which may end with `#sha256=…`.
    Url(String),
}

/// The requirements, if each names a package, a wheel by its address, or a source package that may be built.
///
/// A source package is `NAME @ https://….tar.gz`, or `NAME==VERSION` with a line `--no-binary NAME`.
pub(crate) fn parse(requirements: &str, builds: Builds) -> Result<Requirements, String> {
    let text = requirements.trim_start_matches('\u{feff}');
    let is_separator = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    if text.contains(|c: char| is_separator(c) || matches!(c, '\u{2028}' | '\u{2029}')) {
        return Err("the requirements contain control characters".to_owned());
    }
    // The tools replace it by a variable's value, which may be the password of an index.
    if text.contains("${") {
        return Err("the requirements refer to a variable by `${`, which is not allowed".to_owned());
    }
    let (mut lines, mut sources, mut built) = (Vec::new(), Vec::new(), Vec::new());
    for line in logical_lines(text) {
        if builds == Builds::Allowed {
            if let Some(names) = built_names(&line) {
                built.extend(names?);
                continue;
            }
            if let Some(source) = source_at_url(&line) {
                sources.push(source);
                continue;
            }
        }
        check(&line)?;
        lines.push(line);
    }
    for name in built {
        let version = |line: &String| {
            let (declared, version) = line.split_once("==").map(|(name, version)| (name, version.trim()))?;
            (is_plain(version) && normalized(declared.trim()) == name).then(|| version.to_owned())
        };
        let found = lines.iter().enumerate().find_map(|(place, line)| Some((place, version(line)?)));
        let Some((place, version)) = found else {
            return Err(format!("`{BUILD_OPTION} {name}` needs a line with the version to build: `{name}==VERSION`"));
        };
        lines.remove(place);
        sources.push(SourcePackage { name, origin: Origin::Version(version) });
    }
    Ok(Requirements { wheels: lines.join("\n"), sources })
}

/// The lines without comments; continued ones are joined.
fn logical_lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut logical = String::new();
    for line in text.lines().map(|line| without_comment(line.trim())) {
        let continued = line.strip_suffix('\\');
        logical.push_str(continued.unwrap_or(line));
        if continued.is_some() {
            logical.push(' ');
            continue;
        }
        lines.push(std::mem::take(&mut logical).trim().to_owned());
    }
    lines.push(logical.trim().to_owned());
    lines
}

/// The packages of a line that names packages to build; `None` for another line.
fn built_names(line: &str) -> Option<Result<Vec<String>, String>> {
    let names = line.strip_prefix(BUILD_OPTION)?.strip_prefix([' ', '='])?;
    let names: Vec<String> = names.split([',', ' ']).filter(|name| !name.is_empty()).map(normalized).collect();
    Some(match names.iter().find(|name| !is_name(name)) {
        Some(other) => Err(format!("`{BUILD_OPTION}` names each package to build; `{other}` is not the name of one")),
        None => Ok(names),
    })
}

/// The source package of a line `NAME @ https://….tar.gz`; `None` for another line.
fn source_at_url(line: &str) -> Option<SourcePackage> {
    let (name, url) = line.split_once('@')?;
    let (name, url) = (normalized(name.trim()), url.trim());
    let file = url.split('#').next().unwrap_or_default();
    let is_source = (url.starts_with("https://") || url.starts_with("http://"))
        && SOURCES.iter().any(|ending| file.ends_with(ending))
        && !url.contains(char::is_whitespace)
        && is_name(&name);
    is_source.then(|| SourcePackage { name, origin: Origin::Url(url.to_owned()) })
}

/// Whether a normalized name can be that of a package.
fn is_name(name: &str) -> bool {
    name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

/// Whether a text has only the characters of versions and of the names of wheels.
pub(super) fn is_plain(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '!' | '+'))
}

/// A package's name as indexes compare it.
pub(crate) fn normalized(name: &str) -> String {
    let parts = name.split(['-', '_', '.']).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("-").to_ascii_lowercase()
}

/// Refuses a line that leads to other files, or builds a package.
fn check(line: &str) -> Result<(), String> {
    for word in line.split_whitespace().filter(|word| word.starts_with('-')) {
        let option = word.split('=').next().unwrap_or_default();
        if !OPTIONS.contains(&option) {
            return Err(format!("`{option}` is not allowed: every package is named here and installed from a wheel"));
        }
    }
    if line.starts_with('-') {
        return Ok(());
    }
    // The address of a package: `name @ https://…`, `git+https://…`, `./folder`, `package.tar.gz`.
    let requirement = line.split(" ;").next().unwrap_or_default().split(" --").next().unwrap_or_default().trim();
    let address = requirement.split_once('@').map_or(requirement, |(_, address)| address.trim());
    let is_address = requirement.contains(['@', '/', '\\']) || requirement.starts_with('.');
    let file = Path::new(address.split(['#', '?']).next().unwrap_or_default());
    let ending = file.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    if (is_address || ARCHIVES.contains(&ending.as_str())) && ending != "whl" {
        return Err(format!(
            "`{requirement}` is a source package: packages are installed from wheels only, because a build runs the \
             package's code"
        ));
    }
    Ok(())
}

/// A comment starts at the line's start or behind a space; `#` inside a word is part of an address.
fn without_comment(line: &str) -> &str {
    if line.starts_with('#') {
        return "";
    }
    line.find(" #").or_else(|| line.find("\t#")).map_or(line, |at| line[..at].trim_end())
}

#[cfg(test)]
mod tests;
