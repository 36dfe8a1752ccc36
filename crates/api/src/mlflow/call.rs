//! Calls of MLflow's API: declared once with [`calls!`], registered with their handlers.

use std::marker::PhantomData;

use axum::Json;
use axum::handler::Handler;
use axum::routing::MethodFilter;
use perennial_core::Result;
use perennial_http::extract::CurrentCaller;
use perennial_http::{Access, HttpError};
use perennial_kernel::Caller;
use serde::Serialize;

use super::message::{FieldSpec, Message};
use super::request::Received;
use crate::routes::JsonRoutes;
use crate::state::ApiState;

/// The roots of the API: for clients, and for pages of MLflow's own kind.
pub(super) const ROOTS: [&str; 2] = ["/api", "/ajax-api"];

/// A call of MLflow's API.
#[derive(Debug, Clone, Copy)]
pub struct Call {
    /// The methods that it answers.
    pub methods: &'static [Method],
    /// Its path below `/api` and `/ajax-api`.
    pub path: &'static str,
    /// The fields of its request: of the query for GET, of the JSON body for others. `None`: the body is a file.
    pub request: Option<&'static [FieldSpec]>,
    /// The fields of its answer; `None`: the answer is a file.
    pub answer: Option<&'static [FieldSpec]>,
}

/// A method of HTTP.
#[derive(Debug, Clone, Copy)]
pub struct Method {
    /// Its name.
    pub name: &'static str,
    filter: MethodFilter,
}

impl Method {
    pub(super) const GET: Self = Self { name: "GET", filter: MethodFilter::GET };
    pub(super) const POST: Self = Self { name: "POST", filter: MethodFilter::POST };
    pub(super) const PUT: Self = Self { name: "PUT", filter: MethodFilter::PUT };
    pub(super) const DELETE: Self = Self { name: "DELETE", filter: MethodFilter::DELETE };
}

/// A call with the types of its request and its answer.
pub(super) struct JsonCall<Q, A> {
    call: Call,
    types: PhantomData<fn(Q) -> A>,
}

impl<Q: Message, A: Message> JsonCall<Q, A> {
    pub(super) const fn new(methods: &'static [Method], path: &'static str) -> Self {
        let call = Call { methods, path, request: Some(Q::FIELDS), answer: Some(A::FIELDS) };
        Self { call, types: PhantomData }
    }

    /// The call without its types.
    pub(super) const fn untyped(&self) -> Call {
        self.call
    }
}

/// Declares calls, each as a module with the structs `Request` and `Answer` and the constant `CALL`; the constant
/// `CALLS` has all of them.
macro_rules! calls {
    ($(
        $(#[$doc:meta])*
        $($method:ident)|+ $path:literal $name:ident { $($request:tt)* } -> { $($answer:tt)* }
    )*) => {
        $(
            $(#[$doc])*
            pub(in crate::mlflow) mod $name {
                use super::*;

                message! {
                    /// The fields of the request.
                    Request { $($request)* }
                    /// The fields of the answer.
                    Answer { $($answer)* }
                }

                /// The call with its types.
                pub(in crate::mlflow) const CALL: JsonCall<Request, Answer> =
                    JsonCall::new(&[$(Method::$method),+], $path);
            }
        )*

        /// Every call that is declared here.
        pub(in crate::mlflow) const CALLS: &[Call] = &[$($name::CALL.untyped()),*];
    };
}

pub(super) use calls;

/// Routes being registered, each below every root.
pub(super) struct CallRoutes(JsonRoutes);

impl CallRoutes {
    pub(super) fn new(routes: JsonRoutes) -> Self {
        Self(routes)
    }

    /// Answers a call with a handler that takes the caller and the request.
    pub(super) fn call<Q, A, H, F>(self, call: &JsonCall<Q, A>, handler: H) -> Self
    where
        Q: Message + Send + 'static,
        A: Serialize + Send + 'static,
        H: Fn(Caller, Q) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Result<A>> + Send + 'static,
    {
        self.file(&call.call, move |CurrentCaller { caller }: CurrentCaller, Received(request): Received<Q>| {
            let answer = handler(caller, request);
            async move { Ok::<_, HttpError>(Json(answer.await?)) }
        })
    }

    /// Answers a call whose request or answer is a file.
    pub(super) fn file<T: 'static, H: Handler<T, ApiState>>(self, call: &Call, handler: H) -> Self {
        let mut routes = self.0;
        for root in ROOTS {
            for method in call.methods {
                let path = format!("{root}/{}", call.path);
                routes = routes.method(method.filter, &path, Access::Authenticated, handler.clone());
            }
        }
        Self(routes)
    }

    pub(super) fn finish(self) -> JsonRoutes {
        self.0
    }
}
