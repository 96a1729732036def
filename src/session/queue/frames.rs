//! Messages on their way into the queue, and which of their cursors the client is told.

use super::{Inner, Queue, Telling};
use crate::{
    feed::Chunk,
    wire::{Encoding, Frames},
};

impl Queue {
    /// Adds messages and writes them if the socket takes them; over the limit too, for answers
    /// are few and bounded by the client's own requests.
    pub fn push(&self, frames: &Frames) {
        let mut inner = self.inner();
        let is_told = inner.telling.is_open();
        inner.add_frames(frames, self.encoding, is_told);
        self.flush(&mut inner);
    }

    /// Adds messages about one subscription, whose cursor is not that of others.
    pub fn push_own(&self, frames: &Frames) {
        let mut inner = self.inner();
        let is_told = self.encoding != Encoding::EventStream || inner.telling.is_single();
        inner.add_frames(frames, self.encoding, is_told);
        self.flush(&mut inner);
    }

    /// Changes which cursors the client may be told, and how.
    pub fn telling<T>(&self, change: impl FnOnce(&mut Telling) -> T) -> T {
        change(&mut self.inner().telling)
    }

    /// How messages are wrapped.
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }
}

impl Inner {
    /// Adds messages; a cursor at their end only where it may be told.
    pub(super) fn add_frames(&mut self, frames: &Frames, encoding: Encoding, is_told: bool) {
        if encoding == Encoding::EventStream {
            for bytes in self.telling.events(&frames.events(), is_told).into_iter().flatten() {
                self.add(bytes);
            }
        } else if is_told {
            self.add(frames.all(encoding));
        } else {
            self.add(frames.without_cursor(encoding));
        }
    }

    /// Whether the position after a chunk holds for every live subscription: not where one went
    /// live behind a later chunk, which the shard has yet to come to.
    pub(super) fn holds(&self, seq: u64) -> bool {
        self.telling.is_open() && self.live.iter().all(|live| seq >= live.after)
    }

    /// Adds the routes' messages: one route's as one buffer, several ones' in the feed's order.
    pub(super) fn add_routes(&mut self, chunk: &Chunk, routes: &[u32], encoding: Encoding) {
        let is_told = self.holds(chunk.seq);
        match routes {
            [] => {}
            [route] => {
                self.add_frames(&chunk.routes[*route as usize].frames, encoding, is_told);
            }
            _ => {
                let mut messages: Vec<(u32, u32, usize)> = Vec::new();
                for place in routes {
                    let route = &chunk.routes[*place as usize];
                    let frames = &route.frames;
                    let changes = 0..route.changes;
                    messages.extend(changes.map(|at| (frames.order(at), *place, at)));
                }
                messages.sort_unstable();
                for (_, place, at) in messages {
                    self.add(chunk.routes[place as usize].frames.one_of(at, encoding));
                }
                if let Some(mark) = chunk.cursor.as_ref().filter(|_| is_told) {
                    self.add_frames(&mark.frames, encoding, true);
                }
            }
        }
    }
}
