//! The beat: a write through the log that proves its whole way.

use tokio_postgres::{Client, Error};

use crate::source::error::tell;

/// Sends a beat through the log. Where the database has no room for it, nothing was committed that
/// clients lack, and the log can be read as before.
pub(super) async fn beat(client: &Client) -> Result<(), Error> {
    match client.batch_execute("select pgfeed.beat()").await {
        Err(error) if has_no_room(&error) => {
            let error = tell(&error);
            tracing::warn!(error, "Nothing can be written to the log, nor by others.");
            Ok(())
        }
        done => done,
    }
}

/// Whether the database lacks disk or memory for a write (SQLSTATE class 53).
fn has_no_room(error: &Error) -> bool {
    error.code().is_some_and(|code| code.code().starts_with("53"))
}
