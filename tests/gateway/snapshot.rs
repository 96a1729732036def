//! The rows that a page starts from: streamed, limited, ended with their reader, out of the feed's
//! way.

use std::{fmt::Write as _, net::SocketAddr};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Duration, Instant},
};

use crate::support::{
    client::Client,
    database::Database,
    gateway::{Gateway, Settings},
    wait::{PATIENCE, eventually, within},
};

/// How much the gateway's memory may grow while it passes a table on.
const GROWTH_KIB_MAX: u64 = 16 * 1024;

const TRANSPORTS: [&str; 3] = ["ws", "sse", "poll"];

/// Sessions that read rows for somebody.
const READING: &str = "select count(*) from pg_stat_activity where datname = current_database() \
                       and pid <> pg_backend_pid() and query like '%pgfeed_row%' \
                       and state <> 'idle'";

/// A table of so many rows of a kilobyte.
async fn filled(rows: u32) -> Database {
    let database = Database::fresh().await;
    // The log is not what is looked at.
    database.run("alter table notes disable trigger all").await;
    let insert = "insert into notes (id, body) select g, repeat('x', 1000) from generate_series";
    database.run(&format!("{insert}(1, {rows}) g")).await;
    let triggers = "select string_agg(format('alter table notes enable always trigger %I', tgname), \
                    ';') from pg_trigger where tgrelid = 'notes'::regclass and not tgisinternal";
    let on = database.value(triggers).await;
    database.run(&on).await;
    database
}

/// Asks for the rows, and reads nothing yet.
async fn ask(address: SocketAddr, transport: &str) -> TcpStream {
    ask_for(address, transport, "").await
}

/// Asks for what the rest of the query says of the rows.
async fn ask_for(address: SocketAddr, transport: &str, query: &str) -> TcpStream {
    let mut wire = TcpStream::connect(address).await.expect("the gateway accepts");
    let mut request = format!("GET /{transport}/changes/?table=notes&snapshot=true{query} HTTP/1.");
    if transport == "ws" {
        request.push_str(
            "1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
        );
    } else {
        request.push_str("0\r\n");
    }
    write!(request, "Host: {address}\r\n\r\n").expect("a string takes text");
    wire.write_all(request.as_bytes()).await.expect("it reads");
    wire
}

