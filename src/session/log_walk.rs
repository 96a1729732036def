//! Goes by the log through a part of the feed that the tail no longer has.

use futures::StreamExt as _;

use super::Context;
use crate::{
    change::{Position, cursor::RUNS_MAX, position::Progress},
    feed::{
        LogError, LogRow,
        cut::{Cut, Cutter},
        log::LogRows,
    },
};

/// A walk from one position to another, in stretches cut as the relay cuts the feed.
pub struct LogWalk {
    rows: LogRows,
    from: Position,
    progress: Progress,
    /// How many of the rows that the place names are still to come. One of them may be of a
    /// transaction that the place lies inside of, and that has more.
    named: u64,
    cutter: Cutter,
    arrived: std::vec::IntoIter<LogRow>,
    /// The first row of the next stretch.
    first: Option<LogRow>,
    /// What the walk ends at; none where it has.
    end: Option<Cut>,
}

/// Some rows of the log, and where they end.
pub struct Stretch {
    /// The place before them.
    pub start: Position,
    /// The rows.
    pub rows: Vec<LogRow>,
    /// Whether a place between two of its transactions may be told: none before is open there.
    pub is_settled_within: bool,
    /// The cursor behind them, where it may be told.
    pub cursor: Option<String>,
    /// Whether that cursor stands inside a very large transaction.
    pub is_partial: bool,
}

impl LogWalk {
    /// Begins a walk; `end` is what the feed stands at at `to`.
    pub async fn begin(
        context: &Context,
        from: &Position,
        (to, end): (&Position, Cut),
    ) -> Result<Self, LogError> {
        let rows = context.history.between(from, to, context.hub.catalog()).await?;
        Ok(Self {
            rows,
            from: from.clone(),
            progress: Progress::from(from.clone()),
            named: from.since.ids.count(),
            cutter: Cutter::default(),
            arrived: Vec::new().into_iter(),
            first: None,
            end: Some(end),
        })
    }

    /// The next stretch, with those of its rows that `keep` wants; none at the end.
    pub async fn next(
        &mut self,
        keep: impl Fn(&LogRow) -> bool,
    ) -> Result<Option<Stretch>, LogError> {
        if self.end.is_none() {
            return Ok(None);
        }
        let (start, is_settled) = (self.progress.position(), self.named == 0);
        let mut kept = Vec::new();
        if let Some(row) = self.first.take() {
            self.pass(row, &mut kept, &keep);
        }
        loop {
            while let Some(row) = self.arrived.next() {
                if self.from.has(row.id, row.xid) {
                    let is_named = self.from.since.ids.contains(row.id);
                    self.named = self.named.saturating_sub(u64::from(is_named));
                    continue;
                }
                if let Some(cut) = self.cutter.next(&row) {
                    self.first = Some(row);
                    let cut = Cut { is_whole: cut.is_whole && self.named == 0, ..cut };
                    return Ok(Some(self.stretch((start, is_settled), kept, cut)));
                }
                self.pass(row, &mut kept, &keep);
            }
            let Some(rows) = self.rows.next().await else { break };
            self.arrived = rows?.into_iter();
        }
        Ok(self.end.take().map(|cut| self.stretch((start, is_settled), kept, cut)))
    }

    fn pass(&mut self, row: LogRow, kept: &mut Vec<LogRow>, keep: &impl Fn(&LogRow) -> bool) {
        self.progress.pass(row.id, row.xid, row.at);
        if keep(&row) {
            kept.push(row);
        }
    }

    fn stretch(
        &self,
        (start, is_settled_within): (Position, bool),
        rows: Vec<LogRow>,
        cut: Cut,
    ) -> Stretch {
        let may_tell = cut.may_tell() && self.progress.runs() <= RUNS_MAX;
        let cursor = may_tell.then(|| self.progress.position().cursor().to_text());
        Stretch { start, rows, is_settled_within, cursor, is_partial: cut.is_partial }
    }
}
