//! What one client may make the gateway do for it: comparisons, copies, rows, and waiting.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::{Duration, Instant, interval, timeout},
};

use crate::support::{
    database::Database,
    follower::{WAYS, Way},
    gateway::{Gateway, Settings},
    reader::Reader,
    tokens::{SECRET, token_for},
    wait::{PATIENCE, eventually, within},
    witness::Witness,
};

async fn scene(changes: &[(&str, &str)]) -> (Database, Gateway) {
    let database = Database::fresh().await;
    let mut settings = Settings::for_database(&database).with("AUTH__JWT_SECRET", SECRET);
    for (name, value) in changes {
        settings = settings.with(name, value);
    }
    let gateway = settings.start().await;
    gateway.ready().await;
    (database, gateway)
}

/// Asks on a socket that holds little, so that what is not read waits at the gateway.
async fn ask(address: SocketAddr, path: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4 * 1024).expect("a small buffer");
    let mut stream = socket.connect(address).await.expect("the gateway listens");
    let request = format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("is taken");
    stream
}

/// Reads some 100 KiB a second until then, and on to the end, at most 4 MiB a second: slower than
/// the database is; how much came.
async fn drip(mut stream: TcpStream, until: Instant) -> usize {
    let mut slowly = interval(Duration::from_millis(50));
    let mut bytes = vec![0; 200 * 1024];
    let mut all = 0;
    loop {
        slowly.tick().await;
        let mut left = if Instant::now() < until { 5 * 1024 } else { bytes.len() };
        while left > 0 {
            match stream.read(&mut bytes[..left]).await {
                Ok(count @ 1..) => (all, left) = (all + count, left - count),
                _ => return all,
            }
        }
    }
}

/// Rows of so many megabytes.
async fn fill(database: &Database, megabytes: u32) {
    let sql = format!(
        "insert into notes (id, body) select i, repeat('x', 10000) \
         from generate_series(1, {megabytes} * 100) i"
    );
    database.run(&sql).await;
}

#[tokio::test]
async fn comparisons_that_every_change_costs_are_limited() {
    let limit = ("LIMITS__SCANNED_TERMS_PER_CONNECTION_MAX", "5");
    let (_database, gateway) = scene(&[limit]).await;
    let terms = |count: u32| {
        let all: Vec<String> = (0..count).map(|it| format!("n.gt.{it}")).collect();
        format!("or=({})", all.join(","))
    };
    for way in WAYS {
        let ask = async |filter: String| {
            let filter = filter.replace('=', "%3D").replace('&', "%26");
            let feed = format!("changes/?table=notes&filter={filter}");
            Reader::open(gateway.address(), way, "", &feed).await.map(|_| ())
        };
        assert_eq!(ask(terms(5)).await, Ok(()), "{way:?}");
        assert_eq!(ask(terms(6)).await, Err(429), "{way:?}");
        // An index finds the few changes that these are asked about.
        assert_eq!(ask(format!("id=eq.7&{}", terms(50))).await, Ok(()), "{way:?}");
    }
    let mut witness = Witness::connect(gateway.address(), "changes/", &[]).await.expect("opens");
    let mut subscribe = async |id: u32, count: u32| {
        let filter = format!("{}&n=neq.{id}", terms(count));
        let request = json!({"type": "subscribe", "id": id.to_string(), "table": "notes",
                             "filter": filter});
        witness.ask(&request).await;
        witness.message().await;
    };
    subscribe(1, 2).await;
    subscribe(2, 2).await;
    witness.ask(&json!({"type": "unsubscribe", "id": "1"})).await;
    witness.expect("unsubscribed").await;
    assert!(witness.saw("\"code\":\"too_many_subscriptions\""), "three and three are over five");
    witness.subscribe("notes", &json!({"filter": "n=gt.1"})).await;
}

