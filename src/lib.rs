//! pgfeed turns changes in PostgreSQL tables into live updates in browsers, exactly.
//!
//! The rooms, in the order in which to read them; each imports only from rooms below it
//! (ARCHITECTURE.md has the picture, `tests/tidy.rs` holds the rule).

pub mod app;
pub mod auth;
pub mod change;
pub mod feed;
pub mod http;
pub mod session;
pub mod settings;
pub mod source;
pub mod tasks;
pub mod telemetry;
pub mod wire;
