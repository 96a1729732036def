//! The same guarantees over WebSocket, server-sent events and long poll, and over hops between
//! them.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

use crate::support::{
    database::Database,
    follower::{Follower, Stream, WAYS, Way, fetch},
    gateway::{Gateway, Settings},
    proxy::Proxy,
    random::Random,
    wait::{PATIENCE, within},
};

async fn insert(database: &Database, id: u64) {
    database.run(&format!("insert into notes (id, n) values ({id}, 100)")).await;
}

/// Begins now, so that everything from here on is to come.
async fn begun(gateway: &Gateway, way: Way, query: &str) -> Follower {
    let mut it = Follower::of(query);
    let has_begun = it.follow(gateway.address(), way, PATIENCE, |it| it.cursor.is_some()).await;
    assert!(has_begun, "{way:?} begins");
    it
}

async fn until(it: &mut Follower, gateway: &Gateway, way: Way, count: usize) {
    let is_so = it.follow(gateway.address(), way, PATIENCE, |it| it.keys.len() >= count).await;
    assert!(is_so, "{way:?}: {count} changes, not {:?}", it.keys);
}

#[tokio::test]
async fn a_change_made_while_nobody_was_connected_comes_once() {
    let database = Database::fresh().await;
    let mut gateway = Gateway::serving(&database).await;
    for (way, first) in WAYS.into_iter().zip([10, 20, 30]) {
        let mut it = begun(&gateway, way, "table=notes").await;
        insert(&database, first).await;
        until(&mut it, &gateway, way, 1).await;
        insert(&database, first + 1).await;
        gateway.kill().await;
        insert(&database, first + 2).await;
        gateway.restart().await;
        gateway.ready().await;
        insert(&database, first + 3).await;
        until(&mut it, &gateway, way, 4).await;
        assert_eq!(it.keys, (first..first + 4).collect::<Vec<_>>(), "{way:?}");
        assert!(it.resyncs.is_empty());
    }
}

#[tokio::test]
async fn filter_events_and_columns_hold_on_every_transport() {
    let database = Database::fresh().await;
    let gateway = Gateway::serving(&database).await;
    for way in WAYS {
        let narrow = "table=notes&filter=n%3Dgt.5&columns=id,n&events=INSERT,UPDATE";
        let mut it = begun(&gateway, way, narrow).await;
        database.run("insert into notes (id, n) values (1, 1), (2, 7)").await;
        database.run("update notes set n = 9 where id = 1").await;
        database.run("update notes set title = 'x' where id = 2").await;
        database.run("delete from notes where id = 2").await;
        database.run("update notes set n = 0 where id = 1; delete from notes").await;
        until(&mut it, &gateway, way, 3).await;
        assert_eq!(it.keys, [2, 1, 1], "{way:?}");
        assert_eq!(it.rows, BTreeMap::from([("2".to_owned(), json!({"id": 2, "n": 7}))]));
    }
}

#[tokio::test]
async fn a_cursor_holds_on_every_transport() {
    let database = Database::fresh().await;
    let gateway = Gateway::serving(&database).await;
    let mut it = begun(&gateway, Way::Socket, "table=notes").await;
    for id in 0..18_u64 {
        insert(&database, id).await;
        let way = WAYS[usize::try_from(id * 7 / 3 % 3).expect("is small")];
        until(&mut it, &gateway, way, usize::try_from(id).expect("is small") + 1).await;
    }
    assert_eq!(it.keys, (0..18).collect::<Vec<u64>>());
    assert!(it.resyncs.is_empty());
}

#[tokio::test]
async fn a_cursor_of_another_filter_is_told_so() {
    let database = Database::fresh().await;
    let gateway = Gateway::serving(&database).await;
    for way in [Way::Sse, Way::Poll] {
        let mut it = begun(&gateway, way, "table=notes&filter=n%3Dgt.5").await;
        it.query = "table=notes&filter=n%3Dgt.6".to_owned();
        for other in WAYS {
            let mut next = Follower::of(&it.query);
            next.cursor.clone_from(&it.cursor);
            let told = |it: &Follower| !it.resyncs.is_empty();
            assert!(next.follow(gateway.address(), other, PATIENCE, told).await, "{other:?}");
            assert_eq!(next.resyncs, ["shape_changed"], "{way:?} to {other:?}");
        }
    }
}

