//! Goes through the feed for one poll: the log, the tail, and then what comes.

use std::sync::Arc;

use tokio::time::{Duration, Instant, timeout_at};

use super::{Poll, collect::Collector};
use crate::{
    change::{Position, cursor::RUNS_MAX, position::Progress},
    feed::{Chunk, LogError, LogRow, cut::Cut},
    session::{log_walk::LogWalk, news::is_news},
    wire::reply::Resync,
};

/// How long a poll reads the log at least, where it is to wait less: what is there is told at
/// once. Proxies cut what is silent for a minute.
const READ_LEAST: Duration = Duration::from_secs(25);

/// Which places of a chunk may be told.
#[derive(Clone, Copy)]
struct Tells {
    within: bool,
    behind: bool,
}

impl Poll {
    /// Goes on from a position; `first` is the first chunk of the tail that may hold more, where
    /// the tail reaches back so far; `noted` and `restarts` are what the hub had published, and how
    /// often it had started over, before the position was looked for.
    pub(super) async fn walk(
        &self,
        mut to: Collector,
        from: Position,
        first: Option<u64>,
        (noted, restarts): (u64, u64),
    ) -> Result<Collector, LogError> {
        let hub = &self.context.hub;
        let patience = self.deadline.max(Instant::now() + READ_LEAST);
        let mut heads = hub.heads();
        // What only a NOTIFY told stands in no log and at no position: new is what comes now.
        let began = hub.head();
        let mut reached = from.clone();
        // How many of the rows that the position names are still to come. A place before the last
        // of them is not told: it would lead the client back.
        let mut named = from.since.ids.count();
        let mut seq = first.map(|first| first - 1);
        while !to.is_full() {
            let Some(at) = seq else {
                let Some((newest, at, cut)) = hub.newest() else { break };
                self.by_log(&mut to, (&reached, &from), (&newest, cut), patience).await?;
                named = 0;
                if hub.restarts() != restarts {
                    to.start_over(Resync::HistoryChanged);
                }
                if cut.may_tell() && !to.is_full() {
                    // The same place by a newer tick.
                    self.reach_text(&mut to, &newest.cursor().to_text(), cut.is_partial);
                }
                (reached, seq) = (newest, Some(at));
                continue;
            };
            if hub.head() > at {
                let Some(chunk) = hub.chunk(at + 1) else {
                    seq = None;
                    continue;
                };
                to.heed(&chunk, |notice| is_news(notice, &chunk, &from, noted));
                let is_named = |row: &&LogRow| from.since.ids.contains(row.id);
                let left = named.saturating_sub(chunk.rows.iter().filter(is_named).count() as u64);
                let tells = Tells { within: named == 0, behind: left == 0 };
                self.by_chunk(&mut to, &chunk, &from, (chunk.seq > began, tells));
                named = left;
                (reached, seq) = (chunk.position.clone(), Some(chunk.seq));
                continue;
            }
            if to.has_news() {
                break;
            }
            tokio::select! {
                grown = timeout_at(self.deadline, heads.changed()) => if grown.is_err() { break },
                () = self.context.drain.cancelled() => break,
            }
        }
        Ok(to)
    }

    fn by_chunk(
        &self,
        to: &mut Collector,
        chunk: &Arc<Chunk>,
        from: &Position,
        (is_new, tells): (bool, Tells),
    ) {
        let is_wanted = |row: &LogRow| {
            if row.xid == 0 { is_new } else { !from.has(row.id, row.xid) }
        };
        self.take(to, &chunk.rows, Some(&chunk.start).filter(|_| tells.within), is_wanted);
        if let Some(mark) = chunk.cursor.as_ref().filter(|_| tells.behind && !to.is_full()) {
            self.reach_text(to, &mark.text, !chunk.is_whole);
        }
    }

    /// Goes by the log, and leaves out what is `known`. Past `deadline` it ends where it may; the
    /// poll goes on from there.
    async fn by_log(
        &self,
        to: &mut Collector,
        (from, known): (&Position, &Position),
        until: (&Position, Cut),
        deadline: Instant,
    ) -> Result<(), LogError> {
        let mut walk = LogWalk::begin(&self.context, from, until).await?;
        while let Some(stretch) = walk.next(|row| !known.has(row.id, row.xid)).await? {
            let start = Some(&stretch.start).filter(|_| stretch.is_settled_within);
            self.take(to, &stretch.rows, start, |_| true);
            if let Some(cursor) = stretch.cursor.filter(|_| !to.is_full()) {
                self.reach_text(to, &cursor, stretch.is_partial);
                if Instant::now() >= deadline {
                    to.end();
                }
            }
            if to.is_full() {
                break;
            }
        }
        Ok(())
    }

    /// Adds rows; where they are more than the answer has room for, only up to the place between
    /// transactions where it is full. Without the place before them none within can be told.
    fn take(
        &self,
        to: &mut Collector,
        rows: &[LogRow],
        start: Option<&Position>,
        is_wanted: impl Fn(&LogRow) -> bool,
    ) {
        let wanted: Vec<&LogRow> = rows.iter().filter(|row| is_wanted(row)).collect();
        let Some(start) = start.filter(|_| !to.has_room_for(wanted.len())) else {
            return to.add(&wanted);
        };
        let mut progress = Progress::from(start.clone());
        let mut groups = rows.chunk_by(|a, b| a.xid == b.xid).peekable();
        while let Some(group) = groups.next() {
            to.add(&group.iter().filter(|row| is_wanted(row)).collect::<Vec<_>>());
            for row in group {
                progress.pass(row.id, row.xid, row.at);
            }
            // The last transaction may go on behind these rows.
            if groups.peek().is_some() && progress.runs() <= RUNS_MAX {
                self.reach_text(to, &progress.position().cursor().to_text(), false);
            }
            if to.is_full() {
                return;
            }
        }
    }

    fn reach_text(&self, to: &mut Collector, cursor: &str, is_partial: bool) {
        to.reach(cursor, is_partial, &self.context, |request| self.spec(request));
    }
}
