//! Puts the messages of one poll together, up to where its answer may end.

use std::sync::Arc;

use bytes::Bytes;

use crate::{
    change::Cursor,
    feed::{
        Body, Chunk, Hub, LogRow, Notice, Topic, TopicSpec, encode::Addressee, route::messages_of,
    },
    session::{Context, refusal::Refusal, shapes::suffix},
    wire::{
        Code, Subscribe,
        reply::{self, Ended, Resync, Subscribed},
    },
};

/// About how large an answer may be.
const BYTES_MAX: usize = 1024 * 1024;

/// One subscription of a poll.
pub(super) struct Sub {
    pub(super) request: Subscribe,
    topic: Arc<Topic>,
    /// Why what it has been told is void; told at the next position.
    void: Option<Void>,
    is_ended: bool,
}

#[derive(Clone, Copy)]
enum Void {
    Resync(Resync),
    Gone,
}

/// The messages of one answer.
pub(super) struct Collector {
    pub(super) subs: Vec<Sub>,
    pub(super) messages: Vec<Bytes>,
    limit: usize,
    changes: usize,
    bytes: usize,
    /// The messages before the last position that may be told.
    settled: usize,
    cursor: String,
    is_partial: bool,
    is_full: bool,
    /// Why everything is void where rows are to be sent again.
    over: Option<Resync>,
}

/// What a poll is told of changes.
#[derive(Debug)]
pub struct Answer {
    /// The messages as JSON text.
    pub messages: Vec<Bytes>,
    /// Where to go on.
    pub cursor: String,
    /// Whether the cursor stands inside a very large transaction.
    pub is_partial: bool,
}

impl Sub {
    pub(super) fn new(hub: &Hub, request: Subscribe, spec: &TopicSpec) -> Result<Self, Refusal> {
        let topic = topic(hub, spec)?;
        Ok(Self { request, topic, void: None, is_ended: false })
    }

    pub(super) fn topic(&self) -> &Arc<Topic> {
        &self.topic
    }

    pub(super) fn shape(&self) -> String {
        self.topic.spec.shape()
    }

    /// `subscribed`, and why rows held from before are void.
    pub(super) fn start(&self, cursor: &str, reason: Option<Resync>) -> Vec<Bytes> {
        let subscribed = reply::subscribed(&Subscribed {
            id: &self.request.id,
            topic: self.topic.id,
            shape: &self.shape(),
            table: &self.topic.spec.table,
            columns: self.topic.columns(),
            cursor,
            live: false,
        });
        let resync = reason.map(|reason| reply::resync(&self.request.id, reason, cursor).into());
        std::iter::once(subscribed.into()).chain(resync).collect()
    }

    /// What it was told is void, for its table is another one since.
    pub(super) fn is_changed(&mut self) {
        self.void = Some(Void::Resync(Resync::TableChanged));
    }

    /// Whether it is to be told that what it was told is void.
    pub(super) fn is_void(&self) -> bool {
        self.void.is_some()
    }

    fn is_of(&self, oid: u32) -> bool {
        self.topic.spec.table.oid == oid
    }
}

/// A topic by its name on the wire; a poll does not follow it.
fn topic(hub: &Hub, spec: &TopicSpec) -> Result<Arc<Topic>, Refusal> {
    let topic = hub
        .acquire(spec)
        .ok_or_else(|| Refusal::new(Code::Unavailable, "the table is being changed; try again"))?;
    hub.release(topic.id);
    Ok(topic)
}

impl Collector {
    pub(super) fn new(subs: Vec<Sub>, limit: usize) -> Self {
        Self {
            subs,
            messages: Vec::new(),
            limit,
            changes: 0,
            bytes: 0,
            settled: 0,
            cursor: String::new(),
            is_partial: false,
            is_full: false,
            over: None,
        }
    }

    /// Whether the answer ends at the last position.
    pub(super) fn is_full(&self) -> bool {
        self.is_full
    }

    /// The answer ends at the last position.
    pub(super) fn end(&mut self) {
        self.is_full = true;
    }

    /// Everything is void, and what was added with it.
    pub(super) fn start_over(&mut self, reason: Resync) {
        self.over = Some(reason);
        self.messages.clear();
        self.settled = 0;
        self.is_full = true;
    }

    /// Why everything is void where rows are to be sent again.
    pub(super) fn over(&self) -> Option<Resync> {
        self.over
    }

