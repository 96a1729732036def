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
        let start = self.progress.position();
        let mut kept = Vec::new();
        if let Some(row) = self.first.take() {
            self.pass(row, &mut kept, &keep);
        }
        loop {
            while let Some(row) = self.arrived.next() {
                if self.from.has(row.id, row.xid) {
                    continue;
                }
                if let Some(cut) = self.cutter.next(&row) {
                    self.first = Some(row);
                    return Ok(Some(self.stretch(start, kept, cut)));
                }
                self.pass(row, &mut kept, &keep);
            }
            let Some(rows) = self.rows.next().await else { break };
            self.arrived = rows?.into_iter();
        }
        Ok(self.end.take().map(|cut| self.stretch(start, kept, cut)))
    }

    fn pass(&mut self, row: LogRow, kept: &mut Vec<LogRow>, keep: &impl Fn(&LogRow) -> bool) {
        self.progress.pass(row.id, row.xid, row.at);
        if keep(&row) {
            kept.push(row);
        }
    }

    fn stretch(&self, start: Position, rows: Vec<LogRow>, cut: Cut) -> Stretch {
        let may_tell = cut.may_tell() && self.progress.runs() <= RUNS_MAX;
        let cursor = may_tell.then(|| self.progress.position().cursor().to_text());
        Stretch { start, rows, cursor, is_partial: cut.is_partial }
    }
}
