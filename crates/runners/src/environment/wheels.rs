//! Requirements that need no build. Building a package runs the package's code, which could change what other projects
//! install, so packages come as wheels only.
//!
//! `uv` and `pip` are called with options that say so. Lines of a requirements file take precedence over these options, and
//! the tools parse files in different ways; so they get lines that were parsed here, without comments and continuations.

use std::path::Path;

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

/// The requirements, a line each, if each names a package, or a wheel by its address.
pub(crate) fn parse(requirements: &str) -> Result<String, String> {
    let text = requirements.trim_start_matches('\u{feff}');
    let is_separator = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    if text.contains(|c: char| is_separator(c) || matches!(c, '\u{2028}' | '\u{2029}')) {
        return Err("the requirements contain control characters".to_owned());
    }
    // The tools replace it by a variable's value, which may be the password of an index.
    if text.contains("${") {
        return Err("the requirements refer to a variable by `${`, which is not allowed".to_owned());
    }
    let mut parsed = String::new();
    let mut logical = String::new();
    for line in text.lines().map(|line| without_comment(line.trim())) {
        let continued = line.strip_suffix('\\');
        logical.push_str(continued.unwrap_or(line));
        if continued.is_some() {
            logical.push(' ');
            continue;
        }
        parsed.push_str(check(logical.trim())?);
        parsed.push('\n');
        logical.clear();
    }
    parsed.push_str(check(logical.trim())?);
    Ok(parsed)
}

/// The line, if it is allowed.
fn check(line: &str) -> Result<&str, String> {
    for word in line.split_whitespace().filter(|word| word.starts_with('-')) {
        let option = word.split('=').next().unwrap_or_default();
        if !OPTIONS.contains(&option) {
            return Err(format!("`{option}` is not allowed: every package is named here and installed from a wheel"));
        }
    }
    if line.starts_with('-') {
        return Ok(line);
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
    Ok(line)
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
