//! Serves a client that did not read, from where it stopped.

use std::sync::Arc;

use futures::StreamExt as _;

use super::{queue::Lag, subscription::Shared};
use crate::{
    change::{Position, cursor::RUNS_MAX, position::Progress},
    feed::{
        LogError, LogRow,
        cut::{Cut, Cutter},
        encode::Addressee,
        route::messages_judged,
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
    (to, end): (&Position, Cut),
) -> Result<(), LogError> {
    let context = &shared.context;
    let mut stream = context.history.between(from, to, context.hub.catalog()).await?;
    let mut progress = Progress::from(from.clone());
    let mut cutter = Cutter::default();
    let mut piece: Vec<LogRow> = Vec::new();
    while let Some(rows) = stream.next().await {
        for row in rows? {
            if from.has(row.id, row.xid) {
                continue;
            }
            if let Some(cut) = cutter.next(&row).filter(|_| !piece.is_empty()) {
                send(shared, &std::mem::take(&mut piece), &progress, cut).await;
            }
            progress.pass(row.id, row.xid, row.at);
            piece.push(row);
        }
    }
    send(shared, &piece, &progress, end).await;
    Ok(())
}

async fn send(shared: &Arc<Shared>, piece: &[LogRow], progress: &Progress, cut: Cut) {
    shared.queue.has_room().await;
    loop {
        let live = shared.queue.live();
        let mut topics = shared.live_topics();
        topics.retain(|topic| live.contains(&topic.id));
        let ids: Vec<u64> = topics.iter().map(|topic| topic.id).collect();
        let topics: Vec<_> = topics.into_iter().map(|topic| (topic, Addressee::Topic)).collect();
        // A topic that cannot be told ends by a notice, which the queue has or will have. The
        // others go on, and are told all.
        let mut messages = messages_judged(piece, &topics);
        let changes = messages.len() as u64;
        if !messages.is_empty() && cut.may_tell() && progress.runs() <= RUNS_MAX {
            let text = progress.position().cursor().to_text();
            let json = reply::cursor(None, &text, cut.is_partial).into();
            let event_id = Some(EventId { cursor: text.into(), is_alone: true });
            messages.push(Message { json, order: u32::MAX, event_id });
        }
        // Where a topic ended meanwhile, as by fewer rights, nothing of it may follow.
        if shared.queue.push_of(&ids, &Frames::new(messages)) {
            metrics::counter!("pgfeed_deliveries_total").increment(changes);
            return;
        }
    }
}
