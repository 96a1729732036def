//! The gateway from outside: the compiled program, a real PostgreSQL, and clients on real sockets.

#![expect(clippy::panic, reason = "a test fails by it")]

mod attacks;
mod awake;
mod clocks;
mod console;
mod cost;
mod dev;
mod exhausted;
mod faults;
mod feed;
mod feeds;
mod frozen;
mod herd;
mod keys;
mod large;
mod metrics;
mod moves;
mod notify;
mod operate;
mod outage;
mod polls;
mod proxied;
mod reshaped;
mod resume;
mod retention;
mod rights;
mod schema;
mod sets;
mod slow;
mod snapshot;
mod start;
mod storm;
mod strangers;
mod support;
mod talk;
mod tokens;
mod transports;
mod unhurried;
