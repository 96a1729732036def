//! A reader on any transport that keeps every byte that came to it: to prove what was never sent.

use std::{collections::VecDeque, net::SocketAddr};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{
    client::Heard,
    follower::Way,
    wait::{PATIENCE, within},
    witness::Witness,
};

/// A reader of one or several tables, named in its query.
#[derive(Debug)]
pub(crate) struct Reader {
    address: SocketAddr,
    way: Way,
    feed: String,
    token: String,
    wire: Wire,
    /// Where it would go on.
    pub(crate) cursor: String,
    kept: Vec<u8>,
    messages: VecDeque<Value>,
}

#[derive(Debug)]
enum Wire {
    Socket(Box<Witness>),
    Sse { stream: TcpStream, text: Vec<u8> },
    Poll,
}

impl Reader {
    /// Opens `feed` (as `changes/?table=notes`); the status or close code where it is refused.
    pub(crate) async fn open(
        address: SocketAddr,
        way: Way,
        token: &str,
        feed: &str,
    ) -> Result<Self, u16> {
        let mut reader = Self {
            address,
            way,
            feed: feed.to_owned(),
            token: token.to_owned(),
            wire: Wire::Poll,
            cursor: String::new(),
            kept: Vec::new(),
            messages: VecDeque::new(),
        };
        reader.connect().await?;
        Ok(reader)
    }

    /// The same where it must open.
    pub(crate) async fn of(address: SocketAddr, way: Way, token: &str, feed: &str) -> Self {
        let opened = Self::open(address, way, token, feed).await;
        opened.unwrap_or_else(|status| panic!("{way:?} {feed} is refused: {status}"))
    }

    /// Comes back from its cursor, by a transport of choice.
    pub(crate) async fn back(mut self, address: SocketAddr, way: Way, token: &str) -> Self {
        // A socket is told of a cursor's shape by another field.
        if way == Way::Socket {
            self.cursor.truncate(self.cursor.find('~').unwrap_or(self.cursor.len()));
        }
        let feed = format!("{}&since={}", self.feed, self.cursor);
        let mut next = Self::of(address, way, token, &feed).await;
        next.kept.splice(..0, self.kept_bytes());
        next.feed = self.feed;
        next
    }

    /// Connects, and reads up to a first cursor.
    async fn connect(&mut self) -> Result<(), u16> {
        match self.way {
            Way::Socket => {
                let bearer = format!("Bearer {}", self.token);
                let headers = [("authorization", bearer.as_str())];
                let headers = if self.token.is_empty() { &[][..] } else { &headers[..] };
                let witness = Witness::connect(self.address, &self.feed, headers).await?;
                self.wire = Wire::Socket(Box::new(witness));
                loop {
                    match self.hear_socket().await {
                        Ok(message) if message["type"] == "subscribed" => return Ok(()),
                        Ok(message) if message["type"] == "error" => return Err(status(&message)),
                        Ok(_) => {}
                        Err(code) => return Err(code),
                    }
                }
            }
            Way::Sse => {
                let mut stream = self.ask("sse", "").await;
                let mut text = Vec::new();
                while !text.windows(4).any(|it| it == b"\r\n\r\n") {
                    let mut byte = [0];
                    let read = within(PATIENCE, "a head", stream.read_exact(&mut byte)).await;
                    read.expect("an answer");
                    text.push(byte[0]);
                }
                self.kept.extend_from_slice(&text);
                let status = code_of(&text);
                self.wire = Wire::Sse { stream, text: Vec::new() };
                if status != 200 {
                    self.drain().await;
                    return Err(status);
                }
                while self.cursor.is_empty() && self.read_event().await {}
                Ok(())
            }
            Way::Poll => self.poll().await,
        }
    }

    async fn ask(&self, transport: &str, more: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.expect("the gateway listens");
        let bearer = match &*self.token {
            "" => String::new(),
            token => format!("Authorization: Bearer {token}\r\n"),
        };
        let request = format!(
            "GET /{transport}/{}{more} HTTP/1.0\r\nHost: {}\r\n{bearer}\r\n",
            self.feed, self.address
        );
        stream.write_all(request.as_bytes()).await.expect("it reads");
        stream
    }

