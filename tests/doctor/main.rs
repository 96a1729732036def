//! `pgfeed doctor` on set-ups that are broken, one by one: it names the cause and what mends it.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod broken;
mod outside;
mod support;
