//! The gateway from outside: the compiled program, a real PostgreSQL, and clients on real sockets.

#![expect(clippy::panic, reason = "a test fails by it")]

mod dev;
mod feed;
mod large;
mod metrics;
mod notify;
mod operate;
mod outage;
mod proxied;
mod reshaped;
mod resume;
mod retention;
mod schema;
mod storm;
mod support;
mod talk;
