//! `pgfeed doctor` on set-ups that are broken, one by one: it names the cause and what mends it.

#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    clippy::panic,
    reason = "programs of others are waited for by looking, outside of any runtime"
)]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod broken;
mod outside;
mod support;
