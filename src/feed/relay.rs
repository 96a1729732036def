//! The relay: reads the log and publishes it, for as long as the gateway lives.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::mpsc,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use super::{
    Body, ChangeLog, Hub, LogError, LogReader, LogRow, Notice,
    backoff::Backoff,
    cut::{Cut, Cutter},
    hub::Piece,
    log::{Head, Lost, Start},
};
use crate::{
    change::{Change, Snapshot, Table, cursor::RUNS_MAX, position::Progress},
    tasks,
};

/// A tick is due this long after the one before, where there were changes.
const TICK_EVERY: Duration = Duration::from_millis(500);

/// How the relay works.
#[derive(Clone, Debug)]
pub struct Rhythm {
    /// The longest wait between reads.
    pub poll: Duration,
}

/// Reads the log and publishes it. One for a gateway.
pub struct Relay<L: ChangeLog> {
    log: Arc<L>,
    hub: Arc<Hub>,
    rhythm: Rhythm,
    /// Changes that only a NOTIFY payload told.
    undurable_rx: mpsc::Receiver<Change>,
    progress: Option<Progress>,
    /// What ends or restarts subscriptions, until it is published.
    notices: Vec<Notice>,
    /// What the last read saw.
    sees: Option<Arc<Snapshot>>,
    /// The transaction that the newest piece ends inside of.
    open: Option<u64>,
    ticked: Instant,
    is_ticking: Option<tokio::task::JoinHandle<()>>,
}

impl<L: ChangeLog> Relay<L> {
    /// A relay from `log` to `hub`.
    pub fn new(
        log: Arc<L>,
        hub: Arc<Hub>,
        rhythm: Rhythm,
        undurable_rx: mpsc::Receiver<Change>,
    ) -> Self {
        let ticked = Instant::now();
        Self {
            log,
            hub,
            rhythm,
            undurable_rx,
            progress: None,
            notices: Vec::new(),
            sees: None,
            open: None,
            ticked,
            is_ticking: None,
        }
    }

    /// Runs until `end`; a database that goes away is awaited.
    pub async fn run(mut self, end: CancellationToken) {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
        loop {
            let error = tokio::select! {
                () = end.cancelled() => return,
                error = self.follow(&mut backoff) => error,
            };
            let delay = backoff.next(fastrand::f64());
            let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
            tracing::warn!(%error, delay_ms, "The log cannot be read; trying again.");
            metrics::counter!("pgfeed_log_failures_total").increment(1);
            tokio::select! {
                () = end.cancelled() => return,
                () = sleep(delay) => {}
            }
        }
    }

    /// Follows the log until it cannot be read.
    async fn follow(&mut self, backoff: &mut Backoff) -> LogError {
        let from = self.progress.as_ref().map(Progress::position);
        let start = match self.log.follow(from.as_ref(), self.open).await {
            Ok(start) => start,
            Err(error) => return error,
        };
        let mut reader = self.begin(start);
        tracing::info!("Following the log.");
        backoff.reset();
        loop {
            if let Err(error) = self.read(&mut reader).await {
                return error;
            }
            if let Err(error) = reader.wait(self.rhythm.poll).await {
                return error;
            }
            while let Ok(change) = self.undurable_rx.try_recv() {
                self.publish_undurable(change).await;
            }
        }
    }

    fn begin(&mut self, start: Start<L::Reader>) -> L::Reader {
        let Start { reader, position, catalog, ticks, lost } = start;
        self.notices.extend(self.hub.set_catalog(&catalog));
        if self.progress.is_none() || lost.is_some() {
            match lost {
                None => {}
                Some(Lost::Expired) => tracing::error!(
                    "The log was pruned further than this gateway had read it; every subscription \
                     starts over."
                ),
                Some(Lost::OtherHistory) => {
                    tracing::error!("The log is another one; every subscription starts over.");
                }
            }
            self.hub.restart(position.clone(), ticks, lost);
            self.open = None;
            self.progress = Some(Progress::at(Arc::clone(&position.tick)));
        }
        reader
    }

