//! The initial project file of a new project.

/// A project file for `perennial init`: a valid, empty project with commented examples.
pub fn template() -> &'static str {
    include_str!("template/perennial.toml")
}
