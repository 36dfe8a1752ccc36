//! Principals: people, hosts, steps and services that act.

use crate::id::PrincipalId;
use crate::text_enum::text_enum;

text_enum! {
    /// Kind of principal.
    PrincipalKind, "principal kind" {
        /// A person.
        Person = "person",
        /// The embedded host of a project folder.
        Host = "host",
        /// A step of a pipeline.
        Step = "step",
        /// A program with a token of its own.
        Service = "service",
    }
}

/// A principal without its grants; [`Principal`](crate::permission::Principal) has both.
#[derive(Debug, Clone, PartialEq)]
pub struct PrincipalRecord {
    /// Its id.
    pub id: PrincipalId,
    /// Its name, unique on the server, shown in the ledger.
    pub name: String,
    /// Its kind.
    pub kind: PrincipalKind,
    /// Whether it is disabled: it holds no permission.
    pub is_disabled: bool,
    /// Wall clock, epoch milliseconds.
    pub created_ms: i64,
}
