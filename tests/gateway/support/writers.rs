//! Overlapping writers: random pauses, savepoints, aborts, deadlocks, one transaction open all the
//! time. They go on over crashes of their server, until it is calm.

use tokio::{
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::{self, Duration},
};
use tokio_postgres::{Client, Error};

use super::{
    database::{connect, try_connect},
    random::Random,
    spawn,
};

/// The tables that they write to.
pub(crate) const TABLES: [&str; 2] = ["notes", "items"];
/// Rows are few, so that writers meet on them.
pub(crate) const ROWS: u64 = 200;
const WRITERS: u64 = 20;
/// With the pauses in transactions, about 200 writes a second in all.
const PAUSE_MS_MAX: u64 = 100;

/// Writers at work.
#[derive(Debug)]
pub(crate) struct Writers {
    work: JoinSet<usize>,
    open: JoinHandle<()>,
    calm: watch::Sender<bool>,
}

impl Writers {
    /// Starts them on a database that has the rows.
    pub(crate) fn start(url: &str, random: &mut Random) -> Self {
        let (calm, calm_rx) = watch::channel(false);
        let mut work = JoinSet::new();
        for _ in 0..WRITERS {
            work.spawn(write(url.to_owned(), random.fork(), calm_rx.clone()));
        }
        let open = spawn(hold_open(url.to_owned(), calm_rx));
        Self { work, open, calm }
    }

    /// Lets them finish; gives the number of writes tried.
    pub(crate) async fn calm(mut self) -> usize {
        self.calm.send_replace(true);
        let mut written = 0;
        while let Some(count) = self.work.join_next().await {
            written += count.expect("a writer ends well");
        }
        self.open.await.expect("the open transaction ends");
        written
    }
}

/// One transaction that stays open throughout, or as long as its server lives.
async fn hold_open(url: String, mut calm: watch::Receiver<bool>) {
    let session = connect(&url).await;
    let begin = "begin; insert into items (id) values (1000000)";
    session.batch_execute(begin).await.expect("the transaction begins");
    calm.wait_for(|calm| *calm).await.expect("the storm ends");
    // Where the server crashed meanwhile, it was rolled back.
    let _ended = session.batch_execute("commit").await;
}

async fn write(url: String, mut random: Random, calm: watch::Receiver<bool>) -> usize {
    let (mut session, mut tried) = (None, 0);
    while !*calm.borrow() {
        let open: &Client = match &session {
            Some(open) => open,
            None => match try_connect(&url).await {
                Ok(new) => session.insert(new),
                Err(_refused) => {
                    time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
        };
        let done = transaction(open, &mut random, &mut tried).await;
        // A deadlock or a crash: both are part of the storm.
        if done.is_err() && open.batch_execute("rollback").await.is_err() {
            session = None;
        }
        time::sleep(random.pause(PAUSE_MS_MAX)).await;
    }
    tried
}

/// A transaction of one to five writes, with pauses and savepoints, that ends one way or the other.
async fn transaction(
    session: &Client,
    random: &mut Random,
    tried: &mut usize,
) -> Result<(), Error> {
    session.batch_execute("begin").await?;
    for _ in 0..=random.below(4) {
        let undone = random.chance(20);
        if undone {
            session.batch_execute("savepoint s").await?;
        }
        session.batch_execute(&statement(random)).await?;
        *tried += 1;
        if random.chance(20) {
            time::sleep(random.pause(60)).await;
        }
        if undone {
            session.batch_execute("rollback to s").await?;
        }
    }
    session.batch_execute(if random.chance(15) { "rollback" } else { "commit" }).await
}

fn statement(random: &mut Random) -> String {
    let table = if random.chance(50) { TABLES[0] } else { TABLES[1] };
    let (one, other) = (1 + random.below(ROWS), 1 + random.below(ROWS));
    match random.below(20) {
        0..=9 => format!("update {table} set n = n + 1 where id = {one}"),
        10 => format!(
            "update {table} set n = n + 1, title = 'it''s {other}' where id between {one} and {one} + 20"
        ),
        11 | 12 => format!("delete from {table} where id = {one}"),
        13..=17 => format!(
            "insert into {table} (id, title) values ({one}, 'new') on conflict (id) do update \
             set n = {table}.n + 1, body = repeat('y', {other} * 100)"
        ),
        _ => format!("update {table} set body = null where id in ({one}, {other})"),
    }
}
