//! Inside a crate, no more than three files import each other in a cycle.
//!
//! The files of a crate and the paths between them are read from the text: `use` declarations and paths that begin with
//! `crate`, `super`, `self` or the name of a child module. Two kinds of imports do not count:
//!
//! - of names that a module only re-exports, which count as imports of the file they come from;
//! - of a module's own children, unless a path of imports leads from the child out of the module and back to it.
//!
//! So neither a facade nor a module that dispatches to children, which use its types, is a cycle.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::files::SourceFile;
use super::paths::{self, Scanned, Written};

/// The most files that may import each other in a cycle.
pub(crate) const CYCLE_FILES_MAX: usize = 3;

/// A module's path inside its crate; empty for the root.
type Module = Vec<String>;

/// One file imports another.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Import {
    from: usize,
    to: usize,
    /// The line of the first such import, and the path written there.
    line: usize,
    path: String,
}

/// The files of one crate.
struct Crate<'a> {
    files: Vec<(&'a Path, Scanned)>,
    /// Which file a module is.
    of: BTreeMap<Module, usize>,
    /// Which module a file is.
    modules: Vec<Module>,
}

/// The cycles in the crate whose sources are in `folder`, each with the imports that it consists of.
pub(crate) fn check(files: &[SourceFile], folder: &Path) -> Vec<String> {
    let krate = Crate::new(files, folder);
    let imports = krate.imports();
    let mut findings = Vec::new();
    for cycle in cycles(krate.files.len(), &imports) {
        if cycle.len() <= CYCLE_FILES_MAX {
            continue;
        }
        let inside = imports.iter().filter(|import| cycle.contains(&import.from) && cycle.contains(&import.to));
        let edges: Vec<String> = inside
            .map(|import| {
                let (from, to) = (krate.files[import.from].0, krate.files[import.to].0);
                format!("\n    {}:{}: `{}` imports {}", from.display(), import.line, import.path, to.display())
            })
            .collect();
        findings.push(format!(
            "{} files of {} import each other in a cycle, at most {CYCLE_FILES_MAX} may; cut one of these:{}",
            cycle.len(),
            folder.display(),
            edges.concat()
        ));
    }
    findings
}

impl<'a> Crate<'a> {
    fn new(all: &'a [SourceFile], folder: &Path) -> Self {
        let mut files = Vec::new();
        let (mut of, mut modules) = (BTreeMap::new(), Vec::new());
        for file in all.iter().filter(|file| file.is_rust() && !file.is_test()) {
            let Ok(path) = file.path.strip_prefix(folder) else { continue };
            modules.push(module_of(path));
            of.insert(module_of(path), files.len());
            files.push((file.path.as_path(), paths::scan(&file.text)));
        }
        Self { files, of, modules }
    }

    /// Every pair of files of which one imports the other, once, as far as the import counts.
    fn imports(&self) -> Vec<Import> {
        let all = self.all_imports();
        all.iter().filter(|import| !self.is_own_child(import) || self.returns(import, &all)).cloned().collect()
    }

    /// Whether the import is one of a module's own children, or of their children.
    fn is_own_child(&self, import: &Import) -> bool {
        self.modules[import.to].starts_with(&self.modules[import.from])
    }

    /// Whether a path of imports leads from the imported child out of the module and back to it. Imports by which the module
    /// and the modules around it dispatch to their own children are not part of such a path.
    fn returns(&self, import: &Import, all: &[Import]) -> bool {
        let module = &self.modules[import.from];
        let dispatches = |other: &Import| self.is_own_child(other) && module.starts_with(&self.modules[other.from]);
        let followed: Vec<&Import> = all.iter().filter(|other| !dispatches(other)).collect();
        let outside = reachable(import.to, &followed, Some(import.from))
            .into_iter()
            .filter(|&file| !self.modules[file].starts_with(module));
        outside.into_iter().any(|file| reachable(file, &followed, None).contains(&import.from))
    }

    /// Every pair of files of which one imports the other, once.
    fn all_imports(&self) -> Vec<Import> {
        let mut found: BTreeMap<(usize, usize), Import> = BTreeMap::new();
        for (module, &from) in &self.of {
            for path in self.files[from].1.imports() {
                let inside: Module = module.iter().chain(&path.inside).cloned().collect();
                let Some(to) = self.target(&inside, &path.segments, path.is_use, 0) else { continue };
                if to != from {
                    let written = path.segments.join("::");
                    found.entry((from, to)).or_insert(Import { from, to, line: path.line, path: written });
                }
            }
        }
        found.into_values().collect()
    }

