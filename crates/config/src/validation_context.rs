//! What a project file is validated against: its folder's files, the built-in trainers, the SQL dialect.

use perennial_core::port::data::Dialect;

/// The files of a project's folder.
pub trait Files {
    /// Whether a file exists at the relative path.
    fn exists(&self, path: &str) -> bool;

    /// The text of the file at the relative path; `None` when it cannot be read as UTF-8.
    fn read(&self, path: &str) -> Option<String>;

    /// Whether a glob matches at least one file.
    fn any(&self, glob: &str) -> bool;
}

/// Everything outside the file that its references are checked against.
#[derive(Clone, Copy)]
pub struct ValidationContext<'a> {
    /// The files it names.
    pub files: &'a dyn Files,
    /// The built-in trainers.
    pub trainers: &'a [TrainerSpec],
    /// Parses the SQL of steps and checks.
    pub sql: &'a dyn Dialect,
}

/// A built-in trainer and the parameters it accepts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrainerSpec {
    /// Its name: `gbdt`, `linear`.
    pub name: &'static str,
    /// Its parameters.
    pub params: &'static [Param],
}

/// A parameter of a built-in trainer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Param {
    /// Its name.
    pub name: &'static str,
    /// The values it accepts.
    pub kind: ParamKind,
}

/// The values a parameter accepts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ParamKind {
    /// A whole number from the first to the second, both included.
    Whole(i64, i64),
    /// A number from the first to the second, both included.
    Number(f64, f64),
    /// True or false.
    Bool,
    /// One of these words.
    Word(&'static [&'static str]),
}
