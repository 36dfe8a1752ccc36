//! Builders, fakes and a test application.
