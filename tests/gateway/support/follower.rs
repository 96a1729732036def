//! A client of any transport that keeps a set of rows by `effect` and a cursor by the protocol's
//! rule: what came after the last cursor is void when the connection ends.

use std::{
    collections::{BTreeMap, HashSet},
    net::SocketAddr,
};

use futures::StreamExt;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{self, Duration, Instant},
};
use tokio_tungstenite::{connect_async, tungstenite::Message};

use super::{
    gateway::socket,
    wait::{PATIENCE, within},
};

/// How a client is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Socket,
    Sse,
    Poll,
}

pub(crate) const WAYS: [Way; 3] = [Way::Socket, Way::Sse, Way::Poll];

/// What a client of one table keeps over its connections.
#[derive(Debug, Default)]
pub(crate) struct Follower {
    /// What stands behind `?`, but for `since`.
    pub(crate) query: String,
    /// How many seconds a poll waits.
    pub(crate) wait_s: u32,
    /// The rows by key; applied up to the cursor.
    pub(crate) rows: BTreeMap<String, Value>,
    pub(crate) cursor: Option<String>,
    /// The keys of changes in the order in which they were applied.
    pub(crate) keys: Vec<Value>,
    pub(crate) resyncs: Vec<String>,
    pub(crate) snapshots: usize,
    pub(crate) connections: usize,
    applied: HashSet<(String, String)>,
    pending: Vec<Value>,
    is_live: bool,
    /// The snapshot under way, and the cursor that holds when it is complete.
    start: Option<String>,
    /// The cursor of the last whole snapshot, and the changes since, by id and transaction.
    pub(crate) began: Option<String>,
    pub(crate) since: Vec<(i64, u64)>,
}

impl Follower {
    pub(crate) fn of(query: &str) -> Self {
        Self { query: query.to_owned(), wait_s: 2, ..Self::default() }
    }

    /// Follows until `is_so`, or until the connection ends or the time is over; says whether it
    /// is so.
    pub(crate) async fn follow(
        &mut self,
        address: SocketAddr,
        way: Way,
        limit: Duration,
        is_so: impl Fn(&Self) -> bool,
    ) -> bool {
        self.pending.clear();
        (self.start, self.is_live) = (None, false);
        self.connections += 1;
        let deadline = Instant::now() + limit;
        let work = async {
            match way {
                Way::Socket => self.by_socket(address, &is_so).await,
                Way::Sse => self.by_sse(address, &is_so).await,
                Way::Poll => self.by_poll(address, &is_so).await,
            }
        };
        time::timeout_at(deadline, work).await.unwrap_or_default();
        is_so(self)
    }

    fn path(&self, transport: &str, more: &str) -> String {
        let since = self.cursor.as_ref().map(|it| format!("&since={it}")).unwrap_or_default();
        format!("/{transport}/changes/?{}{since}{more}", self.query)
    }

    async fn by_socket(&mut self, address: SocketAddr, is_so: &impl Fn(&Self) -> bool) {
        let path = self.path("ws", "");
        let url = socket(address, path.strip_prefix("/ws/").expect("a socket's path"));
        let Ok((mut wire, _)) = connect_async(url).await else { return };
        while let Some(Ok(message)) = wire.next().await {
            let Message::Text(text) = message else { continue };
            let message: Value = serde_json::from_str(&text).expect("a message is JSON");
            let kind = message["type"].as_str().unwrap_or_default().to_owned();
            let cursor = message["cursor"].as_str().map(str::to_owned);
            let is_own = message["id"].is_string();
            self.take(message);
            match (kind.as_str(), cursor) {
                ("live" | "subscribed" | "resync", Some(cursor)) if self.start.is_none() => {
                    self.settle(&cursor);
                }
                // A cursor of the whole connection holds for what is live alone.
                ("cursor" | "heartbeat", Some(cursor)) if is_own || self.is_live => {
                    self.settle(&cursor);
                }
                _ => {}
            }
            if is_so(self) {
                return;
            }
        }
    }

