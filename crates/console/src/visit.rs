//! One look at one page.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;

use perennial_app::access::SessionCaller;
use perennial_app::{App, Caller, ProjectState};
use perennial_core::{Error, ErrorCode, Result};

use crate::door::Door;

/// One look at one page: who, at which project, with what in the path, the query and the form.
#[derive(Clone)]
pub(crate) struct Visit {
    pub door: Door,
    pub who: Option<Arc<SessionCaller>>,
    pub project: Option<Arc<ProjectState>>,
    pub path: String,
    /// What stands in the place of the path's `{names}`.
    pub params: BTreeMap<String, String>,
    pub query: BTreeMap<String, String>,
    /// What was posted; its token has been looked at.
    pub form: BTreeMap<String, String>,
    pub cookie: Option<String>,
    /// Whether the page that posted came by https: its browser says so in `Origin`, whatever stands in between.
    pub is_https: bool,
}

impl Visit {
    pub(crate) fn app(&self) -> &Arc<App> {
        &self.door.app
    }

    /// The visitor as the use cases know them.
    pub(crate) fn caller(&self) -> Result<Caller> {
        let who =
            self.who.as_ref().ok_or_else(|| Error::new(ErrorCode::Unauthenticated, "this page needs a session"))?;
        Ok(Caller::new(self.app().kernel.clone(), who.principal.clone()))
    }

    /// The project the path names.
    pub(crate) fn project(&self) -> Result<&Arc<ProjectState>> {
        self.project
            .as_ref()
            .ok_or_else(|| Error::internal("a page without `{project}` asks for it", "the page is registered wrongly"))
    }

    /// The words in the place of `{name}`.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.params.get(name).map(String::as_str).unwrap_or_default()
    }

    /// What the path names; words that are no such name are a thing that does not exist.
    pub(crate) fn param<T: FromStr>(&self, name: &str, noun: &str) -> Result<T> {
        let text = self.text(name);
        text.parse().map_err(|_| Error::not_found(noun, text.escape_debug()))
    }

    /// Where a list goes on.
    pub(crate) fn after(&self) -> Option<&str> {
        self.query.get("after").map(String::as_str).filter(|after| {
            !after.is_empty() && after.len() <= 64 && after.bytes().all(|byte| byte.is_ascii_alphanumeric())
        })
    }
}
