//! What holds during any fault: the gateway admits it in time and is honest about its lag, and
//! writers do not notice the gateway.

use std::process::{Command, Stdio};

use serde_json::Value;
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{self, Duration, Instant},
};

use super::{client::Client, database::Database, gateway::Gateway, spawn};

/// Whatever the fault, /readyz says so within this time.
pub(crate) const TOLD_MAX: Duration = Duration::from_secs(10);

/// What a heartbeat may lie beside the truth on a busy machine: it is older when it is read, and
/// the last read may have been a poll before the fault.
const HONEST: Duration = Duration::from_millis(2_500);

/// Whether tests take the times that the failure table names, and not shorter ones that show the
/// same.
pub(crate) fn is_long() -> bool {
    std::env::var_os("PGFEED_TEST_LONG").is_some()
}

/// A time of the failure table, or a shorter one.
pub(crate) fn lasting(short: Duration, long: Duration) -> Duration {
    if is_long() { long } else { short }
}

/// Reads what a client hears during a fault that keeps the gateway from the log since `began`:
/// heartbeats that tell how old its knowledge is, and a /readyz that says no within
/// [`TOLD_MAX`] and keeps to it. The connection holds.
pub(crate) async fn endure(
    gateway: &Gateway,
    client: &mut Client,
    began: Instant,
    length: Duration,
) {
    let mut told = None;
    while began.elapsed() < length.max(TOLD_MAX + Duration::from_secs(1)) {
        let heartbeat = client.expect("heartbeat").await;
        let lag = Duration::from_millis(heartbeat["lag_ms"].as_u64().expect("it is known"));
        let age = began.elapsed();
        assert!(lag + HONEST >= age, "{age:?} into the fault a heartbeat says {lag:?}");
        assert!(lag <= age + HONEST, "{age:?} into the fault a heartbeat says {lag:?}");
        let answer = gateway.get("/readyz").await.expect("an answer");
        match answer.status {
            503 => {
                let reason: Value = serde_json::from_str(&answer.body).expect("it is JSON");
                assert!(reason["reason"].is_string(), "{reason}");
                told.get_or_insert(began.elapsed());
            }
            status => {
                assert_eq!(status, 200);
                assert_eq!(told, None, "/readyz takes back what it said");
                assert!(began.elapsed() <= TOLD_MAX, "/readyz says nothing");
            }
        }
        assert_eq!(gateway.get("/healthz").await.map(|it| it.status), Some(200));
    }
    assert!(told.is_some_and(|it| it <= TOLD_MAX), "told after {told:?}");
}

/// A writer that writes one row after another to `notes`, from the id 1 on.
#[derive(Debug)]
pub(crate) struct Writer {
    end_tx: watch::Sender<bool>,
    work: JoinHandle<Written>,
}

/// What a writer did.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Written {
    pub(crate) count: usize,
    /// The longest that one write took.
    pub(crate) slowest: Duration,
}

impl Writer {
    /// Starts one that writes `pace` apart, each row as a transaction. It must never fail.
    pub(crate) async fn start(database: &Database, pace: Duration) -> Self {
        let session = database.connect().await;
        let (end_tx, mut end_rx) = watch::channel(false);
        let work = spawn(async move {
            let mut written = Written { count: 0, slowest: Duration::ZERO };
            let mut beat = time::interval(pace);
            while !*end_rx.borrow_and_update() {
                beat.tick().await;
                let id = written.count + 1;
                let began = Instant::now();
                let insert = format!("insert into notes (id) values ({id})");
                session.batch_execute(&insert).await.expect("the writer never notices");
                written.slowest = written.slowest.max(began.elapsed());
                written.count = id;
            }
            written
        });
        Self { end_tx, work }
    }

    /// Lets it finish its write.
    pub(crate) async fn end(self) -> Written {
        self.end_tx.send_replace(true);
        self.work.await.expect("the writer succeeded throughout")
    }
}

/// Every row of a writer came once and in order, and nothing started over.
pub(crate) async fn has_all(client: &mut Client, written: Written) {
    client.until_applied("notes", written.count).await;
    let keys: Vec<_> = client.changes("notes").iter().map(|it| it.key["id"].as_u64()).collect();
    let wanted: Vec<_> = (1..=written.count as u64).map(Some).collect();
    assert_eq!(keys, wanted, "each once and in order");
    assert!(client.sub("notes").resyncs.is_empty(), "{:?}", client.sub("notes").resyncs);
}

/// Processes that stand still until they are let go, or the test ends.
#[derive(Debug)]
pub(crate) struct Frozen(Vec<String>);

impl Frozen {
    /// Stops a server with all its sessions and helpers, as a machine that stands still.
    pub(crate) fn server(pid: u32) -> Self {
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        let children = children.expect("the server runs");
        let mut pids = vec![pid.to_string()];
        pids.extend(children.split_whitespace().map(str::to_owned));
        Self::processes(pids)
    }

    /// Stops these processes alone.
    pub(crate) fn processes(pids: Vec<String>) -> Self {
        let frozen = Self(pids);
        frozen.signal("STOP");
        frozen
    }

    fn signal(&self, name: &str) {
        let mut command = Command::new("kill");
        command.args(["-s", name]).args(&self.0).stderr(Stdio::null());
        // A process that has ended meanwhile needs no signal.
        command.status().expect("`kill` runs");
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        self.signal("CONT");
    }
}
