//! What the hub's lock guards: the tail and the topics.

use std::{collections::HashMap, sync::Arc};

use crate::{
    change::{Position, Snapshot, cursor::RUNS_MAX},
    feed::{
        Body, Chunk, CursorMark, LogRow, Notice, Route, Topic, TopicKey, TopicSpec,
        cut::Cut,
        encode::Addressee,
        index::TableTopics,
        judge::Images,
        route::RouteBuilder,
        tail::Tail,
        tally::{Tallies, Tally},
    },
    wire::{Frames, frame::Message, reply},
};

/// What a piece may come to for all topics together, in times of the tail's size. Strangers make
/// topics, and a row is encoded once for each that it concerns; who is beyond starts over.
const ROUTES_TAILS_MAX: usize = 16;

/// What the relay hands to the hub: some rows, and where they end.
#[derive(Debug)]
pub struct Piece {
    /// The rows, in the order of the feed.
    pub rows: Vec<LogRow>,
    /// The place after the last of them.
    pub position: Position,
    /// What the read sees at most.
    pub sees: Arc<Snapshot>,
    /// What it ends at.
    pub cut: Cut,
    /// What ends or restarts subscriptions.
    pub notices: Vec<Notice>,
}

/// The tail and the topics. Only the hub has it.
#[derive(Debug)]
pub(super) struct State {
    tail: Option<Tail>,
    tail_bytes_max: usize,
    /// The newest position between transactions.
    whole: Option<(Position, u64, CursorMark)>,
    topics: HashMap<TopicKey, u64>,
    by_id: HashMap<u64, Entry>,
    by_table: HashMap<u32, TableTopics>,
    next_topic: u64,
    tallies: Tallies,
}

#[derive(Debug)]
struct Entry {
    topic: Arc<Topic>,
    users: usize,
}

impl State {
    pub(super) fn new(tail_bytes_max: usize) -> Self {
        Self {
            tail: None,
            tail_bytes_max,
            whole: None,
            topics: HashMap::new(),
            by_id: HashMap::new(),
            by_table: HashMap::new(),
            next_topic: 1,
            tallies: Tallies::default(),
        }
    }

    /// The place after the newest chunk, its cursor and number, where it lies between transactions.
    pub(super) fn settled(&self) -> Option<(Position, CursorMark, u64)> {
        let head = self.tail.as_ref()?.head();
        let (position, seq, mark) = self.whole.as_ref()?;
        (*seq == head).then(|| (position.clone(), mark.clone(), head))
    }

    pub(super) fn whole(&self) -> Option<(Position, u64, CursorMark)> {
        self.whole.clone()
    }

    pub(super) fn newest(&self) -> Option<(Position, u64, Cut)> {
        let tail = self.tail.as_ref()?;
        let cut = tail.chunk(tail.head()).map_or(Cut::WHOLE, |chunk| Cut {
            is_whole: chunk.is_whole,
            is_partial: !chunk.is_whole && chunk.cursor.is_some(),
        });
        Some((tail.position().clone(), tail.head(), cut))
    }

    pub(super) fn chunk(&self, seq: u64) -> Option<Arc<Chunk>> {
        self.tail.as_ref()?.chunk(seq).cloned()
    }

    pub(super) fn first_after(&self, position: &Position) -> Option<u64> {
        self.tail.as_ref()?.first_after(position)
    }

    pub(super) fn acquire(&mut self, spec: &TopicSpec) -> Arc<Topic> {
        let key = spec.key();
        if let Some(entry) = self.topics.get(&key).and_then(|id| self.by_id.get_mut(id)) {
            entry.users += 1;
            return Arc::clone(&entry.topic);
        }
        let id = self.next_topic;
        self.next_topic += 1;
        let topic = Arc::new(Topic { id, spec: spec.clone() });
        self.topics.insert(key, id);
        self.by_table.entry(spec.table.oid).or_default().add(&topic);
        self.by_id.insert(id, Entry { topic: Arc::clone(&topic), users: 1 });
        topic
    }

    /// Whether the topic has not ended.
    pub(super) fn has(&self, id: u64) -> bool {
        self.by_id.contains_key(&id)
    }

    pub(super) fn release(&mut self, id: u64) {
        let Some(entry) = self.by_id.get_mut(&id) else { return };
        entry.users -= 1;
        if entry.users == 0 {
            self.forget(id);
        }
    }

    fn forget(&mut self, id: u64) {
        let Some(entry) = self.by_id.remove(&id) else { return };
        let topic = entry.topic;
        // Another topic may have taken the key since, for a later definition of the table.
        if self.topics.get(&topic.spec.key()) == Some(&id) {
            self.topics.remove(&topic.spec.key());
        }
        if let Some(topics) = self.by_table.get_mut(&topic.spec.table.oid) {
            topics.remove(&topic);
            if topics.is_empty() {
                self.by_table.remove(&topic.spec.table.oid);
            }
        }
    }

