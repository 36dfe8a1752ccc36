//! The stylesheet, under an address that changes with its content.

use std::sync::LazyLock;

use axum::response::{IntoResponse, Response};
use http::header;
use perennial_core::{Error, Result};

use crate::visit::Visit;

const STYLE: &str = include_str!("../assets/style.css");

/// Address of the stylesheet.
pub(crate) static STYLE_PATH: LazyLock<String> = LazyLock::new(|| format!("/assets/{}/style.css", hash()));

fn hash() -> String {
    blake3::hash(STYLE.as_bytes()).to_hex()[..16].to_owned()
}

/// The stylesheet; kept by browsers for a year.
pub(crate) async fn style(visit: Visit) -> Result<Response> {
    if visit.text("hash") != hash() {
        return Err(Error::not_found("stylesheet", visit.text("hash").escape_debug()));
    }
    Ok((
        [
            (header::CONTENT_TYPE, "text/css; charset=utf-8"),
            (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        ],
        STYLE,
    )
        .into_response())
}