#[tokio::test]
async fn rows_and_changes_meet_and_hidden_rows_stay_hidden() {
    let database = Database::fresh().await;
    let settings = Settings::for_database(&database).with("ACCESS__DEFAULT", "nobody").with_file(
        "[tables.notes]\nread = \"nobody\"\n\
         [[tables.notes.grants]]\nread = \"anyone\"\nrows = \"n=gt.5\"\n\
         columns = [\"id\", \"n\"]\n\
         [[tables.notes.grants]]\nread = \"anyone\"\nrows = \"n=gt.7\"\n\
         columns = [\"id\", \"title\"]\n",
    );
    let gateway = settings.start().await;
    gateway.ready().await;
    let rows =
        "insert into notes (id, title, n) values (1, 'no', 1), (2, 'half', 6), (3, 'all', 8)";
    database.run(rows).await;
    for way in WAYS {
        let mut it = begun(&gateway, way, "table=notes&snapshot=true").await;
        let all = |it: &Follower| it.rows.len() >= 2;
        assert!(it.follow(gateway.address(), way, PATIENCE, all).await, "{way:?}");
        let expected = [
            ("2".to_owned(), json!({"id": 2, "n": 6})),
            ("3".to_owned(), json!({"id": 3, "title": "all", "n": 8})),
        ];
        assert_eq!(it.rows, BTreeMap::from(expected), "{way:?}");
        let id = 10 + it.connections;
        database.run(&format!("insert into notes (id, n) values ({id}, 6)")).await;
        until(&mut it, &gateway, way, 1).await;
        assert_eq!(it.keys, [id], "no change at or before the rows is sent");
        database.run(&format!("delete from notes where id = {id}")).await;
    }
}

#[tokio::test]
async fn what_cannot_be_served_is_refused_by_status() {
    let database = Database::fresh().await;
    let gateway = Gateway::serving(&database).await;
    let cursor = begun(&gateway, Way::Poll, "table=notes").await.cursor.expect("has begun");
    for transport in ["sse", "poll"] {
        for (query, status, code) in [
            ("changes/", 400, "bad_message"),
            ("changes/?table=nope", 401, "unauthorized"),
            ("changes/?table=notes&filter=x", 400, "bad_filter"),
            ("changes/?table=notes&since=x", 400, "bad_cursor"),
            ("changes/?table=notes&since=", 400, "bad_cursor"),
            (&format!("changes/?table=notes&since={cursor}x"), 400, "bad_cursor"),
            ("changes/?table=notes&token=x", 401, "unauthorized"),
            ("nope/?table=notes", 404, "not_found"),
        ] {
            let answer = gateway.get(&format!("/{transport}/{query}")).await.expect("an answer");
            let body: Value = serde_json::from_str(&answer.body).expect("JSON");
            assert_eq!((answer.status, &body["code"]), (status, &json!(code)), "{query}");
        }
    }
}

#[tokio::test]
async fn a_page_of_a_listed_origin_may_read_and_others_may_not() {
    let database = Database::fresh().await;
    let settings = Settings::for_database(&database);
    let gateway = settings.with("SERVER__ALLOWED_ORIGINS", "https://app.example").start().await;
    gateway.ready().await;
    let ask = async |method: &str, origin: &str| {
        let request = format!(
            "{method} /poll/changes/?table=notes HTTP/1.0\r\nHost: h\r\nOrigin: {origin}\r\n\r\n"
        );
        fetch(gateway.address(), &request).await
    };
    for method in ["GET", "OPTIONS"] {
        let good = ask(method, "https://app.example").await;
        assert!(good.starts_with("HTTP/1.0 20"), "{good}");
        assert!(good.contains("access-control-allow-origin: https://app.example"), "{good}");
        let bad = ask(method, "https://evil.example").await;
        assert!(bad.starts_with("HTTP/1.0 403"), "{bad}");
        assert!(!bad.contains("access-control-allow-origin"), "{bad}");
    }
}

/// The ids of a stream so far.
fn ids(said: &str) -> Vec<&str> {
    said.lines().filter_map(|line| line.strip_prefix("id:")).collect()
}

