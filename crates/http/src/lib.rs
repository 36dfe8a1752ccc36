//! The one HTTP perimeter.
