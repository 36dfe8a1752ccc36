//! The layout around every page: the principal, the project, the navigation.

use std::fmt::Display;
use std::sync::Arc;

use perennial_core::Result;
use perennial_core::calendar::{local, rfc3339};
use perennial_core::permission::Permission;
use perennial_http::{Credential, Identity};
use perennial_kernel::alerts;
use perennial_projects::Submission;
use perennial_release::approvals;

use crate::assets::{ICON_PATH, STYLE_PATH};
use crate::format::Whole;
use crate::paths;
use crate::request::PageRequest;

/// Sections of a project: their labels, and their part of the address.
const SECTIONS: [(&str, &str); 9] = [
    ("Overview", ""),
    ("Datasets", "datasets"),
    ("Runs", "runs"),
    ("Models", "models"),
    ("Releases", "releases"),
    ("Endpoints", "endpoints"),
    ("Monitors", "monitors"),
    ("Alerts", "alerts"),
    ("Ledger", "ledger"),
];

/// The layout of a page.
pub(crate) struct Layout {
    pub title: String,
    /// Address of the stylesheet.
    pub style: &'static str,
    /// Address of the icon.
    pub icon: &'static str,
    /// The name of the principal who is signed in.
    pub principal: Option<String>,
    /// What each form that changes something carries.
    pub csrf_token: String,
    /// Whether there is a session that can be ended.
    pub is_session: bool,
    pub project: Option<ProjectHeader>,
    section: &'static str,
}

/// The header of a page of a project.
pub(crate) struct ProjectHeader {
    pub name: String,
    pub goal: String,
    /// The metric of the goal.
    pub metric: String,
    /// The time of the project clock, when it is stepped.
    pub stepped: Option<String>,
    /// Alerts that are firing.
    pub firing: usize,
    /// Releases that wait for an approval which the caller may give.
    pub waiting: usize,
    /// Whether the caller may acknowledge alerts.
    pub may_write: bool,
    /// Whether the caller may approve, reject and roll back.
    pub may_approve: bool,
    submission: Option<Arc<Submission>>,
}

/// A link of the navigation.
pub(crate) struct Link {
    pub label: &'static str,
    pub href: String,
    pub is_here: bool,
    /// Items that need attention.
    pub count: usize,
}

impl Layout {
    /// The layout of a page outside any project.
    pub(crate) fn bare(identity: Option<&Identity>, title: impl Into<String>) -> Self {
        let csrf_token = identity.and_then(|identity| identity.csrf_token.as_deref());
        Self {
            title: title.into(),
            style: &STYLE_PATH,
            icon: &ICON_PATH,
            principal: identity.map(|identity| identity.principal.name.clone()),
            csrf_token: csrf_token.unwrap_or_default().to_owned(),
            is_session: identity.is_some_and(|identity| identity.credential == Credential::Session),
            project: None,
            section: "",
        }
    }

    /// The layout of a page of a project.
    pub(crate) async fn new(request: &PageRequest, section: &'static str, title: impl Into<String>) -> Result<Self> {
        let (caller, project) = (request.caller()?, request.project()?);
        let firing = alerts::count_firing(&caller, project.id).await?;
        let waiting = approvals::count_for_caller(&caller, project.id).await?;
        let submission = project.find_submission();
        let mut layout = Self::bare(request.identity.as_ref(), title);
        let metric =
            submission.as_ref().and_then(|submission| submission.project.task.as_ref()).map(|task| task.metric.clone());
        let mut header = ProjectHeader {
            name: project.name.to_string(),
            goal: submission.as_ref().map(|submission| submission.project.project.goal.clone()).unwrap_or_default(),
            metric: metric.unwrap_or_default(),
            stepped: None,
            firing: firing as usize,
            waiting,
            may_write: caller.principal.may(Permission::Write, Some(project.id)),
            may_approve: caller.principal.may(Permission::Approve, Some(project.id)),
            submission,
        };
        header.stepped = project.clock.stepped_ms().map(|ms| header.when(ms));
        layout.project = Some(header);
        layout.section = section;
        Ok(layout)
    }

    /// Links to the sections of the project.
    pub(crate) fn links(&self) -> Vec<Link> {
        let Some(project) = &self.project else { return Vec::new() };
        let links = SECTIONS.iter().map(|(label, section)| Link {
            label,
            href: paths::section(&project.name, section),
            is_here: *section == self.section,
            count: match *section {
                "alerts" => project.firing,
                "releases" => project.waiting,
                _ => 0,
            },
        });
        links.collect()
    }

    fn name(&self) -> &str {
        self.project.as_ref().map(|project| project.name.as_str()).unwrap_or_default()
    }

    pub(crate) fn to(&self, section: &str) -> String {
        paths::section(self.name(), section)
    }

    pub(crate) fn item(&self, list: &str, name: impl Display) -> String {
        paths::item(self.name(), list, name)
    }

    pub(crate) fn endpoint(&self, name: impl Display) -> String {
        paths::endpoint(self.name(), name)
    }

    pub(crate) fn explain(&self, kind: &str, id: impl Display) -> String {
        paths::explain(self.name(), kind, id)
    }

    /// The next page of a list.
    pub(crate) fn next(&self, section: &str, after: impl Display) -> String {
        format!("{}?after={after}", paths::section(self.name(), section))
    }

    /// An instant in the project's timezone.
    pub(crate) fn when(&self, ms: impl Whole) -> String {
        match &self.project {
            Some(project) => project.when(ms),
            None => utc(ms),
        }
    }

    pub(crate) fn may_write(&self) -> bool {
        self.project.as_ref().is_some_and(|project| project.may_write)
    }

    pub(crate) fn may_approve(&self) -> bool {
        self.project.as_ref().is_some_and(|project| project.may_approve)
    }
}

impl ProjectHeader {
    pub(crate) fn when(&self, ms: impl Whole) -> String {
        match &self.submission {
            Some(submission) => local(ms.whole() as i64, &submission.zone),
            None => utc(ms),
        }
    }

    /// The timezone of the instants on the page.
    pub(crate) fn zone(&self) -> &str {
        self.submission.as_ref().map_or("UTC", |submission| submission.project.project.timezone.as_str())
    }
}

fn utc(ms: impl Whole) -> String {
    rfc3339(ms.whole() as i64).chars().take(16).collect::<String>().replace('T', " ")
}
