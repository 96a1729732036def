//! A subscription that begins with the rows as they are.

use std::sync::Arc;

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Duration, timeout},
};

use super::{
    Context,
    catch_up::{Beginning, CatchUp, Failure},
    resume,
};
use crate::{
    change::Position,
    feed::{
        CursorMark, LogError, Topic,
        log::{Guest, RowPiece, RowPieces, RowsError},
    },
    wire::{
        Frames,
        reply::{self, Resync},
    },
};

/// How long a snapshot waits for others to end.
const PLACE_LIMIT: Duration = Duration::from_secs(5);

/// Rows on their way from the database.
pub struct Reading {
    /// What they are as of.
    pub position: Position,
    rows: RowPieces,
}

impl Reading {
    /// The next piece; the reader knows which one is the last.
    pub async fn next(&mut self) -> Result<RowPiece, LogError> {
        self.rows.recv().await.unwrap_or_else(|| {
            let message = "the rows of a snapshot broke off".to_owned();
            Err(LogError { message, is_transient: true })
        })
    }
}

/// A place among the snapshots that are read at the same time; none in time.
pub async fn place(snapshots: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
    timeout(PLACE_LIMIT, Arc::clone(snapshots).acquire_owned()).await.ok()?.ok()
}

/// Begins to read the rows of topics, all at one position.
pub async fn read(context: &Context, topics: Vec<Arc<Topic>>) -> Result<Reading, RowsError> {
    let place = place(&context.snapshots).await.ok_or_else(|| LogError {
        message: "too many snapshots are read at the same time".to_owned(),
        is_transient: true,
    })?;
    let guest = Guest { place: Arc::new(place), patience: context.limits.stall };
    let read = context.history.rows_of(topics, guest).await?;
    Ok(Reading { position: read.position, rows: read.rows })
}

impl CatchUp<'_> {
    /// Sends the rows, then goes on from their position. `over` tells why what the client held
    /// is void, and whether `subscribed` has been sent.
    pub(super) async fn send_snapshot(&self, over: Option<(Resync, bool)>) -> Result<(), Failure> {
        let context = &self.shared.context;
        // One at a time for a connection, so that many do not crowd out those of others.
        let own = self.shared.snapshots.acquire().await.ok();
        let mut reading = read(context, vec![Arc::clone(&self.ticket.topic)]).await?;
        let position = reading.position.clone();
        let text: Arc<str> = position.cursor().to_text().into();
        // Its cursor is told behind the last row.
        Beginning { cursor: &text, over, is_live: false, holds: false }
            .tell(self.shared, self.ticket);
        metrics::counter!("pgfeed_snapshots_total").increment(1);
        let id = &self.ticket.request.id;
        loop {
            let RowPiece { rows, is_last, .. } = reading.next().await?;
            self.shared.queue.has_room().await;
            if self.shared.queue.is_closed() {
                return Ok(());
            }
            let json = reply::snapshot(id, &rows, !is_last);
            if is_last {
                // Only now has the client all that the cursor stands for.
                self.shared.push_at(self.ticket, json, &text);
                break;
            }
            self.shared.push_to(self.ticket, &Frames::one(json));
        }
        drop((reading, own));
        let first = resume::place(&context.hub, &position).await;
        let mark = CursorMark { text, frames: Arc::default() };
        self.go_on(position, first, mark).await
    }
}
