//! One read of the log for all who wait for one.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use futures::{StreamExt as _, stream};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};

use super::batch::broken_off;
use crate::{
    change::{Ids, Position},
    feed::{Catalog, History, LogError, LogRow, log::LogRows},
    tasks,
};

/// How many pieces may wait for one reader.
const PIECES_MAX: usize = 8;

/// A reader that takes nothing for this long reads on by itself: the others do not wait for it.
const SLOW: Duration = Duration::from_millis(500);

type Piece = Result<Arc<Vec<LogRow>>, LogError>;

/// The reads of a log. One runs at a time; who comes later waits for the next.
pub(super) struct Reads {
    log: Arc<dyn History>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: Vec<Reader>,
    is_running: bool,
}

/// Who waits for rows. An empty piece is the end.
struct Reader {
    from: Position,
    to: Position,
    catalog: Arc<Catalog>,
    pieces: mpsc::Sender<Piece>,
}

/// What a reader has had.
struct Follow {
    log: Arc<dyn History>,
    from: Position,
    to: Position,
    catalog: Arc<Catalog>,
    shared: mpsc::Receiver<Piece>,
    own: Option<LogRows>,
    seen: Ids,
}

impl Reads {
    pub(super) fn new(log: Arc<dyn History>) -> Arc<Self> {
        Arc::new(Self { log, state: Mutex::default() })
    }

    /// The rows between two positions, by the next read.
    pub(super) fn join(
        self: &Arc<Self>,
        from: Position,
        to: Position,
        catalog: Arc<Catalog>,
    ) -> LogRows {
        let (pieces, shared) = mpsc::channel(PIECES_MAX);
        let follow = Follow {
            log: Arc::clone(&self.log),
            from: from.clone(),
            to: to.clone(),
            catalog: Arc::clone(&catalog),
            shared,
            own: None,
            seen: Ids::default(),
        };
        let is_first = {
            let mut state = self.state();
            state.waiting.push(Reader { from, to, catalog, pieces });
            !std::mem::replace(&mut state.is_running, true)
        };
        if is_first {
            // It ends when nobody waits.
            drop(tasks::spawn("shared read", Arc::clone(self).serve()));
        }
        stream::try_unfold(follow, Follow::next).boxed()
    }

    async fn serve(self: Arc<Self>) {
        loop {
            let readers = {
                let mut state = self.state();
                let readers = std::mem::take(&mut state.waiting);
                state.is_running = !readers.is_empty();
                readers
            };
            if readers.is_empty() {
                return;
            }
            metrics::counter!("pgfeed_shared_reads_total").increment(1);
            metrics::counter!("pgfeed_shared_readers_total").increment(readers.len() as u64);
            if let Err((error, readers)) = self.read(readers).await {
                let until = Instant::now() + SLOW;
                for reader in readers {
                    give(&reader, Err(error.clone()), until).await;
                }
            }
        }
    }

    /// Reads from where the first of them stands to where the last of them goes.
    async fn read(&self, mut readers: Vec<Reader>) -> Result<(), (LogError, Vec<Reader>)> {
        let first = readers.iter().min_by_key(|it| it.from.tick.id);
        let last = readers.iter().max_by_key(|it| (it.to.tick.id, it.to.since.ids.count()));
        let Some((first, last)) = first.zip(last) else { return Ok(()) };
        let from = Position::at(Arc::clone(&first.from.tick));
        let (to, catalog) = (last.to.clone(), Arc::clone(&last.catalog));
        let mut rows = match self.log.between(&from, &to, catalog).await {
            Ok(rows) => rows,
            Err(error) => return Err((error, readers)),
        };
        while let Some(piece) = rows.next().await {
            let piece = match piece {
                Ok(piece) if piece.is_empty() => continue,
                Ok(piece) => Arc::new(piece),
                Err(error) => return Err((error, readers)),
            };
            let mut left = Vec::with_capacity(readers.len());
            // One time for all: many slow ones hold up the rest no longer than one does.
            let until = Instant::now() + SLOW;
            for reader in readers {
                if give(&reader, Ok(Arc::clone(&piece)), until).await {
                    left.push(reader);
                }
            }
            readers = left;
            if readers.is_empty() {
                return Ok(());
            }
        }
        let until = Instant::now() + SLOW;
        for reader in readers {
            give(&reader, Ok(Arc::default()), until).await;
        }
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of the reads panics")
    }
}

/// Whether the reader took the piece in time.
async fn give(reader: &Reader, piece: Piece, until: Instant) -> bool {
    timeout_at(until, reader.pieces.send(piece)).await.is_ok_and(|sent| sent.is_ok())
}

impl Follow {
    async fn next(mut self) -> Result<Option<(Vec<LogRow>, Self)>, LogError> {
        if self.own.is_none() {
            match self.shared.recv().await {
                Some(Ok(piece)) if piece.is_empty() => return Ok(None),
                Some(Ok(piece)) => {
                    let rows = self.take(piece.iter().cloned());
                    return Ok(Some((rows, self)));
                }
                Some(Err(error)) => return Err(error),
                // It was left behind: the rows that it has had are skipped.
                None => {
                    let (from, to) = (&self.from, &self.to);
                    let own = self.log.between(from, to, Arc::clone(&self.catalog)).await?;
                    self.own = Some(own);
                }
            }
        }
        let own = self.own.as_mut().ok_or_else(broken_off)?;
        match own.next().await {
            None => Ok(None),
            Some(rows) => {
                let rows = self.take(rows?);
                Ok(Some((rows, self)))
            }
        }
    }

    /// Those of the rows that are new to the reader and not behind where it goes.
    fn take(&mut self, rows: impl IntoIterator<Item = LogRow>) -> Vec<LogRow> {
        let (seen, from, to) = (&mut self.seen, &self.from, &self.to);
        let is_its = |row: &LogRow| !from.tick.snapshot.sees(row.xid) && to.has(row.id, row.xid);
        rows.into_iter().filter(is_its).filter(|row| seen.insert(row.id)).collect()
    }
}
