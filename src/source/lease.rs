//! A connection of the pool in a transaction.

use std::ops::Deref;

use deadpool_postgres::Object;
use tokio_postgres::Client;

/// A connection that is only given back when its transaction has ended.
///
/// A reader may go at any time, with its transaction open and rows on the way: the next one would
/// read the log as it was then. Such a connection is closed.
pub(super) struct Lease(Option<Object>);

impl Lease {
    pub(super) fn new(connection: Object) -> Self {
        Self(Some(connection))
    }

    /// The transaction has ended: others may have the connection.
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

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            drop(Object::take(connection));
        }
    }
}
