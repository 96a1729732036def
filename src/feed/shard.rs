//! A shard: serves some of the clients, one chunk after the other.
//!
//! A task for every client would be woken for every change; a few shards write to all sockets
//! instead, which costs half as much a delivery (DESIGN §6).

use std::{
    collections::{HashMap, VecDeque},
    hint::black_box,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{sync::Notify, time};

use super::{Chunk, Heartbeat, Hub, Subscriber, encode::timestamp, hub::ClientId, meter::Meter};
use crate::wire::{Frames, reply};

/// Chunks and joins on their way to a shard; the relay waits where it is full.
#[derive(Debug, Default)]
pub struct Inbox {
    commands: Mutex<VecDeque<Command>>,
    chunks: AtomicUsize,
    bytes: AtomicUsize,
    arrived: Notify,
    taken: Notify,
}

/// More chunks than this waiting hold up the relay, so that a flood is not held in memory. Other
/// commands are not held up: a connection has few under way.
const CHUNKS_MAX: usize = 16;

/// The same in bytes: a chunk is as large as what it comes to for all topics.
const CHUNK_BYTES_MAX: usize = 64 * 1024 * 1024;

/// So many clients' memory is fetched at once.
const TOUCHED: usize = 16;

/// What a shard is told.
pub enum Command {
    /// The next chunk.
    Chunk(Arc<Chunk>),
    /// A client is here.
    Enter {
        /// Who.
        client: ClientId,
        /// Where its frames go.
        subscriber: Arc<dyn Subscriber>,
    },
    /// A client follows a topic from the next chunk on.
    Join {
        /// Who.
        client: ClientId,
        /// What.
        topic: u64,
    },
    /// A client follows a topic no more.
    Part {
        /// Who.
        client: ClientId,
        /// What.
        topic: u64,
    },
    /// A client is gone.
    Leave {
        /// Who.
        client: ClientId,
    },
    /// The gateway ends.
    End,
}

impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Command")
    }
}

impl Inbox {
    /// Adds a command; never waits.
    pub fn push(&self, command: Command) {
        if let Command::Chunk(chunk) = &command {
            self.chunks.fetch_add(1, Ordering::AcqRel);
            self.bytes.fetch_add(chunk.bytes(), Ordering::AcqRel);
        }
        self.commands.lock().expect("no holder of an inbox panics").push_back(command);
        self.arrived.notify_one();
    }

    /// Whether a chunk waits, or is being delivered.
    pub fn has_chunks(&self) -> bool {
        self.chunks.load(Ordering::Acquire) > 0
    }

    /// Waits until there is room for a chunk.
    pub async fn has_room(&self) {
        while self.chunks.load(Ordering::Acquire) >= CHUNKS_MAX
            || self.bytes.load(Ordering::Acquire) >= CHUNK_BYTES_MAX
        {
            self.taken.notified().await;
        }
    }

    async fn take(&self) -> VecDeque<Command> {
        loop {
            let commands =
                std::mem::take(&mut *self.commands.lock().expect("no holder of an inbox panics"));
            if !commands.is_empty() {
                return commands;
            }
            self.arrived.notified().await;
        }
    }
}

/// A client that follows a topic.
pub(super) type Member = (ClientId, Arc<dyn Subscriber>);

/// Serves some of the clients.
pub struct Shard {
    hub: Arc<Hub>,
    inbox: Arc<Inbox>,
    clients: HashMap<ClientId, Arc<dyn Subscriber>>,
    members: HashMap<u64, Vec<Member>>,
    /// The newest position that every client here has been sent, or has waiting.
    cursor: Option<(u64, Arc<str>)>,
    beat: Beat,
    /// Whether the last heartbeat told of a lag.
    was_behind: bool,
    meter: Meter,
}

/// When whose heartbeat is due: clients are spread over the slots of one round.
struct Beat {
    every: Duration,
    slots: u64,
    slot: u64,
}

impl Beat {
    const SLOTS: u64 = 8;

    /// A round takes 4/5 of the time promised.
    fn new(heartbeat_ms: u64) -> Self {
        let every = Duration::from_millis((heartbeat_ms * 4 / 5 / Self::SLOTS).max(1));
        Self { every, slots: Self::SLOTS, slot: 0 }
    }
}

impl Shard {
    /// A shard without clients.
    pub fn new(hub: Arc<Hub>, inbox: Arc<Inbox>, heartbeat_ms: u64) -> Self {
        let (beat, meter) = (Beat::new(heartbeat_ms), Meter::new());
        Self {
            hub,
            inbox,
            clients: HashMap::new(),
            members: HashMap::new(),
            cursor: None,
            beat,
            was_behind: false,
            meter,
        }
    }

    /// Serves until the gateway ends.
    pub async fn run(mut self) {
        let mut beat = time::interval(self.beat.every);
        beat.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
        let inbox = Arc::clone(&self.inbox);
        loop {
            tokio::select! {
                commands = inbox.take() => {
                    for command in commands {
                        if matches!(command, Command::End) {
                            return;
                        }
                        self.apply(command);
                    }
                }
                _ = beat.tick() => self.heartbeat(),
            }
        }
    }

