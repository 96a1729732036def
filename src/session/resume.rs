//! From a cursor's text to a place in the feed, or why there is none.

use std::sync::Arc;

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
    let known = context.hub.ticks().find(cursor);
    let tick = match known {
        Some(tick) => tick,
        None => match context.history.find(cursor).await? {
            Found::Tick(tick) => tick,
            Found::Expired => return Ok(Resumed::Over(Resync::CursorExpired)),
            Found::OtherHistory => return Ok(Resumed::Over(Resync::HistoryChanged)),
        },
    };
    let since = Since { ids: cursor.ids.clone(), sum: cursor.sum };
    let position = Position { tick, since: Arc::new(since) };
    let first = place(&context.hub, &position).await;
    let is_part = match first {
        Some(first) if tail_has(&context.hub, first, &position) => true,
        _ => context.history.has(&position).await?,
    };
    if is_part {
        return Ok(Resumed::At { position, first });
    }
    // The tick may have been known here and pruned there.
    let is_expired = context.history.find(cursor).await? == Found::Expired;
    let reason = if is_expired { Resync::CursorExpired } else { Resync::HistoryChanged };
    Ok(Resumed::Over(reason))
}

/// The first chunk of the tail that may hold more than a position of this history, where the tail
/// reaches back so far.
pub async fn place(hub: &Hub, position: &Position) -> Option<u64> {
    come_up_to(hub, position).await;
    hub.first_after(position)
}

/// A cursor may be ahead of this gateway: another gave it, or this one before its restart. To
/// join there would lead its reader back; one read from now on, all it has seen is here.
async fn come_up_to(hub: &Hub, position: &Position) {
    let tick = hub.newest().map_or(0, |(newest, ..)| newest.tick.id);
    let is_here = tick >= position.tick.id
        && hub.first_after(position).is_some_and(|first| tail_has(hub, first, position));
    if !is_here {
        hub.has_all_of_now().await;
    }
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
