//! The part of a catch-up that the tail no longer has.

use futures::StreamExt as _;

use super::{CatchUp, Failure, over};
use crate::{
    change::{Position, cursor::RUNS_MAX, position::Progress},
    feed::{
        Body, CursorMark, LogRow,
        cut::{Cut, Cutter},
    },
    wire::{Frames, reply::Resync},
};

impl CatchUp<'_> {
    /// Goes from a position to the newest chunk by the log, without what is `known`.
    pub(super) async fn walk_log(
        &self,
        from: &Position,
        known: &Position,
        mut mark: CursorMark,
    ) -> Result<(u64, Position, CursorMark), Failure> {
        let context = &self.shared.context;
        let Some((to, seq, end)) = context.hub.newest() else { return Err(Failure::Ended) };
        let catalog = context.hub.catalog();
        let mut stream = context.history.between(from, &to, catalog).await?;
        let mut progress = Progress::from(from.clone());
        let mut cutter = Cutter::default();
        let mut piece: Vec<LogRow> = Vec::new();
        while let Some(rows) = stream.next().await {
            for row in rows? {
                if from.has(row.id, row.xid) {
                    continue;
                }
                if let Body::Gap(table) = &row.body
                    && table.oid == self.topic().spec.table.oid
                {
                    return Err(over(Resync::CaptureGap));
                }
                if let Some(cut) = cutter.next(&row).filter(|_| !piece.is_empty()) {
                    self.send(&std::mem::take(&mut piece), &progress, cut, &mut mark).await?;
                }
                progress.pass(row.id, row.xid, row.at);
                if !known.has(row.id, row.xid) {
                    piece.push(row);
                }
            }
        }
        self.send(&piece, &progress, end, &mut mark).await?;
        Ok((seq, to, mark))
    }

    async fn send(
        &self,
        piece: &[LogRow],
        progress: &Progress,
        cut: Cut,
        mark: &mut CursorMark,
    ) -> Result<(), Failure> {
        self.shared.queue.has_room().await;
        let mut messages = self.messages(piece)?;
        if cut.may_tell() && progress.runs() <= RUNS_MAX {
            mark.text = progress.position().cursor().to_text().into();
            if !messages.is_empty() {
                messages.push(self.cursor(&mark.text, cut.is_partial));
            }
        }
        self.shared.push_to(self.ticket, &Frames::new(messages));
        Ok(())
    }
}