    /// One poll; its messages wait to be taken.
    async fn poll(&mut self) -> Result<(), u16> {
        let since = match &*self.cursor {
            "" => String::new(),
            cursor => format!("&since={cursor}"),
        };
        let join = if self.feed.contains('?') { "" } else { "?" };
        let mut stream = self.ask("poll", &format!("{join}{since}&wait=9")).await;
        let mut text = Vec::new();
        let read = stream.read_to_end(&mut text);
        within(PATIENCE, "an answer to a poll", read).await.expect("a whole answer");
        self.kept.extend_from_slice(&text);
        if code_of(&text) != 200 {
            return Err(code_of(&text));
        }
        let text = String::from_utf8(text).expect("UTF-8");
        let (_, body) = text.split_once("\r\n\r\n").expect("a body");
        let mut answer: Value = serde_json::from_str(body).expect("JSON");
        answer["cursor"].as_str().expect("a cursor").clone_into(&mut self.cursor);
        let messages = answer["messages"].as_array_mut().expect("messages");
        self.messages.extend(messages.drain(..));
        self.messages.push_back(serde_json::json!({"type": "cursor"}));
        // From here on it goes on from its own cursor.
        let since = self.feed.split('&').filter(|it| !it.starts_with("since="));
        self.feed = since.collect::<Vec<_>>().join("&").replace("&snapshot=true", "");
        Ok(())
    }

    async fn hear_socket(&mut self) -> Result<Value, u16> {
        let Wire::Socket(witness) = &mut self.wire else { panic!("no socket") };
        match witness.next().await {
            Heard::Message(message) => {
                witness.cursor.clone_into(&mut self.cursor);
                Ok(message)
            }
            Heard::Closed { code, .. } => Err(code),
            Heard::Cut => Err(0),
        }
    }

    /// Reads one event; false at the end of the stream.
    async fn read_event(&mut self) -> bool {
        let Wire::Sse { stream, text } = &mut self.wire else { panic!("no stream") };
        let end = loop {
            if let Some(end) = text.windows(2).position(|it| it == b"\n\n") {
                break end;
            }
            let mut bytes = vec![0; 64 * 1024];
            let read = within(PATIENCE, "an event", stream.read(&mut bytes)).await;
            let Ok(count @ 1..) = read else { return false };
            self.kept.extend_from_slice(&bytes[..count]);
            text.extend_from_slice(&bytes[..count]);
        };
        let event: Vec<u8> = text.drain(..end + 2).collect();
        for line in String::from_utf8(event).expect("UTF-8").lines() {
            if let Some(cursor) = line.strip_prefix("id:") {
                cursor.clone_into(&mut self.cursor);
                self.messages.push_back(serde_json::json!({"type": "cursor"}));
            } else if let Some(data) = line.strip_prefix("data:") {
                self.messages.push_back(serde_json::from_str(data).expect("JSON"));
            }
        }
        true
    }

    async fn drain(&mut self) {
        let Wire::Sse { stream, .. } = &mut self.wire else { return };
        let read = stream.read_to_end(&mut self.kept);
        within(PATIENCE, "the end of a refusal", read).await.expect("a whole answer");
    }

    /// The next message; none at the end, with the status or code where there is one.
    pub(crate) async fn next(&mut self) -> Result<Value, u16> {
        loop {
            if let Some(message) = self.messages.pop_front() {
                return Ok(message);
            }
            match self.way {
                Way::Socket => return self.hear_socket().await,
                Way::Sse => {
                    if !self.read_event().await {
                        return Err(0);
                    }
                }
                Way::Poll => self.poll().await?,
            }
        }
    }

    /// The next message of a type.
    pub(crate) async fn expect(&mut self, kind: &str) -> Value {
        let search = async {
            loop {
                match self.next().await {
                    Ok(message) if message["type"] == kind => return message,
                    Ok(_) => {}
                    Err(code) => panic!("a {kind} was expected, not the end ({code})"),
                }
            }
        };
        within(PATIENCE, &format!("a {kind}"), search).await
    }

    /// The changes up to that of a row by its id, and the cursor behind it.
    pub(crate) async fn until_row(&mut self, id: u64) -> Vec<Value> {
        let mut changes = Vec::new();
        loop {
            let change = self.expect("change").await;
            let is_it = change["key"]["id"] == id;
            changes.push(change);
            if is_it {
                self.expect("cursor").await;
                return changes;
            }
        }
    }

    /// Every byte that came.
    fn kept_bytes(&self) -> Vec<u8> {
        match &self.wire {
            Wire::Socket(witness) => [self.kept.clone(), witness.kept()].concat(),
            _ => self.kept.clone(),
        }
    }

    /// Whether a text stands anywhere in what came.
    pub(crate) fn saw(&self, text: &str) -> bool {
        self.kept_bytes().windows(text.len()).any(|window| window == text.as_bytes())
    }
}

fn code_of(head: &[u8]) -> u16 {
    let text = String::from_utf8_lossy(head);
    text.split(' ').nth(1).and_then(|it| it.parse().ok()).expect("a status")
}

/// The status that an error message has elsewhere.
fn status(message: &Value) -> u16 {
    match message["code"].as_str() {
        Some("unauthorized") => 401,
        Some("forbidden") => 403,
        Some("too_many_subscriptions") => 429,
        Some("duplicate_id") => 409,
        _ => 400,
    }
}
