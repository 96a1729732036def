//! Why there is no connection, and whether another try makes sense.

use std::{error::Error as _, io, path::PathBuf, time::Duration};

use tokio_postgres::error::SqlState;

/// Why a connection string was refused, or why nobody answered as wished.
///
/// No variant shows a password: values of the string appear only where they are no secret.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The string has no form that libpq knows.
    #[error("the connection string {reason}")]
    Form { reason: &'static str },
    /// A word is unknown, or its value makes no sense.
    #[error("the connection word `{word}` {reason}")]
    Word { word: String, reason: String },
    /// A file that the string or the environment names could not be used.
    #[error("cannot use {} (`{word}`)", path.display())]
    File {
        word: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The certificates do not make a TLS set-up.
    #[error("cannot set up TLS")]
    Tls(#[from] rustls::Error),
    /// The server could not be reached, or refused.
    #[error("cannot connect to {server}")]
    Refused {
        server: String,
        #[source]
        source: tokio_postgres::Error,
    },
    /// Nobody answered in time.
    #[error("no answer from {server} within {} s", after.as_secs_f32())]
    TimedOut { server: String, after: Duration },
}

impl ConnectError {
    pub(super) fn word(word: &str, reason: impl Into<String>) -> Self {
        Self::Word { word: word.to_owned(), reason: reason.into() }
    }

    /// Whether the same attempt may succeed later without anybody mending a setting.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Refused { source, .. } => is_transient(source),
            Self::TimedOut { .. } => true,
            Self::Form { .. } | Self::Word { .. } | Self::File { .. } | Self::Tls(_) => false,
        }
    }
}

/// Whether what failed here may succeed on a new connection: the server is starting, stopping,
/// full, away, or no longer the primary.
fn is_transient(error: &tokio_postgres::Error) -> bool {
    if let Some(code) = error.code() {
        return is_transient_code(code);
    }
    if error.is_closed() {
        return true;
    }
    match io_error(error) {
        Some(_) if tls_error(error).is_some() => false,
        Some(io) => !matches!(
            io.kind(),
            io::ErrorKind::PermissionDenied
                | io::ErrorKind::InvalidInput
                | io::ErrorKind::InvalidData
                | io::ErrorKind::Unsupported
        ),
        None => false,
    }
}

fn is_transient_code(code: &SqlState) -> bool {
    const STANDBY: &SqlState = &SqlState::READ_ONLY_SQL_TRANSACTION;
    const DROPPED: &SqlState = &SqlState::DATABASE_DROPPED;
    // Connection trouble, conflicts, lack of resources, stopped by somebody, the system itself.
    let classes = ["08", "40", "53", "57", "58"];
    code == STANDBY || (code != DROPPED && classes.iter().any(|it| code.code().starts_with(it)))
}

/// The error of the TLS library in it, if that is where it came from.
pub(super) fn tls_error(error: &tokio_postgres::Error) -> Option<&rustls::Error> {
    io_error(error)?.get_ref()?.downcast_ref()
}

fn io_error(error: &tokio_postgres::Error) -> Option<&io::Error> {
    error.source()?.downcast_ref()
}