#[tokio::test]
async fn a_stream_tells_cursor_and_shape_by_id_and_goes_on_from_the_last() {
    let database = Database::fresh().await;
    let settings = Settings::for_database(&database).with("SERVER__HEARTBEAT_MS", "200");
    let gateway = settings.start().await;
    gateway.ready().await;
    let path = "/sse/changes/?table=notes";
    let (mut stream, mut said) = (Stream::open(gateway.address(), path).await, String::new());
    stream.until(&mut said, |said| said.contains("\"heartbeat\"")).await;
    let first = ids(&said)[0].to_owned();
    for id in 1..=2 {
        insert(&database, id).await;
        let key = format!("\"key\":{{\"id\":{id}}}");
        let has_id = |said: &str| said.split_once(&key).is_some_and(|(_, it)| it.contains("\nid:"));
        stream.until(&mut said, has_id).await;
    }
    let events: Vec<&str> = said.split("\n\n").collect();
    let beat = events.iter().find(|it| it.contains("\"heartbeat\"")).expect("a heartbeat");
    assert!(beat.starts_with("data:{") && beat.contains("\nid:"), "data and id: {beat}");
    let alone = events.iter().any(|it| it.starts_with("id:") && !it.contains("data:"));
    assert!(alone, "a cursor is an id alone: {said}");
    for id in ids(&said) {
        let (cursor, shape) = id.split_once('~').expect("cursor and shape");
        let is_url_safe = |it: char| it.is_ascii_alphanumeric() || it == '-' || it == '_';
        assert!(cursor.chars().all(is_url_safe), "{id}");
        assert!(shape.len() == 8 && shape.chars().all(|it| it.is_ascii_hexdigit()), "{id}");
    }
    let last = ids(&said).pop().expect("an id").to_owned();
    insert(&database, 3).await;
    // The browser says both: the address as it was, and the last id.
    let path = format!("{path}&since={first}");
    let (mut stream, mut said) =
        (Stream::resumed(gateway.address(), &path, &last).await, String::new());
    stream.until(&mut said, |said| said.contains("\"key\":{\"id\":3}")).await;
    assert!(!said.contains("\"key\":{\"id\":2}") && !said.contains("resync"), "{said}");
    let path = path.replace("notes", "items");
    let (mut other, mut said) =
        (Stream::resumed(gateway.address(), &path, &last).await, String::new());
    other.until(&mut said, |said| said.contains("shape_changed")).await;
}

#[tokio::test]
async fn a_stream_that_ends_before_anything_happened_goes_on_from_where_it_began() {
    let database = Database::fresh().await;
    let settings = Settings::for_database(&database).with("SERVER__HEARTBEAT_MS", "60000");
    let mut gateway = settings.start().await;
    gateway.ready().await;
    let path = "/sse/changes/?table=notes";
    let (mut stream, mut said) = (Stream::open(gateway.address(), path).await, String::new());
    stream.until(&mut said, |said| said.contains("\nid:") && said.ends_with("\n\n")).await;
    let first = ids(&said).pop().expect("an id").to_owned();
    gateway.kill().await;
    insert(&database, 1).await;
    gateway.restart().await;
    gateway.ready().await;
    let (mut stream, mut said) =
        (Stream::resumed(gateway.address(), path, &first).await, String::new());
    stream.until(&mut said, |said| said.contains("\"key\":{\"id\":1}")).await;
    assert!(!said.contains("resync"), "{said}");
}

