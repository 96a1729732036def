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
        let mut inner = self.inner();
        inner.will_end = end.is_some();
        inner.end = end;
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
        let is_live = |topic: &u64| inner.live.iter().any(|live| live.topic == *topic);
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

#[cfg(test)]
mod tests {
    use std::{
        io::{self, IoSlice},
        sync::{Arc, Mutex},
        time::Duration,
    };

    use tokio::time::{Instant, advance};

    use crate::{
        session::{Queue, Transport},
        wire::Encoding,
    };

    /// Takes so many bytes and keeps them.
    struct Taker(Mutex<(Vec<u8>, usize)>);

    impl Transport for Taker {
        fn encoding(&self) -> Encoding {
            Encoding::Lines
        }

        fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
            let mut inner = self.0.lock().expect("no holder panics");
            let (taken, room) = &mut *inner;
            let before = taken.len();
            for slice in slices {
                let count = slice.len().min(*room);
                taken.extend_from_slice(&slice[..count]);
                *room -= count;
            }
            let count = taken.len() - before;
            if count == 0 { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(count) }
        }
    }

    fn queue(room: usize) -> (Arc<Queue>, Arc<Taker>) {
        let taker = Arc::new(Taker(Mutex::new((Vec::new(), room))));
        let queue = Queue::new(Arc::<Taker>::clone(&taker), 1_000);
        queue.set_end(Some(Instant::now() + Duration::from_secs(1)));
        (queue, taker)
    }

    fn taken(taker: &Taker) -> Vec<u8> {
        taker.0.lock().expect("no holder panics").0.clone()
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_written_after_the_end_but_the_last_word() {
        let (queue, taker) = queue(100);
        queue.push_bytes("before".into());
        advance(Duration::from_secs(2)).await;
        queue.push_bytes("after".into());
        assert!(queue.work().has_ended);
        queue.end_with("close".into());
        assert_eq!(taken(&taker), b"beforeclose");
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_word_comes_instead_of_what_waits_before_the_end_too() {
        let (queue, taker) = queue(0);
        queue.push_bytes("waits".into());
        taker.0.lock().expect("no holder panics").1 = 100;
        queue.end_with("close".into());
        queue.unblock();
        assert_eq!(taken(&taker), b"close");
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_is_dropped_and_a_half_written_frame_gets_no_close_behind_it() {
        let (queue, taker) = queue(3);
        queue.push_bytes("frame".into());
        queue.push_bytes("waits".into());
        advance(Duration::from_secs(2)).await;
        taker.0.lock().expect("no holder panics").1 = 100;
        queue.unblock();
        queue.end_with("close".into());
        assert_eq!(taken(&taker), b"fra");
        assert!(queue.is_closed());
    }
}
