//! Domain types, pure rules and port traits of Perennial.
//!
//! Nothing here knows a database, HTTP, files, or a clock other than the one
//! it is handed. Everything two siblings need lives here.

pub mod blob;
pub mod calendar;
pub mod cause;
pub mod clock;
pub mod control_characters;
pub mod csv_quotes;
pub mod digest;
pub mod entity;
pub mod error;
pub mod filter;
pub mod frame;
pub mod fuzz;
pub mod id;
pub mod latency;
pub mod ledger;
pub mod lineage;
pub mod metric;
pub mod model;
pub mod name;
pub mod object_url;
pub mod path;
pub mod permission;
pub mod port;
pub mod release;
pub mod rule;
pub mod schema;
pub mod sql;
pub mod state;
pub mod task;
pub mod text;
mod text_enum;
pub mod time_text;
pub mod traffic;

pub use error::{Error, ErrorCode, ErrorKind, Result};
