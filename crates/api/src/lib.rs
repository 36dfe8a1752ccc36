//! JSON over HTTP: native, inference and MLflow-compatible routes.
