//! The harness: a real PostgreSQL, the compiled gateway, a wire that can be broken, a client that
//! speaks the protocol, and an oracle that knows what must be seen.

pub(crate) mod client;
pub(crate) mod database;
pub(crate) mod fault;
pub(crate) mod follower;
pub(crate) mod gateway;
pub(crate) mod http;
pub(crate) mod lean;
pub(crate) mod oracle;
pub(crate) mod proxy;
pub(crate) mod random;
pub(crate) mod reader;
pub(crate) mod record;
pub(crate) mod samples;
pub(crate) mod tally;
mod tests;
pub(crate) mod tokens;
pub(crate) mod validators;
pub(crate) mod wait;
pub(crate) mod witness;
pub(crate) mod writers;

use std::future::Future;

use tokio::task::JoinHandle;

/// Starts a task that ends by itself with what it serves.
#[expect(clippy::disallowed_methods, reason = "the one place of the harness that spawns")]
pub(crate) fn spawn<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> JoinHandle<T> {
    tokio::spawn(work)
}
