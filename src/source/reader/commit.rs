//! The end of a read's transaction, asked for before its rows have been read.

use std::{future::poll_fn, pin::Pin, sync::Arc, task::Poll};

use futures::future::{BoxFuture, MaybeDone, maybe_done};
use tokio_postgres::{Client, Error};

/// A `commit` that was sent behind a read; its answer comes behind the read's rows.
pub(super) type Commit = Pin<Box<MaybeDone<BoxFuture<'static, Result<(), Error>>>>>;

/// The end of a transaction; nothing is sent before it is polled.
pub(super) fn commit(client: &Arc<Client>) -> Commit {
    let client = Arc::clone(client);
    let commit: BoxFuture<'static, _> =
        Box::pin(async move { client.batch_execute("commit").await });
    Box::pin(maybe_done(commit))
}

/// Sends a `commit`, and does not wait for its answer; tells whether it is there.
pub(super) async fn sent(commit: &mut Commit) -> Result<bool, Error> {
    poll_fn(|cx| Poll::Ready(Ok(commit.as_mut().poll(cx).is_ready()))).await
}

/// Waits for a commit's answer.
pub(super) async fn ended(mut commit: Commit) -> Result<(), Error> {
    commit.as_mut().await;
    commit.as_mut().take_output().unwrap_or(Ok(()))
}
