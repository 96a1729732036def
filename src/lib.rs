//! pgfeed.
