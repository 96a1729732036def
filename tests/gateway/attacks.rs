//! What is tried against a WebSocket, tried against all transports: tokens, origins, names,
//! filters, limits and cursors.

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Duration, Instant},
};

use crate::support::{
    database::Database,
    follower::{WAYS, Way, fetch},
    gateway::{Gateway, Settings},
    reader::Reader,
    spawn,
    tokens::{SECRET, token, token_for},
    wait::{PATIENCE, eventually, within},
};

/// A row of `notes` is its `title`'s; of `items` all is seen but `body`.
const POLICY: &str = r#"
[tables."public.notes"]
[[tables."public.notes".grants]]
read = ["reader"]
rows = "title=eq.{claims.sub}"
[[tables."public.notes".grants]]
read = ["admin"]
[tables."public.items"]
read = "anyone"
columns = ["id", "title", "n"]
"#;

/// The transports that are plain HTTP.
const PLAIN: [&str; 2] = ["sse", "poll"];

async fn scene(changes: &[(&str, &str)]) -> (Database, Gateway) {
    let database = Database::fresh().await;
    let mut settings = Settings::for_database(&database).with("ACCESS__DEFAULT", "nobody");
    for (name, value) in changes {
        settings = settings.with(name, value);
    }
    let gateway = settings.with("AUTH__JWT_SECRET", SECRET).with_file(POLICY).start().await;
    gateway.ready().await;
    (database, gateway)
}

fn reader(sub: &str) -> String {
    token(&json!({"sub": sub, "role": "reader"}))
}

fn admin() -> String {
    token(&json!({"sub": "ann", "role": "admin"}))
}

/// What is refused: the status by plain HTTP, the close or error on a socket.
async fn refused(gateway: &Gateway, way: Way, token: &str, feed: &str) -> u16 {
    let opened = Reader::open(gateway.address(), way, token, feed).await;
    opened.map(|_| ()).expect_err("is refused")
}

#[tokio::test]
async fn a_bad_token_or_none_opens_nothing() {
    let (_database, gateway) = scene(&[]).await;
    let good = admin();
    let (signed, tag) = good.rsplit_once('.').expect("three parts");
    let other = token(&json!({"sub": "bob", "role": "admin"}));
    let (payload, _) = other.rsplit_once('.').expect("three parts");
    let none = format!("eyJhbGciOiJub25lIn0.{}.", payload.split('.').nth(1).expect("a payload"));
    for (what, bad) in [
        ("unsigned", format!("{signed}.")),
        ("another's payload", format!("{payload}.{tag}")),
        ("alg none", none),
        ("ended", token_for(&json!({"sub": "ann", "role": "admin"}), 0)),
        ("nothing of a token", "x".to_owned()),
    ] {
        for way in WAYS {
            let status = refused(&gateway, way, &bad, "changes/?table=notes").await;
            assert_eq!(status, if way == Way::Socket { 4401 } else { 401 }, "{what} by {way:?}");
            // What anyone may read is not read with a bad token either.
            let feed = format!("changes/?table=items&token={bad}");
            let status = refused(&gateway, way, "", &feed).await;
            assert_eq!(status, if way == Way::Socket { 4401 } else { 401 }, "{what} by {way:?}");
        }
    }
    for way in WAYS {
        assert_eq!(refused(&gateway, way, "", "changes/?table=notes").await, 401, "{way:?}");
        let feed = format!("changes/?table=notes&token={}", reader("bob"));
        let two = refused(&gateway, way, &good, &feed).await;
        assert_eq!(two, if way == Way::Socket { 4401 } else { 401 }, "two tokens by {way:?}");
        // In the address it is as good as in a header.
        let feed = format!("changes/?table=notes&token={good}");
        Reader::of(gateway.address(), way, "", &feed).await;
    }
    assert!(!gateway.output().contains("eyJ"), "no part of any token is printed");
}

