//! Goes through the feed for one poll: the log, the tail, and then what comes.

use std::sync::Arc;

use futures::StreamExt as _;
use tokio::time::{Instant, timeout_at};

use super::{Poll, collect::Collector};
use crate::{
    change::{Position, cursor::RUNS_MAX, position::Progress},
    feed::{
        Chunk, LogError, LogRow,
        cut::{Cut, Cutter},
    },
};

impl Poll {
    /// Goes on from a position; `first` is the first chunk of the tail that may hold more, where
    /// the tail reaches back so far.
    pub(super) async fn walk(
        &self,
        mut to: Collector,
        from: Position,
        first: Option<u64>,
        deadline: Instant,
    ) -> Result<Collector, LogError> {
        let hub = &self.context.hub;
        let mut heads = hub.heads();
        // What only a NOTIFY told stands in no log and at no position: new is what comes now.
        let began = hub.head();
        let mut reached = from.clone();
        let mut seq = first.map(|first| first - 1);
        while !to.is_full() {
            let Some(at) = seq else {
                let Some((newest, at, cut)) = hub.newest() else { break };
                self.by_log(&mut to, &reached, (&newest, cut)).await?;
                (reached, seq) = (newest, Some(at));
                continue;
            };
            if hub.head() > at {
                let Some(chunk) = hub.chunk(at + 1) else {
                    seq = None;
                    continue;
                };
                self.by_chunk(&mut to, &chunk, &from, chunk.seq > began);
                (reached, seq) = (chunk.position.clone(), Some(chunk.seq));
                continue;
            }
            if to.has_news() {
                break;
            }
            tokio::select! {
                grown = timeout_at(deadline, heads.changed()) => if grown.is_err() { break },
                () = self.context.drain.cancelled() => break,
            }
        }
        Ok(to)
    }

    fn by_chunk(&self, to: &mut Collector, chunk: &Arc<Chunk>, from: &Position, is_new: bool) {
        let is_wanted = |row: &&LogRow| {
            if row.xid == 0 { is_new } else { !from.has(row.id, row.xid) }
        };
        to.heed(chunk);
        let rows: Vec<&LogRow> = chunk.rows.iter().filter(is_wanted).collect();
        if to.has_room_for(rows.len()) {
            to.add(&rows);
        } else {
            let mut progress = Progress::from(chunk.start.clone());
            let mut groups = chunk.rows.chunk_by(|a, b| a.xid == b.xid).peekable();
            while let Some(group) = groups.next() {
                to.add(&group.iter().filter(is_wanted).collect::<Vec<_>>());
                for row in group {
                    progress.pass(row.id, row.xid, row.at);
                }
                // The last transaction may go on in the next chunk.
                if groups.peek().is_some() && self.reach(to, &progress) {
                    return;
                }
            }
        }
        if let Some(mark) = &chunk.cursor {
            self.reach_text(to, &mark.text, !chunk.is_whole);
        }
    }

    async fn by_log(
        &self,
        to: &mut Collector,
        from: &Position,
        (until, end): (&Position, Cut),
    ) -> Result<(), LogError> {
        let catalog = self.context.hub.catalog();
        let mut stream = self.context.history.between(from, until, catalog).await?;
        let mut progress = Progress::from(from.clone());
        let mut cutter = Cutter::default();
        let mut piece: Vec<LogRow> = Vec::new();
        while let Some(rows) = stream.next().await {
            for row in rows? {
                if from.has(row.id, row.xid) {
                    continue;
                }
                let is_between = piece.last().is_some_and(|last| last.xid != row.xid);
                let cut = cutter.next(&row).filter(|_| !piece.is_empty());
                if cut.is_some() || (is_between && !to.has_room_for(piece.len() + 1)) {
                    to.add(&std::mem::take(&mut piece).iter().collect::<Vec<_>>());
                    let is_partial = !is_between && cut.is_some_and(|cut| cut.is_partial);
                    if (is_between && self.reach(to, &progress))
                        || (is_partial && self.reach_partly(to, &progress))
                    {
                        return Ok(());
                    }
                }
                progress.pass(row.id, row.xid, row.at);
                piece.push(row);
            }
        }
        to.add(&piece.iter().collect::<Vec<_>>());
        if end.may_tell() {
            self.reach_text(to, &until.cursor().to_text(), end.is_partial);
        }
        Ok(())
    }

    /// The answer may end between transactions; true where it does.
    fn reach(&self, to: &mut Collector, progress: &Progress) -> bool {
        if progress.runs() <= RUNS_MAX {
            self.reach_text(to, &progress.position().cursor().to_text(), false);
        }
        to.is_full()
    }

    fn reach_partly(&self, to: &mut Collector, progress: &Progress) -> bool {
        if progress.runs() <= RUNS_MAX {
            self.reach_text(to, &progress.position().cursor().to_text(), true);
        }
        to.is_full()
    }

    fn reach_text(&self, to: &mut Collector, cursor: &str, is_partial: bool) {
        to.reach(cursor, is_partial, &self.context.hub, |request| self.spec(request));
    }
}
