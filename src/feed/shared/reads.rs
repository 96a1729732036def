//! One read of the log for all who wait for one.
//!
//! It goes from where the first of them stands to where the last of them goes, at the pace of most:
//! who does not keep up is left behind, and goes on with a later read. So is who keeps others
//! waiting for theirs.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use futures::{
    StreamExt as _,
    stream::{self, FuturesUnordered},
};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};

use super::pace::Pace;
use crate::{
    change::{Ids, Position},
    feed::{Catalog, History, LogError, LogRow, log::LogRows},
    tasks,
};

/// How many pieces may wait for one reader.
const PIECES_MAX: usize = 8;

/// A reader that takes nothing for this long, while most do, is left for the next read.
const SLOW: Duration = Duration::from_millis(500);

/// And in all of a read the most do not wait longer than this for the others: with many that are
/// slow a read would take as long as the slowest at every piece.
const SLOW_IN_ALL: Duration = Duration::from_secs(2);

/// A read of which so long not even most take a piece goes on without the others.
const MOST_SLOW: Duration = Duration::from_secs(10);

/// Where others wait for the next read, this one waits so long for its readers in all, and longer
/// by what its rows may take: whoever is slower reads on behind those who wait.
const SLOW_FOR_OTHERS: Duration = Duration::from_secs(5);

/// What a reader takes of rows in a second, at least.
const BYTES_PER_SECOND_MIN: f64 = 1024.0 * 1024.0;

/// What a busy machine hands to all readers together in a second, at least. In a storm they are
/// slow because they are many, and to read again would make it worse.
const BYTES_PER_SECOND_OF_ALL: f64 = 50.0 * 1024.0 * 1024.0;

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
    /// Whoever runs has it.
    pace: Pace,
}

/// Who waits for rows. An empty piece is the end.
struct Reader {
    from: Position,
    to: Position,
    catalog: Arc<Catalog>,
    pieces: mpsc::Sender<Piece>,
}

