//! One connection, with its notifications and notices, and answers as text.

#![expect(clippy::panic, reason = "a test may panic")]

use std::time::Duration;

use futures::StreamExt;
use tokio::{sync::mpsc, time::timeout};
use tokio_postgres::{
    AsyncMessage, Client, Config, Error, NoTls, SimpleQueryMessage, error::DbError,
};

use super::cluster::socket_folder;

const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Session {
    pub(crate) client: Client,
    messages: mpsc::Receiver<AsyncMessage>,
}

impl Session {
    pub(crate) async fn open(database: &str, role: &str) -> Self {
        Self::try_open(database, role).await.expect("the server takes the connection")
    }

    #[expect(clippy::disallowed_methods, reason = "the connection ends with its client")]
    pub(crate) async fn try_open(database: &str, role: &str) -> Result<Self, Error> {
        let mut config = Config::new();
        config.host_path(socket_folder()).user(role).dbname(database);
        let (client, mut connection) = config.connect(NoTls).await?;
        let (messages_tx, messages) = mpsc::channel(100_000);
        tokio::spawn(async move {
            let mut stream = futures::stream::poll_fn(move |cx| connection.poll_message(cx));
            while let Some(Ok(message)) = stream.next().await {
                if messages_tx.try_send(message).is_err() {
                    break;
                }
            }
        });
        Ok(Self { client, messages })
    }

    /// Runs commands that must succeed.
    pub(crate) async fn run(&self, sql: &str) {
        if let Err(error) = self.try_run(sql).await {
            panic!("{sql}\n{}: {:?}", error.message(), error.hint());
        }
    }

    pub(crate) async fn try_run(&self, sql: &str) -> Result<(), DbError> {
        let done = timeout(PATIENCE, self.client.batch_execute(sql)).await.expect("it ends");
        done.map_err(|error| error.as_db_error().expect("the server answers").clone())
    }

    /// Runs commands that must fail, and returns code, message and hint.
    pub(crate) async fn refused(&self, sql: &str) -> String {
        let error = self.try_run(sql).await.expect_err(sql);
        format!("{} {} {}", error.code().code(), error.message(), error.hint().unwrap_or_default())
    }

    /// The rows of a query, fields joined by `|`, null as nothing.
    pub(crate) async fn rows(&self, sql: &str) -> Vec<String> {
        let query = timeout(PATIENCE, self.client.simple_query(sql)).await.expect("it ends");
        let messages = match query {
            Ok(messages) => messages,
            Err(error) => panic!("{sql}\n{error:?}"),
        };
        let rows = messages.iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        rows.map(|row| {
            let fields: Vec<&str> =
                (0..row.len()).map(|at| row.get(at).unwrap_or_default()).collect();
            fields.join("|")
        })
        .collect()
    }

    /// The one value of a query.
    pub(crate) async fn value(&self, sql: &str) -> String {
        let mut rows = self.rows(sql).await;
        assert_eq!(rows.len(), 1, "{sql}: {rows:?}");
        rows.remove(0)
    }

    /// What the log has, in the order of ids: operation, key, new and old row.
    pub(crate) async fn log(&self) -> Vec<String> {
        self.rows("select op, key, new, old from pgfeed.log order by id").await
    }

    /// Empties the log, so that a test sees what follows.
    pub(crate) async fn forget(&self) {
        self.run("delete from pgfeed.log").await;
    }

    /// The payloads that have come up to now: a notification to ourselves marks the end.
    pub(crate) async fn notified(&mut self) -> Vec<String> {
        self.run("listen marker; select pg_notify('marker', 'end')").await;
        let mut payloads = Vec::new();
        loop {
            let message = timeout(PATIENCE, self.messages.recv()).await.expect("the marker comes");
            match message.expect("the connection lives") {
                AsyncMessage::Notification(it) if it.channel() == "marker" => return payloads,
                AsyncMessage::Notification(it) => payloads.push(it.payload().to_owned()),
                _ => {}
            }
        }
    }
}