#[tokio::test]
async fn a_page_of_another_origin_reads_nothing() {
    let (_database, gateway) = scene(&[]).await;
    let address = gateway.address();
    for transport in PLAIN {
        for (headers, status) in [
            ("Origin: https://evil.example\r\n".to_owned(), "403"),
            ("Origin: null\r\n".to_owned(), "403"),
            (format!("Origin: http://{address}\r\nOrigin: https://evil.example\r\n"), "403"),
            ("Origin: http://evil.example\r\nHost: evil.example\r\n".to_owned(), "403"),
            ("Origin: https://evil.ex\u{e4}mple\r\n".to_owned(), "400"),
            ("Authorization: Bearer \u{e4}\r\n".to_owned(), "400"),
            ("X-Forwarded-For: \u{e4}\r\n".to_owned(), "400"),
        ] {
            let request = format!(
                "GET /{transport}/changes/?table=items HTTP/1.0\r\nHost: {address}\r\n{headers}\r\n"
            );
            let answer = fetch(address, &request).await;
            assert!(answer.starts_with(&format!("HTTP/1.0 {status}")), "{headers}{answer}");
            assert!(!answer.to_lowercase().contains("access-control-allow-origin"), "{answer}");
            assert!(!answer.contains("subscribed"), "{answer}");
        }
    }
}

#[tokio::test]
async fn what_is_hidden_is_answered_like_what_is_not_there() {
    let (_database, gateway) = scene(&[]).await;
    for transport in PLAIN {
        for template in [
            "items&filter=NAME%3Deq.1",
            "items&filter=NAME%3Dis.null",
            "items&filter=or%3D(n.eq.1,NAME.eq.1)",
            "items&columns=id,NAME",
        ] {
            let ask = async |name: &str| {
                let table = template.replace("NAME", name);
                let answer = gateway.get(&format!("/{transport}/changes/?table={table}")).await;
                let answer = answer.expect("an answer");
                assert_eq!(answer.status, 400, "{}", answer.body);
                answer.body.replace(name, "NAME")
            };
            assert_eq!(ask("body").await, ask("nope").await, "{template}");
        }
        let mut answers = Vec::new();
        for table in ["notes", "courses", "nope", "other", "pgfeed.log", "Items", "%22items%22"] {
            let answer = gateway.get(&format!("/{transport}/changes/?table={table}")).await;
            answers.push(answer.map(|it| (it.status, it.body)));
        }
        assert_eq!(answers[0].as_ref().map(|it| it.0), Some(401));
        assert!(answers.iter().all(|it| *it == answers[0]), "{answers:?}");
    }
}

#[tokio::test]
async fn a_cursor_is_a_place_and_no_right_on_any_transport() {
    let (database, gateway) = scene(&[]).await;
    for (at, way) in WAYS.into_iter().enumerate() {
        for next in WAYS {
            let mut all =
                Reader::of(gateway.address(), way, &admin(), "changes/?table=notes").await;
            let begin = "insert into notes (id, title, body) values (1, 'ann', 'of-ann')";
            database.run(begin).await;
            all.until_row(1).await;
            let more = "insert into notes (id, title, body) \
                        values (2, 'bob', 'of-bob'), (3, 'ann', 'of-ann'), (9, 'bob', 'of-bob')";
            database.run(more).await;
            // Another reader comes with it: the same place, judged by the own grant. What tells of
            // the shape is taken off, as an attacker would.
            all.cursor.truncate(all.cursor.find('~').unwrap_or(all.cursor.len()));
            let mut bob = all.back(gateway.address(), next, &reader("bob")).await;
            let seen = bob.until_row(9).await;
            let keys: Vec<_> = seen.iter().map(|it| it["key"]["id"].clone()).collect();
            assert_eq!(keys, [json!(2), json!(9)], "{way:?} to {next:?}");
            database.run(&format!("delete from notes -- {at}")).await;
        }
    }
}

