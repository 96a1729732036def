//! The change feed: what is asked for and what is let through. No socket and no database here.

pub mod filter;