/// A reader's way through one read, or through several where it was left behind.
struct Follow {
    reads: Arc<Reads>,
    from: Position,
    to: Position,
    catalog: Arc<Catalog>,
    pieces: mpsc::Receiver<Piece>,
    /// What it has had.
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
        let pieces = self.enlist(&from, &to, &catalog);
        let reads = Arc::clone(self);
        let follow = Follow { reads, from, to, catalog, pieces, seen: Ids::default() };
        stream::try_unfold(follow, Follow::next).boxed()
    }

    fn enlist(
        self: &Arc<Self>,
        from: &Position,
        to: &Position,
        catalog: &Arc<Catalog>,
    ) -> mpsc::Receiver<Piece> {
        let (pieces, pieces_rx) = mpsc::channel(PIECES_MAX);
        let (from, to, catalog) = (from.clone(), to.clone(), Arc::clone(catalog));
        let is_first = {
            let mut state = self.state();
            state.waiting.push(Reader { from, to, catalog, pieces });
            !std::mem::replace(&mut state.is_running, true)
        };
        if is_first {
            // It ends when nobody waits.
            drop(tasks::spawn("shared read", Arc::clone(self).serve()));
        }
        pieces_rx
    }

    async fn serve(self: Arc<Self>) {
        let mut pace = std::mem::take(&mut self.state().pace);
        loop {
            pace.wait().await;
            let readers = {
                let mut state = self.state();
                let readers = std::mem::take(&mut state.waiting);
                state.is_running = !readers.is_empty();
                if readers.is_empty() {
                    state.pace = pace;
                    return;
                }
                readers
            };
            pace.ask(readers.len());
            metrics::counter!("pgfeed_shared_reads_total").increment(1);
            metrics::counter!("pgfeed_shared_readers_total").increment(readers.len() as u64);
            if let Err((error, readers)) = self.read(readers).await {
                give(readers, Err(error), &mut SLOW.clone(), MOST_SLOW).await;
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
        let (mut patience, mut may_take) = (SLOW_IN_ALL, SLOW_FOR_OTHERS);
        while let Some(piece) = rows.next().await {
            let piece = match piece {
                Ok(piece) if piece.is_empty() => continue,
                Ok(piece) => piece,
                Err(error) => return Err((error, readers)),
            };
            may_take += fair(piece.iter().map(LogRow::bytes).sum(), readers.len());
            let (longest, began) = (self.longest(may_take), Instant::now());
            readers = give(readers, Ok(Arc::new(piece)), &mut patience, longest).await;
            may_take = may_take.saturating_sub(began.elapsed());
            if readers.is_empty() {
                return Ok(());
            }
        }
        give(readers, Ok(Arc::default()), &mut patience, self.longest(may_take)).await;
        Ok(())
    }

    /// How long a piece may take.
    fn longest(&self, may_take: Duration) -> Duration {
        let is_alone = self.state().waiting.is_empty();
        if is_alone { MOST_SLOW } else { MOST_SLOW.min(may_take) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of the reads panics")
    }
}

/// How long so many bytes may take so many readers.
fn fair(bytes: usize, readers: usize) -> Duration {
    let number = |it: usize| f64::from(u32::try_from(it).unwrap_or(u32::MAX));
    let each = 1.0 / BYTES_PER_SECOND_MIN + number(readers) / BYTES_PER_SECOND_OF_ALL;
    Duration::from_secs_f64(number(bytes) * each)
}

/// Gives a piece to all; gives those back who took it in time. Most set the pace, within `longest`:
/// the others may lag by some pieces, and longer only as long as there is patience left.
async fn give(
    readers: Vec<Reader>,
    piece: Piece,
    patience: &mut Duration,
    longest: Duration,
) -> Vec<Reader> {
    let most = readers.len().div_ceil(2);
    let give = async |reader: Reader| {
        let is_there = reader.pieces.send(piece.clone()).await.is_ok();
        is_there.then_some(reader)
    };
    let mut gifts: FuturesUnordered<_> = readers.into_iter().map(give).collect();
    let mut took = Vec::with_capacity(gifts.len());
    let began = Instant::now();
    let (mut done, mut until) = (0, began + longest);
    let mut fair = None;
    while let Ok(Some(reader)) = timeout_at(until, gifts.next()).await {
        took.extend(reader);
        done += 1;
        if done == most {
            // A busy machine is slow for all: the others may take as long again, and twice.
            let end = Instant::now() + began.elapsed() * 2;
            fair = Some(end);
            until = end + SLOW.min(*patience);
        }
    }
    if let Some(end) = fair {
        *patience = patience.saturating_sub(end.elapsed());
    }
    took
}

impl Follow {
    async fn next(mut self) -> Result<Option<(Vec<LogRow>, Self)>, LogError> {
        loop {
            match self.pieces.recv().await {
                Some(Ok(piece)) if piece.is_empty() => return Ok(None),
                Some(Ok(piece)) => {
                    let rows = self.take(&piece);
                    return Ok(Some((rows, self)));
                }
                Some(Err(error)) => return Err(error),
                // It was left behind: the next read skips what it has had.
                None => self.pieces = self.reads.enlist(&self.from, &self.to, &self.catalog),
            }
        }
    }

    /// Those of the rows that are new to the reader and not behind where it goes.
    fn take(&mut self, rows: &[LogRow]) -> Vec<LogRow> {
        let (seen, from, to) = (&mut self.seen, &self.from, &self.to);
        let is_its = |row: &&LogRow| !from.tick.snapshot.sees(row.xid) && to.has(row.id, row.xid);
        rows.iter().filter(is_its).filter(|row| seen.insert(row.id)).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt as _;
    use tokio::time::{Duration, Instant, sleep};

    use super::*;
    use crate::feed::{sample, script::Script};

    const ROWS: i64 = 200;

    #[tokio::test(start_paused = true)]
    async fn one_slow_reader_does_not_hold_up_those_who_come_later() {
        let large = "x".repeat(64 * 1024);
        let row = |id| vec![sample::insert(id, &large)];
        let log = Script::new(Vec::new()).with_log((1..=ROWS).map(row).collect());
        let reads = Reads::new(Arc::new(log));
        let to = sample::position(ROWS);
        let join = || {
            let from = sample::position(0);
            reads.join(from, to.clone(), Arc::default()).map(|rows| match rows {
                Ok(rows) => rows.iter().map(|row| row.id).collect::<Vec<_>>(),
                Err(error) => panic!("{error}"),
            })
        };
        let mut slow = join();
        let mut had = slow.next().await.expect("a first row");
        let slow = tasks::spawn("slow reader", async move {
            while let Some(ids) = slow.next().await {
                had.extend(ids);
                sleep(Duration::from_secs(5)).await;
            }
            had
        });
        sleep(Duration::from_secs(1)).await;
        let began = Instant::now();
        let all: Vec<i64> = join().collect::<Vec<_>>().await.concat();
        assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
        assert!(all.into_iter().eq(1..=ROWS), "everything in order");
        let had = slow.await.expect("it ends well");
        assert!(had.into_iter().eq(1..=ROWS), "the slow one has everything once");
    }
}
