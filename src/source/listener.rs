//! The listener: hears NOTIFY on a connection of its own, for as long as the gateway lives.
//!
//! It has its own connection because the driver hands notifications out of the same poll that
//! serves replies, and stops reading them while a reply is unread.

use std::{
    future::poll_fn,
    pin::pin,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::{
    sync::mpsc,
    time::{Instant, sleep, timeout},
};
use tokio_postgres::{AsyncMessage, Client};
use tokio_util::sync::CancellationToken;

use super::{
    connect::{Connection, Target},
    error::tell,
    log::SESSION,
    payload::{Payload, Told},
    wake::Wake,
};
use crate::{
    change::{Change, Table, TableName},
    feed::backoff::Backoff,
    tasks,
};

/// The channel of triggers and of hand-written payloads.
pub const CHANNEL: &str = "db_changes";

/// The connection is asked for a sign of life this often, and given as long to show it.
const ALIVE_EVERY: Duration = Duration::from_secs(5);

/// Finds a table whose hand-written payloads are relayed.
pub type Undurable = Arc<dyn Fn(&TableName) -> Option<Arc<Table>> + Send + Sync>;

/// Hears NOTIFY. One for a gateway.
pub struct Listener {
    target: Target,
    wake: Arc<Wake>,
    undurable: Undurable,
    undurable_tx: mpsc::Sender<Change>,
    told: Option<Instant>,
    untold: u64,
}

impl Listener {
    /// Wakes by `wake`; relays payloads written by hand through `undurable_tx`.
    pub fn new(
        target: Target,
        wake: Arc<Wake>,
        undurable: Undurable,
        undurable_tx: mpsc::Sender<Change>,
    ) -> Self {
        Self { target, wake, undurable, undurable_tx, told: None, untold: 0 }
    }

    /// Listens until `end`; a connection that ends is made again.
    pub async fn run(mut self, end: CancellationToken) {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
        loop {
            let why = tokio::select! {
                () = end.cancelled() => return,
                why = self.listen(&mut backoff) => why,
            };
            let delay = backoff.next(fastrand::f64());
            let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
            tracing::warn!(why, delay_ms, "The listener is not connected; trying again.");
            metrics::counter!("pgfeed_listener_reconnects_total").increment(1);
            tokio::select! {
                () = end.cancelled() => return,
                () = sleep(delay) => {}
            }
        }
    }

    /// Listens until the connection ends; tells why it did.
    async fn listen(&mut self, backoff: &mut Backoff) -> String {
        let (client, connection) = match self.target.connect(SESSION).await {
            Ok(connected) => connected,
            Err(error) => return tell(&error),
        };
        let (payloads_tx, mut payloads_rx) = mpsc::channel(1_024);
        let driver = tasks::spawn(
            "listener connection",
            drive(connection, Arc::clone(&self.wake), payloads_tx),
        );
        // First LISTEN, then read: what is committed between is heard, what came before is read.
        let listen = client.batch_execute("listen db_changes");
        if !matches!(timeout(ALIVE_EVERY, listen).await, Ok(Ok(()))) {
            driver.abort();
            return "LISTEN was not answered".to_owned();
        }
        self.wake.wake();
        backoff.reset();
        tracing::info!(channel = CHANNEL, "Listening.");
        let mut silence = pin!(silence(&client));
        let why = loop {
            tokio::select! {
                payload = payloads_rx.recv() => match payload {
                    Some(payload) => self.hear(&payload),
                    None => break "the connection ended".to_owned(),
                },
                why = &mut silence => break why,
            }
        };
        driver.abort();
        why
    }

    fn hear(&mut self, text: &str) {
        match Payload::read(text) {
            Payload::Wake { catalog: true } => self.wake.wake_for_catalog(),
            Payload::Wake { catalog: false } => self.wake.wake(),
            Payload::Change(told) => match self.change(told) {
                Some(change) => {
                    if self.undurable_tx.try_send(change).is_err() {
                        self.ignore("more hand-written payloads than can be relayed");
                    }
                    self.wake.wake();
                }
                None => self.ignore("not for a table with `undurable = true`"),
            },
            Payload::Nonsense => {
                self.ignore("not a JSON object of ours or with table, operation and data");
            }
        }
    }

    /// A payload written by hand as a change, where its table's settings allow.
    fn change(&self, told: Told) -> Option<Change> {
        let Told { table, operation, new, old } = told;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok()?;
        Some(Change {
            id: 0,
            xid: 0,
            at: i64::try_from(now.as_micros()).ok()?,
            table: (self.undurable)(&table)?,
            operation,
            new,
            old,
            is_durable: false,
            key: None,
        })
    }

    /// Counts a payload; tells of it at most once a second.
    fn ignore(&mut self, why: &str) {
        metrics::counter!("pgfeed_notify_ignored_total").increment(1);
        self.untold += 1;
        if self.told.is_none_or(|at| at.elapsed() >= Duration::from_secs(1)) {
            tracing::warn!(why, count = self.untold, "NOTIFY payloads were ignored.");
            self.told = Some(Instant::now());
            self.untold = 0;
        }
    }
}

/// Asks for signs of life; returns when there is none.
async fn silence(client: &Client) -> String {
    let mut asking = tokio::time::interval(ALIVE_EVERY);
    loop {
        asking.tick().await;
        match timeout(ALIVE_EVERY, client.simple_query("select 1")).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return error.to_string(),
            Err(_) => return "the server gives no sign of life".to_owned(),
        }
    }
}

/// Drives the connection and passes payloads on until it ends.
///
/// A plain wake goes straight to the reader.
async fn drive(mut connection: Connection, wake: Arc<Wake>, payloads_tx: mpsc::Sender<String>) {
    loop {
        match poll_fn(|context| connection.poll_message(context)).await {
            Some(Ok(AsyncMessage::Notification(it))) if it.channel() == CHANNEL => {
                if is_plain_wake(it.payload()) {
                    wake.wake();
                } else if payloads_tx.send(it.payload().to_owned()).await.is_err() {
                    return;
                }
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => {
                tracing::debug!(%error, "The listener's connection ended.");
                return;
            }
            None => return,
        }
    }
}

/// Whether a payload is one of ours that says no more than that the log has grown.
fn is_plain_wake(text: &str) -> bool {
    matches!(Payload::read(text), Payload::Wake { catalog: false })
}
