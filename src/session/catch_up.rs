//! From a cursor to live.
//!
//! A subscription that goes on from a cursor is served from the tail where that reaches back,
//! else from the log, until it stands right behind the newest chunk; then it joins its topic
//! under the hub's lock, so that nothing is missed and nothing is sent twice.

mod beginning;
mod by_log;

pub(super) use beginning::Beginning;

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;

use super::{
    context,
    news::is_news,
    refusal::Refusal,
    resume::Resumed,
    shapes::Since,
    subscription::{Shared, Ticket},
};
use crate::{
    change::{Cursor, Position, Table},
    feed::{
        Chunk, CursorMark, Grant, LogError, LogRow, Notice, Topic,
        encode::Addressee,
        filter::{self, CompiledFilter, Filter},
        hub::{Joined, Member, NotYet},
        log::RowsError,
        route::{Unjudged, messages_of},
    },
    wire::{
        Code, Encoding, Frames, Subscribe,
        frame::{EventId, LAST, Message},
        reply::{self, Resync},
    },
};

/// How long to wait for a shard that has more to deliver, or for a client to read on: what comes
/// meanwhile comes no later, only by `sub` instead of `topic`.
const DELIVERED_WITHIN: Duration = Duration::from_millis(3);

/// How a subscription begins.
#[derive(Debug)]
pub enum Start {
    /// From now.
    Now,
    /// From a cursor.
    Cursor(Box<Cursor>),
    /// Over again, from now: rows held from before are void. The first time `subscribed` goes
    /// before it, after a change of the table behind it.
    Over {
        /// Why.
        reason: Resync,
        /// Whether `subscribed` has been sent, and still holds.
        is_told: bool,
    },
}

/// Reads a client's filter for a table, over columns that the reader may see in every row.
pub fn filter(
    text: &str,
    limits: filter::Limits,
    table: &Table,
    grant: &Grant,
) -> Result<CompiledFilter, Refusal> {
    let may_see = |name: &str| table.column(name).is_some_and(|it| grant.is_filterable(it));
    Filter::parse_within(text, limits)
        .and_then(|filter| filter.compile(table, &may_see))
        .map_err(|error| Refusal::new(Code::BadFilter, error.to_string()))
}

/// Joins from now, if the feed stands between transactions; tells the client.
pub fn join_now(shared: &Shared, ticket: &Ticket, start: &Start) -> Result<(), NotYet> {
    let tell = |_: &[Arc<Chunk>], joined: &Joined| {
        let member = shared.set_live(ticket, joined);
        if matches!(member, Member::New | Member::Already) {
            let over = match start {
                Start::Over { reason, is_told } => Some((*reason, *is_told)),
                Start::Now | Start::Cursor(_) => None,
            };
            Beginning { cursor: &joined.mark.text, over, is_live: true, holds: true }
                .tell(shared, ticket);
            shared.settle(ticket);
        }
        member
    };
    shared.context.hub.join(shared.client, &ticket.topic, None, tell).map(drop)
}

/// Catches a subscription up until it is live.
pub async fn run(shared: Arc<Shared>, ticket: Ticket, start: Start) {
    let hub = &shared.context.hub;
    let is_held = matches!(start, Start::Cursor(_)) || ticket.request.snapshot;
    let begin = || {
        // Read before the cursor is held against what was noted of the table, or the rows are read
        // as the table is.
        let noted = if is_held { hub.head() } else { 0 };
        CatchUp { shared: &shared, ticket: &ticket, noted, restarts: hub.restarts() }
    };
    let mut ended = begin().run(start).await;
    while let Err(Failure::Over { reason, is_told }) = ended {
        let catch_up = begin();
        ended = if ticket.request.snapshot {
            catch_up.send_snapshot(Some((reason, is_told))).await
        } else {
            catch_up.start_over(reason, is_told).await
        };
    }
    match ended {
        Ok(()) | Err(Failure::Over { .. }) => {}
        Err(Failure::Ended) => super::client::restart(&shared, &ticket),
        Err(Failure::Log(error)) => {
            context::is_unavailable("what a subscription lacks", &error);
            let message = "the database cannot be read now; subscribe again with the same cursor";
            let json = reply::error(Code::Unavailable, message, Some(&ticket.request.id));
            shared.push_to(&ticket, &Frames::one(json));
            if shared.queue.encoding() == Encoding::EventStream {
                // The stream's subscriptions have one cursor: they come back together.
                shared.queue.give_up();
            } else {
                shared.remove_ticket(&ticket);
            }
        }
    }
}

/// Why a catch-up cannot go on.
pub(super) enum Failure {
    /// It starts over.
    Over { reason: Resync, is_told: bool },
    /// Its topic ended: the table is another one, or gone.
    Ended,
    /// The log cannot be read.
    Log(LogError),
}

impl From<RowsError> for Failure {
    fn from(error: RowsError) -> Self {
        Self::Log(match error {
            RowsError::Log(error) => error,
            // The hub has not heard of it yet; when it has, the client may ask again.
            RowsError::Changed => LogError { message: error.to_string(), is_transient: true },
        })
    }
}