    /// One read of the log, published piece by piece.
    async fn read(&mut self, reader: &mut L::Reader) -> Result<(), LogError> {
        let began = Instant::now();
        let Head { snapshot, tick, catalog } = reader.begin().await?;
        let sees = Arc::new(snapshot);
        if let Some(catalog) = catalog {
            self.notices.extend(self.hub.set_catalog(&catalog));
        }
        let mut piece = Vec::new();
        let mut cutter = Cutter::default();
        while let Some(rows) = reader.rows().await? {
            for row in rows {
                if let Some(cut) = cutter.next(&row).filter(|_| !piece.is_empty()) {
                    let passed = self.pass(std::mem::take(&mut piece));
                    // A read that is made again has passed what it published the first time.
                    if !passed.is_empty() {
                        self.publish(passed, &sees, cut, Vec::new()).await;
                    }
                }
                piece.push(row);
            }
        }
        let passed = self.pass(piece);
        let new_tick = tick.filter(|tick| tick.id > self.progress().tick().id);
        let has_news = !passed.is_empty() || !self.notices.is_empty() || new_tick.is_some();
        if has_news || self.open.is_some() {
            if let Some(tick) = new_tick {
                self.hub.ticks().add(Arc::clone(&tick));
                self.progress().rebase(tick);
            }
            // What starts a table over goes behind the last row that may be of its old shape.
            let notices = std::mem::take(&mut self.notices);
            self.publish(passed, &sees, Cut::WHOLE, notices).await;
        }
        self.hub.set_known(began);
        self.tick_if_due();
        Ok(())
    }

    /// Passes the rows of a piece, and leaves out those that were passed before.
    ///
    /// Only right before they are published: a read may end with an error at any time, and what
    /// was passed and not published would be lost.
    fn pass(&mut self, mut rows: Vec<LogRow>) -> Vec<LogRow> {
        let notices = std::mem::take(&mut self.notices);
        let progress = self.progress();
        rows.retain_mut(|row| {
            if starts_over(row, &notices) {
                row.body = Body::Other;
            }
            progress.pass(row.id, row.xid, row.at)
        });
        self.notices = notices;
        let changes = rows.iter().filter(|row| !matches!(row.body, Body::Other)).count();
        metrics::counter!("pgfeed_changes_total").increment(changes as u64);
        rows
    }

    async fn publish(
        &mut self,
        rows: Vec<LogRow>,
        sees: &Arc<Snapshot>,
        cut: Cut,
        notices: Vec<Notice>,
    ) {
        self.hub.has_room().await;
        let position = self.progress().position();
        self.sees = Some(Arc::clone(sees));
        self.open = rows.last().map(|row| row.xid).or(self.open).filter(|_| !cut.is_whole);
        self.hub.publish(Piece { rows, position, sees: Arc::clone(sees), cut, notices });
    }

    /// Publishes a change that is in no log, if its table is still what it was when it was heard:
    /// places of columns are those of one definition.
    async fn publish_undurable(&mut self, change: Change) {
        let table = &change.table;
        let is_known = |now: &Arc<Table>| now.shape == table.shape;
        if !self.hub.catalog().table(table.oid).is_some_and(is_known) {
            metrics::counter!("pgfeed_notify_ignored_total").increment(1);
            tracing::warn!(table = %table.name, "A payload was ignored: its table has changed.");
            return;
        }
        self.hub.has_room().await;
        let position = self.progress().position();
        let sees = self.sees.clone().unwrap_or_else(|| Arc::new(position.tick.snapshot.clone()));
        let row = LogRow { id: 0, xid: 0, at: change.at, body: Body::Change(change) };
        let (rows, cut, notices) = (vec![row], Cut::WHOLE, Vec::new());
        self.hub.publish(Piece { rows, position, sees, cut, notices });
    }

    /// Asks for a tick where there were changes since the last and it is old, or where a cursor
    /// would have to name many runs of ids. The log shows it to a later read.
    fn tick_if_due(&mut self) {
        let runs = self.progress().runs();
        let is_due = runs > 0 && (self.ticked.elapsed() >= TICK_EVERY || runs > RUNS_MAX / 3);
        if !is_due || self.is_ticking.as_ref().is_some_and(|task| !task.is_finished()) {
            return;
        }
        self.ticked = Instant::now();
        let log = Arc::clone(&self.log);
        self.is_ticking = Some(tasks::spawn("tick", async move {
            if let Err(error) = log.make_tick().await {
                tracing::warn!(%error, "No tick could be made; positions stay with the last.");
            }
        }));
    }

    fn progress(&mut self) -> &mut Progress {
        self.progress.as_mut().expect("a relay that follows has a place")
    }
}

/// Rows of a table that changed its shape in the same read may be of the old shape or the new:
/// its readers start over after them.
fn starts_over(row: &LogRow, notices: &[Notice]) -> bool {
    let Body::Change(change) = &row.body else { return false };
    notices.iter().any(|notice| notice.concerns(change.table.oid, 0))
}
