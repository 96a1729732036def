//! What can go wrong with an installation, each with what mends it.

use thiserror::Error;
use tokio_postgres::error::{DbError, SqlState};

/// A variant is the step that failed. The text ends with the mend where one is known.
#[derive(Debug, Error)]
pub enum InstallError {
    /// The transaction could not be begun.
    #[error("could not begin a transaction")]
    Begin(#[source] tokio_postgres::Error),
    /// A question to the catalog failed.
    #[error("could not read the catalog")]
    Look(#[source] tokio_postgres::Error),
    /// The transaction could not be committed.
    #[error("could not commit")]
    Commit(#[source] tokio_postgres::Error),
    /// The database has no feed, or this role may not see it.
    #[error("this database has no feed that this role may change: run `pgfeed install` first")]
    NotInstalled,
    /// A table that does not exist.
    #[error(
        "there is no table {name} in schema {schema}: \
         write schema.table as the database spells it, without quotes"
    )]
    NoTable { schema: String, name: String },
    /// Something holds a lock that is needed.
    #[error(
        "{what} is held by another transaction: \
         try again when it has ended, select * from pg_stat_activity shows it"
    )]
    Busy { what: String },
    /// PostgreSQL or the feed said no, with a reason that a person can act on.
    #[error("{what}: {message}{mend}")]
    Refused { what: String, message: String, mend: String },
    /// A piece of the schema could not be applied.
    #[error("could not apply {piece}")]
    Piece {
        piece: String,
        #[source]
        source: tokio_postgres::Error,
    },
}

impl InstallError {
    pub(super) fn piece(piece: &str, source: tokio_postgres::Error) -> Self {
        let what = if piece == "lock" { "the installation" } else { piece };
        Self::known(what, &source)
            .unwrap_or_else(|| Self::Piece { piece: piece.to_owned(), source })
    }

    pub(super) fn grant(role: &str, source: tokio_postgres::Error) -> Self {
        Self::known(&format!("granting to {role}"), &source)
            .unwrap_or_else(|| Self::Piece { piece: "grants".to_owned(), source })
    }

    pub(super) fn table(table: &str, source: tokio_postgres::Error) -> Self {
        Self::known(&format!("table {table}"), &source)
            .unwrap_or_else(|| Self::Piece { piece: table.to_owned(), source })
    }

    /// Whether trying again later may help.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Busy { .. } => true,
            Self::Begin(error) | Self::Look(error) | Self::Commit(error) => error.is_closed(),
            Self::NotInstalled
            | Self::NoTable { .. }
            | Self::Refused { .. }
            | Self::Piece { .. } => false,
        }
    }

    /// The error as something to act on; none where PostgreSQL did not answer at all.
    fn known(what: &str, source: &tokio_postgres::Error) -> Option<Self> {
        let error = source.as_db_error()?;
        if *error.code() == SqlState::LOCK_NOT_AVAILABLE {
            return Some(Self::Busy { what: what.to_owned() });
        }
        Some(Self::Refused {
            what: what.to_owned(),
            message: error.message().to_owned(),
            mend: mend(error).map_or_else(String::new, |mend| format!(". {mend}")),
        })
    }
}

/// The server's own hint, or what usually helps.
fn mend(error: &DbError) -> Option<&str> {
    error.hint().or_else(|| {
        (*error.code() == SqlState::INSUFFICIENT_PRIVILEGE)
            .then_some("Install as the owner of the database.")
    })
}
