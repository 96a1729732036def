//! The hub: where changes meet subscriptions.
//!
//! One lock orders everything: a chunk is routed, kept and handed to the shards under it, and a
//! subscription joins its topic under it. So for every subscription each chunk lies either
//! before the join or after it, and none is missed or sent twice.

mod state;
#[cfg(test)]
mod tests;

use std::sync::{
    Arc, Mutex, MutexGuard,
    atomic::{AtomicU64, Ordering},
};

use arc_swap::ArcSwap;
use tokio::{sync::watch, time::Instant};

pub use self::state::Piece;
use self::state::State;
use super::{
    Catalog, Chunk, CursorMark, Notice, Subscriber, Tally, Topic, TopicSpec,
    cut::Cut,
    log::Lost,
    shard::{Command, Inbox, Shard},
};
use crate::{
    change::{Position, Tick},
    tasks,
};

/// How many shards serve the clients. Four over two worker threads let the last of 10,000
/// clients have a change after 60 ms where two took 91 (DESIGN §6).
pub const SHARDS: usize = 4;

/// Encoding more chunks than this under the hub's lock would hold up everyone.
const REPLAY_MAX: u64 = 3;

/// A client of the hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientId(pub u64);

/// Where changes meet subscriptions. One for a gateway; ends with it.
pub struct Hub {
    state: Mutex<State>,
    shards: Vec<Arc<Inbox>>,
    catalog: ArcSwap<Catalog>,
    ticks: Mutex<super::ticks::Ticks>,
    next_client: AtomicU64,
    /// When the log was last known to be read to its end.
    known_tx: watch::Sender<Option<Instant>>,
    /// Makes the reader read now.
    wake: Box<dyn Fn() + Send + Sync>,
    /// The number of the newest chunk; set before a shard hears of it.
    head: AtomicU64,
    head_tx: watch::Sender<u64>,
    /// How often the log was found to be another one.
    restarts: AtomicU64,
}

/// A subscription has joined its topic: from here on its changes come by topic.
#[derive(Debug)]
pub struct Joined {
    /// The position from which it is live.
    pub position: Position,
    /// The same as text.
    pub mark: CursorMark,
    /// The newest chunk that it does not get by topic.
    pub after: u64,
    /// The client's shard has handed over all chunks up to there.
    pub is_delivered: bool,
}

/// How a client takes part in a topic that one of its subscriptions joins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Member {
    /// For the first time: the shard is to serve it.
    New,
    /// Another of its subscriptions follows it already: each change is sent once.
    Already,
    /// The subscription ended meanwhile.
    Cancelled,
    /// Another of its subscriptions still gets by topic what this one has already.
    Undelivered,
}

/// Why a subscription cannot join now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotYet {
    /// Chunks after the one given are to be caught up with first.
    Behind,
    /// The newest chunk ends inside a transaction, or nothing was read yet.
    Unsettled,
    /// The topic has ended: its table is another one now.
    Ended,
    /// Chunks that the subscription has are still to be handed to another one of the client's on
    /// the same topic; told by topic, they would be taken for changes of both.
    Undelivered,
}

