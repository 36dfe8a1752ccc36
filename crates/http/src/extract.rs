//! Extractors of handlers. Each rejection is an error of ours.

use std::sync::Arc;

use axum::extract::path::ErrorKind;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequest, FromRequestParts, Request};
use http::request::Parts;
use perennial_core::{Error, ErrorCode, Result};
use perennial_kernel::Caller;
use perennial_projects::ProjectState;
use serde::de::DeserializeOwned;

use crate::authentication::Identity;
use crate::authorization::ResolvedProject;
use crate::error::HttpError;
use crate::{body, limits};

/// The caller of a request, on routes that require credentials.
pub struct CurrentCaller {
    /// The caller, as use cases take it.
    pub caller: Caller,
}

impl<S: Send + Sync> FromRequestParts<S> for CurrentCaller {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, HttpError> {
        let identity = parts.extensions.get::<Identity>();
        let identity = identity.ok_or_else(|| {
            Error::internal("the handler of a public route takes a caller", "the route is declared wrongly")
        })?;
        Ok(Self { caller: identity.caller() })
    }
}

/// The caller of a request and the project that the path names, on routes with
/// [`Access::Project`](crate::Access::Project).
pub struct ProjectCaller {
    /// The caller, as use cases take it.
    pub caller: Caller,
    /// The project.
    pub project: Arc<ProjectState>,
}

impl<S: Send + Sync> FromRequestParts<S> for ProjectCaller {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, HttpError> {
        let resolved = parts.extensions.get::<ResolvedProject>().cloned();
        let ResolvedProject(project) = resolved.ok_or_else(|| {
            Error::internal("the handler of a route without a project takes one", "the route is declared wrongly")
        })?;
        let CurrentCaller { caller } = CurrentCaller::from_request_parts(parts, state).await?;
        Ok(Self { caller, project })
    }
}

/// Parameters of the path.
pub struct Path<T>(
    /// The parameters.
    pub T,
);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, HttpError> {
        match axum::extract::Path::<T>::from_request_parts(parts, state).await {
            Ok(path) => Ok(Self(path.0)),
            Err(rejection) => Err(invalid(path_message(&rejection)).into()),
        }
    }
}

/// Why parameters of the path were rejected: the message of the parameter's own type, if it has one.
fn path_message(rejection: &PathRejection) -> String {
    match rejection {
        PathRejection::FailedToDeserializePathParams(failed) => match failed.kind() {
            ErrorKind::DeserializeError { message, .. } | ErrorKind::Message(message) => message.clone(),
            other => in_our_style(&other.to_string()),
        },
        other => in_our_style(&other.body_text()),
    }
}

/// Parameters of the query.
pub struct Query<T>(
    /// The parameters.
    pub T,
);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, HttpError> {
        match axum::extract::Query::<T>::try_from_uri(&parts.uri) {
            Ok(query) => Ok(Self(query.0)),
            Err(rejection) => Err(invalid(in_our_style(&rejection.body_text())).into()),
        }
    }
}

/// A form of at most [`limits::FORM_BYTES_MAX`].
pub struct Form<T>(
    /// Its fields.
    pub T,
);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Form<T> {
    type Rejection = HttpError;

    async fn from_request(request: Request, state: &S) -> Result<Self, HttpError> {
        let (parts, body) = request.into_parts();
        let bytes = body::read(&parts, body, limits::FORM_BYTES_MAX).await?;
        let request = Request::from_parts(parts, bytes.into());
        match axum::extract::Form::<T>::from_request(request, state).await {
            Ok(form) => Ok(Self(form.0)),
            Err(rejection) => {
                let message = format!("cannot parse the form: {}", in_our_style(&rejection.body_text()));
                Err(invalid(message).into())
            }
        }
    }
}

fn invalid(message: String) -> Error {
    Error::new(ErrorCode::InvalidArgument, message)
}

/// A message of a library in the style of ours: lowercase, without final period.
fn in_our_style(text: &str) -> String {
    let text = text.trim_end_matches('.');
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}
