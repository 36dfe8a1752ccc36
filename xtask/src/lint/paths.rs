//! The paths that a Rust file writes, by its text alone.

use std::collections::BTreeSet;

use super::source::code;

/// What was found in a file.
#[derive(Debug)]
pub(crate) struct Scanned {
    pub(crate) paths: Vec<Written>,
    /// Names of items that the file defines.
    items: Vec<String>,
    /// The words of the file outside `use` declarations.
    words: BTreeSet<String>,
}

/// A path as it is written: in a `use` declaration, one for each name that it brings, or inline.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) line: usize,
    pub(crate) segments: Vec<String>,
    /// Modules written inside the file around it.
    pub(crate) inside: Vec<String>,
    pub(crate) is_use: bool,
    pub(crate) is_reexport: bool,
    /// The name that a `use` brings; `None` for `*` and inline paths.
    pub(crate) name: Option<String>,
}

impl Scanned {
    pub(crate) fn defines(&self, name: &str) -> bool {
        self.items.iter().any(|item| item == name)
    }

    /// The paths that the file needs itself: all except re-exports of names that it does not use.
    pub(crate) fn imports(&self) -> impl Iterator<Item = &Written> {
        let is_used = |path: &Written| path.name.as_ref().is_some_and(|name| self.words.contains(name));
        self.paths.iter().filter(move |path| !path.is_reexport || is_used(path))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Token<'a> {
    text: &'a str,
    line: usize,
}

/// Reads a file; modules called `tests` inside it are passed over.
pub(crate) fn scan(source: &str) -> Scanned {
    let code = code(source);
    let tokens = tokens(&code);
    let mut scanned = Scanned { paths: Vec::new(), items: Vec::new(), words: BTreeSet::new() };
    let mut modules: Vec<(String, usize)> = Vec::new();
    let (mut at, mut depth) = (0, 0);
    let text = |index: usize| tokens.get(index).map_or("", |token: &Token<'_>| token.text);
    while let Some(token) = tokens.get(at) {
        if is_word(token.text) && !(at > 0 && tokens[at - 1].text == "mod") {
            scanned.words.insert(token.text.to_owned());
        }
        match token.text {
            "{" => depth += 1,
            "}" => {
                depth -= 1;
                if modules.last().is_some_and(|(_, opened)| *opened == depth) {
                    modules.pop();
                }
            }
            "mod" if text(at + 2) == "{" => {
                if text(at + 1) == "tests" {
                    at = block_end(&tokens, at + 2);
                    continue;
                }
                modules.push((text(at + 1).to_owned(), depth));
            }
            "use" => {
                let inside: Vec<String> = modules.iter().map(|(name, _)| name.clone()).collect();
                let is_reexport = at > 0 && [")", "pub"].contains(&text(at - 1));
                let mut tree = Tree { tokens: &tokens, at: at + 1, found: Vec::new() };
                tree.read(&[]);
                at = tree.at;
                scanned.paths.extend(tree.found.into_iter().map(|(line, segments, name)| Written {
                    line,
                    segments,
                    inside: inside.clone(),
                    is_use: true,
                    is_reexport,
                    name,
                }));
                continue;
            }
            "fn" | "struct" | "enum" | "trait" | "type" | "const" | "static" | "union" if is_word(text(at + 1)) => {
                scanned.items.push(text(at + 1).to_owned());
            }
            "macro_rules" => scanned.items.push(text(at + 2).to_owned()),
            word if is_word(word) && text(at + 1) == "::" && (at == 0 || !["::", "."].contains(&text(at - 1))) => {
                let (line, mut segments) = (token.line, vec![word.to_owned()]);
                while text(at + 1) == "::" && is_word(text(at + 2)) {
                    segments.push(text(at + 2).to_owned());
                    at += 2;
                }
                let inside = modules.iter().map(|(name, _)| name.clone()).collect();
                scanned.paths.push(Written { line, segments, inside, is_use: false, is_reexport: false, name: None });
            }
            _ => {}
        }
        at += 1;
    }
    scanned
}

/// The index after the block that opens at `at`.
fn block_end(tokens: &[Token<'_>], at: usize) -> usize {
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate().skip(at) {
        match token.text {
            "{" => depth += 1,
            "}" if depth == 1 => return index + 1,
            "}" => depth -= 1,
            _ => {}
        }
    }
    tokens.len()
}

/// The tree of a `use` declaration: `a::{b, c::{self, d as e}, f::*}`.
struct Tree<'a> {
    tokens: &'a [Token<'a>],
    at: usize,
    /// Line, path, and the name that it brings.
    found: Vec<(usize, Vec<String>, Option<String>)>,
}

impl Tree<'_> {
    fn text(&self) -> &str {
        self.tokens.get(self.at).map_or(";", |token| token.text)
    }

    /// Reads one branch; stops at the `,`, `}` or `;` after it.
    fn read(&mut self, before: &[String]) {
        let line = self.tokens.get(self.at).map_or(0, |token| token.line);
        let mut path = before.to_vec();
        loop {
            match self.text() {
                "{" => {
                    self.at += 1;
                    while !["}", ";"].contains(&self.text()) {
                        self.read(&path);
                        if self.text() == "," {
                            self.at += 1;
                        }
                    }
                    self.at += 1;
                    return;
                }
                "*" => {
                    self.at += 1;
                    self.found.push((line, path, None));
                    return;
                }
                "," | "}" | ";" => {
                    // `a::{self}` brings `a`.
                    if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
                        path.pop();
                    }
                    let name = path.last().cloned();
                    self.found.push((line, path, name));
                    return;
                }
                "as" => {
                    self.at += 1;
                    let name = self.text().to_owned();
                    self.at += 1;
                    self.found.push((line, path, Some(name)));
                    return;
                }
                "::" => {}
                word => path.push(word.to_owned()),
            }
            self.at += 1;
        }
    }
}

fn is_word(text: &str) -> bool {
    text.starts_with(|character: char| character.is_alphabetic() || character == '_')
}

fn tokens(code: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    for (index, text) in code.lines().enumerate() {
        let (line, mut rest) = (index + 1, text.trim_start());
        while let Some(first) = rest.chars().next() {
            let is_part = |character: char| character.is_alphanumeric() || character == '_';
            let length = if is_part(first) {
                rest.find(|character| !is_part(character)).unwrap_or(rest.len())
            } else if rest.starts_with("::") {
                2
            } else {
                first.len_utf8()
            };
            tokens.push(Token { text: &rest[..length], line });
            rest = rest[length..].trim_start();
        }
    }
    tokens
}

#[cfg(test)]
mod tests;
