//! Files that every page refers to, under addresses that change with their content.

use std::sync::LazyLock;

use axum::response::{IntoResponse, Response};
use http::header;
use perennial_core::{Error, Result};

use crate::visit::Visit;

/// A file that pages refer to.
pub(crate) struct Asset {
    name: &'static str,
    kind: &'static str,
    content: &'static str,
}

/// The stylesheet.
const STYLE: Asset =
    Asset { name: "style.css", kind: "text/css; charset=utf-8", content: include_str!("../assets/style.css") };

/// The icon of browser tabs.
const ICON: Asset = Asset { name: "icon.svg", kind: "image/svg+xml", content: include_str!("../assets/icon.svg") };

/// Address of the stylesheet.
pub(crate) static STYLE_PATH: LazyLock<String> = LazyLock::new(|| STYLE.path());

/// Address of the icon.
pub(crate) static ICON_PATH: LazyLock<String> = LazyLock::new(|| ICON.path());

impl Asset {
    fn path(&self) -> String {
        format!("/assets/{}/{}", self.hash(), self.name)
    }

    fn hash(&self) -> String {
        blake3::hash(self.content.as_bytes()).to_hex()[..16].to_owned()
    }
}

/// One of them; kept by browsers for a year.
pub(crate) async fn file(visit: Visit) -> Result<Response> {
    let (hash, name) = (visit.text("hash"), visit.text("name"));
    let asset = [STYLE, ICON].into_iter().find(|asset| asset.name == name && asset.hash() == hash);
    let Some(asset) = asset else { return Err(Error::not_found("asset", name.escape_debug())) };
    Ok((
        [(header::CONTENT_TYPE, asset.kind), (header::CACHE_CONTROL, "public, max-age=31536000, immutable")],
        asset.content,
    )
        .into_response())
}
