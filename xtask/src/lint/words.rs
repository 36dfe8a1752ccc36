//! Words that this project does not use, in names, comments, messages and documents, with what to write instead.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::files::SourceFile;
use super::source::{Kind, pieces};
use crate::shell::root;

/// The table of words.
const TABLE: &str = "xtask/banned-words.toml";

/// The kind of text that an entry applies to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Identifiers in Rust.
    Names,
    /// Comments in Rust.
    Comments,
    /// String literals in Rust.
    Messages,
    /// Markdown, templates, project files, queries, scripts.
    Documents,
}

/// An entry of the table.
#[derive(Debug)]
struct Entry {
    /// Phrases; each a list of words, each word a list of its spellings.
    phrases: Vec<Vec<Vec<String>>>,
    /// Phrases that contain a banned one and are fine.
    except: Vec<Vec<Vec<String>>>,
    instead: String,
    places: Vec<Place>,
    /// Files that read what an earlier version stored under a banned word.
    stored_in: Vec<PathBuf>,
}

/// The words, read from the table.
#[derive(Debug)]
pub(crate) struct Words {
    entries: Vec<Entry>,
}

/// A word of running text; punctuation that ends a phrase is a word of its own that no phrase has.
#[derive(Debug)]
struct Word {
    text: String,
    line: usize,
}

/// A banned word with its path and line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Found {
    path: PathBuf,
    line: usize,
    text: String,
    instead: String,
}

impl std::fmt::Display for Found {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}:{}: \"{}\"; write: {}", self.path.display(), self.line, self.text, self.instead)
    }
}

/// Every finding in `files`; with paths, only those below the paths.
pub(crate) fn check(files: &[SourceFile], paths: &[String]) -> Result<Vec<String>> {
    let found = Words::read()?.find_all(files).into_iter();
    let is_named = |found: &Found| paths.is_empty() || paths.iter().any(|path| found.path.starts_with(path));
    Ok(found.filter(is_named).map(|found| found.to_string()).collect())
}

impl Words {
    fn read() -> Result<Self> {
        let text = std::fs::read_to_string(root().join(TABLE)).with_context(|| format!("cannot read {TABLE}"))?;
        Self::parse(&text).with_context(|| format!("cannot parse {TABLE}"))
    }

    fn parse(text: &str) -> Result<Self> {
        let table: toml::Table = text.parse()?;
        let mut entries = Vec::new();
        for entry in table.get("word").and_then(toml::Value::as_array).context("no [[word]]")? {
            let list = |name: &str| -> Vec<&str> {
                let items = entry.get(name).and_then(toml::Value::as_array).into_iter().flatten();
                items.filter_map(toml::Value::as_str).collect()
            };
            let phrases: Vec<_> = list("banned").into_iter().map(phrase).collect();
            let instead = entry.get("write").and_then(toml::Value::as_str).unwrap_or_default().to_owned();
            let places = list("in").into_iter().map(place).collect::<Result<Vec<_>>>()?;
            if phrases.is_empty() || places.is_empty() || instead.is_empty() {
                bail!("a [[word]] needs `banned`, `write` and `in`: {entry:?}");
            }
            let except = list("except").into_iter().map(phrase).collect();
            let stored_in = list("stored_in").into_iter().map(PathBuf::from).collect();
            entries.push(Entry { phrases, except, instead, places, stored_in });
        }
        Ok(Self { entries })
    }

    fn find_all(&self, files: &[SourceFile]) -> Vec<Found> {
        let is_checked = |file: &&SourceFile| {
            // Applied migrations are compared byte by byte: their comments never change. Samples are not prose.
            let is_fixed = ["migrations", "seeds"].iter().any(|name| file.path.iter().any(|part| part == *name));
            !is_fixed && file.path != Path::new(TABLE)
        };
        files.iter().filter(is_checked).flat_map(|file| self.find(file)).collect()
    }

