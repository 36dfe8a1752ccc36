//! Files that every page refers to, at addresses that change with their content.

use std::sync::LazyLock;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header;
use perennial_core::{Error, Result};
use perennial_http::{Content, Selection};

use crate::request::PageRequest;

/// A file that pages refer to.
pub(crate) struct Asset {
    name: &'static str,
    media_type: &'static str,
    content: &'static str,
}

/// The stylesheet.
const STYLE: Asset =
    Asset { name: "style.css", media_type: "text/css; charset=utf-8", content: include_str!("../assets/style.css") };

/// The icon of browser tabs.
const ICON: Asset =
    Asset { name: "icon.svg", media_type: "image/svg+xml", content: include_str!("../assets/icon.svg") };

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

/// An asset; browsers keep it for a year.
pub(crate) async fn file(request: PageRequest) -> Result<Response> {
    let (hash, name) = (request.text("hash"), request.text("name"));
    let asset = [STYLE, ICON].into_iter().find(|asset| asset.name == name && asset.hash() == hash);
    let Some(asset) = asset else { return Err(Error::not_found("asset", name.escape_debug())) };
    let bytes = asset.content.as_bytes();
    let content = Content::new(asset.media_type, bytes.len() as u64, hash)?;
    let selection = content.select(&request.headers);
    let body = match &selection {
        Selection::Whole => Body::from(bytes),
        Selection::Part(range) => Body::from(&bytes[range.start as usize..range.end as usize]),
        _ => Body::empty(),
    };
    let kept = [(header::CACHE_CONTROL, "public, max-age=31536000, immutable")];
    Ok((kept, content.response(&selection, body)).into_response())
}
