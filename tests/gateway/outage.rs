//! The database goes away in every way it can; the feed comes back by itself with nothing lost.

use std::process::Stdio;

use pgfeed::source::cluster::StopMode;
use tokio::{
    process::Command,
    time::{Duration, Instant},
};

use crate::support::{
    client::Client,
    database::Database,
    follower::{Stream, fetch},
    gateway::{Gateway, Settings},
    proxy::Proxy,
    validators,
    wait::{PATIENCE, eventually, within},
};

/// What a lost connection may take to be noticed and mended.
const MENDED_MAX: Duration = Duration::from_secs(40);

async fn insert(database: &Database, id: u64) {
    database.run(&format!("insert into notes (id) values ({id})")).await;
}

fn keys(client: &Client) -> Vec<u64> {
    let ids = client.changes("notes").into_iter().map(|it| it.key["id"].as_u64());
    ids.map(|id| id.expect("a key")).collect()
}

/// Reads on one connection, which must hold, until all these changes have come.
async fn applied_in_time(client: &mut Client, count: usize) {
    let deadline = Instant::now() + MENDED_MAX;
    while client.sub("notes").applied.len() < count {
        assert!(Instant::now() < deadline, "{} of {count} changes", client.changes("notes").len());
        client.next_within(MENDED_MAX).await;
    }
}

#[tokio::test]
async fn killed_database_sessions_are_made_anew_without_the_clients_noticing() {
    let database = Database::fresh().await;
    let gateway = Gateway::serving(&database).await;
    let mut client = Client::subscribed(&gateway.socket("changes/"), "notes").await;
    let mut killed = 0;
    for round in 0..10 {
        insert(&database, round * 2).await;
        killed += database.kill_sessions().await;
        insert(&database, round * 2 + 1).await;
        // Only now and then is there time to mend before the next blow.
        if round % 3 == 0 {
            applied_in_time(&mut client, usize::try_from(round).expect("is small") * 2 + 2).await;
        }
    }
    applied_in_time(&mut client, 20).await;
    assert!(killed >= 8, "only {killed} sessions were there to be killed");
    assert_eq!(keys(&client), (0..20).collect::<Vec<_>>());
    assert!(client.sub("notes").resyncs.is_empty());
}

async fn a_restart_loses_nothing(mode: StopMode) {
    let mut database = Database::durable().await;
    let gateway = Gateway::serving(&database).await;
    let mut client = Client::subscribed(&gateway.socket("changes/"), "notes").await;
    for round in 0..3 {
        insert(&database, round * 2).await;
        database.restart(mode).await;
        insert(&database, round * 2 + 1).await;
    }
    applied_in_time(&mut client, 6).await;
    assert_eq!(keys(&client), (0..6).collect::<Vec<_>>());
    assert!(client.sub("notes").resyncs.is_empty(), "{:?}", client.sub("notes").resyncs);
}

#[tokio::test]
async fn a_restarted_database_loses_nothing() {
    a_restart_loses_nothing(StopMode::Fast).await;
}

#[tokio::test]
async fn a_crashed_database_loses_nothing() {
    a_restart_loses_nothing(StopMode::Immediate).await;
}

