//! What stands around every page: who looks, which project, where on it.

use std::fmt::Display;
use std::sync::Arc;

use perennial_app::{Submission, alerts};
use perennial_core::Result;
use perennial_core::calendar::{local, rfc3339};
use perennial_core::permission::Permission;
use perennial_core::state::AlertState;

use crate::assets::{ICON_PATH, STYLE_PATH};
use crate::format::Whole;
use crate::routes;
use crate::visit::Visit;

/// Alerts that are counted at most.
const ALERTS_MAX: u32 = 200;

/// Sections of a project: what they are called, and their part of the address.
const SECTIONS: [(&str, &str); 9] = [
    ("Loop", ""),
    ("Datasets", "datasets"),
    ("Runs", "runs"),
    ("Models", "models"),
    ("Releases", "releases"),
    ("Endpoints", "endpoints"),
    ("Monitors", "monitors"),
    ("Alerts", "alerts"),
    ("Ledger", "ledger"),
];

/// What stands around a page.
pub(crate) struct Shell {
    pub title: String,
    /// Address of the stylesheet.
    pub style: &'static str,
    /// Address of the icon.
    pub icon: &'static str,
    /// Who looks.
    pub who: Option<String>,
    pub csrf: String,
    /// Whether there is a session to end.
    pub is_session: bool,
    pub project: Option<Around>,
    section: &'static str,
}

/// A project around a page.
pub(crate) struct Around {
    pub name: String,
    pub goal: String,
    /// The measure of the goal.
    pub metric: String,
    /// Where the clock stands, when it is stepped.
    pub stepped: Option<String>,
    /// Alerts that fire.
    pub firing: usize,
    /// Whether the visitor may acknowledge alerts.
    pub may_write: bool,
    /// Whether the visitor may roll back.
    pub may_approve: bool,
    submission: Option<Arc<Submission>>,
}

/// A link of the navigation.
pub(crate) struct Link {
    pub label: &'static str,
    pub href: String,
    pub is_here: bool,
    /// What asks for a look there.
    pub count: usize,
}

impl Shell {
    /// The shell of a page outside any project.
    pub(crate) fn bare(visit: &Visit, title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            style: &STYLE_PATH,
            icon: &ICON_PATH,
            who: visit.who.as_ref().map(|who| who.principal.name.clone()),
            csrf: visit.who.as_ref().map(|who| who.csrf_token.clone()).unwrap_or_default(),
            is_session: visit.door.options.auth && visit.who.is_some(),
            project: None,
            section: "",
        }
    }

    /// The shell of a page of a project.
    pub(crate) async fn new(visit: &Visit, section: &'static str, title: impl Into<String>) -> Result<Self> {
        let (caller, project) = (visit.caller()?, visit.project()?);
        let newest = alerts::list(&caller, project.id, None, ALERTS_MAX).await?;
        let submission = project.find_submission();
        let mut shell = Self::bare(visit, title);
        let metric =
            submission.as_ref().and_then(|submission| submission.project.task.as_ref()).map(|task| task.metric.clone());
        let mut around = Around {
            name: project.name.to_string(),
            goal: submission.as_ref().map(|submission| submission.project.project.goal.clone()).unwrap_or_default(),
            metric: metric.unwrap_or_default(),
            stepped: None,
            firing: newest.items.iter().filter(|alert| alert.state == AlertState::Firing).count(),
            may_write: caller.principal.may(Permission::Write, Some(project.id)),
            may_approve: caller.principal.may(Permission::Approve, Some(project.id)),
            submission,
        };
        around.stepped = project.clock.stepped_ms().map(|ms| around.when(ms));
        shell.project = Some(around);
        shell.section = section;
        Ok(shell)
    }

    /// Links to the sections of the project.
    pub(crate) fn links(&self) -> Vec<Link> {
        let Some(project) = &self.project else { return Vec::new() };
        let links = SECTIONS.iter().map(|(label, section)| Link {
            label,
            href: routes::section(&project.name, section),
            is_here: *section == self.section,
            count: if *section == "alerts" { project.firing } else { 0 },
        });
        links.collect()
    }

    fn name(&self) -> &str {
        self.project.as_ref().map(|project| project.name.as_str()).unwrap_or_default()
    }

    pub(crate) fn to(&self, section: &str) -> String {
        routes::section(self.name(), section)
    }

    pub(crate) fn item(&self, list: &str, name: impl Display) -> String {
        routes::item(self.name(), list, name)
    }

    pub(crate) fn explain(&self, kind: &str, id: impl Display) -> String {
        routes::explain(self.name(), kind, id)
    }

    /// The next page of a list.
    pub(crate) fn next(&self, section: &str, after: impl Display) -> String {
        format!("{}?after={after}", routes::section(self.name(), section))
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

impl Around {
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