/// Reads on until the last row, or so many bytes; gives how many rows there were.
async fn rows(wire: &mut TcpStream, bytes_max: usize) -> usize {
    const BODY: &str = "\"body\":";
    const LAST: &str = "\"more\":false";
    let (mut bytes, mut rows, mut had) = (Vec::new(), 0, 0);
    while had < bytes_max {
        // A word may be cut in two: the end of what was read before stands before what is new.
        let kept = bytes.len();
        let count = wire.read_buf(&mut bytes).await.expect("the rows do not break off");
        had += count;
        let text = String::from_utf8_lossy(&bytes);
        rows += text.match_indices(BODY).filter(|(at, _)| at + BODY.len() > kept).count();
        if count == 0 || text.contains(LAST) {
            return rows;
        }
        bytes.drain(..bytes.len().saturating_sub(LAST.len() - 1));
    }
    rows
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_table_passes_through_in_bounded_memory() {
    // The long run is asked for by a variable, so that no test is ever left out silently.
    let is_long = std::env::var_os("PGFEED_TEST_LONG").is_some();
    let count = if is_long { 1_000_000 } else { 60_000 };
    let database = filled(count).await;
    let gateway = Gateway::serving(&database).await;
    let count = usize::try_from(count).expect("is small");
    for transport in TRANSPORTS {
        let (before, _) = gateway.memory_kib();
        gateway.forget_peak();
        let mut wire = ask(gateway.address(), transport).await;
        let all = within(PATIENCE * 12, "all rows", rows(&mut wire, usize::MAX)).await;
        assert_eq!(all, count, "{transport}");
        let (_, peak) = gateway.memory_kib();
        println(transport, before, peak);
        assert!(peak < before + GROWTH_KIB_MAX, "{transport}: from {before} to {peak} KiB");
    }
}

#[expect(clippy::print_stdout, reason = "the numbers are worth reading")]
fn println(transport: &str, before: u64, peak: u64) {
    println!("{transport}: memory went from {before} to {peak} KiB at most");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_rows_pass_in_bounded_memory_whatever_is_seen_of_them() {
    let database = Database::fresh().await;
    let (count, large) = (150, 1024 * 1024);
    // Written before the table is on the feed: the log is not what is looked at.
    database.run("select pgfeed.unwatch('notes')").await;
    let insert = "insert into notes (id, body) select g, repeat('x', case when g <= 16 then 1 else";
    database.run(&format!("{insert} {large} end) from generate_series(1, {count}) g")).await;
    database.run("select pgfeed.watch('notes')").await;
    let gateway = Gateway::serving(&database).await;
    for query in ["&columns=id", "&columns=id&filter=body=like.x*", ""] {
        let (before, _) = gateway.memory_kib();
        gateway.forget_peak();
        let mut wire = ask_for(gateway.address(), "poll", query).await;
        let mut answer = Vec::new();
        let reading = wire.read_to_end(&mut answer);
        within(PATIENCE * 12, "all rows", reading).await.expect("the rows do not break off");
        let ids = String::from_utf8_lossy(&answer).matches("{\"id\":").count();
        assert_eq!(ids, count, "{query}");
        let (_, peak) = gateway.memory_kib();
        println(query, before, peak);
        // A few rows at a time, and less than half of them all.
        assert!(peak < before + 64 * 1024, "{query}: from {before} to {peak} KiB");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_end_in_the_database_within_a_second_of_their_reader() {
    let database = filled(60_000).await;
    let gateway = Gateway::serving(&database).await;
    let session = database.connect().await;
    let reading =
        async || -> i64 { session.query_one(READING, &[]).await.expect("is read").get(0) };
    for transport in TRANSPORTS {
        let mut wire = ask(gateway.address(), transport).await;
        rows(&mut wire, 100_000).await;
        assert_eq!(reading().await, 1, "{transport}: what is not read is not read in advance");
        drop(wire);
        let began = Instant::now();
        let is_over = async || reading().await == 0;
        eventually(PATIENCE, "the session to end", is_over).await;
        assert!(began.elapsed() < Duration::from_secs(3), "{transport}: {:?}", began.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_snapshots_are_many_others_are_told_to_come_later_and_the_feed_goes_on() {
    let database = filled(60_000).await;
    let settings = Settings::for_database(&database)
        .with("LIMITS__SNAPSHOTS_MAX", "1")
        .with("DATABASE__POOL_SIZE", "1");
    let gateway = settings.start().await;
    gateway.ready().await;
    let mut live = Client::subscribed(&gateway.socket("changes/"), "items").await;
    let mut first = ask(gateway.address(), "sse").await;
    rows(&mut first, 100_000).await;
    for (id, transport) in ["sse", "poll"].into_iter().enumerate() {
        let mut wire = ask(gateway.address(), transport).await;
        let mut answer = String::new();
        let reading = wire.read_to_string(&mut answer);
        within(PATIENCE, "an answer", reading).await.expect("it is text");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        assert!(head.starts_with("HTTP/1.0 503"), "{transport}: {head}");
        assert!(head.contains("retry-after: "), "{transport}: {head}");
        let body: Value = serde_json::from_str(body).expect("JSON");
        assert_eq!(body["code"], "unavailable");
        database.run(&format!("insert into items (id) values ({id})")).await;
        live.expect("change").await;
    }
    let mut socket = Client::connect(&gateway.socket("changes/")).await;
    let request = json!({"type": "subscribe", "id": "x", "table": "notes", "snapshot": true});
    socket.ask(&request).await;
    let error = socket.expect("error").await;
    assert_eq!((&error["code"], &error["id"]), (&json!("unavailable"), &json!("x")));
    // When the place is free again, who comes is served.
    assert!(rows(&mut first, usize::MAX).await > 50_000);
    let mut next = ask(gateway.address(), "poll").await;
    assert_eq!(rows(&mut next, usize::MAX).await, 60_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_the_rows_of_a_table_that_is_another_one_hears_heartbeats() {
    let database = filled(60_000).await;
    let settings = Settings::for_database(&database)
        .with("LIMITS__SNAPSHOTS_MAX", "1")
        .with("SERVER__HEARTBEAT_MS", "200");
    let gateway = settings.start().await;
    gateway.ready().await;
    let mut client = Client::subscribed(&gateway.socket("changes/"), "notes").await;
    let request = json!({"type": "subscribe", "id": "items", "table": "items", "snapshot": true});
    client.ask(&request).await;
    client.expect("live").await;
    // Who has the only place does not read on.
    let mut first = ask(gateway.address(), "sse").await;
    rows(&mut first, 100_000).await;
    database.run("alter table items add extra text; insert into items (id) values (1)").await;
    let mut beats = 0;
    let end = loop {
        let message = client.message().await;
        match (message["type"].as_str(), message.get("cursor")) {
            (Some("heartbeat"), None) => beats += 1,
            // A client that came back from it would never hear of the other table.
            (Some("heartbeat" | "cursor"), Some(_)) => beats = 0,
            (Some("error" | "resync"), _) => break message,
            _ => {}
        }
    };
    assert_eq!((&end["id"], &end["code"]), (&json!("items"), &json!("unavailable")));
    assert!(beats >= 3, "{beats} heartbeats in five seconds");
}