    /// The file that a path written in module `inside` leads to, if it leads into this crate.
    fn target(&self, inside: &[String], segments: &[String], is_use: bool, depth: usize) -> Option<usize> {
        let mut module = inside.to_vec();
        let mut rest = segments;
        match rest.first()?.as_str() {
            "crate" => {
                module.clear();
                rest = &rest[1..];
            }
            "self" => rest = &rest[1..],
            "super" => {}
            // A bare path begins with a child module here, or leads to another crate.
            name => {
                let child = child(&self.file_module(&module), name);
                if !self.of.contains_key(&child) || (!is_use && rest.len() < 2) {
                    return None;
                }
            }
        }
        while rest.first().is_some_and(|segment| segment == "super") {
            module.pop()?;
            rest = &rest[1..];
        }
        self.walk(inside, &module, rest, depth)
    }

    /// Follows `rest` downward from a module, through re-exports and, for those who see them, imports. `caller` is the
    /// module in which the path is written.
    fn walk(&self, caller: &[String], module: &[String], rest: &[String], depth: usize) -> Option<usize> {
        let at = self.file_module(module);
        let here = *self.of.get(&at)?;
        let Some((name, after)) = rest.split_first() else { return Some(here) };
        let below = child(&at, name);
        if self.of.contains_key(&below) {
            return self.walk(caller, &below, after, depth);
        }
        if depth > 16 || self.files[here].1.defines(name) {
            return Some(here);
        }
        let sees = |path: &&Written| path.is_reexport || caller.starts_with(&at);
        let uses = || {
            let paths = self.files[here].1.paths.iter();
            paths.filter(|path| path.is_use && path.inside.is_empty()).filter(sees)
        };
        if let Some(import) = uses().find(|path| path.name.as_deref() == Some(name.as_str())) {
            let leads: Vec<String> = import.segments.iter().chain(after).cloned().collect();
            return self.target(&at, &leads, true, depth + 1).or(Some(here));
        }
        for glob in uses().filter(|path| path.name.is_none()) {
            let Some(file) = self.target(&at, &glob.segments, true, depth + 1) else { continue };
            if file != here && self.files[file].1.defines(name) {
                return Some(file);
            }
        }
        Some(here)
    }

    /// The module of the file that holds `module`, which may be written inside that file.
    fn file_module(&self, module: &[String]) -> Module {
        let mut module = module.to_vec();
        while !self.of.contains_key(&module) && !module.is_empty() {
            module.pop();
        }
        module
    }
}

fn child(module: &[String], name: &str) -> Module {
    module.iter().cloned().chain([name.to_owned()]).collect()
}

/// The module that a file is, by its path below the folder of the crate's sources.
fn module_of(path: &Path) -> Module {
    let mut module: Module =
        path.with_extension("").components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
    let is_root = module.len() == 1 && ["lib", "main"].contains(&module[0].as_str());
    if is_root || module.last().is_some_and(|last| last == "mod") {
        module.pop();
    }
    module
}

/// The files to which imports lead from `start`, itself among them; what `end` imports is not followed.
fn reachable(start: usize, imports: &[&Import], end: Option<usize>) -> BTreeSet<usize> {
    let mut reached = BTreeSet::from([start]);
    let mut open = vec![start];
    while let Some(file) = open.pop() {
        if Some(file) == end {
            continue;
        }
        for import in imports.iter().filter(|import| import.from == file) {
            if reached.insert(import.to) {
                open.push(import.to);
            }
        }
    }
    reached
}

/// Sets of files that all reach each other, of more than one file.
fn cycles(files: usize, imports: &[Import]) -> Vec<BTreeSet<usize>> {
    let imports: Vec<&Import> = imports.iter().collect();
    let reached: Vec<BTreeSet<usize>> = (0..files).map(|file| reachable(file, &imports, None)).collect();
    let mut seen: BTreeSet<usize> = BTreeSet::new();
    let mut found = Vec::new();
    for file in 0..files {
        if seen.contains(&file) {
            continue;
        }
        let reaches_back = |other: &usize| reached[*other].contains(&file);
        let cycle: BTreeSet<usize> = reached[file].iter().copied().filter(reaches_back).collect();
        seen.extend(&cycle);
        if cycle.len() > 1 {
            found.push(cycle);
        }
    }
    found
}

/// The folders of sources of all crates.
pub(crate) fn folders(files: &[SourceFile]) -> BTreeSet<PathBuf> {
    let mut folders = BTreeSet::new();
    for file in files.iter().filter(|file| file.is_rust()) {
        let mut parts = file.path.components().map(|part| part.as_os_str().to_string_lossy());
        match (parts.next().as_deref(), parts.next(), parts.next().as_deref()) {
            (Some("crates"), Some(name), Some("src")) => {
                folders.insert(Path::new("crates").join(name.as_ref()).join("src"));
            }
            (Some("xtask"), Some(source), _) if source == "src" => {
                folders.insert(PathBuf::from("xtask/src"));
            }
            _ => {}
        }
    }
    folders
}

#[cfg(test)]
mod tests;