#[tokio::test]
async fn fewer_rights_void_what_was_held() {
    let (database, gateway) = scene(&[]).await;
    database.run("insert into notes (id, title, body) values (1, 'bob', 'of-bob')").await;
    for way in [Way::Sse, Way::Poll] {
        for next in WAYS {
            let all = Reader::of(gateway.address(), way, &admin(), "changes/?table=notes").await;
            let feed = format!("changes/?table=notes&since={}", all.cursor);
            let mut less = Reader::of(gateway.address(), next, &reader("ann"), &feed).await;
            let told = less.expect("resync").await;
            assert_eq!(told["reason"], "shape_changed", "{way:?} to {next:?}");
            assert!(!less.saw("of-bob"));
        }
    }
}

#[tokio::test]
async fn connections_are_counted_whatever_they_are() {
    let limits =
        [("LIMITS__CONNECTIONS_PER_IP_MAX", "3"), ("SERVER__TRUSTED_PROXIES", "127.0.0.1")];
    let (_database, gateway) = scene(&limits).await;
    check_limit(&gateway, 3, &admin()).await;
    let (_database, gateway) = scene(&[("LIMITS__CONNECTIONS_MAX", "3")]).await;
    check_limit(&gateway, 3, &admin()).await;
    let (_database, gateway) = scene(&[("LIMITS__CONNECTIONS_PER_SUBJECT_MAX", "2")]).await;
    check_limit(&gateway, 2, &token(&json!({"sub": 7, "role": "admin"}))).await;
}

/// Fills the limit with streams and with polls that wait; then nothing of any kind is let in.
async fn check_limit(gateway: &Gateway, limit: usize, token: &str) {
    let address = gateway.address();
    for fill in PLAIN {
        let cursor = Reader::of(address, Way::Poll, token, "changes/?table=notes").await.cursor;
        let open = async || {
            let mut stream = TcpStream::connect(address).await.expect("the gateway listens");
            let request = format!(
                "GET /{fill}/changes/?table=notes&since={cursor}&wait=60 HTTP/1.1\r\nHost: h\r\n\
                 Authorization: Bearer {token}\r\n\r\n"
            );
            stream.write_all(request.as_bytes()).await.expect("is taken");
            stream
        };
        let mut held = Vec::new();
        for _ in 0..limit {
            held.push(open().await);
        }
        let mut is_full = async || {
            let poll = "changes/?table=notes";
            let is_refused = Reader::open(address, Way::Poll, token, poll).await.map(|_| ());
            // That one may have taken the place of one that is to be held.
            for stream in &mut held {
                let mut head = [0; 12];
                if stream.try_read(&mut head).is_ok() && head.ends_with(b"429") {
                    *stream = open().await;
                }
            }
            is_refused == Err(429)
        };
        eventually(PATIENCE, "the limit to be reached", &mut is_full).await;
        assert_eq!(refused(gateway, Way::Sse, token, "changes/?table=notes").await, 429, "{fill}");
        let socket = Reader::open(address, Way::Socket, token, "changes/?table=notes").await;
        assert!(matches!(socket, Err(429 | 4429)), "{fill}");
        drop(held);
        let is_free = async || {
            let poll = "changes/?table=notes";
            Reader::open(address, Way::Poll, token, poll).await.is_ok()
        };
        eventually(PATIENCE, "room again", is_free).await;
    }
}

