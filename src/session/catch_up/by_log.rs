//! What a catch-up asks of the log: where a cursor leads, and the part that the tail no longer has.

use futures::StreamExt as _;

use super::{CatchUp, Failure, over};
use crate::{
    change::{Cursor, Position, cursor::RUNS_MAX, position::Progress},
    feed::{
        Body, CursorMark, LogError, LogRow,
        cut::{Cut, Cutter},
    },
    session::resume::{self, Resumed},
    wire::{Frames, reply::Resync},
};

/// So often the database is asked, each time when the feed has read it again.
const TRIES: u32 = 5;

impl CatchUp<'_> {
    /// Finds the cursor's place. Where the database is away it waits: heartbeats tell the client
    /// meanwhile, and asking again would help nobody.
    pub(super) async fn find(&self, cursor: &Cursor) -> Result<Resumed, LogError> {
        let mut tries = 1;
        loop {
            match resume::find(&self.shared.context, cursor).await {
                Err(error) if error.is_transient && tries < TRIES => {
                    tries += 1;
                    self.shared.context.hub.has_all_of_now().await;
                }
                found => return found,
            }
        }
    }

    /// Goes from a position to the newest chunk by the log, without what is `known`. What cannot be
    /// begun is tried again when the feed has read the database.
    pub(super) async fn walk_log(
        &self,
        from: &Position,
        known: &Position,
        mark: CursorMark,
    ) -> Result<(u64, Position, CursorMark), Failure> {
        let mut tries = 1;
        loop {
            let mut has_begun = false;
            let way = self.by_log(from, known, mark.clone(), &mut has_begun);
            match way.await {
                Err(Failure::Log(error)) if error.is_transient && !has_begun && tries < TRIES => {
                    tries += 1;
                    self.shared.context.hub.has_all_of_now().await;
                }
                ended => return ended,
            }
        }
    }

    async fn by_log(
        &self,
        from: &Position,
        known: &Position,
        mut mark: CursorMark,
        has_begun: &mut bool,
    ) -> Result<(u64, Position, CursorMark), Failure> {
        let context = &self.shared.context;
        let Some((to, seq, end)) = context.hub.newest() else { return Err(Failure::Ended) };
        let catalog = context.hub.catalog();
        let mut stream = context.history.between(from, &to, catalog).await?;
        let mut progress = Progress::from(from.clone());
        let mut cutter = Cutter::default();
        let mut piece: Vec<LogRow> = Vec::new();
        while let Some(rows) = stream.next().await {
            let rows = rows?;
            *has_begun = true;
            for row in rows {
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
                if !known.has(row.id, row.xid) && self.concerns(&row) {
                    piece.push(row);
                }
            }
        }
        self.send(&piece, &progress, end, &mut mark).await?;
        Ok((seq, to, mark))
    }

    /// Whether a row is of the subscription's table. In a storm many clients pass many rows that
    /// are not.
    fn concerns(&self, row: &LogRow) -> bool {
        matches!(&row.body, Body::Change(it) if it.table.oid == self.topic().spec.table.oid)
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
