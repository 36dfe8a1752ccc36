//! The reader of requests, as one function that the fuzz target and the property test call.

use super::definitions::{experiments, metrics, runs};
use super::message::Message;
use super::request::parse_body;

/// The body of a request, read as that of several calls. What was read and written is read again as the same.
///
/// # Panics
/// The reader has a fault.
pub fn mlflow_requests(bytes: &[u8]) {
    read::<experiments::create::Request>(bytes);
    read::<experiments::search::Request>(bytes);
    read::<runs::create::Request>(bytes);
    read::<runs::update::Request>(bytes);
    read::<runs::search::Request>(bytes);
    read::<metrics::log_metric::Request>(bytes);
    read::<metrics::log_batch::Request>(bytes);
    read::<metrics::log_inputs::Request>(bytes);
    read::<runs::get::Answer>(bytes);
}

fn read<T: Message + serde::Serialize>(bytes: &[u8]) {
    let Ok(message) = parse_body::<T>(bytes) else { return };
    let written = serde_json::to_string(&message).unwrap_or_default();
    let again = parse_body::<T>(written.as_bytes());
    let again = again.map(|again| serde_json::to_string(&again).unwrap_or_default());
    assert_eq!(again.ok(), Some(written), "a message that was written is read as the same message");
}

#[cfg(test)]
mod tests;
