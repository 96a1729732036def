//! pgfeed.

pub mod source;
