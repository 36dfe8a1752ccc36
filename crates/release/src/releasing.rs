//! The release of a passed Decision to the endpoints of its project.

use std::sync::Arc;

use perennial_core::cause::Cause;
use perennial_kernel::Caller;
use perennial_projects::{ProjectState, Submission};

/// The release of a passed Decision to the endpoints of its project.
pub(crate) struct Releasing<'a> {
    /// Who releases.
    pub(crate) caller: &'a Caller,
    /// The project.
    pub(crate) project: &'a Arc<ProjectState>,
    /// The project file that the release follows.
    pub(crate) submission: &'a Submission,
    /// The cause of the release.
    pub(crate) cause: &'a Cause,
    /// Whether a principal with the permission to approve has submitted, released or approved the content. Without one,
    /// the release changes no endpoint until it is approved.
    pub(crate) has_approver: bool,
    /// Why a version that was rolled back or rejected is released again.
    pub(crate) again: Option<&'a str>,
}