    fn apply(&mut self, command: Command) {
        match command {
            Command::Chunk(chunk) => {
                self.deliver(&chunk);
                self.inbox.chunks.fetch_sub(1, Ordering::AcqRel);
                self.inbox.bytes.fetch_sub(chunk.bytes(), Ordering::AcqRel);
                self.inbox.taken.notify_one();
            }
            Command::Enter { client, subscriber } => {
                self.clients.insert(client, subscriber);
            }
            Command::Join { client, topic } => {
                if let Some(subscriber) = self.clients.get(&client) {
                    let member = (client, Arc::clone(subscriber));
                    self.members.entry(topic).or_default().push(member);
                }
            }
            Command::Part { client, topic } => {
                if let Some(members) = self.members.get_mut(&topic) {
                    members.retain(|(member, _)| *member != client);
                    if members.is_empty() {
                        self.members.remove(&topic);
                    }
                }
            }
            Command::Leave { client } => {
                self.clients.remove(&client);
            }
            Command::End => {}
        }
    }

    fn deliver(&mut self, chunk: &Arc<Chunk>) {
        let concerned: Vec<(u32, &Vec<_>)> = (0_u32..)
            .zip(&chunk.routes)
            .filter_map(|(place, route)| Some((place, self.members.get(&route.topic)?)))
            .collect();
        match &*concerned {
            [] => {}
            [(place, members)] => {
                for members in members.chunks(TOUCHED) {
                    black_box(members.iter().fold(0, |all, (_, it)| all ^ it.touch()));
                    for (_, subscriber) in members {
                        subscriber.deliver(chunk, &[*place]);
                    }
                }
            }
            _ => deliver_grouped(chunk, &concerned),
        }
        if !concerned.is_empty() {
            self.meter.delivered(chunk, &concerned);
        }
        self.end_topics(chunk);
        if let (true, Some(mark)) = (chunk.is_whole, &chunk.cursor) {
            self.cursor = Some((chunk.seq, Arc::clone(&mark.text)));
        }
    }

    fn end_topics(&mut self, chunk: &Arc<Chunk>) {
        for (topic, notice) in &chunk.ends {
            for (_, subscriber) in self.members.remove(topic).unwrap_or_default() {
                subscriber.notice(chunk, *topic, *notice);
            }
        }
    }

    fn heartbeat(&mut self) {
        self.beat.slot = (self.beat.slot + 1) % self.beat.slots;
        // A shard that has delivered nothing knows only the place where the tail begins.
        let start = || self.hub.now().filter(|(_, seq, _)| *seq == 0).map(|it| (0, it.2.text));
        let Some((seq, cursor)) = self.cursor.clone().or_else(start) else { return };
        let lag_ms = self.hub.lag_ms().filter(|lag_ms| *lag_ms >= 1_000).unwrap_or(0);
        let at = timestamp(jiff::Timestamp::now().as_microsecond());
        let told = reply::heartbeat(Some(&cursor), &at, lag_ms);
        let told = Frames::with_cursor_beside(told, cursor.to_string());
        let bare = Frames::one(reply::heartbeat(None, &at, lag_ms));
        let heartbeat = Heartbeat { told, bare, seq };
        // A lag is told to all at every slot, and so is its end: pages say which it is.
        let is_news = lag_ms > 0 || self.was_behind;
        self.was_behind = lag_ms > 0;
        for (client, subscriber) in &self.clients {
            // A client's shard is its number modulo the shards, so its slot is the quotient's.
            let slot = client.0 / super::hub::SHARDS as u64 % self.beat.slots;
            if is_news || slot == self.beat.slot {
                subscriber.heartbeat(&heartbeat);
            }
        }
        if self.beat.slot == 0 {
            self.meter.waiting(self.clients.values().map(|subscriber| subscriber.waiting_bytes()));
        }
    }
}

/// A client, one of its routes, and where its frames go.
type Pair<'a> = (ClientId, u32, &'a Arc<dyn Subscriber>);

/// Hands each client all its routes of the chunk at once, so that they can be put in order.
fn deliver_grouped(chunk: &Arc<Chunk>, concerned: &[(u32, &Vec<Member>)]) {
    let mut pairs: Vec<Pair<'_>> = concerned
        .iter()
        .flat_map(|(place, members)| {
            members.iter().map(move |(client, subscriber)| (*client, *place, subscriber))
        })
        .collect();
    pairs.sort_unstable_by_key(|(client, place, _)| (*client, *place));
    let mut routes = Vec::new();
    for group in pairs.chunk_by(|a, b| a.0 == b.0) {
        routes.clear();
        routes.extend(group.iter().map(|(_, place, _)| *place));
        if let Some((_, _, subscriber)) = group.first() {
            subscriber.deliver(chunk, &routes);
        }
    }
}
