//! How domain types are kept in columns.

use std::borrow::Cow;
use std::fmt::Display;
use std::str::FromStr;

use perennial_core::cause::{Cause, ChangeCause};
use perennial_core::digest::RunSum;
use perennial_core::entity::{
    AlertSubject, DatasetKind, DatasetVersion, DatasetVersionOrigin, DecisionBody, GrantOrigin, GrantScopeKind,
    JobClock, LoadOrigin, MonitorResultKind, PinHolder, PipelineKind, PipelineOptions, PrincipalKind, PromotionKind,
    StepOutputKind, TokenKind, WorkKind,
};
use perennial_core::id::{
    AlertId, ApprovalId, ApprovalRequestId, AttemptsId, DatasetId, DecisionId, EvidenceId, ExperimentId, GrantId,
    JobId, LoadId, ModelId, PipelineRunId, PrincipalId, ProjectId, PromotionId, RequestId, RunId, ServerId, StepRunId,
    TokenId,
};
use perennial_core::ledger::Chain;
use perennial_core::lineage::NodeKind;
use perennial_core::name::{DatasetName, EndpointName, MonitorName, ProjectName, StepName, TriggerName};
use perennial_core::permission::Role;
use perennial_core::port::data::{Mode, Severity};
use perennial_core::rule::Verdict;
use perennial_core::schema::Schema;
use perennial_core::state::{
    AlertState, ApprovalRequestState, CanaryState, JobState, Lifecycle, LoadState, ModelVersionState, PipelineRunState,
    RunStatus, SegmentState, StepRunState,
};
use sqlx::{Decode, Postgres, Sqlite, Type};

use crate::Json;

/// A value for a placeholder. The kind is known of null too, for PostgreSQL asks for it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value<'q> {
    Text(Option<Cow<'q, str>>),
    Int(Option<i64>),
    Real(Option<f64>),
    Bool(Option<bool>),
    /// A JSON text that could not be read again. A statement with it is refused.
    TooDeep,
}

/// The deepest nesting of a JSON text that is stored; it can be read up to a depth of 127.
const JSON_DEPTH_MAX: usize = 120;

impl Value<'_> {
    /// The same, owning its text.
    pub(crate) fn into_owned(self) -> Value<'static> {
        match self {
            Self::Text(text) => Value::Text(text.map(|text| Cow::Owned(text.into_owned()))),
            Self::Int(number) => Value::Int(number),
            Self::Real(number) => Value::Real(number),
            Self::Bool(claim) => Value::Bool(claim),
            Self::TooDeep => Value::TooDeep,
        }
    }

    fn to_null(&self) -> Value<'static> {
        match self {
            Self::Text(_) => Value::Text(None),
            Self::Int(_) => Value::Int(None),
            Self::Real(_) => Value::Real(None),
            Self::Bool(_) => Value::Bool(None),
            Self::TooDeep => Value::Text(None),
        }
    }
}

/// A type that can be bound to a placeholder.
pub(crate) trait Bind {
    /// The value it is kept as.
    fn value(&self) -> Value<'_>;

    /// Null of the same kind.
    fn null() -> Value<'static>;
}

/// What both databases decode.
pub(crate) trait Raw:
    for<'r> Decode<'r, Sqlite> + Type<Sqlite> + for<'r> Decode<'r, Postgres> + Type<Postgres>
{
}

impl<T> Raw for T where T: for<'r> Decode<'r, Sqlite> + Type<Sqlite> + for<'r> Decode<'r, Postgres> + Type<Postgres> {}

/// A type that a column holds.
pub(crate) trait Column: Sized {
    /// What the database gives.
    type Raw: Raw;

    /// The domain type, or what does not fit.
    fn from_raw(raw: Self::Raw) -> Result<Self, String>;
}

macro_rules! plain_column {
    ($($type:ty, $variant:ident, |$value:ident| $given:expr;)*) => {$(
        impl Bind for $type {
            fn value(&self) -> Value<'_> {
                let $value = self;
                Value::$variant(Some($given))
            }

            fn null() -> Value<'static> {
                Value::$variant(None)
            }
        }

        impl Column for $type {
            type Raw = Self;

            fn from_raw(raw: Self) -> Result<Self, String> {
                Ok(raw)
            }
        }
    )*};
}

plain_column! {
    i64, Int, |value| *value;
    f64, Real, |value| *value;
    bool, Bool, |value| *value;
    String, Text, |value| Cow::Borrowed(value);
}

impl Bind for u64 {
    /// A count; what is beyond an `i64` is kept as the greatest there is.
    fn value(&self) -> Value<'_> {
        Value::Int(Some(i64::try_from(*self).unwrap_or(i64::MAX)))
    }

    fn null() -> Value<'static> {
        Value::Int(None)
    }
}

impl Column for u64 {
    type Raw = i64;

    fn from_raw(raw: i64) -> Result<Self, String> {
        Self::try_from(raw).map_err(|_| format!("`{raw}` is negative"))
    }
}

impl Bind for str {
    fn value(&self) -> Value<'_> {
        Value::Text(Some(Cow::Borrowed(self)))
    }

    fn null() -> Value<'static> {
        Value::Text(None)
    }
}

