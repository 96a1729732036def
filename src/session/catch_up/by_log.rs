//! What a catch-up asks of the log: where a cursor leads, and the part that the tail no longer has.

use super::{CatchUp, Failure, over};
use crate::{
    change::{Cursor, Position},
    feed::{Body, CursorMark, LogError, LogRow},
    session::{
        log_walk::{LogWalk, Stretch},
        resume::{self, Resumed},
    },
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
        let mut walk = LogWalk::begin(context, from, (&to, end)).await?;
        // In a storm many clients pass many rows that are not of their tables.
        let oid = self.topic().spec.table.oid;
        let concerns = |row: &LogRow| match &row.body {
            Body::Change(it) => it.table.oid == oid && !known.has(row.id, row.xid),
            Body::Gap(table) => table.oid == oid,
            Body::Other => false,
        };
        while let Some(stretch) = walk.next(concerns).await? {
            *has_begun = true;
            self.send(stretch, &mut mark).await?;
        }
        // The chunk that said so may be among those passed.
        if context.hub.restarts() != self.restarts {
            return Err(over(Resync::HistoryChanged));
        }
        Ok((seq, to, mark))
    }

    async fn send(&self, stretch: Stretch, mark: &mut CursorMark) -> Result<(), Failure> {
        if stretch.rows.iter().any(|row| matches!(row.body, Body::Gap(_))) {
            return Err(over(Resync::CaptureGap));
        }
        self.shared.queue.has_room().await;
        let mut messages = self.messages(&stretch.rows)?;
        if let Some(cursor) = stretch.cursor {
            if !messages.is_empty() {
                messages.push(self.cursor(&cursor, stretch.is_partial));
            }
            mark.text = cursor.into();
        }
        self.tell(&Frames::new(messages));
        Ok(())
    }
}