#[tokio::test]
async fn a_wire_to_the_database_that_is_reset_again_and_again_loses_nothing() {
    let database = Database::fresh().await;
    let proxy = Proxy::to(([127, 0, 0, 1], database.port()).into()).await;
    let gateway = Settings::for_url(&database.url_through(proxy.address().port())).start().await;
    gateway.ready().await;
    let mut client = Client::subscribed(&gateway.socket("changes/"), "notes").await;
    for id in 0..20 {
        match id % 4 {
            0 => proxy.reset(),
            1 => proxy.cut(),
            2 => proxy.cut_after(1500),
            _ => proxy.restore(),
        }
        insert(&database, id).await;
    }
    proxy.restore();
    applied_in_time(&mut client, 20).await;
    assert_eq!(keys(&client), (0..20).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_slow_way_to_the_database_only_delays() {
    let database = Database::fresh().await;
    let proxy = Proxy::to(([127, 0, 0, 1], database.port()).into()).await;
    let gateway = Settings::for_url(&database.url_through(proxy.address().port())).start().await;
    gateway.ready().await;
    proxy.delay(Duration::from_millis(100));
    let mut client = Client::subscribed(&gateway.socket("changes/"), "notes").await;
    for id in 0..10 {
        insert(&database, id).await;
    }
    applied_in_time(&mut client, 10).await;
    assert_eq!(keys(&client), (0..10).collect::<Vec<_>>());
}

#[tokio::test]
async fn database_processes_that_stand_still_are_noticed_and_the_feed_goes_on() {
    let database = Database::durable().await;
    let settings = Settings::for_database(&database).with("SERVER__READY_LAG_MAX_MS", "2000");
    let gateway = settings.start().await;
    gateway.ready().await;
    let mut client = Client::subscribed(&gateway.socket("changes/"), "notes").await;
    let sessions = "select string_agg(pid::text, ' ') from pg_stat_activity \
                    where datname = current_database() and pid <> pg_backend_pid()";
    let pids = database.value(sessions).await;
    signal("STOP", &pids).await;
    insert(&database, 1).await;
    eventually(PATIENCE, "/readyz to say no, or new sessions to serve", async || {
        !gateway.is_ready().await || database.value(sessions).await != pids
    })
    .await;
    // The feed may have gone on over new sessions already; where it could not, it does now.
    signal("CONT", &pids).await;
    applied_in_time(&mut client, 1).await;
    eventually(PATIENCE, "/readyz to say yes", async || gateway.is_ready().await).await;
}

#[tokio::test]
async fn a_gateway_that_stands_still_holds_up_no_writer_and_loses_nothing() {
    let database = Database::fresh().await;
    let gateway = Gateway::serving(&database).await;
    let mut client = Client::subscribed(&gateway.socket("changes/"), "notes").await;
    gateway.signal("STOP").await;
    let writer = database.connect().await;
    let started = Instant::now();
    let mut id = 0_u64;
    while started.elapsed() < Duration::from_secs(5) {
        let before = Instant::now();
        let sql = format!("insert into notes (id) values ({id})");
        writer.batch_execute(&sql).await.expect("the writer succeeds");
        assert!(before.elapsed() < Duration::from_secs(2), "a write took {:?}", before.elapsed());
        id += 1;
    }
    gateway.signal("CONT").await;
    applied_in_time(&mut client, usize::try_from(id).expect("is small")).await;
    assert_eq!(keys(&client), (0..id).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_gateway_started_before_its_database_serves_when_that_is_up() {
    let mut database = Database::durable().await;
    database.server().stop(StopMode::Fast).await.expect("the server stops");
    let gateway = Settings::for_database(&database).start().await;
    assert!(!gateway.is_ready().await);
    database.server().start_again().await.expect("the server starts");
    gateway.ready().await;
    let mut client = Client::subscribed(&gateway.socket("changes/"), "notes").await;
    insert(&database, 1).await;
    applied_in_time(&mut client, 1).await;
}

#[tokio::test]
async fn who_comes_back_while_the_database_is_away_hears_heartbeats_and_is_served_when_it_is_back()
{
    let mut database = Database::durable().await;
    let settings = Settings::for_database(&database).with("LOG__TAIL_BYTES_MAX", "1MB");
    let gateway = settings.with("SERVER__HEARTBEAT_MS", "200").start().await;
    gateway.ready().await;
    let url = gateway.socket("changes/");
    let mut before = Client::subscribed(&url, "notes").await;
    insert(&database, 1).await;
    applied_in_time(&mut before, 1).await;
    let cursor = before.sub("notes").cursor.clone();
    // The tail does not reach back to the cursor.
    let rows = "insert into items (id, body) select g, repeat('x', 1000) from generate_series";
    for batch in 0..4 {
        database.run(&format!("{rows}({batch} * 1000 + 1, {batch} * 1000 + 1000) g")).await;
    }
    insert(&database, 2).await;
    applied_in_time(&mut before, 2).await;
    database.server().stop(StopMode::Immediate).await.expect("the server stops");

    let query = format!("changes/?table=notes&since={cursor}");
    let mut socket = Client::connect(&gateway.socket(&query)).await;
    let mut stream = Stream::open(gateway.address(), &format!("/sse/{query}")).await;
    let (mut lags, mut said) = (Vec::new(), String::new());
    while lags.iter().filter(|lag| **lag >= 1_000).count() < 5 {
        let message = socket.message().await;
        assert_eq!(message["type"], "heartbeat", "nothing is told before the place is known");
        lags.push(message["lag_ms"].as_u64().expect("a number"));
    }
    assert!(lags.is_sorted() && lags[0] < lags[lags.len() - 1], "{lags:?}");
    stream.until(&mut said, |said| said.matches("\"lag_ms\":").count() >= 5).await;
    assert!(!said.contains("subscribed"), "{said}");
    let poll = format!("GET /poll/{query}&wait=1 HTTP/1.0\r\nHost: h\r\n\r\n");
    let answer = within(PATIENCE, "an answer", fetch(gateway.address(), &poll)).await;
    assert!(answer.starts_with("HTTP/1.0 503") && answer.contains("retry-after: "), "{answer}");

    database.server().start_again().await.expect("the server starts");
    socket.expect("subscribed").await;
    applied_in_time(&mut socket, 1).await;
    assert_eq!(keys(&socket), [2]);
    stream.until(&mut said, |said| said.contains("\"key\":{\"id\":2}")).await;
    assert!(said.contains("subscribed"), "{said}");
}

async fn signal(name: &str, pids: &str) {
    let mut command = Command::new("kill");
    command.args(["-s", name]).args(pids.split(' ')).stderr(Stdio::null());
    // A process that has ended meanwhile needs no signal.
    command.status().await.expect("`kill` runs");
}

#[tokio::test]
async fn a_transaction_stays_whole_where_the_read_of_it_breaks_off() {
    let database = Database::fresh().await;
    let proxy = Proxy::to(([127, 0, 0, 1], database.port()).into()).await;
    let gateway = Settings::for_url(&database.url_through(proxy.address().port())).start().await;
    gateway.ready().await;
    let mut client = Client::subscribed(&gateway.socket("changes/"), "notes").await;
    // It draws its id first and commits last: its place is before the large one.
    let early = database.connect().await;
    early.batch_execute("begin; insert into notes (id) values (0)").await.expect("is written");
    proxy.cut_after(2_000_000);
    let rows = "select i, repeat(md5(i::text), 30) from generate_series(1, 4000) i";
    database.run(&format!("insert into notes (id, body) {rows}")).await;
    let is_cut = async || gateway.output().contains("The log cannot be read");
    eventually(PATIENCE, "the read to break off", is_cut).await;
    client.until("a part of it", |it| !it.changes("notes").is_empty()).await;
    early.batch_execute("commit").await.expect("is written");
    proxy.restore();
    applied_in_time(&mut client, 4_001).await;
    let faults = validators::whole(&client.tape);
    assert!(faults.is_empty(), "{} faults, the first: {:?}", faults.len(), faults.first());
}