    /// Starts over from a position; gives the chunk that says why where there was one before.
    pub(super) fn restart(&mut self, position: Position, notice: Notice) -> Option<Arc<Chunk>> {
        let sees = Arc::new(position.tick.snapshot.clone());
        let is_first = self.tail.is_none();
        let max = self.tail_bytes_max;
        let tail = self.tail.get_or_insert_with(|| Tail::new(position.clone(), max));
        if is_first {
            let mark = mark(&position, false);
            self.whole = Some((position, 0, mark));
            return None;
        }
        tail.restart(position.clone());
        Some(self.publish(Piece {
            rows: Vec::new(),
            position,
            sees,
            cut: Cut::WHOLE,
            notices: vec![notice],
        }))
    }

    pub(super) fn tally(&self, table: u32) -> Tally {
        self.tallies.of(table)
    }

    /// Routes a piece and keeps it.
    pub(super) fn publish(&mut self, piece: Piece) -> Arc<Chunk> {
        let fits = piece.position.since.ids.runs().len() <= RUNS_MAX;
        let cursor =
            (piece.cut.may_tell() && fits).then(|| mark(&piece.position, !piece.cut.is_whole));
        let mut notices = piece.notices;
        for row in &piece.rows {
            if let Body::Gap(table) = &row.body {
                notices.push(Notice::Gap(table.oid));
            }
        }
        let bytes = piece.rows.iter().map(LogRow::bytes).sum();
        self.tallies.count(&piece.rows);
        self.tail.as_mut().expect("the relay restarts the hub first").make_room(bytes);
        let routes = self.route(&piece.rows, cursor.as_ref(), &mut notices);
        let ends = self.end_topics(&notices);
        let tail = self.tail.as_mut().expect("the relay restarts the hub before it publishes");
        let chunk = Arc::new(Chunk {
            seq: tail.head() + 1,
            rows: piece.rows,
            start: tail.position().clone(),
            position: piece.position,
            sees: piece.sees,
            is_whole: piece.cut.is_whole,
            cursor,
            routes,
            notices,
            ends,
        });
        tail.push(Arc::clone(&chunk));
        if let (true, Some(mark)) = (chunk.is_whole, &chunk.cursor) {
            self.whole = Some((chunk.position.clone(), chunk.seq, mark.clone()));
        }
        chunk
    }

    fn route(
        &self,
        rows: &[LogRow],
        cursor: Option<&CursorMark>,
        notices: &mut Vec<Notice>,
    ) -> Vec<Route> {
        let mut builders: HashMap<u64, RouteBuilder> = HashMap::new();
        let mut bytes = 0;
        for (order, row) in (0_u32..).zip(rows) {
            let Body::Change(change) = &row.body else { continue };
            let oid = change.table.oid;
            let Some(topics) = self.by_table.get(&oid) else { continue };
            let images = Images::of(change);
            // Of a row too large to be logged, the former key stands in for the image before.
            let is_blind = change.is_oversize() || (change.new.is_none() && change.old.is_none());
            for topic in topics.candidates(&change.table, &images, is_blind) {
                let builder = builders.entry(topic.id).or_default();
                bytes -= builder.bytes();
                if bytes < ROUTES_TAILS_MAX * self.tail_bytes_max {
                    builder.add(&topic, Addressee::Topic, (order, change), &images);
                } else {
                    builder.refuse(&topic, change, &images);
                }
                bytes += builder.bytes();
            }
        }
        let mut routes = Vec::with_capacity(builders.len());
        for (topic, builder) in builders {
            match builder.finish() {
                Ok(messages) if messages.is_empty() => {}
                Ok(messages) => routes.push(route(topic, messages, cursor)),
                Err(_) => notices.push(Notice::Unjudged(topic)),
            }
        }
        // A topic that starts over after this chunk gets nothing of it.
        let ends = |route: &Route| {
            let table = self.by_id.get(&route.topic).map_or(0, |it| it.topic.spec.table.oid);
            notices.iter().any(|notice| notice.concerns(table, route.topic))
        };
        routes.retain(|route| !ends(route));
        routes.sort_unstable_by_key(|route| route.topic);
        routes
    }

    /// Takes all members from the topics that the notices concern. Those of another table are
    /// gone for good: new subscriptions get new topics. The others keep their names.
    fn end_topics(&mut self, notices: &[Notice]) -> Vec<(u64, Notice)> {
        if notices.is_empty() {
            return Vec::new();
        }
        let end = |(id, entry): (&u64, &Entry)| {
            let table = entry.topic.spec.table.oid;
            let notice = notices.iter().find(|notice| notice.concerns(table, *id))?;
            Some((*id, *notice))
        };
        let ends: Vec<_> = self.by_id.iter().filter_map(end).collect();
        for (id, notice) in &ends {
            if notice.ends_for_good() {
                self.forget(*id);
            }
        }
        ends
    }
}

fn route(topic: u64, mut messages: Vec<Message>, cursor: Option<&CursorMark>) -> Route {
    let changes = messages.len();
    if let Some(mark) = cursor {
        messages.extend(mark.frames.messages());
    }
    Route { topic, frames: Frames::new(messages), changes }
}

/// A position as text and as a message.
fn mark(position: &Position, is_partial: bool) -> CursorMark {
    let text: Arc<str> = position.cursor().to_text().into();
    let json = reply::cursor(None, &text, is_partial);
    let frames = Arc::new(Frames::with_cursor(json, text.to_string()));
    CursorMark { text, frames }
}