    async fn by_sse(&mut self, address: SocketAddr, is_so: &impl Fn(&Self) -> bool) {
        let Some(mut wire) = ask(address, &self.path("sse", "")).await else { return };
        let (mut text, mut bytes, mut has_head) = (Vec::new(), vec![0; 64 * 1024], false);
        while let Ok(count @ 1..) = wire.read(&mut bytes).await {
            text.extend_from_slice(&bytes[..count]);
            while let Some(end) = text
                .windows(if has_head { 2 } else { 4 })
                .position(|it| if has_head { it == b"\n\n" } else { it == b"\r\n\r\n" })
            {
                let event: Vec<u8> = text.drain(..end + if has_head { 2 } else { 4 }).collect();
                let event = String::from_utf8(event).expect("an event is UTF-8");
                if !has_head {
                    assert_eq!(event.split(' ').nth(1), Some("200"), "{event}");
                    has_head = true;
                    continue;
                }
                self.take_event(&event);
                if is_so(self) {
                    return;
                }
            }
        }
    }

    fn take_event(&mut self, event: &str) {
        let mut data = event.lines().filter_map(|line| line.strip_prefix("data:"));
        if let Some(line) = data.next() {
            assert!(data.next().is_none(), "one message is one data line: {event}");
            self.take(serde_json::from_str(line).expect("a message is JSON"));
        }
        if let Some(id) = event.lines().find_map(|line| line.strip_prefix("id:")) {
            self.settle(id);
        }
    }

    async fn by_poll(&mut self, address: SocketAddr, is_so: &impl Fn(&Self) -> bool) {
        loop {
            let path = self.path("poll", &format!("&wait={}", self.wait_s));
            let Some(mut wire) = ask(address, &path).await else { return };
            let mut text = String::new();
            if wire.read_to_string(&mut text).await.is_err() {
                return;
            }
            let Some((head, body)) = text.split_once("\r\n\r\n") else { return };
            // A proxy may cut anywhere: what is not whole was not said.
            let Ok(mut answer) = serde_json::from_str::<Value>(body) else { return };
            if answer["code"] == "unavailable" {
                // Sooner than `Retry-After` says, so that the storm is one.
                time::sleep(Duration::from_millis(500)).await;
                continue;
            }
            assert_eq!(head.split(' ').nth(1), Some("200"), "{text}");
            for message in answer["messages"].as_array_mut().expect("messages") {
                self.take(message.take());
            }
            self.start = None;
            self.settle(answer["cursor"].as_str().expect("a cursor"));
            if is_so(self) {
                return;
            }
        }
    }

    /// Keeps a message until the cursor behind it.
    fn take(&mut self, message: Value) {
        let is_complete = message["type"] == "snapshot" && message["more"] == Value::Bool(false);
        match message["type"].as_str().expect("a type") {
            "subscribed" => self.is_live = message["live"] == Value::Bool(true),
            "resync" => self.is_live = !self.query.contains("snapshot=true"),
            "live" => self.is_live = true,
            _ => {}
        }
        match message["type"].as_str().expect("a type") {
            "subscribed" | "resync" if self.query.contains("snapshot=true") => {
                // Where it goes on from a cursor, no snapshot comes.
                let is_resumed =
                    message["cursor"].as_str().map(str::to_owned) == self.cursor_alone();
                self.start = message["cursor"].as_str().map(str::to_owned).filter(|_| !is_resumed);
            }
            "error" => panic!("an error: {message}"),
            _ => {}
        }
        self.pending.push(message);
        if is_complete && let Some(start) = self.start.take() {
            self.settle(&start);
            (self.began, self.since) = (Some(start), Vec::new());
        }
    }

    /// The cursor without the shapes behind it.
    fn cursor_alone(&self) -> Option<String> {
        self.cursor.as_deref().and_then(|it| it.split('~').next()).map(str::to_owned)
    }