#[tokio::test]
async fn an_address_asks_for_no_more_than_a_connection_may() {
    let (_database, gateway) = scene(&[("LIMITS__SUBSCRIPTIONS_PER_CONNECTION_MAX", "3")]).await;
    gateway.forget_peak();
    let (before, _) = gateway.memory_kib();
    for transport in PLAIN {
        let ask = async |query: &str| {
            let answer = gateway.get(&format!("/{transport}/changes/?{query}")).await;
            let answer = answer.expect("an answer");
            let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
            (answer.status, body["code"].as_str().unwrap_or_default().to_owned())
        };
        let many =
            |count: usize| (0..count).map(|at| format!("t{at}")).collect::<Vec<_>>().join(",");
        assert_eq!(ask(&format!("table={}", many(4))).await.0, 429, "{transport}");
        assert_eq!(ask(&format!("table={}", many(4_000))).await.0, 429, "{transport}");
        assert_eq!(ask("table=items,items").await, (409, "duplicate_id".to_owned()));
        assert_eq!(ask(&format!("table={}", "x".repeat(200))).await.0, 400, "{transport}");
        assert_eq!(ask(&format!("table=items&filter={}", "x".repeat(5_000))).await.0, 400);
        let deep = format!("or%3D{}n.eq.1{}", "(and".repeat(60), ")".repeat(60));
        assert_eq!(ask(&format!("table=items&filter={deep}")).await.0, 400, "{transport}");
        assert_eq!(ask("table=items&since=x&wait=99999999999999999999").await.0, 400);
        // A stream knows neither.
        let numbers = [("61", "1"), ("-1", "1"), ("1", "0"), ("1", "10001"), ("1e1", "1")];
        for (wait, limit) in numbers.into_iter().filter(|_| transport == "poll") {
            let status = ask(&format!("table=items&wait={wait}&limit={limit}")).await.0;
            assert_eq!(status, 400, "{wait} {limit}");
        }
        let head =
            format!("GET /{transport}/changes/?table={} HTTP/1.0\r\n\r\n", "x".repeat(70_000));
        let mut socket = TcpStream::connect(gateway.address()).await.expect("the gateway listens");
        // It may close before all is sent.
        drop(socket.write_all(head.as_bytes()).await);
        let mut said = Vec::new();
        drop(within(PATIENCE, "an end", socket.read_to_end(&mut said)).await);
        assert!(!said.starts_with(b"HTTP/1.0 200"), "a huge address");
    }
    let (_, peak) = gateway.memory_kib();
    assert!(peak < before + 24 * 1024, "memory grew from {before} to {peak} KiB");
}

#[tokio::test]
async fn a_stream_and_a_poll_end_with_their_token() {
    let (database, gateway) = scene(&[]).await;
    for way in [Way::Sse, Way::Poll] {
        let end = jiff::Timestamp::now().as_second() + 3;
        let short = token_for(&json!({"sub": "ann", "role": "admin"}), 3);
        let mut reader = Reader::of(gateway.address(), way, &short, "changes/?table=notes").await;
        let writer = database.connect().await;
        let writing = spawn(async move {
            let until = Instant::now() + Duration::from_secs(5);
            while Instant::now() < until {
                let sql = "insert into notes (id) values (1); delete from notes";
                writer.batch_execute(sql).await.expect("is written");
            }
        });
        let (mut last, mut count) = (jiff::Timestamp::UNIX_EPOCH, 0);
        let code = loop {
            match reader.next().await {
                Ok(message) if message["type"] == "change" => {
                    last = message["at"].as_str().expect("a time").parse().expect("RFC 3339");
                    count += 1;
                }
                Ok(_) => {}
                Err(code) => break code,
            }
        };
        assert!(matches!((way, code), (Way::Sse, 0) | (Way::Poll, 401)), "{way:?} {code}");
        assert!(count > 2 && last.as_second() <= end, "{way:?}: {count} changes, {last} the last");
        assert!(way == Way::Poll || reader.saw("the token has expired"));
        writing.await.expect("the writer ends");
    }
}

#[tokio::test]
async fn a_held_poll_is_answered_when_its_token_ends() {
    let (_database, gateway) = scene(&[]).await;
    let cursor = Reader::of(gateway.address(), Way::Poll, &admin(), "changes/?table=notes").await;
    let short = token_for(&json!({"sub": "ann", "role": "admin"}), 2);
    let path = format!("changes/?table=notes&since={}&wait=60&token={short}", cursor.cursor);
    let began = Instant::now();
    let answer = gateway.get(&format!("/poll/{path}")).await.expect("an answer");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert!(answer.body.contains("\"messages\":[]"), "{}", answer.body);
}