impl Hub {
    /// A hub whose tail holds at most `tail_bytes_max`; `wake` makes the reader read now.
    pub fn new(tail_bytes_max: usize, wake: impl Fn() + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State::new(tail_bytes_max)),
            shards: (0..SHARDS).map(|_| Arc::default()).collect(),
            catalog: ArcSwap::default(),
            ticks: Mutex::default(),
            next_client: AtomicU64::new(1),
            known_tx: watch::Sender::new(None),
            wake: Box::new(wake),
            head: AtomicU64::new(0),
            head_tx: watch::Sender::new(0),
            restarts: AtomicU64::new(0),
        })
    }

    /// Starts the shards; they end when the hub is closed.
    pub fn run_shards(self: &Arc<Self>, heartbeat_ms: u64) -> Vec<tokio::task::JoinHandle<()>> {
        let run = |inbox: &Arc<Inbox>| {
            let shard = Shard::new(Arc::clone(self), Arc::clone(inbox), heartbeat_ms);
            tasks::spawn("shard", shard.run())
        };
        self.shards.iter().map(run).collect()
    }

    /// Ends the shards.
    pub fn close(&self) {
        for inbox in &self.shards {
            inbox.push(Command::End);
        }
    }

    /// The watched tables.
    pub fn catalog(&self) -> Arc<Catalog> {
        self.catalog.load_full()
    }

    /// Recent ticks, by which cursors are resolved without the database.
    pub fn ticks(&self) -> MutexGuard<'_, super::ticks::Ticks> {
        self.ticks.lock().expect("no holder of the ticks panics")
    }

    /// How long ago everything committed was known to be here, in ms; `None` before the first
    /// read.
    pub fn lag_ms(&self) -> Option<u64> {
        let known = *self.known_tx.borrow();
        known.map(|at| u64::try_from(at.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// Everything committed at `at` has been published.
    pub fn set_known(&self, at: Instant) {
        self.known_tx.send_replace(Some(at));
    }

    /// Waits until everything that is committed now has been published.
    pub async fn has_all_of_now(&self) {
        let now = Instant::now();
        let mut known = self.known_tx.subscribe();
        (self.wake)();
        while known.borrow_and_update().is_none_or(|at| at < now) {
            known.changed().await.expect("the hub holds the sender");
        }
    }

    /// The number of the newest chunk. Takes no lock, so that a client's queue may ask.
    pub fn head(&self) -> u64 {
        self.head.load(Ordering::Acquire)
    }

    /// Follows the number of the newest chunk.
    pub fn heads(&self) -> watch::Receiver<u64> {
        self.head_tx.subscribe()
    }

    /// How often the log was found to be another one. Where it is more at the end of a walk through
    /// the log than before its beginning was looked for, the walk went from one history to another.
    pub fn restarts(&self) -> u64 {
        self.restarts.load(Ordering::Acquire)
    }

    /// Adds a client; it gets heartbeats from now on.
    pub fn enter(&self, subscriber: Arc<dyn Subscriber>) -> ClientId {
        let client = ClientId(self.next_client.fetch_add(1, Ordering::Relaxed));
        self.shard(client).push(Command::Enter { client, subscriber });
        client
    }

    /// Removes a client; its subscriptions must have ended.
    pub fn leave(&self, client: ClientId) {
        self.shard(client).push(Command::Leave { client });
    }

    /// Joins a client to a topic: from here on its changes come by topic.
    ///
    /// `after` is the newest chunk that the client has; without it, from now. At most
    /// [`REPLAY_MAX`] chunks newer than that are handed to `replay` first, under the hub's lock.
    /// The subscription, a user of the topic already, ends both by [`Hub::part`].
    pub fn join(
        &self,
        client: ClientId,
        topic: &Topic,
        after: Option<u64>,
        replay: impl FnOnce(&[Arc<Chunk>], &Joined) -> Member,
    ) -> Result<Joined, NotYet> {
        let state = self.state();
        let (position, mark, head) = state.settled().ok_or(NotYet::Unsettled)?;
        let after = after.unwrap_or(head);
        if head.saturating_sub(after) > REPLAY_MAX {
            return Err(NotYet::Behind);
        }
        let missing: Option<Vec<_>> = (after + 1..=head).map(|seq| state.chunk(seq)).collect();
        let missing = missing.ok_or(NotYet::Behind)?;
        if missing.iter().any(|chunk| chunk.ends_topic(topic)) {
            return Err(NotYet::Behind);
        }
        if !state.has(topic.id) {
            return Err(NotYet::Ended);
        }
        let is_delivered = !self.shard(client).has_chunks();
        let joined = Joined { position, mark, after: head, is_delivered };
        match replay(&missing, &joined) {
            Member::New => self.shard(client).push(Command::Join { client, topic: topic.id }),
            Member::Already => {}
            Member::Cancelled => return Err(NotYet::Ended),
            Member::Undelivered => return Err(NotYet::Undelivered),
        }
        Ok(joined)
    }

    /// Becomes a user of the topic; ended by [`Hub::release`]. None where the table is another
    /// one by now.
    pub fn acquire(&self, spec: &TopicSpec) -> Option<Arc<Topic>> {
        let mut state = self.state();
        let catalog = self.catalog.load();
        let is_known = catalog.table(spec.table.oid).is_some_and(|it| it.shape == spec.table.shape);
        is_known.then(|| state.acquire(spec))
    }

    /// Ends the use of a topic.
    pub fn release(&self, topic: u64) {
        self.state().release(topic);
    }

    /// Ends one use of a topic that a client had joined; `is_last` tells, under the hub's lock,
    /// whether no other subscription of the client follows it.
    pub fn part(&self, client: ClientId, topic: u64, is_last: impl FnOnce() -> bool) {
        let mut state = self.state();
        state.release(topic);
        if is_last() {
            self.shard(client).push(Command::Part { client, topic });
        }
    }

    /// The last position that lies between transactions, its chunk, and its text.
    pub fn now(&self) -> Option<(Position, u64, CursorMark)> {
        self.state().whole()
    }

    /// The place after the newest chunk, its number, and what it stands at: inside a large
    /// transaction, often.
    pub fn newest(&self) -> Option<(Position, u64, Cut)> {
        self.state().newest()
    }

    /// A chunk of the tail.
    pub fn chunk(&self, seq: u64) -> Option<Arc<Chunk>> {
        self.state().chunk(seq)
    }

    /// How many changes of a table were published.
    pub fn tally(&self, table: u32) -> Tally {
        self.state().tally(table)
    }

    /// The first chunk that may hold something `position` lacks, if the tail has all of it.
    pub fn first_after(&self, position: &Position) -> Option<u64> {
        self.state().first_after(position)
    }

    /// Waits until every shard has room for more chunks.
    pub async fn has_room(&self) {
        for inbox in &self.shards {
            inbox.has_room().await;
        }
    }

    /// Starts at a position: the first time, or because the one before was lost.
    pub fn restart(&self, position: Position, ticks: Vec<Arc<Tick>>, lost: Option<Lost>) {
        *self.ticks() = super::ticks::Ticks::new(ticks);
        let notice = match lost {
            Some(Lost::Expired) => Notice::Expired,
            Some(Lost::OtherHistory) | None => Notice::HistoryChanged,
        };
        let mut state = self.state();
        self.restarts.fetch_add(1, Ordering::AcqRel);
        if let Some(chunk) = state.restart(position, notice) {
            self.send(&chunk);
        }
    }

    /// Takes the watched tables as the rows published next know them.
    pub fn set_catalog(&self, catalog: &Arc<Catalog>) -> Vec<Notice> {
        let before = self.catalog.swap(Arc::clone(catalog));
        let notice = |difference| match difference {
            super::Difference::Changed(oid) => Notice::TableChanged(oid),
            super::Difference::Gone(oid) => Notice::TableGone(oid),
        };
        before.differences(catalog).map(notice).collect()
    }

    /// Publishes the next piece of the feed.
    pub fn publish(&self, piece: Piece) {
        let mut state = self.state();
        let chunk = state.publish(piece);
        self.send(&chunk);
    }

    fn send(&self, chunk: &Arc<Chunk>) {
        self.head.store(chunk.seq, Ordering::Release);
        for inbox in &self.shards {
            inbox.push(Command::Chunk(Arc::clone(chunk)));
        }
        self.head_tx.send_replace(chunk.seq);
    }

    fn shard(&self, client: ClientId) -> &Inbox {
        &self.shards[usize::try_from(client.0 % SHARDS as u64).expect("SHARDS is small")]
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of the hub's state panics")
    }
}
