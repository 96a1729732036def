//! What a shard hands over for one client.

use std::sync::Arc;

use bytes::Bytes;
use smallvec::SmallVec;

use super::{Inner, Lag, Queue};
use crate::{
    feed::{Chunk, Heartbeat, Notice, Subscriber},
    wire::Encoding,
};

impl Subscriber for Queue {
    fn deliver(&self, chunk: &Arc<Chunk>, routes: &[u32]) {
        let mut inner = self.inner();
        if inner.is_closed || inner.lag.is_some() || chunk.seq <= inner.fetched {
            return;
        }
        let live = |place: &u32| {
            let topic = chunk.routes[*place as usize].topic;
            inner.live.iter().any(|it| it.topic == topic && chunk.seq > it.after)
        };
        let kept: SmallVec<[u32; 8]>;
        let routes = if routes.iter().all(live) {
            routes
        } else {
            kept = routes.iter().copied().filter(live).collect();
            &kept
        };
        let size: usize =
            routes.iter().map(|place| chunk.routes[*place as usize].frames.bytes()).sum();
        // One chunk is taken whatever its size, alone.
        if !inner.has_ended && inner.bytes > 0 && inner.bytes + size > self.bytes_max {
            inner.lag = Some(Box::new(Lag { seq: chunk.seq, position: chunk.start.clone() }));
            self.work.notify_one();
            return;
        }
        match routes {
            [place] if self.encoding == Encoding::WebSocket && inner.holds(chunk.seq) => {
                let bytes = chunk.routes[*place as usize].frames.web_socket();
                let Some(rest) = self.write_through(&mut inner, bytes) else { return };
                inner.add(rest);
            }
            _ => inner.add_routes(chunk, routes, self.encoding),
        }
        self.flush(&mut inner);
    }

    fn notice(&self, chunk: &Arc<Chunk>, topic: u64, notice: Notice) {
        let mut inner = self.inner();
        // Who joined behind the chunk, again perhaps, is not concerned.
        if inner.live.iter().any(|live| live.topic == topic && chunk.seq > live.after) {
            inner.live.retain(|live| live.topic != topic);
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

    fn heartbeat(&self, heartbeat: &Heartbeat) {
        let mut inner = self.inner();
        // A client that lags has not been sent everything up to the heartbeat's cursor.
        if inner.lag.is_some() || inner.bytes > self.bytes_max {
            return;
        }
        let is_told = inner.holds(heartbeat.seq);
        // Of a stream it is the id that a client goes on from. One that does not hold is left out.
        let is_bare = !is_told && self.encoding != Encoding::EventStream;
        let frames = if is_bare { &heartbeat.bare } else { &heartbeat.told };
        inner.add_frames(frames, self.encoding, is_told);
        self.flush(&mut inner);
    }
}

impl Queue {
    /// Writes shared bytes from where they are, if nothing waits before them: what a delivery
    /// costs beyond the system call is memory that is touched. Gives what is to wait.
    fn write_through(&self, inner: &mut Inner, bytes: &Bytes) -> Option<Bytes> {
        let is_free = inner.bytes == 0
            && !(inner.is_blocked || inner.is_closed || inner.has_ended)
            && !inner.will_end;
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

#[cfg(test)]
mod tests {
    use std::{
        io::{self, IoSlice},
        sync::{Arc, Mutex},
    };

    use crate::{
        change::{Position, Snapshot, Tick},
        feed::{Chunk, Heartbeat, Notice, Subscriber},
        session::{Queue, Transport, telling::Telling},
        wire::{Encoding, Frames},
    };

    struct Nowhere;

    impl Transport for Nowhere {
        fn encoding(&self) -> Encoding {
            Encoding::WebSocket
        }

        fn try_write(&self, _slices: &[IoSlice<'_>]) -> io::Result<usize> {
            Err(io::ErrorKind::WouldBlock.into())
        }
    }

    #[test]
    fn a_notice_concerns_who_joined_before_its_chunk_and_nobody_behind_it() {
        let snapshot: Snapshot = "1:1:".parse().expect("a snapshot");
        let tick = Arc::new(Tick { history: 1, id: 1, tag: 1, snapshot: snapshot.clone() });
        let position = Position::at(tick);
        let chunk = Arc::new(Chunk {
            seq: 5,
            rows: Vec::new(),
            start: position.clone(),
            position: position.clone(),
            sees: Arc::new(snapshot),
            is_whole: true,
            cursor: None,
            routes: Vec::new(),
            notices: Vec::new(),
            ends: Vec::new(),
        });
        let queue = Queue::new(Arc::new(Nowhere), 1_000);
        for (topic, after) in [(1, 4), (2, 5)] {
            queue.join(topic, after, position.clone());
            queue.notice(&chunk, topic, Notice::HistoryChanged);
        }
        assert_eq!(queue.work().notices, [(1, Notice::HistoryChanged)]);
        assert_eq!((queue.is_live(1), queue.is_live(2)), (false, true));
    }

    /// Takes everything and keeps it.
    #[derive(Default)]
    struct Kept(Mutex<Vec<u8>>);

    impl Transport for Kept {
        fn encoding(&self) -> Encoding {
            Encoding::WebSocket
        }

        fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
            let bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.to_vec()).collect();
            self.0.lock().expect("no holder panics").extend_from_slice(&bytes);
            Ok(bytes.len())
        }
    }

    #[test]
    fn a_heartbeat_comes_without_a_cursor_where_none_may_be_told() {
        let kept = Arc::new(Kept::default());
        let queue = Queue::new(Arc::<Kept>::clone(&kept), 1_000);
        let (told, bare) = (Frames::with_cursor_beside("[1]", "1"), Frames::one("[]"));
        let heartbeat = Heartbeat { told, bare, seq: 1 };
        queue.telling(Telling::withhold);
        queue.heartbeat(&heartbeat);
        queue.telling(Telling::release);
        queue.heartbeat(&heartbeat);
        assert_eq!(*kept.0.lock().expect("no holder panics"), b"\x81\x02[]\x81\x03[1]");
    }
}
