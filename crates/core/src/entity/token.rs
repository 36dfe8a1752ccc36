//! Tokens, kept as a hash of their secret, and one-time administrator links.

use crate::id::{PrincipalId, ProjectId, RunId, TokenId};
use crate::permission::Principal;
use crate::text_enum::text_enum;

text_enum! {
    /// Purpose of a token.
    TokenKind, "token kind" {
        /// The embedded host's own, revoked when the host ends.
        Host = "host",
        /// A person's or service's.
        Person = "person",
        /// A step's, for one run.
        Step = "step",
    }
}

/// A token.
#[derive(Debug, Clone, PartialEq)]
pub struct Token {
    /// Its id, which is public.
    pub id: TokenId,
    /// The principal it authenticates.
    pub principal_id: PrincipalId,
    /// Hash of the secret, hex.
    pub secret_hash: String,
    /// Its purpose.
    pub kind: TokenKind,
    /// Its label.
    pub name: String,
    /// The project it is limited to; `None` leaves the grants of its principal unlimited.
    pub project_id: Option<ProjectId>,
    /// The run that a step's token may write.
    pub run_id: Option<RunId>,
    /// Wall clock, epoch milliseconds.
    pub created_ms: i64,
    /// Wall clock of its expiry, epoch milliseconds; `None` does not expire.
    pub expires_ms: Option<i64>,
    /// Wall clock of its revocation, epoch milliseconds.
    pub revoked_ms: Option<i64>,
}

/// A caller identified by a token.
#[derive(Debug, Clone, PartialEq)]
pub struct Authentication {
    /// The principal with their grants.
    pub principal: Principal,
    /// The token.
    pub token: Token,
}
