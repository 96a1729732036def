//! Named tasks: the one place that spawns.

use std::future::Future;

use tokio::{
    task::JoinHandle,
    time::{Instant, sleep_until},
};

/// Runs `future` as a task named `name`; the caller owns the handle and waits for its end.
#[expect(clippy::disallowed_methods, reason = "the one place that spawns")]
pub fn spawn<F>(name: &'static str, future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    tokio::spawn(async move {
        tracing::trace!(task = name, "Task started.");
        let output = future.await;
        tracing::trace!(task = name, "Task ended.");
        output
    })
}

/// Waits until a time; for ever where there is none.
pub async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