    /// Whether there is something to say at the last position.
    pub(super) fn has_news(&self) -> bool {
        self.settled > 0
    }

    /// Whether so many more changes may come before the limit.
    pub(super) fn has_room_for(&self, changes: usize) -> bool {
        self.changes + changes <= self.limit
    }

    /// Adds what the rows are to the subscriptions.
    pub(super) fn add(&mut self, rows: &[&LogRow]) {
        for sub in &mut self.subs {
            let is_gap = |row: &&LogRow| matches!(&row.body, Body::Gap(it) if sub.is_of(it.oid));
            if rows.iter().copied().any(|row| is_gap(&row)) {
                sub.void = Some(Void::Resync(Resync::CaptureGap));
            } else if rows.iter().any(|row| !sub.topic.can_judge(row)) {
                sub.void.get_or_insert(Void::Resync(Resync::TableChanged));
            }
        }
        let mut merged = Vec::new();
        for sub in self.subs.iter_mut().filter(|it| it.void.is_none() && !it.is_ended) {
            let to = Addressee::Subscription(&sub.request.id);
            match messages_of(rows.iter().copied(), &[(Arc::clone(&sub.topic), to)]) {
                Ok(messages) => merged.extend(messages),
                Err(_) => sub.void = Some(Void::Resync(Resync::CaptureGap)),
            }
        }
        merged.sort_by_key(|message| message.order);
        self.changes += merged.len();
        self.bytes += merged.iter().map(|it| it.json.len()).sum::<usize>();
        self.messages.extend(merged.into_iter().map(|it| it.json));
    }

    /// Takes what a chunk says of its tables, where that is news.
    pub(super) fn heed(&mut self, chunk: &Chunk, is_news: impl Fn(Notice) -> bool) {
        for sub in &mut self.subs {
            sub.void = match chunk.notice_for(&sub.topic).filter(|notice| is_news(*notice)) {
                None => continue,
                Some(Notice::TableGone(_)) => Some(Void::Gone),
                Some(notice) => Some(Void::Resync(notice.reason())),
            };
        }
    }

    /// The answer may end here; `spec` reads a subscription's request anew.
    pub(super) fn reach(
        &mut self,
        cursor: &str,
        is_partial: bool,
        context: &Context,
        spec: impl Fn(&Subscribe) -> Result<TopicSpec, Refusal>,
    ) {
        let tick = Cursor::parse(cursor).map_or(i64::MAX, |cursor| cursor.tick);
        for sub in self.subs.iter_mut().filter(|it| !it.is_ended) {
            let Some(void) = sub.void else { continue };
            let now = spec(&sub.request).and_then(|spec| topic(&context.hub, &spec));
            // A position from before the change would be refused for it again.
            if let (Void::Resync(Resync::TableChanged), Ok(topic)) = (void, &now)
                && tick < context.history.since(&topic.spec.table)
            {
                continue;
            }
            sub.void = None;
            self.is_full = true;
            match (void, now) {
                // The rows are read at one position for all.
                (Void::Resync(reason), Ok(_)) if sub.request.snapshot => self.over = Some(reason),
                (Void::Resync(reason), Ok(topic)) => {
                    sub.topic = topic;
                    self.messages.extend(sub.start(cursor, Some(reason)));
                }
                (void, now) => {
                    sub.is_ended = true;
                    let why = match (void, now) {
                        (Void::Resync(_), Err(refusal)) => {
                            refusal.ended(context, &sub.request.table)
                        }
                        _ => Ended::TableUnwatched,
                    };
                    self.messages.push(reply::unsubscribed(&sub.request.id, Some(why)).into());
                }
            }
        }
        self.settle(cursor, is_partial);
        self.is_full |= self.changes >= self.limit || self.bytes >= BYTES_MAX;
    }

    /// What was added so far stands before this position.
    pub(super) fn settle(&mut self, cursor: &str, is_partial: bool) {
        cursor.clone_into(&mut self.cursor);
        self.is_partial = is_partial;
        self.settled = self.messages.len();
    }

    /// The answer: what lies before the last position that may be told.
    pub(super) fn answer(mut self) -> Answer {
        self.messages.truncate(self.settled);
        let going_on = self.subs.iter().filter(|sub| !sub.is_ended);
        let shapes: Vec<String> = going_on.map(Sub::shape).collect();
        let cursor = self.cursor + &suffix(&shapes);
        Answer { messages: self.messages, cursor, is_partial: self.is_partial }
    }
}
