//! Serves a client that did not read, from where it stopped.

use std::sync::Arc;

use super::{
    log_walk::{LogWalk, Stretch},
    queue::Lag,
    subscription::Shared,
};
use crate::{
    change::Position,
    feed::{
        Body, LogError, LogRow, Topic, cut::Cut, encode::Addressee, judge::Images,
        route::RouteBuilder,
    },
    wire::{
        Frames,
        frame::{EventId, Message},
        reply,
    },
};

/// Serves chunks from the tail, or else the log, until the shard can take over again.
pub async fn recover(shared: &Arc<Shared>, lag: Lag) -> Result<(), LogError> {
    let hub = &shared.context.hub;
    let mut lag = lag;
    while !shared.queue.is_closed() {
        if shared.queue.end_lag(|| hub.head()) {
            return Ok(());
        }
        if let Some(chunk) = hub.chunk(lag.seq) {
            shared.queue.fetch(&chunk);
            lag = Lag { seq: chunk.seq + 1, position: chunk.position.clone() };
        } else {
            let Some((to, seq, cut)) = hub.newest() else { return Ok(()) };
            by_log(shared, &lag.position, (&to, cut)).await?;
            lag = Lag { seq: seq + 1, position: to.clone() };
            shared.queue.skip_to(seq + 1, to);
        }
        shared.queue.has_room().await;
    }
    Ok(())
}

/// Sends what lies between two positions, by topic, as the shard would have.
async fn by_log(
    shared: &Arc<Shared>,
    from: &Position,
    to: (&Position, Cut),
) -> Result<(), LogError> {
    let mut walk = LogWalk::begin(&shared.context, from, to).await?;
    while let Some(stretch) = walk.next(|row| matches!(row.body, Body::Change(_))).await? {
        send(shared, &stretch).await;
    }
    Ok(())
}

async fn send(shared: &Arc<Shared>, stretch: &Stretch) {
    shared.queue.has_room().await;
    loop {
        let topics = shared.live_topics();
        let ids: Vec<u64> = topics.iter().map(|(topic, _)| topic.id).collect();
        let mut messages: Vec<Message> =
            topics.iter().flat_map(|(topic, from)| of_topic(&stretch.rows, topic, from)).collect();
        messages.sort_by_key(|message| message.order);
        let changes = messages.len() as u64;
        if let (false, Some(cursor)) = (messages.is_empty(), &stretch.cursor) {
            let json = reply::cursor(None, cursor, stretch.is_partial).into();
            let event_id = Some(EventId { cursor: cursor.clone().into(), is_alone: true });
            messages.push(Message { json, order: u32::MAX, event_id });
        }
        // Where a topic ended meanwhile, as by fewer rights, nothing of it may follow.
        if shared.queue.push_of(&ids, &Frames::new(messages)) {
            metrics::counter!("pgfeed_deliveries_total").increment(changes);
            return;
        }
    }
}

/// A topic's messages of the rows behind the place where the client joined it. What cannot be
/// judged ends the topic for its members: a notice is on its way, if it is not there already.
fn of_topic(rows: &[LogRow], topic: &Topic, from: &Position) -> Vec<Message> {
    let mut builder = RouteBuilder::default();
    for (order, row) in (0_u32..).zip(rows) {
        let Body::Change(change) = &row.body else { continue };
        if change.table.oid == topic.spec.table.oid && !from.has(row.id, row.xid) {
            builder.add(topic, Addressee::Topic, (order, change), &Images::of(change));
        }
    }
    builder.finish().unwrap_or_default()
}
