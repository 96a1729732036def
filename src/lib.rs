//! pgfeed.
pub mod settings;
pub mod source;
pub mod telemetry;