    fn settle(&mut self, cursor: &str) {
        self.cursor = Some(cursor.to_owned());
        for message in std::mem::take(&mut self.pending) {
            match message["type"].as_str().expect("a type") {
                "resync" => {
                    self.resyncs.push(message["reason"].as_str().expect("a reason").to_owned());
                    self.clear();
                }
                "snapshot" => self.apply_rows(&message),
                "change" => self.apply(&message),
                _ => {}
            }
        }
    }

    fn clear(&mut self) {
        self.rows.clear();
        self.applied.clear();
    }

    fn apply_rows(&mut self, message: &Value) {
        if self.snapshots == 0 || self.resyncs.len() >= self.snapshots {
            self.snapshots += usize::from(message["more"] == Value::Bool(false));
        }
        for row in message["rows"].as_array().expect("rows") {
            self.rows.insert(row["id"].to_string(), row.clone());
        }
    }

    fn apply(&mut self, message: &Value) {
        let text = |name: &str| message[name].as_str().unwrap_or_default().to_owned();
        let is_new = self.applied.insert((text("id"), text("effect")));
        assert!(is_new, "applied twice: {message}");
        let number = |name: &str| text(name).parse::<i64>().expect("a number");
        self.since.push((number("id"), number("xid").cast_unsigned()));
        let key = message["key"]["id"].to_string();
        let is_right = match text("effect").as_str() {
            "enter" => self.rows.insert(key, message["data"].clone()).is_none(),
            "update" => self.rows.insert(key, message["data"].clone()).is_some(),
            "leave" => self.rows.remove(&key).is_some(),
            "clear" => {
                self.rows.clear();
                true
            }
            other => panic!("effect {other}"),
        };
        // Who has all rows from the start knows what comes and goes.
        assert!(is_right || self.began.is_none(), "not what the set has: {message}");
        self.keys.push(message["key"]["id"].clone());
    }
}

/// Sends a request whose answer is not chunked, for it is of the first version of HTTP.
async fn ask(address: SocketAddr, path: &str) -> Option<TcpStream> {
    let mut wire = TcpStream::connect(address).await.ok()?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
    wire.write_all(request.as_bytes()).await.ok()?;
    Some(wire)
}

/// A stream of events as text.
#[derive(Debug)]
pub(crate) struct Stream(TcpStream);

impl Stream {
    pub(crate) async fn open(address: SocketAddr, path: &str) -> Self {
        Self(ask(address, path).await.expect("the gateway accepts"))
    }

    /// The same as a browser comes back.
    pub(crate) async fn resumed(address: SocketAddr, path: &str, last: &str) -> Self {
        let mut wire = TcpStream::connect(address).await.expect("the gateway accepts");
        let request =
            format!("GET {path} HTTP/1.0\r\nHost: {address}\r\nLast-Event-ID: {last}\r\n\r\n");
        wire.write_all(request.as_bytes()).await.expect("it reads");
        Self(wire)
    }

    /// Reads on until what was said is as wanted; head and body are added to it.
    pub(crate) async fn until(&mut self, said: &mut String, is_so: impl Fn(&str) -> bool) {
        let reading = async {
            let mut bytes = said.as_bytes().to_vec();
            while !is_so(said) {
                let count = self.0.read_buf(&mut bytes).await.expect("the stream goes on");
                assert!(count > 0, "the stream ended: {said}");
                *said = String::from_utf8_lossy(&bytes).into_owned();
            }
        };
        within(PATIENCE * 2, "what the stream is to say", reading).await;
    }
}

/// An answer as text, head and body.
pub(crate) async fn fetch(address: SocketAddr, request: &str) -> String {
    let mut wire = TcpStream::connect(address).await.expect("the gateway accepts");
    wire.write_all(request.as_bytes()).await.expect("it reads");
    let mut text = String::new();
    wire.read_to_string(&mut text).await.expect("it answers");
    text
}
