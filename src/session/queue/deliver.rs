//! What a shard hands over for one client.

use std::sync::Arc;

use bytes::Bytes;
use smallvec::SmallVec;

use super::{Inner, Lag, Queue};
use crate::{
    feed::{Chunk, Notice, Subscriber},
    wire::{Encoding, Frames},
};

impl Subscriber for Queue {
    fn deliver(&self, chunk: &Arc<Chunk>, routes: &[u32]) {
        let mut inner = self.inner();
        if inner.is_closed || inner.lag.is_some() || chunk.seq <= inner.fetched {
            return;
        }
        let live = |place: &u32| {
            let topic = chunk.routes[*place as usize].topic;
            inner.live.iter().any(|(it, after)| *it == topic && chunk.seq > *after)
        };
        let routes: SmallVec<[u32; 8]> = routes.iter().copied().filter(live).collect();
        let size: usize =
            routes.iter().map(|place| chunk.routes[*place as usize].frames.bytes()).sum();
        // One chunk is taken whatever its size, alone.
        if !inner.has_ended && inner.bytes > 0 && inner.bytes + size > self.bytes_max {
            inner.lag = Some(Box::new(Lag { seq: chunk.seq, position: chunk.start.clone() }));
            self.work.notify_one();
            return;
        }
        match &*routes {
            [place] if self.encoding == Encoding::WebSocket && inner.holds(chunk.seq) => {
                let bytes = chunk.routes[*place as usize].frames.web_socket();
                let Some(rest) = self.write_through(&mut inner, bytes) else { return };
                inner.add(rest);
            }
            _ => inner.add_routes(chunk, &routes, self.encoding),
        }
        self.flush(&mut inner);
    }

    fn notice(&self, _chunk: &Arc<Chunk>, topic: u64, notice: Notice) {
        let mut inner = self.inner();
        if inner.live.iter().any(|(live, _)| *live == topic) {
            inner.live.retain(|(live, _)| *live != topic);
            inner.notices.push((topic, notice));
            inner.telling.withhold();
            self.work.notify_one();
        }
    }

    fn touch(&self) -> usize {
        self.bytes_max ^ self.transport.touch()
    }

    fn waiting_bytes(&self) -> usize {
        self.inner().bytes
    }

    fn heartbeat(&self, frames: &Frames, seq: u64) {
        let mut inner = self.inner();
        // A client that lags has not been sent everything up to the heartbeat's cursor.
        if inner.lag.is_some() || inner.bytes > self.bytes_max {
            return;
        }
        let is_told = inner.holds(seq);
        if is_told || self.encoding == Encoding::EventStream {
            inner.add_frames(frames, self.encoding, is_told);
            self.flush(&mut inner);
        }
    }
}

impl Queue {
    /// Writes shared bytes from where they are, if nothing waits before them: what a delivery
    /// costs beyond the system call is memory that is touched. Gives what is to wait.
    fn write_through(&self, inner: &mut Inner, bytes: &Bytes) -> Option<Bytes> {
        let is_free = inner.pending.is_empty()
            && !(inner.is_blocked || inner.is_closed || inner.has_ended)
            && inner.end.is_none();
        if !is_free {
            return Some(bytes.clone());
        }
        match self.transport.try_write_one(bytes) {
            Ok(written) if written == bytes.len() => None,
            Ok(written) if written > 0 => {
                inner.is_cut = true;
                Some(bytes.slice(written..))
            }
            // What is wrong is found again when it is tried again.
            _ => Some(bytes.clone()),
        }
    }
}
