//! PostgreSQL for the tests: one server for the whole test binary with a database for each test,
//! and servers of their own for the tests that break them.

use std::{
    path::Path,
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    thread,
};

use pgfeed::source::cluster::{Cluster, Options, StopMode};
use tokio::runtime::Runtime;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use super::{samples, spawn};

/// The database that the others are copied from.
const TEMPLATE: &str = "pgfeed_template";

static SHARED: OnceLock<Shared> = OnceLock::new();
static COUNT: AtomicU32 = AtomicU32::new(0);

/// The server of the whole binary. It ends with the process: its keeper sees to that.
#[derive(Debug)]
struct Shared {
    cluster: Cluster,
    runtime: Runtime,
}

/// A database with the sample tables on the feed.
#[derive(Debug)]
pub(crate) struct Database {
    port: u16,
    name: String,
    own: Option<Cluster>,
}

impl Database {
    /// An empty copy on the shared server. Commits there never wait for the disk.
    pub(crate) async fn fresh() -> Self {
        let shared = thread::spawn(|| SHARED.get_or_init(start_shared)).join();
        let cluster = &shared.expect("the shared server starts").cluster;
        let name = format!("test_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let server = connect(&cluster.url("postgres")).await;
        let copy = format!("create database {name} template {TEMPLATE} strategy file_copy");
        // The word `strategy` came with 15.
        if server.batch_execute(&copy).await.is_err() {
            let copy = format!("create database {name} template {TEMPLATE}");
            server.batch_execute(&copy).await.expect("the template is copied");
        }
        Self { port: cluster.port(), name, own: None }
    }

    /// A server of its own, whose commits survive a crash.
    pub(crate) async fn durable() -> Self {
        Self::own(Options::from_env().durable()).await
    }

    /// A server of its own.
    pub(crate) async fn own(options: Options) -> Self {
        let cluster = Cluster::start(settings(options)).await.expect("a server starts");
        prepare(&cluster, "app").await;
        Self { port: cluster.port(), name: "app".to_owned(), own: Some(cluster) }
    }

    pub(crate) fn url(&self) -> String {
        self.url_through(self.port)
    }

    /// The address of this database where a proxy listens on `port` for it.
    pub(crate) fn url_through(&self, port: u16) -> String {
        format!("postgres://postgres@127.0.0.1:{port}/{}", self.name)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The server of its own that this database has.
    pub(crate) fn server(&mut self) -> &mut Cluster {
        self.own.as_mut().expect("only a server of its own may be broken")
    }

    /// Stops the server and starts it again.
    pub(crate) async fn restart(&mut self, mode: StopMode) {
        self.server().stop(mode).await.expect("the server stops");
        self.server().start_again().await.expect("the server starts again");
    }

    pub(crate) async fn connect(&self) -> Client {
        connect(&self.url()).await
    }

    /// Runs SQL on a connection of its own, as psql would.
    pub(crate) async fn run(&self, sql: &str) {
        let done = self.connect().await.batch_execute(sql).await;
        done.expect("the statement succeeds");
    }

    /// The first column of the first row, as text.
    pub(crate) async fn value(&self, sql: &str) -> String {
        value(&self.connect().await, sql).await
    }

    /// Ends all sessions in this database whose application is not the harness.
    pub(crate) async fn kill_sessions(&self) -> u32 {
        let killed = "select count(pg_terminate_backend(pid)) from pg_stat_activity \
                      where datname = current_database() and pid <> pg_backend_pid()";
        self.value(killed).await.parse().expect("a number")
    }
}

impl Drop for Database {
    /// The copy goes with its test: all of them at once would take gigabytes.
    fn drop(&mut self) {
        let Some(shared) = SHARED.get().filter(|_| self.own.is_none()) else { return };
        let url = shared.cluster.url("postgres");
        let gone = format!("drop database {} with (force)", self.name);
        shared.runtime.spawn(async move {
            // What stays goes with the server, at the latest when this process ends.
            if let Ok(server) = try_connect(&url).await {
                drop(server.batch_execute(&gone).await);
            }
        });
    }
}

pub(crate) async fn value(client: &Client, sql: &str) -> String {
    let messages = client.simple_query(sql).await.expect("the query succeeds");
    let texts = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    });
    texts.into_iter().next().unwrap_or_default()
}

pub(crate) async fn connect(url: &str) -> Client {
    try_connect(url).await.expect("the database answers")
}

pub(crate) async fn try_connect(url: &str) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    // It ends with the client, or with the server: then the client's next call fails.
    spawn(connection);
    Ok(client)
}

/// The oracle needs `wal_level=logical`; the gateway must not, and other tests run it without.
fn settings(options: Options) -> Options {
    let options = options.with("wal_level", "logical").with("max_prepared_transactions", "20");
    // Writers that meet in a storm should not wait a second each time.
    options.with("deadlock_timeout", "50ms")
}

fn start_shared() -> Shared {
    let runtime = Runtime::new().expect("a runtime for the shared server");
    let cluster = runtime.block_on(async {
        let cluster = Cluster::start(settings(Options::from_env())).await;
        let cluster = cluster.expect("the shared server starts");
        prepare(&cluster, TEMPLATE).await;
        cluster
    });
    Shared { cluster, runtime }
}

/// Makes a database with the sample tables, their triggers and no rows of the samples.
async fn prepare(cluster: &Cluster, name: &str) {
    let server = connect(&cluster.url("postgres")).await;
    server.batch_execute(&format!("create database {name}")).await.expect("a database is made");
    let client = connect(&cluster.url(name)).await;
    for file in ["01_init.sql", "02_triggers.sql"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("sql").join(file);
        let text = std::fs::read_to_string(&path).expect("the project's SQL is there");
        let done = client.batch_execute(&text).await;
        done.unwrap_or_else(|error| panic!("{file} is refused: {error:?}"));
    }
    client.batch_execute(samples::OWN_TABLES).await.expect("the harness's tables are made");
}
