//! What went wrong with the database, as the feed hears of it.

use std::{error::Error, time::Duration};

use tokio_postgres::error::SqlState;

use crate::feed::LogError;

/// An error with its causes.
pub(super) fn tell(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(it) = cause {
        text = format!("{text}: {it}");
        cause = it.source();
    }
    text
}

/// Tells an error of the driver with its causes, and what mends it where that is known.
pub(super) fn failed(doing: &str, error: &tokio_postgres::Error) -> LogError {
    let mut message = format!("{doing}: {}", tell(error));
    let code = error.code();
    let is_missing =
        [&SqlState::UNDEFINED_TABLE, &SqlState::UNDEFINED_FUNCTION, &SqlState::INVALID_SCHEMA_NAME];
    let is_refused = [
        &SqlState::INSUFFICIENT_PRIVILEGE,
        &SqlState::INVALID_PASSWORD,
        &SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
        &SqlState::INVALID_CATALOG_NAME,
    ];
    let is = |codes: &[&SqlState]| code.is_some_and(|code| codes.contains(&code));
    if is(&is_missing) {
        message.push_str(" (is pgfeed installed here? run `pgfeed install`)");
    } else if code == Some(&SqlState::INSUFFICIENT_PRIVILEGE) {
        message.push_str(" (run `pgfeed install --grant-to ROLE` as the owner of the database)");
    }
    LogError { message, is_transient: !is(&is_missing) && !is(&is_refused) }
}

/// An error that is not the driver's.
pub(super) fn refused(message: impl Into<String>) -> LogError {
    LogError { message: message.into(), is_transient: false }
}

/// Runs a step of the conversation with a time limit: a frozen server answers no keepalive probe
/// of ours with an error, only silence.
pub(super) async fn within<T>(
    limit: Duration,
    doing: &str,
    step: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, LogError> {
    match tokio::time::timeout(limit, step).await {
        Ok(result) => result.map_err(|error| failed(doing, &error)),
        Err(_) => Err(LogError {
            message: format!("{doing}: no answer in {} ms", limit.as_millis()),
            is_transient: true,
        }),
    }
}