#[tokio::test]
async fn a_stream_says_at_a_drain_when_to_come_back() {
    let database = Database::fresh().await;
    let mut gateway = Gateway::serving(&database).await;
    let address = gateway.address();
    let request = format!("GET /sse/changes?table=notes HTTP/1.0\r\nHost: {address}\r\n\r\n");
    let stream = crate::support::spawn(async move { fetch(address, &request).await });
    let clients = async || {
        let metrics = gateway.get("/metrics").await.map(|it| it.body).unwrap_or_default();
        metrics.contains("pgfeed_subscriptions 1")
    };
    crate::support::wait::eventually(PATIENCE, "the stream to begin", clients).await;
    assert!(gateway.stop().await.success());
    let text = within(PATIENCE, "the end of the stream", stream).await.expect("it ends well");
    assert!(text.contains("content-type: text/event-stream"), "{text}");
    assert!(text.contains("cache-control: no-store"), "{text}");
    let last = text.trim_end().lines().next_back().expect("a line");
    let retry = last.strip_prefix("retry:").expect("the last line");
    assert!(retry.parse::<u64>().expect("a number") <= 5_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_cut_at_any_byte_is_complete_on_whatever_transport_it_goes_on() {
    let is_long = std::env::var_os("PGFEED_TEST_LONG").is_some();
    let (rows, cuts) = if is_long { (50_000_u64, 200) } else { (25_000, 30) };
    let database = Database::fresh().await;
    let gateway = Gateway::serving(&database).await;
    let proxy = Proxy::to(gateway.address()).await;
    let mut random = Random::seeded(4);
    let begin = begun(&gateway, Way::Socket, "table=notes").await.cursor;
    let write = format!("insert into notes (id) select generate_series(1, {rows})");
    database.run(&write).await;
    let total = usize::try_from(rows).expect("is small");
    let (mut cut, mut at) = (0, 0);
    while cut < cuts {
        // Each goes through the whole transaction, from before it.
        let mut it = Follower::of("table=notes");
        it.cursor.clone_from(&begin);
        while it.keys.len() < total {
            // Past the last cut the rest goes through.
            let bytes = if cut < cuts { random.below(3_000_000) } else { 1 << 40 };
            proxy.cut_after(i64::try_from(bytes).expect("is small"));
            let has_all = |it: &Follower| it.keys.len() >= total;
            let is_whole = it.follow(proxy.address(), WAYS[at % 3], PATIENCE, has_all).await;
            proxy.restore();
            (cut, at) = (cut + usize::from(!is_whole), at + 1);
        }
        assert_eq!(it.keys, (1..=rows).collect::<Vec<_>>());
        assert!(it.resyncs.is_empty());
    }
}

#[tokio::test]
async fn a_value_with_line_breaks_stays_one_line_of_an_event_stream() {
    const DOC: &str = "{\n\t\"a\": [1,\r\n 2]\r}";
    let database = Database::fresh().await;
    let sender = database.connect().await;
    let make = "create table docs (id bigint primary key, doc json); select pgfeed.watch('docs')";
    sender.batch_execute(make).await.expect("a table of documents");
    let insert = "insert into docs select $1::int8, $2::text::json";
    sender.execute(insert, &[&1_i64, &DOC]).await.expect("is written");
    let file = "[tables.\"public.docs\"]\nread = \"anyone\"\nundurable = true\n";
    let gateway = Settings::for_database(&database).with_file(file).start().await;
    gateway.ready().await;
    let mut wire = TcpStream::connect(gateway.address()).await.expect("the gateway accepts");
    let request = "GET /sse/changes/?table=docs&snapshot=true HTTP/1.0\r\nHost: x\r\n\r\n";
    wire.write_all(request.as_bytes()).await.expect("it reads");
    let mut lines = BufReader::new(wire).lines();
    let mut next = async |word: &str| loop {
        let line = within(PATIENCE, word, lines.next_line()).await.expect("text");
        let line = line.expect("the stream goes on");
        // Before the first empty line stands the head.
        if let Some(json) = line.strip_prefix("data:") {
            let message: Value = serde_json::from_str(json).expect("a line is a message");
            if message["type"] == word {
                return message;
            }
        }
    };
    let doc = json!({"a": [1, 2]});
    assert_eq!(next("snapshot").await["rows"], json!([{"id": 1, "doc": doc}]));
    next("live").await;
    sender.execute(insert, &[&2_i64, &DOC]).await.expect("is written");
    assert_eq!(next("change").await["data"], json!({"id": 2, "doc": doc}));
    let payload = format!(
        "{{\"table\":\"docs\",\"operation\":\"INSERT\",\"data\":{{\"id\":3,\n\"doc\":{DOC}}}}}"
    );
    sender.execute("select pg_notify('db_changes', $1)", &[&payload]).await.expect("is sent");
    assert_eq!(next("change").await["data"], json!({"id": 3, "doc": doc}));
}
