//! The project file a new project starts from.

/// A commented project file that is a valid, empty project, for `perennial init`.
pub fn template() -> &'static str {
    include_str!("template/perennial.toml")
}