    fn find(&self, file: &SourceFile) -> Vec<Found> {
        if !file.is_rust() {
            return self.matches(&file.path, &words_of(&file.text, 1), Place::Documents);
        }
        let mut found = Vec::new();
        let mut names = BTreeMap::new();
        let mut comment: Vec<Word> = Vec::new();
        for piece in pieces(&file.text) {
            // Line comments that follow each other are one text.
            if piece.kind == Kind::Code && piece.text.trim().is_empty() && piece.text.matches('\n').count() < 2 {
                continue;
            }
            if piece.kind != Kind::Comment {
                found.extend(self.matches(&file.path, &std::mem::take(&mut comment), Place::Comments));
            }
            match piece.kind {
                Kind::Comment => comment.extend(words_of(piece.text, piece.line)),
                Kind::Literal => {
                    found.extend(self.matches(&file.path, &words_of(piece.text, piece.line), Place::Messages));
                }
                Kind::Code => {
                    // A name is reported where it stands first.
                    for name in self.matches(&file.path, &names_of(piece.text, piece.line), Place::Names) {
                        names.entry(name.text.clone()).or_insert(name);
                    }
                }
            }
        }
        found.extend(self.matches(&file.path, &comment, Place::Comments));
        found.extend(names.into_values());
        found.sort_by_key(|found| found.line);
        found
    }

    fn matches(&self, path: &Path, words: &[Word], place: Place) -> Vec<Found> {
        let applicable = self
            .entries
            .iter()
            .filter(|entry| entry.places.contains(&place) && !entry.stored_in.iter().any(|file| file == path));
        let mut found = Vec::new();
        for at in 0..words.len() {
            for entry in applicable.clone() {
                let Some(length) = entry.phrases.iter().find_map(|phrase| starts(phrase, &words[at..])) else {
                    continue;
                };
                if !entry.except.iter().any(|except| surrounds(except, words, at, length)) {
                    let text =
                        words[at..at + length].iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ");
                    found.push(Found {
                        path: path.to_owned(),
                        line: words[at].line,
                        text,
                        instead: entry.instead.clone(),
                    });
                }
            }
        }
        found
    }
}

/// The number of words of `phrase`, when `words` begins with it.
fn starts(phrase: &[Vec<String>], words: &[Word]) -> Option<usize> {
    let stands = words.len() >= phrase.len()
        && phrase.iter().zip(words).all(|(spellings, word)| {
            spellings.iter().any(|spelling| match spelling.strip_suffix('*') {
                Some(stem) => word.text.starts_with(stem),
                None => word.text == *spelling,
            })
        });
    stands.then_some(phrase.len())
}

/// Whether an occurrence of `except` covers the `length` words at `at`.
fn surrounds(except: &[Vec<String>], words: &[Word], at: usize, length: usize) -> bool {
    let first = (at + length).saturating_sub(except.len());
    (first..=at).any(|start| starts(except, &words[start..]).is_some())
}

/// `"the|each next tick"` as words with their spellings; a `*` at the end of one stands for any ending.
fn phrase(text: &str) -> Vec<Vec<String>> {
    text.split_whitespace().map(|word| word.split('|').map(str::to_owned).collect()).collect()
}

fn place(name: &str) -> Result<Place> {
    Ok(match name {
        "names" => Place::Names,
        "comments" => Place::Comments,
        "messages" => Place::Messages,
        "documents" => Place::Documents,
        other => bail!("`{other}` is not one of names, comments, messages, documents"),
    })
}

/// Running text in lower case. What ends a sentence or a clause separates phrases, comment markers do not.
fn words_of(text: &str, line: usize) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    let mut line = line;
    let mut is_open = false;
    for character in text.chars() {
        if character == '\n' {
            line += 1;
        }
        if character.is_alphanumeric() || character == '\'' {
            let lower = character.to_lowercase();
            match words.last_mut() {
                Some(word) if is_open => word.text.extend(lower),
                _ => words.push(Word { text: lower.collect(), line }),
            }
            is_open = true;
        } else {
            is_open = false;
            if ".,;:()?".contains(character) {
                words.push(Word { text: character.to_string(), line });
            }
        }
    }
    words
}

/// The identifiers of code, each split at underscores and capitals and closed with a separator.
fn names_of(code: &str, line: usize) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    for (index, text) in code.lines().enumerate() {
        let line = line + index;
        for name in text.split(|character: char| !character.is_alphanumeric() && character != '_') {
            for part in name.split('_') {
                let mut word = String::new();
                let mut before_is_lower = false;
                for character in part.chars() {
                    if character.is_uppercase() && before_is_lower {
                        words.push(Word { text: std::mem::take(&mut word), line });
                    }
                    before_is_lower = character.is_lowercase();
                    word.extend(character.to_lowercase());
                }
                if !word.is_empty() {
                    words.push(Word { text: word, line });
                }
            }
            words.push(Word { text: ";".to_owned(), line });
        }
    }
    words
}

#[cfg(test)]
mod tests;
