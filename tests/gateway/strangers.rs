//! What a stranger may cost: connections, time, memory, and whose pages may connect.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::Command,
    time::{Duration, Instant},
};
use tokio_tungstenite::tungstenite::{
    Message,
    protocol::frame::{
        Frame,
        coding::{Data, OpCode},
    },
};

use crate::support::{
    client::Heard,
    database::Database,
    gateway::{Gateway, Settings},
    wait::{PATIENCE, within},
    witness::Witness,
};

async fn scene(changes: &[(&str, &str)]) -> (Database, Gateway) {
    let database = Database::fresh().await;
    let mut settings = Settings::for_database(&database);
    for (name, value) in changes {
        settings = settings.with(name, value);
    }
    let gateway = settings.start().await;
    gateway.ready().await;
    (database, gateway)
}

/// Sends bytes and gives what came until the other side closed, and when that was.
async fn talk(address: SocketAddr, bytes: &[u8]) -> (String, Duration) {
    let began = Instant::now();
    let mut socket = TcpStream::connect(address).await.expect("the gateway listens");
    // It may close before all is sent.
    drop(socket.write_all(bytes).await);
    let mut said = Vec::new();
    drop(within(PATIENCE, "the end of the connection", socket.read_to_end(&mut said)).await);
    (String::from_utf8_lossy(&said).into_owned(), began.elapsed())
}

fn handshake(address: SocketAddr, headers: &str) -> Vec<u8> {
    format!(
        "GET /ws/changes/ HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
    )
    .into_bytes()
}

/// The status of a handshake; what is accepted is left at once.
async fn status(address: SocketAddr, request: &[u8]) -> String {
    let mut socket = TcpStream::connect(address).await.expect("the gateway listens");
    socket.write_all(request).await.expect("is taken");
    let mut said = [0; 12];
    within(PATIENCE, "an answer", socket.read_exact(&mut said)).await.expect("an answer");
    String::from_utf8_lossy(&said[9..]).into_owned()
}

#[tokio::test]
async fn a_page_of_another_origin_is_refused() {
    let allowed = ("SERVER__ALLOWED_ORIGINS", "https://app.example");
    let (_database, gateway) = scene(&[allowed]).await;
    let address = gateway.address();
    let own = format!("Origin: http://{address}\r\n");
    for (headers, expected) in [
        ("", "101"),
        (own.as_str(), "101"),
        ("Origin: https://app.example\r\n", "101"),
        ("Origin: https://evil.example\r\n", "403"),
        ("Origin: https://app.example.evil.example\r\n", "403"),
        ("Origin: http://app.example\r\n", "403"),
        ("Origin: null\r\n", "403"),
        ("Origin: https://app.example\r\nOrigin: https://evil.example\r\n", "403"),
    ] {
        assert_eq!(status(address, &handshake(address, headers)).await, expected, "{headers}");
    }
    // What cannot be read is refused, not left out.
    for name in ["Origin", "X-Forwarded-For", "Authorization", "Sec-WebSocket-Protocol"] {
        let mut request = handshake(address, "");
        request.truncate(request.len() - 2);
        request.extend_from_slice(format!("{name}: https://evil.ex\u{e4}mple\r\n\r\n").as_bytes());
        assert_eq!(status(address, &request).await, "400", "{name}");
    }
    let evil = handshake(address, "Origin: http://evil.example\r\nHost: evil.example\r\n");
    assert_ne!(status(address, &evil).await, "101", "two hosts");
}