impl From<LogError> for Failure {
    fn from(error: LogError) -> Self {
        Self::Log(error)
    }
}

pub(super) struct CatchUp<'a> {
    pub(super) shared: &'a Arc<Shared>,
    pub(super) ticket: &'a Ticket,
    /// What chunks up to here say of the table's shape, the cursor was held against.
    pub(super) noted: u64,
    /// What [`crate::feed::Hub::restarts`] told at the beginning.
    pub(super) restarts: u64,
}

impl CatchUp<'_> {
    async fn run(&self, start: Start) -> Result<(), Failure> {
        match start {
            Start::Now if self.ticket.request.snapshot => self.send_snapshot(None).await,
            Start::Now => self.begin_now().await,
            Start::Cursor(cursor) => self.resume(&cursor).await,
            Start::Over { reason, is_told } => Err(Failure::Over { reason, is_told }),
        }
    }

    /// The feed stands inside a transaction: begin before it.
    async fn begin_now(&self) -> Result<(), Failure> {
        let mut heads = self.shared.context.hub.heads();
        loop {
            let not_yet = match join_now(self.shared, self.ticket, &Start::Now) {
                Ok(()) => return Ok(()),
                Err(NotYet::Ended) => return Err(Failure::Ended),
                Err(not_yet) => not_yet,
            };
            if let Some((position, seq, mark)) = self.shared.context.hub.now()
                && (not_yet == NotYet::Undelivered
                    || self.shared.context.hub.chunk(seq + 1).is_some())
            {
                Beginning::at(&mark.text).tell(self.shared, self.ticket);
                return self.walk_tail(seq, position, mark).await;
            }
            heads.changed().await.unwrap_or_default();
        }
    }

    async fn start_over(&self, reason: Resync, is_told: bool) -> Result<(), Failure> {
        let mut heads = self.shared.context.hub.heads();
        loop {
            match join_now(self.shared, self.ticket, &Start::Over { reason, is_told }) {
                Ok(()) => return Ok(()),
                Err(NotYet::Ended) => return Err(Failure::Ended),
                Err(NotYet::Undelivered) => sleep(DELIVERED_WITHIN).await,
                Err(_) => heads.changed().await.unwrap_or_default(),
            }
        }
    }

    async fn resume(&self, cursor: &Cursor) -> Result<(), Failure> {
        let over = |reason| Failure::Over { reason, is_told: false };
        let Subscribe { shape, since, .. } = &*self.ticket.request;
        let now = self.topic().spec.shape();
        let is_other = shape.as_ref().is_some_and(|it| *it != now);
        let since = since.as_ref().and_then(|text| Since::parse(text).ok());
        // Where the table itself is another one, that is the reason to tell.
        let is_older = cursor.tick < self.shared.context.history.since(&self.topic().spec.table);
        if !is_older && (is_other || since.is_some_and(|it| !it.admits(&now))) {
            return Err(over(Resync::ShapeChanged));
        }
        let (position, first) = match self.find(cursor).await? {
            Resumed::At { position, first } => (position, first),
            Resumed::Over(reason) => return Err(over(reason)),
        };
        if is_older {
            return Err(over(Resync::TableChanged));
        }
        let text: Arc<str> = cursor.to_text().into();
        Beginning::at(&text).tell(self.shared, self.ticket);
        let frames = Arc::new(Frames::default());
        let mark = CursorMark { text, frames };
        self.go_on(position, first, mark).await
    }

    /// Goes on from a position that the client has been told.
    pub(super) async fn go_on(
        &self,
        position: Position,
        first: Option<u64>,
        mark: CursorMark,
    ) -> Result<(), Failure> {
        if let Some(first) = first {
            self.walk_tail(first - 1, position, mark).await
        } else {
            let (seq, position, mark) = self.walk_log(&position, &position, mark).await?;
            self.walk_tail(seq, position, mark).await
        }
    }

    /// Goes through the tail after chunk `seq`, then joins.
    async fn walk_tail(
        &self,
        mut seq: u64,
        known: Position,
        mut mark: CursorMark,
    ) -> Result<(), Failure> {
        let hub = &self.shared.context.hub;
        let mut heads = hub.heads();
        let mut reached = known.clone();
        let told_from = self.last_with(seq, &known);
        loop {
            match self.join(seq, &known, told_from) {
                Ok(()) => return Ok(()),
                Err(NotYet::Ended) => return Err(Failure::Ended),
                Err(NotYet::Unsettled) if hub.head() <= seq => {
                    heads.changed().await.unwrap_or_default();
                }
                Err(NotYet::Undelivered) => {
                    self.shared.queue.has_room().await;
                    sleep(DELIVERED_WITHIN).await;
                }
                Err(_) => {}
            }
            if hub.head() <= seq {
                continue;
            }
            let Some(chunk) = hub.chunk(seq + 1) else {
                (seq, reached, mark) = self.walk_log(&reached, &known, mark).await?;
                continue;
            };
            self.shared.queue.has_room().await;
            if self.shared.queue.is_closed() {
                return Ok(());
            }
            self.tell(&self.frames(&chunk, &known, told_from)?);
            if let Some(newer) = &chunk.cursor {
                mark = newer.clone();
            }
            seq = chunk.seq;
            reached = chunk.position.clone();
        }
    }

    /// The last chunk after `seq` with a row that lies before a position. A position may have one
    /// and not another that came before it in the same read.
    fn last_with(&self, seq: u64, position: &Position) -> u64 {
        let hub = &self.shared.context.hub;
        let (mut left, mut at, mut last) = (position.since.ids.count(), seq + 1, 0);
        while left > 0
            && let Some(chunk) = hub.chunk(at)
        {
            let has = |row: &&LogRow| position.since.ids.contains(row.id);
            let count = chunk.rows.iter().filter(has).count() as u64;
            if count > 0 {
                left = left.saturating_sub(count);
                last = at;
            }
            at += 1;
        }
        last
    }

    /// A chunk's messages for this subscription, and its cursor behind them.
    /// It is not told where the client knows more than lies before it.
    fn frames(&self, chunk: &Chunk, known: &Position, told_from: u64) -> Result<Frames, Failure> {
        let notice = chunk.notice_for(self.topic());
        if let Some(notice) = notice.filter(|it| is_news(*it, chunk, known, self.noted)) {
            return Err(match notice {
                Notice::TableChanged(_) => Failure::Ended,
                Notice::TableGone(_) if chunk.seq > self.noted => Failure::Ended,
                Notice::TableGone(_) | Notice::Gap(_) | Notice::Unjudged(_) => {
                    over(Resync::CaptureGap)
                }
                Notice::Expired => over(Resync::CursorExpired),
                Notice::HistoryChanged => over(Resync::HistoryChanged),
            });
        }
        let rows = chunk.rows.iter().filter(|row| !known.has(row.id, row.xid));
        let mut messages = self.messages(rows)?;
        let mark = chunk.cursor.as_ref().filter(|_| chunk.seq >= told_from);
        if let (false, Some(mark)) = (messages.is_empty(), mark) {
            messages.push(self.cursor(&mark.text, !chunk.is_whole));
        }
        Ok(Frames::new(messages))
    }

    #[expect(single_use_lifetimes, reason = "an anonymous lifetime in impl Trait is unstable")]
    fn messages<'r>(
        &self,
        rows: impl IntoIterator<Item = &'r LogRow>,
    ) -> Result<Vec<Message>, Failure> {
        let rows: Vec<&LogRow> = rows.into_iter().collect();
        if !rows.iter().all(|row| self.topic().can_judge(row)) {
            return Err(over(Resync::TableChanged));
        }
        let to = Addressee::Subscription(&self.ticket.request.id);
        messages_of(rows, &[(Arc::clone(&self.ticket.topic), to)])
            .map_err(|Unjudged| over(Resync::CaptureGap))
    }

    fn tell(&self, frames: &Frames) {
        self.shared.push_to(self.ticket, frames);
        let changes = (0..frames.len()).filter(|place| frames.order(*place) != LAST);
        metrics::counter!("pgfeed_deliveries_total").increment(changes.count() as u64);
    }

    fn cursor(&self, text: &str, is_partial: bool) -> Message {
        let json = reply::cursor(Some(&self.ticket.request.id), text, is_partial);
        let event_id = Some(EventId { cursor: text.to_owned().into(), is_alone: true });
        Message { json: json.into(), order: LAST, event_id }
    }

    fn join(&self, seq: u64, known: &Position, told_from: u64) -> Result<(), NotYet> {
        let shared = self.shared;
        let mut is_over = false;
        let replay = |missing: &[Arc<Chunk>], joined: &Joined| {
            let frames = missing.iter().map(|chunk| self.frames(chunk, known, told_from));
            let Ok(frames) = frames.collect::<Result<Vec<_>, _>>() else {
                is_over = true;
                return Member::Cancelled;
            };
            let member = shared.set_live(self.ticket, joined);
            if matches!(member, Member::Cancelled | Member::Undelivered) {
                return member;
            }
            for frames in &frames {
                self.tell(frames);
            }
            let live = reply::live(&self.ticket.request.id, &joined.mark.text);
            shared.push_at(self.ticket, live, &joined.mark.text);
            shared.settle(self.ticket);
            member
        };
        let joined = shared.context.hub.join(shared.client, self.topic(), Some(seq), replay);
        // The walk comes to the chunk that cannot be told, and says why.
        if is_over { Err(NotYet::Behind) } else { joined.map(drop) }
    }

    fn topic(&self) -> &Topic {
        &self.ticket.topic
    }
}

fn over(reason: Resync) -> Failure {
    Failure::Over { reason, is_told: true }
}
