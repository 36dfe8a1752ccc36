//! The artifact proxy: files by path, up and down.

use axum::Json;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use http::{HeaderMap, HeaderValue, header};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use perennial_core::path::RelativePath;
use perennial_core::{Error, Result};
use perennial_http::extract::{CurrentCaller, Path};
use perennial_http::{Content, HttpError, Selection, body};
use perennial_kernel::Caller;
use perennial_tracking::artifacts::{self, ArtifactLocation};

use super::artifacts::{file, folder};
use super::call::CallRoutes;
use super::definitions::artifacts::{DELETE, DOWNLOAD, UPLOAD, list_files};
use super::definitions::entities::Empty;
use super::message::refused;

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

pub(super) fn routes(routes: CallRoutes) -> CallRoutes {
    routes.call(&list_files::CALL, list_files).file(&UPLOAD, upload).file(&DOWNLOAD, download).file(&DELETE, delete)
}

/// Parses the path of an artifact: each form that decoding yields has to stay inside its folder.
pub(super) fn artifact_path(path: &str) -> Result<RelativePath> {
    let refuse = |why: &str| refused(format!("Invalid path: {why}"));
    let mut text = path.to_owned();
    for _ in 0..DECODED_MAX {
        if text.contains('#') {
            return Err(refuse("it holds `#`"));
        }
        text.parse::<RelativePath>().map_err(|error| refuse(error.message()))?;
        let decoded = percent_decode_str(&text).decode_utf8().map_err(|_| refuse("it is not UTF-8"))?.into_owned();
        if decoded == text {
            return path.parse();
        }
        text = decoded;
    }
    Err(refuse("it is encoded too often"))
}

fn place(path: &str) -> Result<ArtifactLocation> {
    let path = artifact_path(path)?;
    ArtifactLocation::parse(&path).ok_or_else(|| {
        Error::not_found("artifact folder", &path)
            .with_hint("the path of an artifact is `<experiment id>/<run id>/artifacts/<path>`")
    })
}

async fn list_files(caller: Caller, request: list_files::Request) -> Result<list_files::Answer> {
    // Folders above those of runs are not listed.
    let found = folder(request.path)?.and_then(|path| ArtifactLocation::parse(&path));
    let Some(place) = found else { return Ok(list_files::Answer { files: Vec::new() }) };
    let listed = artifacts::list(&caller, &place).await?;
    Ok(list_files::Answer { files: listed.iter().map(|listed| file(listed, "")).collect() })
}

async fn upload(
    CurrentCaller { caller }: CurrentCaller,
    Path(path): Path<String>,
    request: Request,
) -> Result<Json<Empty>, HttpError> {
    let incoming = std::pin::pin!(body::stream(request.into_body()));
    artifacts::put(&caller, place(&path)?, incoming).await?;
    Ok(Json(Empty {}))
}

async fn delete(CurrentCaller { caller }: CurrentCaller, Path(path): Path<String>) -> Result<Json<Empty>, HttpError> {
    artifacts::delete(&caller, place(&path)?).await?;
    Ok(Json(Empty {}))
}

async fn download(
    CurrentCaller { caller }: CurrentCaller,
    Path(path): Path<String>,
    headers: HeaderMap,
) -> Result<Response, HttpError> {
    let found = artifacts::get(&caller, &place(&path)?).await?;
    let name = found.path.rsplit('/').next().unwrap_or_default();
    let content = Content::new(media_type(name), found.size_bytes, &found.blob_digest)?;
    let selection = content.select(&headers);
    let body = match &selection {
        Selection::Whole => Body::from_stream(artifacts::read(&caller, &found, None).await?),
        Selection::Part(range) => Body::from_stream(artifacts::read(&caller, &found, Some(range.clone())).await?),
        _ => Body::empty(),
    };
    let mut response = content.response(&selection, body);
    if let Ok(value) = HeaderValue::from_str(&attachment(name)) {
        response.headers_mut().insert(header::CONTENT_DISPOSITION, value);
    }
    Ok(response)
}

fn attachment(name: &str) -> String {
    if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-+ ".contains(&byte)) {
        return format!("attachment; filename=\"{name}\"");
    }
    format!("attachment; filename*=UTF-8''{}", utf8_percent_encode(name, NAME_SET))
}

/// Endings of files that MLflow's clients show as text.
const TEXT_ENDINGS: [&str; 24] = [
    "cf",
    "cfg",
    "cnf",
    "conf",
    "csv",
    "err",
    "hocon",
    "ini",
    "ipynb",
    "js",
    "json",
    "log",
    "md",
    "prop",
    "properties",
    "py",
    "py3",
    "rst",
    "toml",
    "tsv",
    "txt",
    "xml",
    "yaml",
    "yml",
];

/// The media type of a file, by its name alone.
fn media_type(name: &str) -> &'static str {
    let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).unwrap_or_default();
    if TEXT_ENDINGS.contains(&ending.as_str()) || name == "MLmodel" || name == "MLproject" {
        return "text/plain";
    }
    mime_guess::from_path(name).first_raw().unwrap_or("application/octet-stream")
}
