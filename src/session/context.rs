//! What all sessions share.

use std::{fmt::Display, sync::Arc};

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::Limits;
use crate::{
    auth::{Policy, claims::Claims},
    change::Table,
    feed::{Grant, History, Hub},
};

/// Who may see what of a table.
pub trait Access: Send + Sync {
    /// What a reader with these claims may see; none where nothing.
    fn grant(&self, table: &Table, claims: Option<&Claims>) -> Option<Grant>;
}

impl Access for Policy {
    fn grant(&self, table: &Table, claims: Option<&Claims>) -> Option<Grant> {
        Self::grant(self, table, claims)
    }
}

/// Something that was asked for cannot be had from the database now. Counted, and not a line of
/// the log each time: thousands may ask, and why it cannot be read is told by the relay.
pub fn is_unavailable(what: &'static str, error: &impl Display) {
    tracing::debug!(%error, what, "The database did not give what was asked for.");
    metrics::counter!("pgfeed_unavailable_total").increment(1);
}

/// What all sessions share. One for a gateway.
pub struct Context {
    /// Where changes meet subscriptions.
    pub hub: Arc<Hub>,
    /// The log, for what the tail no longer has.
    pub history: Arc<dyn History>,
    /// The owner's policy.
    pub access: Arc<dyn Access>,
    /// Limits on what a client may ask for.
    pub limits: Limits,
    /// Places for snapshots that are read at the same time.
    pub snapshots: Arc<Semaphore>,
    /// The longest time between heartbeats.
    pub heartbeat_ms: u64,
    /// Cancelled when the gateway drains.
    pub drain: CancellationToken,
}
