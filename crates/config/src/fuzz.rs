//! Parsers of foreign bytes, each as one function that fuzz targets and property tests call.

use crate::{FILE_NAME, Project};

/// The project file: parsed and validated; errors point into the text and can be shown.
///
/// # Panics
/// The parser has a fault.
pub fn project_file(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match Project::parse(FILE_NAME, text) {
        Ok(project) => {
            let _ = project.declared_files();
            assert_eq!(Project::parse(FILE_NAME, text).ok(), Some(project), "parsing depends on the text alone");
        }
        Err(errors) => assert!(!errors.render_plain().is_empty(), "an error without text"),
    }
}

#[cfg(test)]
mod tests;
