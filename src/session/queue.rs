//! What waits for one client.
//!
//! Frames are written as soon as the socket takes them. What it does not take waits here, up to
//! a limit in bytes; past the limit the queue holds no frames but a place in the feed, from which
//! the client is served when it reads again ([`super::lag`]). So a client that does not read
//! costs its limit and no more.

mod deliver;
mod frames;
mod rights;

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    sync::{Arc, Mutex, MutexGuard},
};

use bytes::Bytes;
use smallvec::SmallVec;
use tokio::{sync::Notify, time::Instant};

use super::telling::Telling;
use crate::{
    change::Position,
    feed::{Chunk, Notice},
    wire::Encoding,
};

/// Takes a client's bytes. Implemented for each kind of transport.
pub trait Transport: Send + Sync + 'static {
    /// How messages are wrapped.
    fn encoding(&self) -> Encoding;

    /// Writes what can be written without waiting; [`io::ErrorKind::WouldBlock`] where nothing.
    fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Writes what can be written of one buffer.
    fn try_write_one(&self, bytes: &[u8]) -> io::Result<usize> {
        self.try_write(&[IoSlice::new(bytes)])
    }

    /// Reads what a write will touch (see [`crate::feed::Subscriber::touch`]).
    fn touch(&self) -> usize {
        0
    }

    /// Takes shared buffers as they are; none where the transport copies by
    /// [`Transport::try_write`].
    fn try_share(&self, _pending: &VecDeque<Bytes>) -> Option<io::Result<usize>> {
        None
    }
}

/// What waits for one client. Shared by its session and its shard.
///
/// What a delivery costs beyond its system call is memory that has to be fetched, so all that it
/// looks at is here and in [`Inner`] in this order, in two lines of the cache.
#[repr(C, align(64))]
pub struct Queue {
    transport: Arc<dyn Transport>,
    bytes_max: usize,
    encoding: Encoding,
    inner: Mutex<Inner>,
    /// The session has something to do: see [`Queue::work`].
    work: Notify,
    /// Something was written.
    room: Notify,
}

/// What a delivery looks at comes first.
#[derive(Default)]
#[repr(C)]
struct Inner {
    is_blocked: bool,
    is_closed: bool,
    is_given_up: bool,
    /// There is an `end`.
    will_end: bool,
    has_ended: bool,
    /// The first buffer has been written in part.
    is_cut: bool,
    /// Somebody waits for room.
    is_awaited: bool,
    /// All of `pending`.
    bytes: usize,
    /// The first chunk that was not taken, and the place before it.
    lag: Option<Box<Lag>>,
    /// Chunks up to here were fetched by the session.
    fetched: u64,
    /// Topics that come by the shard.
    live: SmallVec<[Live; 1]>,
    /// Which cursors the client may be told, and how.
    telling: Telling,
    /// When the reader's rights end: nothing is written from then on.
    end: Option<Instant>,
    /// No buffer of it is empty.
    pending: VecDeque<Bytes>,
    notices: Vec<(u64, Notice)>,
}

/// A topic that comes by the shard.
#[derive(Debug)]
struct Live {
    topic: u64,
    /// The newest chunk that the client does not need of it.
    after: u64,
    /// The place where that chunk ends.
    from: Position,
}

/// Where a slow client has to go on.
#[derive(Clone, Debug)]
pub struct Lag {
    /// The first chunk that it lacks.
    pub seq: u64,
    /// The place before it.
    pub position: Position,
}

/// What a session has to do for its queue.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "several things may be to do at once")]
pub struct Work {
    /// The socket takes nothing: wait until it does, then [`Queue::unblock`].
    pub is_blocked: bool,
    /// The connection is gone.
    pub is_closed: bool,
    /// The client is too slow to be served.
    pub is_given_up: bool,
    /// The reader's rights have ended, and what waited is gone.
    pub has_ended: bool,
    /// Chunks were not taken, and there is room again.
    pub lag: Option<Lag>,
    /// Topics that ended, and why.
    pub notices: Vec<(u64, Notice)>,
}

