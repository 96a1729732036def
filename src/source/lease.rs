//! A connection of the pool while it is used.

use std::ops::{Deref, DerefMut};

use deadpool_postgres::{Object, Pool};
use tokio_postgres::Client;

use super::error::tell;
use crate::feed::LogError;

/// A connection that others get only when all that was asked on it has been answered.
///
/// Who asked may give up or go at any time, with a query under way, a transaction open and rows to
/// come: the next one would wait behind it, or read the log as it was then. Such a connection is
/// closed.
pub(super) struct Lease(Option<Object>);

impl Lease {
    /// Waits for a connection.
    pub(super) async fn of(pool: &Pool) -> Result<Self, LogError> {
        let connection = pool.get().await.map_err(|error| LogError {
            message: format!("no connection to the database: {}", tell(&error)),
            is_transient: true,
        })?;
        Ok(Self(Some(connection)))
    }

    /// Everything has been answered, and no transaction is open: others may have the connection.
    pub(super) fn give_back(mut self) {
        drop(self.0.take());
    }
}

impl Deref for Lease {
    type Target = Client;

    fn deref(&self) -> &Client {
        self.0.as_ref().expect("it is there until it is given back")
    }
}

impl DerefMut for Lease {
    fn deref_mut(&mut self) -> &mut Client {
        self.0.as_mut().expect("it is there until it is given back")
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            drop(Object::take(connection));
        }
    }
}
