//! Temporary.
#[path = "it/serving.rs"] mod serving;
#[path = "it/support.rs"] mod support;