impl Queue {
    /// An empty queue of at most `bytes_max`.
    pub fn new(transport: Arc<dyn Transport>, bytes_max: usize) -> Arc<Self> {
        let encoding = transport.encoding();
        Arc::new(Self {
            inner: Mutex::default(),
            transport,
            encoding,
            bytes_max,
            work: Notify::new(),
            room: Notify::new(),
        })
    }

    /// Adds encoded bytes.
    pub fn push_bytes(&self, bytes: Bytes) {
        let mut inner = self.inner();
        inner.add(bytes);
        self.flush(&mut inner);
    }

    /// Waits until at least half of the limit is free, or the connection is gone.
    pub async fn has_room(&self) {
        loop {
            let room = self.room.notified();
            {
                let mut inner = self.inner();
                if inner.is_closed || inner.bytes <= self.bytes_max / 2 {
                    return;
                }
                inner.is_awaited = true;
            }
            room.await;
        }
    }

    /// Waits until there is something to do.
    pub async fn has_work(&self) {
        self.work.notified().await;
    }

    /// What there is to do.
    pub fn work(&self) -> Work {
        let mut inner = self.inner();
        let has_room = inner.bytes <= self.bytes_max / 2;
        Work {
            is_blocked: inner.is_blocked,
            is_closed: inner.is_closed,
            is_given_up: inner.is_given_up,
            has_ended: inner.has_ended,
            lag: inner.lag.as_deref().filter(|_| has_room).cloned(),
            notices: std::mem::take(&mut inner.notices),
        }
    }

    /// The socket takes bytes again.
    pub fn unblock(&self) {
        let mut inner = self.inner();
        inner.is_blocked = false;
        self.flush(&mut inner);
        if inner.lag.is_some() {
            self.work.notify_one();
        }
    }

    /// Whether everything was written.
    pub fn is_empty(&self) -> bool {
        self.inner().pending.is_empty()
    }

    /// Whether the connection is gone.
    pub fn is_closed(&self) -> bool {
        self.inner().is_closed
    }

    /// The connection is gone: nothing more is taken.
    pub fn close(&self) {
        self.inner().close();
        self.work.notify_one();
        self.room.notify_waiters();
    }

    /// The client cannot be served any more: it is to come back from its cursor.
    pub fn give_up(&self) {
        self.inner().is_given_up = true;
        self.work.notify_one();
    }

    /// A topic comes by the shard, after chunk `after`, which ends at `from`.
    pub fn join(&self, topic: u64, after: u64, from: Position) {
        self.inner().live.push(Live { topic, after, from });
    }

    /// A topic comes no more.
    pub fn part(&self, topic: u64) {
        self.inner().live.retain(|live| live.topic != topic);
    }

    /// Takes a chunk that the client lacked; it comes from the tail.
    pub fn fetch(&self, chunk: &Arc<Chunk>) {
        let mut inner = self.inner();
        let wanted = |live: &Live| chunk.route(live.topic).filter(|_| chunk.seq > live.after);
        let mut routes: Vec<u32> = inner.live.iter().filter_map(wanted).collect();
        routes.sort_unstable();
        let changes: usize = routes.iter().map(|at| chunk.routes[*at as usize].changes).sum();
        metrics::counter!("pgfeed_deliveries_total").increment(changes as u64);
        inner.add_routes(chunk, &routes, self.encoding);
        inner.lag = Some(Box::new(Lag { seq: chunk.seq + 1, position: chunk.position.clone() }));
        self.flush(&mut inner);
    }

    /// Goes on at chunk `seq`, before which lies `position`: what is between came from the log.
    pub fn skip_to(&self, seq: u64, position: Position) {
        self.inner().lag = Some(Box::new(Lag { seq, position }));
    }

