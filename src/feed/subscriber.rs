//! What the hub knows of a client: where its frames go.

use std::sync::Arc;

use super::{Chunk, Notice};
use crate::wire::Frames;

/// A heartbeat, the same for all clients of a shard.
#[derive(Debug)]
pub struct Heartbeat {
    /// It with the position after chunk `seq`.
    pub told: Frames,
    /// It alone, for those who may not go on from there.
    pub bare: Frames,
    /// The newest chunk before its position.
    pub seq: u64,
}

/// A client, as the shard that serves it knows it. Implemented by `session`.
///
/// No method blocks or waits: what a client cannot take now it must fetch later by itself.
pub trait Subscriber: Send + Sync + 'static {
    /// Takes the chunk's messages for the routes at `routes` (places in [`Chunk::routes`]).
    fn deliver(&self, chunk: &Arc<Chunk>, routes: &[u32]);

    /// Learns that its subscriptions of a topic ended after a chunk.
    fn notice(&self, chunk: &Arc<Chunk>, topic: u64, notice: Notice);

    /// Takes a heartbeat.
    fn heartbeat(&self, heartbeat: &Heartbeat);

    /// Reads what a delivery will touch. Called for several clients in a row, so that memory is
    /// fetched for all of them at once and not for one after the other.
    fn touch(&self) -> usize;

    /// How many bytes wait for it.
    fn waiting_bytes(&self) -> usize;
}