#[tokio::test]
async fn a_head_that_trickles_and_a_silent_connection_are_closed() {
    let (_database, gateway) = scene(&[("LIMITS__HANDSHAKE_TIMEOUT_MS", "600")]).await;
    let address = gateway.address();
    let limit = Duration::from_secs(5);
    let (_, took) = talk(address, b"").await;
    assert!(took < limit, "silence: {took:?}");
    let (_, took) = talk(address, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(took < limit, "silence after an answer: {took:?}");
    let (_, took) =
        talk(address, b"POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\na").await;
    assert!(took < limit, "a body that does not come: {took:?}");
    let began = Instant::now();
    let mut socket = TcpStream::connect(address).await.expect("the gateway listens");
    for byte in b"GET /healthz HTTP/1.1\r\nX: ".iter().chain([b'x'; 10_000].iter()) {
        let mut said = [0; 64];
        let heard = tokio::time::timeout(Duration::from_millis(50), socket.read(&mut said)).await;
        if heard.is_ok() || socket.write_all(&[*byte]).await.is_err() {
            break;
        }
    }
    assert!(began.elapsed() < limit, "a trickle: {:?}", began.elapsed());
    assert_eq!(gateway.get("/healthz").await.map(|it| it.status), Some(200));
}

#[tokio::test]
async fn only_http_1_1_is_spoken() {
    let (_database, gateway) = scene(&[]).await;
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";
    let (said, took) = talk(gateway.address(), preface).await;
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert!(said.is_empty() || said.starts_with("HTTP/1.1 400"), "{said}");
    let head = format!("GET /healthz HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "x".repeat(40_000));
    let (said, _) = talk(gateway.address(), head.as_bytes()).await;
    assert!(said.starts_with("HTTP/1.1 431") || said.is_empty(), "a huge head: {said}");
}

/// A proxy before the gateway may take the rest for the next client's request, or the other way.
#[tokio::test]
async fn a_request_that_two_readers_read_differently_is_the_last_of_its_connection() {
    let (_database, gateway) = scene(&[]).await;
    let next = "GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n";
    for (headers, status) in [
        ("Content-Length: 40\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 200),
        ("Content-Length: 0\r\nContent-Length: 30\r\n\r\n", 400),
        ("Content-Length: 0, 0\r\n\r\n", 400),
        ("Content-Length: +0\r\n\r\n", 400),
        ("Transfer-Encoding: xchunked\r\n\r\n", 400),
        ("Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 400),
        ("Content-Length : 3\r\n\r\nabc", 400),
        ("X: a\r\n b\r\n\r\n", 400),
        ("X: a\0b\r\n\r\n", 400),
    ] {
        let request = format!("GET /healthz HTTP/1.1\r\nHost: h\r\n{headers}{next}");
        let (said, _) = talk(gateway.address(), request.as_bytes()).await;
        assert!(said.starts_with(&format!("HTTP/1.1 {status}")), "{headers}: {said}");
        assert_eq!(said.matches("HTTP/1.1 ").count(), 1, "{headers}: {said}");
    }
}

#[tokio::test]
async fn a_huge_message_ends_the_connection_and_takes_no_memory() {
    let (_database, gateway) = scene(&[]).await;
    let (before, _) = gateway.memory_kib();
    gateway.forget_peak();
    for _ in 0..2 {
        let mut witness =
            Witness::connect(gateway.address(), "changes/", &[]).await.expect("opens");
        let huge = Message::text("x".repeat(10_000_000));
        // The gateway closes while this is still being sent.
        drop(tokio::time::timeout(Duration::from_secs(2), witness.try_send(huge)).await);
        assert!(!matches!(witness.end().await, Heard::Message(_)));
    }
    let (_, peak) = gateway.memory_kib();
    assert!(peak < before + 8 * 1024, "memory grew from {before} to {peak} KiB");
}

#[tokio::test]
async fn after_bytes_that_are_no_frame_the_gateway_ends_first_and_reads_what_was_on_its_way() {
    let (_database, gateway) = scene(&[]).await;
    let mut socket = TcpStream::connect(gateway.address()).await.expect("the gateway listens");
    let mut bytes = handshake(gateway.address(), "");
    // A text of no bytes, with a bit set that no extension was agreed on for.
    bytes.extend([0xc1, 0x80, 1, 2, 3, 4]);
    socket.write_all(&bytes).await.expect("it reads");
    let mut said = Vec::new();
    let end = within(PATIENCE, "the end of the connection", socket.read_to_end(&mut said)).await;
    end.expect("an end and no reset");
    let reason = said.windows(2).rposition(|it| it == 1002_u16.to_be_bytes()).expect("a close");
    assert_eq!(said[reason - 2], 0x88, "the last thing it says");
    // Had it closed, the first of these would be answered by a reset, and the second fail.
    for _ in 0..2 {
        socket.write_all(&[0; 1024]).await.expect("it still reads");
    }
}

#[tokio::test]
async fn a_message_of_endless_fragments_ends_the_connection() {
    let (_database, gateway) = scene(&[]).await;
    let mut witness = Witness::connect(gateway.address(), "changes/", &[]).await.expect("opens");
    let piece = |code, text: &'static str| {
        Message::Frame(Frame::message(text.as_bytes().to_vec(), OpCode::Data(code), false))
    };
    witness.send(piece(Data::Text, "{")).await;
    let flood = async { while witness.try_send(piece(Data::Continue, "")).await.is_ok() {} };
    within(PATIENCE, "the end of the flood", flood).await;
    assert_eq!(gateway.get("/healthz").await.map(|it| it.status), Some(200));
}

#[tokio::test]
async fn nests_are_refused_and_the_connection_goes_on() {
    let (_database, gateway) = scene(&[]).await;
    let mut witness = Witness::connect(gateway.address(), "changes/", &[]).await.expect("opens");
    let deep = |open: &str| open.repeat(60_000 / open.len());
    for text in [deep("["), deep("{\"a\":"), format!("{{\"type\":\"ping\",\"x\":{}", deep("["))] {
        witness.send(Message::text(text)).await;
        assert_eq!(witness.expect("error").await["code"], "bad_message");
    }
    for filter in [
        format!("{}n.eq.1{}", "or=(".to_owned() + &"and(".repeat(9), ")".repeat(10)),
        format!("or=(n.eq.1{})", ",n.eq.1".repeat(200)),
        format!("title=eq.{}", "x".repeat(5_000)),
    ] {
        let refused = witness.subscribe("notes", &json!({"filter": filter})).await;
        assert_eq!(refused["code"], "bad_filter", "{refused}");
    }
    witness.ask(&json!({"type": "ping"})).await;
    witness.expect("pong").await;
}

#[tokio::test]
async fn a_hundred_thousand_subscriptions_are_refused_in_bounded_memory() {
    const COUNT: usize = 100_000;
    let (_database, gateway) = scene(&[("LIMITS__MESSAGES_PER_SECOND_MAX", "10000000")]).await;
    let mut witness = Witness::connect(gateway.address(), "changes/", &[]).await.expect("opens");
    let (before, _) = gateway.memory_kib();
    gateway.forget_peak();
    let (mut live, mut refused) = (0, 0);
    for batch in 0..COUNT / 1_000 {
        for at in 0..1_000 {
            let id = format!("{batch}-{at}");
            witness.ask(&json!({"type": "subscribe", "id": id, "table": "notes"})).await;
        }
        while live + refused < (batch + 1) * 1_000 {
            let answer = witness.message().await;
            live += usize::from(answer["type"] == "subscribed");
            refused += usize::from(answer["code"] == "too_many_subscriptions");
        }
    }
    assert_eq!((live, refused), (100, COUNT - 100));
    let (_, peak) = gateway.memory_kib();
    assert!(peak < before + 8 * 1024, "memory grew from {before} to {peak} KiB");
}

#[tokio::test]
async fn a_client_that_asks_and_never_reads_is_not_heard_for_ever() {
    let (_database, gateway) = scene(&[("LIMITS__MESSAGES_PER_SECOND_MAX", "10000000")]).await;
    let mut witness = Witness::connect(gateway.address(), "changes/", &[]).await.expect("opens");
    let (before, _) = gateway.memory_kib();
    gateway.forget_peak();
    let id = "x".repeat(128);
    let ask = json!({"type": "unsubscribe", "id": id}).to_string();
    let flood = async { while witness.try_send(Message::text(ask.clone())).await.is_ok() {} };
    let end = tokio::time::timeout(Duration::from_secs(10), flood).await;
    assert!(end.is_err(), "it is not closed, but no longer read");
    let (_, peak) = gateway.memory_kib();
    assert!(peak < before + 16 * 1024, "memory grew from {before} to {peak} KiB");
}

#[tokio::test]
async fn connections_have_limits_in_all_and_by_address() {
    let (_database, gateway) =
        scene(&[("LIMITS__CONNECTIONS_MAX", "3"), ("SERVER__TRUSTED_PROXIES", "127.0.0.1")]).await;
    let address = gateway.address();
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(Witness::connect(address, "changes/", &[]).await.expect("opens"));
    }
    assert_eq!(Witness::connect(address, "changes/", &[]).await.map(drop), Err(429));
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(gateway.get(path).await.map(|it| it.status), Some(200), "{path}");
    }
    let limit = ("LIMITS__CONNECTIONS_PER_IP_MAX", "1");
    let trusted = ("SERVER__TRUSTED_PROXIES", "127.0.0.1");
    let (_database, gateway) = scene(&[limit, trusted]).await;
    let from = |text: &'static str| [("x-forwarded-for", text)];
    let (a, b) = (from("10.0.0.1"), from("10.0.0.2"));
    let address = gateway.address();
    let _a = Witness::connect(address, "changes/", &a).await.expect("opens");
    let _b = Witness::connect(address, "changes/", &b).await.expect("opens");
    // What stands left of the trusted proxy's entry was written by the client.
    let forged = from("10.9.9.9, 10.0.0.1");
    assert_eq!(Witness::connect(address, "changes/", &forged).await.map(drop), Err(429));
    let (_database, gateway) = scene(&[limit]).await;
    let address = gateway.address();
    let _a = Witness::connect(address, "changes/", &a).await.expect("opens");
    assert_eq!(Witness::connect(address, "changes/", &b).await.map(drop), Err(429), "not trusted");
}

#[tokio::test]
async fn health_is_told_while_sockets_are_used_up() {
    // The silent ones stay as long as the test: no health by their places.
    let patient = ("LIMITS__HANDSHAKE_TIMEOUT_MS", "60000");
    let (_database, gateway) = scene(&[("LIMITS__CONNECTIONS_MAX", "4"), patient]).await;
    let mut silent = Vec::new();
    for _ in 0..130 {
        silent.push(TcpStream::connect(gateway.address()).await.expect("the kernel accepts"));
    }
    let answer = within(PATIENCE, "an answer", async {
        loop {
            // Those that are one too many are few at a time: a check may have to ask twice.
            if let Some(answer) = gateway.get("/healthz").await {
                return answer;
            }
        }
    });
    assert_eq!(answer.await.status, 200);
}

#[tokio::test]
async fn health_is_told_while_descriptors_are_used_up() {
    let (_database, gateway) = scene(&[]).await;
    let mut held = Vec::new();
    for _ in 0..20 {
        held.push(Witness::connect(gateway.address(), "changes/", &[]).await.expect("opens"));
    }
    let pid = gateway.pid().to_string();
    let nofile = format!("--nofile={}", gateway.descriptors());
    let limited = Command::new("prlimit").args(["--pid", &pid, &nofile]).status().await;
    assert!(limited.expect("`prlimit` runs").success());
    for path in ["/healthz", "/metrics", "/healthz"] {
        assert_eq!(gateway.get(path).await.map(|it| it.status), Some(200), "{path}");
    }
    assert_eq!(Witness::connect(gateway.address(), "changes/", &[]).await.map(drop), Err(429));
    assert!(gateway.output().contains("A connection cannot be accepted."));
}

#[tokio::test]
async fn what_is_wrong_in_an_address_is_told_by_message() {
    let (_database, gateway) = scene(&[]).await;
    for (query, code, id) in [
        ("table=notes&events=NOPE", "bad_message", json!("notes")),
        ("table=notes&filter=nope", "bad_filter", json!("notes")),
        ("table=notes&since=nope", "bad_cursor", json!("notes")),
        ("table=notes&snapshot=nope", "bad_message", json!("notes")),
        ("snapshot=nope&table=notes", "bad_message", json!("notes")),
        ("table=notes&columns=nope", "bad_message", json!("notes")),
        ("filter=id%3Deq.1", "bad_message", Value::Null),
        ("table=%ff", "bad_message", Value::Null),
    ] {
        let feed = format!("changes/?{query}");
        let mut witness = Witness::connect(gateway.address(), &feed, &[]).await.expect("opens");
        let error = witness.expect("error").await;
        assert_eq!((&error["code"], &error["id"]), (&json!(code), &id), "{query}: {error}");
        witness.ask(&json!({"type": "ping"})).await;
        witness.expect("pong").await;
    }
    let feed = "changes/?table=notes,items&filter=id%3Deq.1";
    let mut witness = Witness::connect(gateway.address(), feed, &[]).await.expect("opens");
    assert_eq!(witness.expect("error").await["id"], "notes");
    assert_eq!(witness.expect("error").await["id"], "items");
}
