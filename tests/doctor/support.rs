//! A durable server for the whole binary, a database for each test, and the command.

use std::{
    process::{Command, Output, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use pgfeed::source::cluster::{Cluster, Options};
use tokio::runtime::Runtime;
use tokio_postgres::{Client, NoTls};

/// No command that ends by itself takes longer.
const ENDED_MAX: Duration = Duration::from_mins(1);

static SERVER: OnceLock<(Cluster, Runtime)> = OnceLock::new();
static COUNT: AtomicU32 = AtomicU32::new(0);

/// A database of its own.
pub(crate) struct Database {
    pub(crate) name: String,
    pub(crate) client: Client,
}

/// What the command said.
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) text: String,
}

pub(crate) fn server() -> &'static Cluster {
    let start = || {
        let runtime = Runtime::new().unwrap();
        let options = Options::from_env().durable().with("max_wal_senders", "4");
        let cluster = runtime.block_on(Cluster::start(options)).unwrap();
        (cluster, runtime)
    };
    // A runtime cannot be made inside another one.
    &thread::scope(|it| it.spawn(|| SERVER.get_or_init(start)).join()).unwrap().0
}

#[expect(clippy::disallowed_methods, reason = "it ends with its client")]
pub(crate) async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

impl Database {
    /// Empty, with another encoding where one is named.
    pub(crate) async fn empty(encoding: &str) -> Self {
        let name = format!("sick_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let admin = connect(&server().url("postgres")).await;
        let make = format!("create database {name} encoding '{encoding}' template template0");
        admin.batch_execute(&make).await.unwrap();
        let client = connect(&server().url(&name)).await;
        Self { name, client }
    }

    /// With the feed installed and the table `notes` on it.
    pub(crate) async fn well() -> Self {
        let database = Self::empty("UTF8").await;
        database.run("create table notes (id bigint primary key, title text)").await;
        assert_eq!(pgfeed(&["install"], &database.url(), &[]).code, Some(0));
        assert_eq!(pgfeed(&["watch", "notes"], &database.url(), &[]).code, Some(0));
        database
    }

    pub(crate) async fn run(&self, sql: &str) {
        if let Err(error) = self.client.batch_execute(sql).await {
            panic!("{sql}: {error:?}");
        }
    }

    pub(crate) fn url(&self) -> String {
        server().url(&self.name)
    }

    pub(crate) fn url_of(&self, role: &str) -> String {
        self.url().replace("postgres@", &format!("{role}@"))
    }

    pub(crate) fn doctor(&self, variables: &[(&str, &str)]) -> Said {
        pgfeed(&["doctor"], &self.url(), variables)
    }

    /// The doctor finds fault, and says so in these words.
    #[track_caller]
    pub(crate) fn finds(&self, variables: &[(&str, &str)], words: &[&str]) {
        self.doctor(variables).tells(words);
    }
}

impl Said {
    #[track_caller]
    pub(crate) fn tells(&self, words: &[&str]) {
        assert_eq!(self.code, Some(1), "{}", self.text);
        for word in words {
            assert!(self.text.contains(word), "{word}\n{}", self.text);
        }
    }
}

/// Runs the program.
pub(crate) fn pgfeed(arguments: &[&str], url: &str, variables: &[(&str, &str)]) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pgfeed"));
    command.args(arguments).env("PGFEED__DATABASE__URL", url);
    command.env("PGFEED__ACCESS__DEFAULT", "anyone");
    // Beside a gateway that has the usual port, too.
    command.env("PGFEED__SERVER__LISTEN", "127.0.0.1:0").envs(variables.iter().copied());
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let pid = child.id().to_string();
    let (output_tx, output) = mpsc::channel();
    thread::spawn(move || output_tx.send(child.wait_with_output().unwrap()));
    // A gateway that should not have started would go on for ever.
    let output = output.recv_timeout(ENDED_MAX).unwrap_or_else(|_| {
        Command::new("kill").args(["-KILL", &pid]).status().unwrap();
        output.recv().unwrap()
    });
    let Output { status, stdout, stderr } = output;
    let text = [stdout, stderr].map(|it| String::from_utf8_lossy(&it).into_owned()).concat();
    Said { code: status.code(), text }
}
