//! The tail: recent chunks in memory, which serve resumes and slow readers without the database.

use std::{collections::VecDeque, sync::Arc};

use super::Chunk;
use crate::change::{Position, Snapshot};

/// Recent chunks, bounded in bytes. Owned by the hub.
#[derive(Debug)]
pub struct Tail {
    chunks: VecDeque<Arc<Chunk>>,
    /// What had been read when the oldest chunk began.
    floor: Arc<Snapshot>,
    /// The number of the newest chunk; the first one is 1.
    head: u64,
    /// The place after the newest chunk.
    position: Position,
    bytes: usize,
    bytes_max: usize,
}

impl Tail {
    /// An empty tail that begins at `position`.
    pub fn new(position: Position, bytes_max: usize) -> Self {
        let floor = Arc::new(position.tick.snapshot.clone());
        Self { chunks: VecDeque::new(), floor, head: 0, position, bytes: 0, bytes_max }
    }

    /// The number of the newest chunk.
    pub fn head(&self) -> u64 {
        self.head
    }

    /// The place after the newest chunk.
    pub fn position(&self) -> &Position {
        &self.position
    }

    /// Forgets the oldest chunks, so that `bytes` more stay within the limit if they can.
    pub fn make_room(&mut self, bytes: usize) {
        while self.bytes + bytes > self.bytes_max
            && let Some(oldest) = self.chunks.pop_front()
        {
            self.bytes -= oldest.bytes();
            self.floor = Arc::clone(&oldest.sees);
        }
    }

    /// Adds the next chunk and forgets the oldest ones over the limit, but never this one.
    pub fn push(&mut self, chunk: Arc<Chunk>) {
        debug_assert_eq!(chunk.seq, self.head + 1, "chunks come in order");
        let bytes = chunk.bytes();
        self.make_room(bytes);
        self.head = chunk.seq;
        self.position = chunk.position.clone();
        self.bytes += bytes;
        self.chunks.push_back(chunk);
    }

    /// Forgets everything and goes on from a position of another history.
    pub fn restart(&mut self, position: Position) {
        self.chunks.clear();
        self.bytes = 0;
        self.floor = Arc::new(position.tick.snapshot.clone());
        self.position = position;
    }

    /// The chunk numbered `seq`, if it is still here.
    pub fn chunk(&self, seq: u64) -> Option<&Arc<Chunk>> {
        let oldest = self.chunks.front()?.seq;
        self.chunks.get(usize::try_from(seq.checked_sub(oldest)?).ok()?)
    }

    /// The number of the first chunk that may hold something `position` lacks, if the tail holds
    /// all that it lacks.
    pub fn first_after(&self, position: &Position) -> Option<u64> {
        let seen = &position.tick.snapshot;
        if position.tick.history != self.position.tick.history || !seen.covers(&self.floor) {
            return None;
        }
        // What reads have seen grows from chunk to chunk.
        let known = self.chunks.partition_point(|chunk| seen.covers(&chunk.sees));
        Some(self.chunks.get(known).map_or(self.head + 1, |chunk| chunk.seq))
    }
}
