//! pgfeed.
pub mod settings;