impl<T: Bind + ?Sized> Bind for &T {
    fn value(&self) -> Value<'_> {
        T::value(self)
    }

    fn null() -> Value<'static> {
        T::null()
    }
}

impl<T: Bind> Bind for Option<T> {
    fn value(&self) -> Value<'_> {
        match self {
            Some(value) => value.value(),
            None => T::null().to_null(),
        }
    }

    fn null() -> Value<'static> {
        T::null()
    }
}

impl<T: Column> Column for Option<T>
where
    Option<T::Raw>: Raw,
{
    type Raw = Option<T::Raw>;

    fn from_raw(raw: Self::Raw) -> Result<Self, String> {
        raw.map(T::from_raw).transpose()
    }
}

/// Reads a column kept as the text of its `Display`.
pub(crate) fn parse<T>(raw: &str) -> Result<T, String>
where
    T: FromStr,
    T::Err: Display,
{
    raw.parse().map_err(|error: T::Err| error.to_string())
}

/// Types kept as the text of their `Display`, read by `FromStr`.
macro_rules! text_column {
    ($($type:ty),* $(,)?) => {$(
        impl Bind for $type {
            fn value(&self) -> Value<'_> {
                Value::Text(Some(self.to_string().into()))
            }

            fn null() -> Value<'static> {
                Value::Text(None)
            }
        }

        impl Column for $type {
            type Raw = String;

            fn from_raw(raw: String) -> Result<Self, String> {
                parse(&raw)
            }
        }
    )*};
}

text_column! {
    RunSum, Verdict, AlertId, ApprovalId, ApprovalRequestId, AttemptsId, DatasetId, DecisionId, EvidenceId, GrantId, JobId, LoadId, ModelId,
    PipelineRunId, PrincipalId, ProjectId, PromotionId, RequestId, RunId, ServerId, StepRunId, TokenId,
    DatasetName, EndpointName, MonitorName, ProjectName, StepName, TriggerName,
    AlertState, ApprovalRequestState, CanaryState, JobState, Lifecycle, LoadState, ModelVersionState, PipelineRunState, RunStatus, SegmentState,
    StepRunState, Chain,
    AlertSubject, ChangeCause, DatasetKind, DatasetVersionOrigin, GrantOrigin, GrantScopeKind, JobClock, LoadOrigin, MonitorResultKind, NodeKind, PinHolder, PipelineKind,
    PrincipalKind, PromotionKind, StepOutputKind, TokenKind, WorkKind,
}

impl Bind for ExperimentId {
    fn value(&self) -> Value<'_> {
        Value::Int(Some(self.number()))
    }

    fn null() -> Value<'static> {
        Value::Int(None)
    }
}

impl Column for ExperimentId {
    type Raw = i64;

    fn from_raw(raw: i64) -> Result<Self, String> {
        Self::try_from(raw).map_err(|error| error.to_string())
    }
}

impl Bind for Role {
    fn value(&self) -> Value<'_> {
        Value::Text(Some(Cow::Borrowed(self.as_str())))
    }

    fn null() -> Value<'static> {
        Value::Text(None)
    }
}

impl Column for Role {
    type Raw = String;

    fn from_raw(raw: String) -> Result<Self, String> {
        parse(&raw)
    }
}

macro_rules! word_column {
    ($type:ident { $($variant:ident = $word:literal,)* }) => {
        impl Bind for $type {
            fn value(&self) -> Value<'_> {
                let word = match self { $(Self::$variant => $word,)* };
                Value::Text(Some(Cow::Borrowed(word)))
            }

            fn null() -> Value<'static> {
                Value::Text(None)
            }
        }

        impl Column for $type {
            type Raw = String;

            fn from_raw(raw: String) -> Result<Self, String> {
                match raw.as_str() {
                    $($word => Ok(Self::$variant),)*
                    other => Err(format!("`{}` is not one of its words", other.escape_debug())),
                }
            }
        }
    };
}

word_column!(Mode { Append = "append", Merge = "merge", Replace = "replace", });
word_column!(Severity { Error = "error", Warn = "warn", });

/// Types kept as JSON text.
macro_rules! json_column {
    ($($type:ty),* $(,)?) => {$(
        impl Bind for $type {
            fn value(&self) -> Value<'_> {
                let text = json_text(self);
                if depth(&text) > JSON_DEPTH_MAX { Value::TooDeep } else { Value::Text(Some(text.into())) }
            }

            fn null() -> Value<'static> {
                Value::Text(None)
            }
        }

        impl Column for $type {
            type Raw = String;

            fn from_raw(raw: String) -> Result<Self, String> {
                serde_json::from_str(&raw).map_err(|error| error.to_string())
            }
        }
    )*};
}

json_column!(Json, Schema, Vec<String>, Vec<Role>, Cause, DatasetVersion, DecisionBody, PipelineOptions);

/// The JSON text of a value whose serialisation cannot fail: string keys and plain values only.
pub(crate) fn json_text(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|error| unreachable!("a plain value did not serialise: {error}"))
}

/// How deeply the lists and objects of a JSON text are nested.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest, mut is_text, mut is_escaped) = (0_usize, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => is_text = !is_text,
            _ if is_text => {}
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}