    /// Whether the session still has chunks to fetch that were not taken.
    pub fn is_lagging(&self) -> bool {
        self.inner().lag.is_some()
    }

    /// Ends the lag if every chunk up to `head` has been taken; from there the shard serves
    /// again. `head` is asked for under the queue's lock: a chunk that the shard holds back
    /// because of the lag is in the tail by then.
    pub fn end_lag(&self, head: impl FnOnce() -> u64) -> bool {
        let mut inner = self.inner();
        let newest = head();
        let is_over = inner.lag.as_ref().is_none_or(|lag| lag.seq > newest);
        if is_over {
            inner.lag = None;
            inner.fetched = newest;
        }
        is_over
    }

    /// Topics that come by the shard, and from which place on.
    pub fn live(&self) -> Vec<(u64, Position)> {
        self.inner().live.iter().map(|live| (live.topic, live.from.clone())).collect()
    }

    /// Whether a topic comes by the shard.
    pub fn is_live(&self, topic: u64) -> bool {
        self.inner().live.iter().any(|live| live.topic == topic)
    }

    fn flush(&self, inner: &mut Inner) {
        if inner.end.is_some_and(|end| Instant::now() >= end) {
            inner.end();
            self.work.notify_one();
        }
        self.write(inner);
    }

    fn write(&self, inner: &mut Inner) {
        /// As many buffers as one call takes.
        const SLICES_MAX: usize = 64;
        while !inner.is_blocked && !inner.is_closed && !inner.pending.is_empty() {
            let written = self.transport.try_share(&inner.pending).unwrap_or_else(|| {
                if let (Some(bytes), 1) = (inner.pending.front(), inner.pending.len()) {
                    return self.transport.try_write_one(bytes);
                }
                let mut slices = [IoSlice::new(&[]); SLICES_MAX];
                let count = inner.pending.len().min(SLICES_MAX);
                for (slice, bytes) in slices.iter_mut().zip(&inner.pending) {
                    *slice = IoSlice::new(bytes);
                }
                self.transport.try_write(&slices[..count])
            });
            match written {
                Ok(0) => inner.close(),
                Ok(written) => inner.advance(written),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    inner.is_blocked = true;
                    self.work.notify_one();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => inner.close(),
            }
        }
        if inner.is_closed {
            self.work.notify_one();
        }
        let has_room = inner.is_closed || inner.bytes <= self.bytes_max / 2;
        if has_room && std::mem::take(&mut inner.is_awaited) {
            self.room.notify_waiters();
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("no holder of a queue panics")
    }
}

impl Inner {
    fn add(&mut self, bytes: Bytes) {
        if !self.is_closed && !self.has_ended && !bytes.is_empty() {
            self.bytes += bytes.len();
            self.pending.push_back(bytes);
        }
    }

    fn advance(&mut self, mut written: usize) {
        self.bytes -= written;
        while let Some(first) = self.pending.front_mut() {
            if written < first.len() {
                // The buffer is shared, so this moves a pointer and copies nothing.
                drop(first.split_to(written));
                self.is_cut |= written > 0;
                return;
            }
            written -= first.len();
            self.is_cut = false;
            self.pending.pop_front();
        }
    }

    fn close(&mut self) {
        self.is_closed = true;
        self.pending = VecDeque::new();
        self.bytes = 0;
        self.lag = None;
    }
}

#[cfg(test)]
mod tests {
    use std::mem::{offset_of, size_of};

    use super::{Inner, Mutex, Queue};

    #[test]
    fn what_a_delivery_looks_at_is_in_two_lines_of_the_cache() {
        let lock = size_of::<Mutex<Inner>>() - size_of::<Inner>();
        // The last is the first field of `telling`.
        let end = offset_of!(Queue, inner) + lock + offset_of!(Inner, telling) + size_of::<usize>();
        assert!(end <= 2 * 64, "{end} bytes");
        assert_eq!(align_of::<Queue>(), 64);
    }
}
