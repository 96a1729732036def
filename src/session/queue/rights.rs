//! The end of a reader's rights, as the queue keeps it: by then nothing is written any more.

use std::collections::VecDeque;

use bytes::Bytes;
use tokio::time::Instant;

use super::{Inner, Queue};
use crate::wire::Frames;

impl Queue {
    /// Whether more requests may be read: answers wait outside the limit, so a client that only
    /// asks and never reads is not heard any more.
    pub fn takes_requests(&self) -> bool {
        self.inner().bytes <= 2 * self.bytes_max
    }

    /// Sets when the reader's rights end; the queue looks at it before each write.
    pub fn set_end(&self, end: Option<Instant>) {
        self.inner().end = end;
    }

    /// The reader's rights have ended: what waits is dropped, and only `last` is still written,
    /// where it does not fall into the middle of a frame.
    pub fn end_with(&self, last: Bytes) {
        let mut inner = self.inner();
        inner.end();
        if inner.is_cut {
            inner.close();
            return;
        }
        inner.bytes += last.len();
        inner.pending.push_back(last);
        self.write(&mut inner);
    }

    /// Adds messages of these topics if all of them still come to the client.
    pub fn push_of(&self, topics: &[u64], frames: &Frames) -> bool {
        let mut inner = self.inner();
        let is_live = |topic: &u64| inner.live.iter().any(|(live, _)| live == topic);
        if !topics.iter().all(is_live) {
            return false;
        }
        let is_told = inner.telling.is_open();
        inner.add_frames(frames, self.encoding, is_told);
        self.flush(&mut inner);
        true
    }
}

impl Inner {
    /// Drops what waits; from here on nothing is added.
    pub(super) fn end(&mut self) {
        if !self.has_ended {
            self.has_ended = true;
            self.pending = VecDeque::new();
            self.bytes = 0;
            self.lag = None;
        }
    }
}
