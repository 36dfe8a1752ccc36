//! Names people give: checked once, then carried by type.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorCode};

/// The longest name, in characters.
pub const NAME_MAX: usize = 64;

fn validate(noun: &str, text: &str) -> Result<(), Error> {
    let first = text.chars().next().is_some_and(|c| c.is_ascii_lowercase());
    let rest = text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-');
    if first && rest && text.len() <= NAME_MAX {
        return Ok(());
    }
    Err(Error::new(
        ErrorCode::InvalidArgument,
        format!(
            "`{}` is not a valid {noun} name: expected a lowercase letter, then lowercase letters, digits, `_` or `-`, at most {NAME_MAX} in all",
            text.escape_debug()
        ),
    ))
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident, $noun:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Error> {
                validate($noun, text).map(|()| Self(text.to_owned()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = Error;

            fn try_from(text: String) -> Result<Self, Error> {
                validate($noun, &text).map(|()| Self(text))
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    )*};
}

names! {
    /// Names a project.
    ProjectName, "project";
    /// Names a dataset.
    DatasetName, "dataset";
    /// Names a step.
    StepName, "step";
    /// Names an endpoint.
    EndpointName, "endpoint";
    /// Names a monitor.
    MonitorName, "monitor";
    /// Names a trigger.
    TriggerName, "trigger";
}
