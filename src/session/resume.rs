//! From a cursor's text to a place in the feed, or why there is none.

use std::{ops::RangeInclusive, sync::Arc};

use super::Context;
use crate::{
    change::{
        Cursor, Position,
        position::{Since, check},
    },
    feed::{Hub, LogError, log::Found},
    wire::reply::Resync,
};

/// Where a cursor leads.
#[derive(Debug)]
pub enum Resumed {
    /// To a place in the log.
    At {
        /// The place.
        position: Position,
        /// The first chunk of the tail that may hold more, where the tail reaches back so far.
        first: Option<u64>,
    },
    /// To none: the client starts over.
    Over(Resync),
}

/// Finds a cursor's place: by the tail where that reaches back, else by the log.
pub async fn find(context: &Context, cursor: &Cursor) -> Result<Resumed, LogError> {
    let hub = &context.hub;
    if hub.lag_ms().is_none() {
        // What is in the tail after the first read need not be asked of the log.
        hub.has_all_of_now().await;
    }
    if let Some(tick) = hub.ticks().find(cursor) {
        let since = Since { ids: cursor.ids.clone(), sum: cursor.sum };
        let position = Position { tick, since: Arc::new(since) };
        if let Some(first) = in_tail(hub, &position) {
            return Ok(Resumed::At { position, first: Some(first) });
        }
    }
    let (position, xids) = match context.history.find(cursor).await? {
        Found::Here { position, xids } => (position, xids),
        Found::Expired => return Ok(Resumed::Over(Resync::CursorExpired)),
        Found::OtherHistory => return Ok(Resumed::Over(Resync::HistoryChanged)),
    };
    // A cursor may be ahead of this gateway: another gave it, or this one before its restart. To
    // join there would lead its reader back; one read from now on, all it has seen is here.
    if !has_passed(hub, &position, &xids) {
        hub.has_all_of_now().await;
    }
    let first = hub.first_after(&position);
    Ok(Resumed::At { position, first })
}

/// The first chunk of the tail that may hold more than a position of this history, where the tail
/// reaches back so far; waits until all that lies before the position is here.
pub async fn place(hub: &Hub, position: &Position) -> Option<u64> {
    let first = in_tail(hub, position);
    if first.is_some() {
        return first;
    }
    hub.has_all_of_now().await;
    hub.first_after(position)
}

/// The first chunk that may hold more than a position, where the tail has all that the position
/// has since its tick, and all that it lacks.
fn in_tail(hub: &Hub, position: &Position) -> Option<u64> {
    let is_ahead = hub.newest().is_none_or(|(newest, ..)| newest.tick.id < position.tick.id);
    let first = hub.first_after(position).filter(|_| !is_ahead)?;
    tail_has(hub, first, position).then_some(first)
}

/// Whether everything before a position has been published here; `xids` are the transactions of
/// the rows since its tick.
fn has_passed(hub: &Hub, position: &Position, xids: &[u64]) -> bool {
    let Some((newest, ..)) = hub.newest() else { return false };
    let has_run = |run: RangeInclusive<i64>| {
        newest.since.ids.runs().any(|it| it.start() <= run.start() && run.end() <= it.end())
    };
    newest.tick.id >= position.tick.id
        && (xids.iter().all(|xid| newest.tick.snapshot.sees(*xid))
            || position.since.ids.runs().all(has_run))
}

/// Whether the tail from chunk `first` on has the rows that the position says were there.
fn tail_has(hub: &Hub, first: u64, position: &Position) -> bool {
    let (mut count, mut sum) = (0_u64, 0_u64);
    let mut seq = first;
    while count < position.since.ids.count() {
        let Some(chunk) = hub.chunk(seq) else { return false };
        for row in chunk.rows.iter().filter(|row| position.since.ids.contains(row.id)) {
            count += 1;
            sum = sum.wrapping_add(check(row.id, row.xid, row.at));
        }
        seq += 1;
    }
    sum == position.since.sum
}
