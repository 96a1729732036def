//! Serves a client that did not read, from where it stopped.

use std::sync::Arc;

use super::{
    log_walk::{LogWalk, Stretch},
    queue::Lag,
    subscription::Shared,
};
use crate::{
    change::Position,
    feed::{Body, LogError, cut::Cut, route::messages_since},
    wire::{
        Frames,
        frame::{EventId, LAST, Message},
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
        // A topic that cannot be told ends by a notice, which the queue has or will have. The
        // others go on, and are told all.
        let mut messages = messages_since(&stretch.rows, &topics);
        let changes = messages.len() as u64;
        if let (false, Some(cursor)) = (messages.is_empty(), &stretch.cursor) {
            let json = reply::cursor(None, cursor, stretch.is_partial).into();
            let event_id = Some(EventId { cursor: cursor.clone().into(), is_alone: true });
            messages.push(Message { json, order: LAST, event_id });
        }
        // Where a topic ended meanwhile, as by fewer rights, nothing of it may follow.
        if shared.queue.push_of(&ids, &Frames::new(messages)) {
            metrics::counter!("pgfeed_deliveries_total").increment(changes);
            return;
        }
    }
}
