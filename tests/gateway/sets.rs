//! Sets of rows that begin with a snapshot at any moment, on any transport, are at rest what a
//! `SELECT` by the reader's rights has.

use std::collections::BTreeMap;

use pgfeed::change::{Cursor, Snapshot};
use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinSet, time::Duration};
use tokio_postgres::Client as Session;

use crate::support::{
    database::Database,
    follower::{Follower, WAYS},
    gateway::{Gateway, Settings},
    random::Random,
    tokens::{SECRET, token},
    wait::within,
};

/// A row that every reader sees, written last.
const LAST: u64 = 9_999_999;

/// Who reads what of `notes`.
const POLICY: &str = r#"
[[tables.notes.grants]]
read = ["all"]
[[tables.notes.grants]]
read = ["some"]
rows = "n=gt.2"
columns = ["id", "n"]
[[tables.notes.grants]]
read = ["own"]
rows = "or=(n.eq.{claims.sub},n.gt.10)"
"#;

/// A reader's role, filter, and the same as SQL has it: the columns, and which rows.
const READERS: [(&str, &str, &str, &str); 6] = [
    ("all", "", "*", "true"),
    ("all", "&filter=n%3Dgt.4", "*", "n > 4"),
    ("some", "", "id, n", "n > 2"),
    ("some", "&filter=n%3Dnot.in.(3,5,7)", "id, n", "n > 2 and n not in (3, 5, 7)"),
    ("own", "", "*", "n = 6 or n > 10"),
    ("own", "&filter=id%3Dgt.1000", "*", "(n = 6 or n > 10) and id > 1000"),
];

/// The rows as a `SELECT` has them.
async fn select(session: &Session, columns: &str, condition: &str) -> BTreeMap<String, Value> {
    let rows = format!("select {columns} from notes where {condition}");
    let sql = format!("select row_to_json(it)::text from ({rows}) it");
    let rows = session.query(&sql, &[]).await.expect("the rows are read");
    let row = |row: &tokio_postgres::Row| {
        let value: Value = serde_json::from_str(row.get(0)).expect("a row is JSON");
        (value["id"].to_string(), value)
    };
    rows.iter().map(row).collect()
}

/// How many changes were sent that lie at or before the rows.
async fn early(session: &Session, it: &Follower) -> usize {
    let began = it.began.as_ref().expect("a whole snapshot");
    let cursor = Cursor::parse(began.split('~').next().unwrap_or_default()).expect("a cursor");
    let sql = "select snap::text from pgfeed.tick where id = $1 and tag = $2";
    let tick = session.query_one(sql, &[&cursor.tick, &cursor.tag]).await.expect("the tick");
    let tick: Snapshot = tick.get::<_, &str>(0).parse().expect("a snapshot");
    let is_early = |(id, xid): &&(i64, u64)| tick.sees(*xid) || cursor.ids.contains(*id);
    it.since.iter().filter(is_early).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_set_is_that_of_its_select_whenever_it_began() {
    // The long run is asked for by variables, so that no test is ever left out silently.
    let is_long = std::env::var_os("PGFEED_TEST_LONG").is_some();
    let seeds = std::env::var_os("PGFEED_TEST_SEEDS").and_then(|it| it.into_string().ok());
    let (clients, seconds) = if is_long { (50, 30) } else { (24, 8) };
    for seed in seeds.as_deref().unwrap_or("11").split_whitespace() {
        let seed = seed.parse().expect("a seed is a number");
        run(seed, clients, seconds).await;
    }
}

#[expect(clippy::print_stdout, reason = "the numbers are worth reading")]
async fn run(seed: u64, clients: usize, seconds: u64) {
    let database = Database::fresh().await;
    database
        .run("insert into notes (id, n) select g, g % 10 from generate_series(1, 2000) g")
        .await;
    let settings = Settings::for_database(&database).with("AUTH__JWT_SECRET", SECRET);
    let gateway = settings.with_file(POLICY).start().await;
    gateway.ready().await;
    let mut random = Random::seeded(seed);
    let (calm_tx, calm) = watch::channel(false);
    let mut writers = JoinSet::new();
    for _ in 0..8 {
        writers.spawn(write(database.connect().await, random.fork(), calm.clone()));
    }
    let mut followers = JoinSet::new();
    for at in 0..clients {
        followers.spawn(follow(&gateway, at, random.fork(), seconds));
    }
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    calm_tx.send_replace(true);
    while let Some(written) = writers.join_next().await {
        written.expect("a writer ends well");
    }
    database.run(&format!("insert into notes (id, n) values ({LAST}, 100)")).await;
    let session = database.connect().await;
    let (mut connections, mut changes) = (0, 0);
    while let Some(done) = followers.join_next().await {
        let (at, it) = done.expect("a client ends well");
        let (_, _, columns, condition) = READERS[at % READERS.len()];
        assert_eq!(early(&session, &it).await, 0, "changes at or before the rows");
        (connections, changes) = (connections + it.connections, changes + it.since.len());
        let (truth, seen) = (select(&session, columns, condition).await, it.rows);
        assert!(truth == seen, "{condition}: {} rows, not {}", seen.len(), truth.len());
    }
    println!(
        "seed {seed}: {clients} clients on {connections} connections, {changes} changes behind \
         their snapshots: every set is that of its SELECT"
    );
}

/// Begins at a random moment, and comes back again and again, by another transport each time.
fn follow(
    gateway: &Gateway,
    at: usize,
    mut random: Random,
    seconds: u64,
) -> impl Future<Output = (usize, Follower)> + Send + 'static {
    let (role, filter, ..) = READERS[at % READERS.len()];
    let token = token(&json!({"sub": "6", "role": role}));
    let mut it = Follower::of(&format!("table=notes&snapshot=true&token={token}{filter}"));
    let address = gateway.address();
    async move {
        tokio::time::sleep(random.pause(seconds * 700)).await;
        let has_all = |it: &Follower| it.rows.contains_key(&LAST.to_string());
        let mut way = at;
        let follow = async {
            while !it.follow(address, WAYS[way % 3], random.pause(4_000), has_all).await {
                way += 1;
            }
        };
        within(Duration::from_mins(2), "the last row", follow).await;
        (at, it)
    }
}

async fn write(session: Session, mut random: Random, calm: watch::Receiver<bool>) {
    while !*calm.borrow() {
        let (one, other, n) = (1 + random.below(2_000), random.below(5), random.below(10));
        let sql = match random.below(10) {
            0 => format!("delete from notes where id = {one}"),
            1 | 2 => format!(
                "insert into notes (id, n) values ({one}, {n}) on conflict (id) do update \
                 set n = {n}"
            ),
            3 => format!(
                "begin; update notes set n = {n} where id = {one}; \
                          update notes set title = 'x' where id = {one}; rollback"
            ),
            _ => format!("update notes set n = {n} where id between {one} and {one} + {other}"),
        };
        // Two that lock rows in another order: one of them is ended by the server.
        if session.batch_execute(&sql).await.is_err() {
            session.batch_execute("rollback").await.expect("the session lives");
        }
        tokio::time::sleep(random.pause(20)).await;
    }
}
