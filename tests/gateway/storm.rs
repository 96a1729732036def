//! The storm: overlapping writers, gateway and database killed again and again, and the oracle's
//! word on what every client must have seen.

use pgfeed::source::cluster::StopMode;
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{self, Duration, Instant},
};
use tokio_postgres::Client as Session;

use crate::support::{
    client::{Client, Heard},
    database::{Database, connect, try_connect},
    gateway::Gateway,
    oracle::Oracle,
    random::Random,
    spawn, validators,
    wait::{PATIENCE, within},
};

const WRITERS: u64 = 20;
/// Rows are few, so that writers meet on them.
const ROWS: u64 = 60;
const TABLES: [&str; 2] = ["notes", "items"];
/// With the pauses below, about 200 writes a second in all.
const PAUSE_MS_MAX: u64 = 120;
const SHORT: Duration = Duration::from_secs(12);
const LONG: Duration = Duration::from_secs(40);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_repeated_while_gateway_and_database_are_killed() {
    // The long run is asked for by a variable, so that no test is ever left out silently.
    let seeds = std::env::var_os("PGFEED_TEST_SEEDS").and_then(|it| it.into_string().ok());
    match seeds {
        None => storm(1, SHORT).await,
        Some(seeds) => {
            for seed in seeds.split_whitespace() {
                storm(seed.parse().expect("a seed is a number"), LONG).await;
            }
        }
    }
}

#[expect(clippy::print_stdout, reason = "the numbers of a storm are worth reading")]
async fn storm(seed: u64, length: Duration) {
    let mut random = Random::seeded(seed);
    let mut database = Database::durable().await;
    let oracle = Oracle::watch(&database, &TABLES.map(|it| format!("public.{it}"))).await;
    for table in TABLES {
        database.run(&format!("insert into {table} (id) select generate_series(1, {ROWS})")).await;
    }
    let mut gateway = Gateway::serving(&database).await;
    let mut readers = Vec::new();
    for _ in 0..3 {
        readers.push(Reader::start(&gateway.socket("changes/")).await);
    }
    let (calm_tx, calm_rx) = watch::channel(false);
    let mut writers = JoinSet::new();
    for _ in 0..WRITERS {
        writers.spawn(write(database.url(), random.fork(), calm_rx.clone()));
    }
    let forgotten = spawn(hold_open(database.url(), calm_rx));
    let kills = rage(&mut database, &mut gateway, &mut random, length).await;
    calm_tx.send_replace(true);
    let mut written = 0;
    while let Some(count) = writers.join_next().await {
        written += count.expect("a writer ends well");
    }
    forgotten.await.expect("the open transaction ends");
    for table in TABLES {
        database.run(&format!("insert into {table} (id) values ({})", ROWS + 1)).await;
    }
    let truth = oracle.transactions(&database).await;
    let resumes = finish(readers, &truth).await;
    println!(
        "seed {seed}: {written} transactions tried, {} committed, {kills} kills, \
         {resumes} resumes: nothing lost, repeated, torn or out of order",
        truth.len()
    );
}

/// Kills the gateway and the database in turn.
async fn rage(
    database: &mut Database,
    gateway: &mut Gateway,
    random: &mut Random,
    length: Duration,
) -> usize {
    let end = Instant::now() + length;
    let mut kills = 0;
    while Instant::now() < end {
        // The storm needs time to write between two blows; how long is the seed's.
        time::sleep(Duration::from_millis(300) + random.pause(2500)).await;
        match random.below(3) {
            0 => database.restart(StopMode::Immediate).await,
            1 => {
                gateway.kill().await;
                gateway.restart().await;
            }
            _ => {
                gateway.kill().await;
                database.restart(StopMode::Immediate).await;
                gateway.restart().await;
            }
        }
        kills += 1;
    }
    kills
}

/// A client on a task of its own, that resumes until it is told to finish.
#[derive(Debug)]
struct Reader {
    work: tokio::task::JoinHandle<(Client, usize)>,
}

impl Reader {
    async fn start(url: &str) -> Self {
        let mut client = Client::subscribed(url, TABLES[0]).await;
        client.subscribe(TABLES[1]).await;
        let url = url.to_owned();
        Self { work: spawn(async move { read_to_the_last(client, &url).await }) }
    }
}

/// Reads and resumes until the last row of every table has come.
async fn read_to_the_last(mut client: Client, url: &str) -> (Client, usize) {
    let mut resumes = 0;
    while !TABLES.iter().all(|table| has_last(&client, table)) {
        if let Heard::Cut | Heard::Closed { .. } = client.next_within(PATIENCE * 3).await {
            resumes += 1;
            while client.resume(url).await.is_err() {
                time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
    (client, resumes)
}

fn has_last(client: &Client, table: &str) -> bool {
    let last = client.sub(table).applied.iter().rev();
    last.take(50).any(|it| it.operation == "INSERT" && it.key["id"] == ROWS + 1)
}

async fn finish(readers: Vec<Reader>, truth: &[crate::support::oracle::Transaction]) -> usize {
    let mut resumes = 0;
    for reader in readers {
        let work = within(PATIENCE * 3, "a reader to see the last change", reader.work).await;
        let (client, count) = work.expect("a reader ends well");
        resumes += count;
        for table in TABLES {
            assert!(client.sub(table).resyncs.is_empty(), "{:?}", client.sub(table).resyncs);
            validators::all_hold(&client, table, truth);
        }
    }
    resumes
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

/// Writes until the storm is over; gives the number of transactions tried.
async fn write(url: String, mut random: Random, calm: watch::Receiver<bool>) -> usize {
    let (mut session, mut tried) = (None, 0);
    while !*calm.borrow() {
        let open: &Session = match &session {
            Some(open) => open,
            None => match try_connect(&url).await {
                Ok(new) => session.insert(new),
                Err(_refused) => {
                    time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
        };
        tried += 1;
        if transaction(open, &mut random).await.is_err() {
            // A deadlock or a crash: both are part of the storm.
            if open.is_closed() || open.batch_execute("rollback").await.is_err() {
                session = None;
            }
        }
        time::sleep(random.pause(PAUSE_MS_MAX)).await;
    }
    tried
}

/// A transaction of one to five writes, with pauses and savepoints, that ends one way or the other.
async fn transaction(session: &Session, random: &mut Random) -> Result<(), tokio_postgres::Error> {
    session.batch_execute("begin").await?;
    for _ in 0..=random.below(4) {
        let undone = random.chance(20);
        if undone {
            session.batch_execute("savepoint s").await?;
        }
        session.batch_execute(&statement(random)).await?;
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
    let table = TABLES[usize::try_from(random.below(2)).expect("is small")];
    let (one, other) = (1 + random.below(ROWS), 1 + random.below(ROWS));
    match random.below(10) {
        0..=4 => format!("update {table} set n = n + 1 where id = {one}"),
        5 => format!("update {table} set n = n + 1, title = 'it''s {other}' where id >= {one}"),
        6 => format!("delete from {table} where id = {one}"),
        7 | 8 => format!(
            "insert into {table} (id, title) values ({one}, null) on conflict (id) do update \
             set n = {table}.n + 1, body = repeat('y', {other} * 100)"
        )
        .replace("null", "'new'"),
        _ => format!("update {table} set body = null where id in ({one}, {other})"),
    }
}
