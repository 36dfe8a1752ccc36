//! Unifies the features of third-party crates, so that every build shares them.
