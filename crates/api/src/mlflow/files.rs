//! The artifact proxy: files by path, up and down.

use std::ops::Range;

use axum::Json;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use perennial_app::tracking::artifacts::{self, Place};
use perennial_core::path::RelativePath;
use perennial_core::{Error, Result};
use serde_json::json;

use super::artifacts::{file, folder};
use super::fields::{Fields, refused};
use super::{Answer, wire};
use crate::access::Access;
use crate::error::ApiError;
use crate::extract::{Path, Who, incoming};
use crate::routes::Routes;

/// What may not stand in `filename*` of RFC 6266 as it is.
const NAME_SET: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'%')
    .add(b'\'')
    .add(b'(')
    .add(b')')
    .add(b'*')
    .add(b',')
    .add(b'/')
    .add(b':')
    .add(b';')
    .add(b'<')
    .add(b'=')
    .add(b'>')
    .add(b'?')
    .add(b'@')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'{')
    .add(b'}');

/// How often a path may be encoded over itself.
const DECODED_MAX: usize = 8;

pub(super) fn routes(routes: Routes, root: &str) -> Routes {
    let below = format!("{root}/{{*path}}");
    routes.get(root, Access::Known, list).put(&below, Access::Known, put).get(&below, Access::Known, get).delete(
        &below,
        Access::Known,
        delete,
    )
}

/// The one judge of artifact paths: decoded until nothing changes, each form has to stay inside its folder.
pub(super) fn judge(path: &str) -> Result<RelativePath> {
    let refuse = |why: &str| refused(format!("Invalid path: {why}"));
    let mut text = path.to_owned();
    for _ in 0..DECODED_MAX {
        if text.contains('#') {
            return Err(refuse("it holds `#`"));
        }
        text.parse::<RelativePath>().map_err(|error| refuse(error.message()))?;
        let decoded = percent_decode_str(&text).decode_utf8().map_err(|_| refuse("it is no UTF-8"))?.into_owned();
        if decoded == text {
            return path.parse();
        }
        text = decoded;
    }
    Err(refuse("it is encoded too often"))
}

fn place(path: &str) -> Result<Place> {
    let path = judge(path)?;
    Place::parse(&path).ok_or_else(|| {
        Error::not_found("artifact folder", &path)
            .with_hint("artifacts lie at `<experiment id>/<run id>/artifacts/<path>`")
    })
}

async fn list(Who { caller, .. }: Who, fields: Fields) -> Answer {
    // What is above the runs is not told.
    let found = folder(fields.text("path")?)?.and_then(|path| Place::parse(&path));
    let Some(place) = found else { return Ok(Json(json!({}))) };
    let listed = artifacts::list(&caller, &place).await?;
    Ok(Json(wire::page("files", listed.iter().map(|listed| file(listed, "")).collect(), None)))
}

async fn put(Who { caller, .. }: Who, Path(path): Path<String>, request: Request) -> Answer {
    let incoming = std::pin::pin!(incoming(request.into_body()));
    artifacts::put(&caller, place(&path)?, incoming).await?;
    Ok(Json(json!({})))
}

async fn delete(Who { caller, .. }: Who, Path(path): Path<String>) -> Answer {
    artifacts::delete(&caller, place(&path)?).await?;
    Ok(Json(json!({})))
}

async fn get(Who { caller, .. }: Who, Path(path): Path<String>, headers: HeaderMap) -> Result<Response, ApiError> {
    let found = artifacts::get(&caller, &place(&path)?).await?;
    let etag = format!("\"{}\"", found.blob_digest);
    let name = found.path.rsplit('/').next().unwrap_or_default();
    let range = match range(&headers, found.size_bytes) {
        Asked::All => None,
        Asked::Part(range) => Some(range),
        Asked::Beyond => {
            let outside = [(header::CONTENT_RANGE, format!("bytes */{}", found.size_bytes))];
            return Ok((StatusCode::RANGE_NOT_SATISFIABLE, outside).into_response());
        }
    };
    let length = range.as_ref().map_or(found.size_bytes, |range| range.end - range.start);
    let status = if range.is_some() { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
    let body = Body::from_stream(artifacts::read(&caller, &found, range.clone()).await?);
    let mut response = (status, body).into_response();
    let told = response.headers_mut();
    told.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type(name)));
    told.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    told.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    let mut text = |key, text: String| {
        if let Ok(value) = HeaderValue::from_str(&text) {
            told.insert(key, value);
        }
    };
    text(header::ETAG, etag);
    text(header::CONTENT_DISPOSITION, attachment(name));
    if let Some(range) = range {
        text(header::CONTENT_RANGE, format!("bytes {}-{}/{}", range.start, range.end - 1, found.size_bytes));
    }
    Ok(response)
}

/// What part of a file is asked for.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    All,
    Part(Range<u64>),
    Beyond,
}

/// One range in bytes; what is written otherwise asks for all.
fn range(headers: &HeaderMap, size: u64) -> Asked {
    let wanted =
        headers.get(header::RANGE).and_then(|value| value.to_str().ok()).and_then(|text| text.strip_prefix("bytes="));
    let Some((from, to)) = wanted.filter(|wanted| !wanted.contains(',')).and_then(|wanted| wanted.split_once('-'))
    else {
        return Asked::All;
    };
    let range = match (from.trim().parse::<u64>(), to.trim()) {
        (Ok(from), "") => from..size,
        (Ok(from), to) => match to.parse::<u64>() {
            Ok(to) if to >= from => from..size.min(to.saturating_add(1)),
            _ => return Asked::All,
        },
        (Err(_), to) => match to.parse::<u64>() {
            Ok(last) if from.trim().is_empty() => size.saturating_sub(last)..size,
            _ => return Asked::All,
        },
    };
    if range.is_empty() { Asked::Beyond } else { Asked::Part(range) }
}

fn attachment(name: &str) -> String {
    if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-+ ".contains(&byte)) {
        return format!("attachment; filename=\"{name}\"");
    }
    format!("attachment; filename*=UTF-8''{}", utf8_percent_encode(name, NAME_SET))
}

/// The type of a file by its name alone.
fn content_type(name: &str) -> &'static str {
    let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).unwrap_or_default();
    match ending.as_str() {
        "txt" | "log" | "err" | "cfg" | "conf" | "cnf" | "cf" | "ini" | "properties" | "prop" | "hocon" | "toml"
        | "yaml" | "yml" | "xml" | "json" | "js" | "py" | "py3" | "csv" | "tsv" | "md" | "rst" | "ipynb" => {
            "text/plain"
        }
        _ if name == "MLmodel" || name == "MLproject" => "text/plain",
        "html" | "htm" => "text/html",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "svg" => "image/svg+xml",
        "webp" => "image/webp",
        "pdf" => "application/pdf",
        "zip" => "application/zip",
        "tar" | "tgz" => "application/x-tar",
        "gz" if name.ends_with(".tar.gz") => "application/x-tar",
        _ => "application/octet-stream",
    }
}
