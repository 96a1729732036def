//! pgfeed.
pub mod settings;
pub mod source;
