//! The HTTP API through its router, over a real application.

#![cfg(test)]

mod access;
mod binary;
mod declared;
mod errors;
mod hidden;
mod inference;
mod inference_memory;
mod ledger;
mod metrics;
mod mlflow_calls;
mod mlflow_client;
mod native;
mod openapi;
mod scoring;
mod serving;
mod support;
mod tokens;
mod tracking;
mod uploads;