#[tokio::test]
async fn values_that_a_client_puts_in_the_index_are_limited() {
    let limit = ("LIMITS__INDEXED_VALUES_PER_CONNECTION_MAX", "5");
    let (_database, gateway) = scene(&[limit]).await;
    let mut witness = Witness::connect(gateway.address(), "changes/", &[]).await.expect("opens");
    let mut answer = async |id: &str, filter: &str| {
        let request = json!({"type": "subscribe", "id": id, "table": "notes", "filter": filter});
        witness.ask(&request).await;
        loop {
            let answer = witness.message().await;
            match answer["type"].as_str() {
                Some("error") => return answer["code"].clone(),
                Some("subscribed") => return answer["type"].clone(),
                _ => {}
            }
        }
    };
    assert_eq!(answer("1", "id=in.(1,2,3,2,1)").await, "subscribed", "each value counts once");
    assert_eq!(answer("2", "id=in.(4,5,6)").await, "too_many_subscriptions");
    assert_eq!(answer("3", "id=not.in.(4,5,6)").await, "subscribed", "that is not looked up");
    assert_eq!(answer("4", "id=in.(4,5)").await, "subscribed");
    assert_eq!(answer("5", "id=eq.7").await, "too_many_subscriptions");
    witness.ask(&json!({"type": "unsubscribe", "id": "1"})).await;
    witness.expect("unsubscribed").await;
    witness.subscribe("notes", &json!({"filter": "id=in.(7,8,9)"})).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_of_a_row_for_many_topics_take_bounded_memory_and_are_told_of() {
    let often = ("LIMITS__MESSAGES_PER_SECOND_MAX", "10000");
    let (database, gateway) = scene(&[("LOG__TAIL_BYTES_MAX", "1MB"), often]).await;
    let mut witness = Witness::connect(gateway.address(), "changes/", &[]).await.expect("opens");
    for id in 0..100 {
        // A hundred filters for one and the same row.
        let filter = format!("id=in.(1,{})", id + 100);
        let request =
            json!({"type": "subscribe", "id": id.to_string(), "table": "notes", "filter": filter});
        witness.ask(&request).await;
        witness.expect("subscribed").await;
    }
    let (before, _) = gateway.memory_kib();
    gateway.forget_peak();
    database.run("insert into notes (id, body) values (1, repeat('x', 1000000))").await;
    let (mut changes, mut resyncs) = (0, 0);
    let count = async {
        while changes + resyncs < 100 {
            match witness.message().await["type"].as_str() {
                Some("change") => changes += 1,
                Some("resync") => resyncs += 1,
                _ => {}
            }
        }
    };
    within(Duration::from_mins(1), "an answer for each", count).await;
    assert!(changes >= 10 && resyncs >= 50, "{changes} changes, {resyncs} resyncs");
    let (_, peak) = gateway.memory_kib();
    assert!(peak < before + 80 * 1024, "memory grew from {before} to {peak} KiB");
    // All are live again.
    database.run("insert into notes (id) values (150)").await;
    let change = witness.expect("change").await;
    assert_eq!(change["key"]["id"], 150);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_wait_so_long_for_their_reader_and_no_longer() {
    let limits = [("LIMITS__STALL_TIMEOUT_MS", "1500"), ("LIMITS__SNAPSHOTS_MAX", "1")];
    let (database, gateway) = scene(&limits).await;
    fill(&database, 40).await;
    for path in
        ["/sse/changes/?table=notes&snapshot=true", "/poll/changes/?table=notes&snapshot=true"]
    {
        let began = Instant::now();
        let slow =
            crate::support::spawn(drip(ask(gateway.address(), path).await, began + PATIENCE));
        let is_open = async || transactions(&database).await == 1;
        eventually(PATIENCE, "the snapshot to begin", is_open).await;
        let is_free = async || transactions(&database).await == 0;
        eventually(PATIENCE, &format!("the end of the snapshot of {path}"), is_free).await;
        assert!(began.elapsed() < Duration::from_secs(20), "{path}");
        // Its place is free as well.
        let feed = "changes/?table=items&snapshot=true";
        Reader::of(gateway.address(), Way::Poll, "", feed).await.expect("snapshot").await;
        slow.abort();
    }
}

/// How many transactions a gateway has open that hold rows back from VACUUM.
async fn transactions(database: &Database) -> u32 {
    let open = database
        .value(
            "select count(*)::text from pg_stat_activity where datname = current_database() \
             and pid <> pg_backend_pid() and state like 'idle in transaction%'",
        )
        .await;
    open.parse().expect("a number")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_break_off_when_the_token_ends() {
    let (database, gateway) = scene(&[]).await;
    fill(&database, 20).await;
    for transport in ["sse", "poll"] {
        let short = token_for(&json!({"sub": "ann"}), 2);
        let path = format!("/{transport}/changes/?table=notes&snapshot=true&token={short}");
        let stream = ask(gateway.address(), &path).await;
        let reading = drip(stream, Instant::now() + Duration::from_secs(4));
        let count = within(PATIENCE, "the end of the rows", reading).await;
        assert!(count < 12_000_000, "{transport}: {count} bytes came");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_not_read_its_answer_is_counted_as_here() {
    let (database, gateway) = scene(&[("LIMITS__CONNECTIONS_PER_IP_MAX", "2")]).await;
    let feed = "changes/?table=notes";
    let begin = Reader::of(gateway.address(), Way::Poll, "", feed).await;
    database.run("insert into notes (id, body) values (1, repeat('x', 8000000))").await;
    let path = format!("/poll/{feed}&since={}&wait=9", begin.cursor);
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut stream = ask(gateway.address(), &path).await;
        let mut head = [0; 12];
        within(PATIENCE, "an answer", stream.read_exact(&mut head)).await.expect("an answer");
        held.push(stream);
    }
    let third = Reader::open(gateway.address(), Way::Poll, "", feed).await;
    assert_eq!(third.map(|_| ()), Err(429));
    drop(held);
    let is_free = async || Reader::open(gateway.address(), Way::Poll, "", feed).await.is_ok();
    eventually(PATIENCE, "room again", is_free).await;
    let answer = gateway.get(&path).await.expect("an answer").body;
    let answer: Value = serde_json::from_str(&answer).unwrap_or_default();
    assert_eq!(
        answer["messages"].as_array().map(Vec::len),
        Some(1),
        "read at once, it comes whole"
    );
}

#[tokio::test]
async fn a_stream_that_is_not_read_costs_its_limit_and_no_more() {
    let (database, gateway) = scene(&[("LOG__TAIL_BYTES_MAX", "1MB")]).await;
    let address = gateway.address();
    let mut held = Vec::new();
    for _ in 0..8 {
        let mut stream = TcpStream::connect(address).await.expect("the gateway listens");
        let request = "GET /sse/changes/?table=notes HTTP/1.1\r\nHost: h\r\n\r\n";
        stream.write_all(request.as_bytes()).await.expect("is taken");
        let mut head = [0; 64];
        within(PATIENCE, "a head", stream.read_exact(&mut head)).await.expect("an answer");
        held.push(stream);
    }
    let mut reads = Reader::of(address, Way::Sse, "", "changes/?table=notes").await;
    let (before, _) = gateway.memory_kib();
    gateway.forget_peak();
    for part in 0..10_u64 {
        let sql = format!(
            "insert into notes (id, body) select {part} * 10000 + i, repeat('x', 1000) \
             from generate_series(1, 4000) i"
        );
        database.run(&sql).await;
        reads.until_row(part * 10_000 + 4_000).await;
    }
    let (_, peak) = gateway.memory_kib();
    // 40 MB were written; eight queues of 1 MiB, and what is on its way.
    assert!(peak < before + 40 * 1024, "memory grew from {before} to {peak} KiB");
    // Who reads again has lost nothing.
    let mut first = held.swap_remove(0);
    let mut count = 0;
    let mut bytes = vec![0; 1 << 16];
    let read = async {
        let mut rest = Vec::new();
        while count < 40_000 {
            let got = first.read(&mut bytes).await.expect("the stream goes on");
            assert!(got > 0, "the stream ended after {count} changes");
            rest.extend_from_slice(&bytes[..got]);
            let mark: &[u8] = b"\"effect\":\"enter\"";
            count += rest.windows(mark.len()).filter(|it| *it == mark).count();
            rest = rest.split_off(rest.len().saturating_sub(mark.len() - 1));
        }
    };
    within(Duration::from_mins(1), "every change", read).await;
}

#[tokio::test]
async fn an_answer_that_is_not_read_is_not_kept_for_ever() {
    let (database, gateway) = scene(&[("LIMITS__STALL_TIMEOUT_MS", "1000")]).await;
    let address = gateway.address();
    let begin = Reader::of(address, Way::Poll, "", "changes/?table=notes").await;
    let sql = "insert into notes (id, body) select i, repeat('x', 100000) \
               from generate_series(1, 200) i";
    database.run(sql).await;
    // Answers of all kinds, asked for again and again, and none of them read.
    let poll = format!("/poll/changes/?table=notes&since={}", begin.cursor);
    for (path, times) in
        [(poll.as_str(), 40), ("/poll/changes/?table=notes&snapshot=true", 1), ("/metrics", 4_000)]
    {
        let mut socket = TcpStream::connect(address).await.expect("the gateway listens");
        let request = format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n");
        let ask = async {
            for _ in 0..times {
                socket.write_all(request.as_bytes()).await?;
            }
            std::io::Result::Ok(())
        };
        drop(timeout(Duration::from_secs(1), ask).await);
        let is_closed = async || {
            let metrics = gateway.get("/metrics").await.map(|it| it.body).unwrap_or_default();
            metrics.contains("pgfeed_sockets 1\n")
        };
        eventually(PATIENCE, &format!("the end of {path}"), is_closed).await;
    }
}

#[tokio::test]
async fn an_answer_of_which_a_little_is_read_now_and_then_is_not_kept_for_ever() {
    let (database, gateway) = scene(&[("LIMITS__STALL_TIMEOUT_MS", "1000")]).await;
    let begin = Reader::of(gateway.address(), Way::Poll, "", "changes/?table=notes").await;
    database.run("insert into notes (id, body) values (1, repeat('x', 16000000))").await;
    let poll = format!("/poll/changes/?table=notes&since={}", begin.cursor);
    let mut stream = ask(gateway.address(), &poll).await;
    let reading = crate::support::spawn(async move {
        let (mut slowly, mut bytes) = (interval(Duration::from_millis(50)), [0; 1024]);
        while matches!(stream.read(&mut bytes).await, Ok(1..)) {
            slowly.tick().await;
        }
    });
    let is_held = async || gateway.metric("pgfeed_sockets").await >= 2.0;
    eventually(PATIENCE, "the reader to be there", is_held).await;
    let is_closed = async || gateway.metric("pgfeed_sockets").await < 2.0;
    eventually(PATIENCE, "the end of its connection", is_closed).await;
    reading.abort();
}
