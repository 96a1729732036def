//! A client so small that ten thousand of them fit a test: it follows the table `notes`, whose
//! rows are inserted one by one with rising ids, and keeps a cursor.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    sync::{Semaphore, watch},
    time::Duration,
};

/// The first bytes of frames that are whole.
const TEXT: u8 = 0x81;
const CLOSE: u8 = 0x88;

/// The client. What came after the last cursor is void when the connection ends.
#[derive(Debug)]
pub(crate) struct Lean {
    cursor: Option<String>,
    /// The last id that was seen, and that up to the cursor.
    seen: u64,
    pub(crate) kept: u64,
    pub(crate) is_live: bool,
    pub(crate) resyncs: u64,
    /// How many clients have become live.
    here: Arc<AtomicU64>,
    /// By change, the time from its write to its receipt; where it is wanted.
    pub(crate) delays: Option<Vec<(u64, Duration)>>,
    /// Nothing is read while it is true.
    pub(crate) sleeps: Option<watch::Receiver<bool>>,
}

impl Lean {
    pub(crate) fn new(here: Arc<AtomicU64>) -> Self {
        let (cursor, delays, sleeps) = (None, None, None);
        Self { cursor, seen: 0, kept: 0, is_live: false, resyncs: 0, here, delays, sleeps }
    }

    /// A client that begins behind a change.
    pub(crate) fn behind(id: u64) -> Self {
        Self { kept: id, ..Self::new(Arc::default()) }
    }

    /// Follows until `is_so` or the end of the connection; says whether it is so. No more connect at
    /// the same time than there are `places`.
    pub(crate) async fn follow(
        &mut self,
        address: SocketAddr,
        places: &Semaphore,
        is_so: impl Fn(&Self) -> bool,
    ) -> bool {
        self.is_live = false;
        self.seen = self.kept;
        let place = places.acquire().await.expect("it is never closed");
        let Some(mut wire) = self.connect(address).await else { return false };
        let (mut bytes, mut has_head) = (Vec::with_capacity(8 * 1024), false);
        let mut place = Some(place);
        while let Ok(1..) = wire.read_buf(&mut bytes).await {
            drop(place.take());
            let mut at = 0;
            if !has_head {
                let Some(end) = bytes.windows(4).position(|it| it == b"\r\n\r\n") else { continue };
                assert!(bytes.starts_with(b"HTTP/1.1 101"), "{}", text(&bytes));
                (has_head, at) = (true, end + 4);
            }
            while let Some((message, next)) = frame(&bytes, at) {
                if bytes[at] == CLOSE {
                    return false;
                }
                self.take(message);
                at = next;
                if is_so(self) {
                    return true;
                }
            }
            bytes.drain(..at);
            if let Some(sleeps) = &mut self.sleeps {
                // Who set it is gone at the end of the test.
                let _awake = sleeps.wait_for(|it| !it).await;
            }
        }
        false
    }

    async fn connect(&self, address: SocketAddr) -> Option<TcpStream> {
        let socket = TcpSocket::new_v4().ok()?;
        if self.sleeps.is_some() {
            // The kernel is to hold little of what is not read.
            socket.set_recv_buffer_size(16 * 1024).ok()?;
        }
        let mut wire = socket.connect(address).await.ok()?;
        let since = self.cursor.as_ref().map(|it| format!("&since={it}")).unwrap_or_default();
        let request = format!(
            "GET /ws/changes/?table=notes{since} HTTP/1.1\r\nHost: {address}\r\n\
             Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        wire.write_all(request.as_bytes()).await.ok()?;
        Some(wire)
    }

    fn take(&mut self, message: &[u8]) {
        let kind = after(message, b"{\"type\":\"", b'"').unwrap_or_default();
        match kind {
            b"change" => {
                let id = after(message, b"\"key\":{\"id\":", b'}').unwrap_or_default();
                self.seen += 1;
                assert_eq!(text(id), self.seen.to_string(), "once and in order");
                if let Some(delays) = &mut self.delays {
                    delays.push((self.seen, since(message)));
                }
            }
            b"subscribed" | b"live" | b"cursor" | b"heartbeat" => {
                let cursor = after(message, b"\"cursor\":\"", b'"').unwrap_or_default();
                self.cursor = Some(text(cursor));
                self.kept = self.seen;
                let is_live =
                    kind == b"live" || after(message, b"\"live\":", b'}') == Some(b"true");
                if is_live && !self.is_live {
                    self.is_live = true;
                    self.here.fetch_add(1, Ordering::Relaxed);
                }
            }
            b"resync" => self.resyncs += 1,
            b"hello" => {}
            _ => panic!("{}", text(message)),
        }
    }
}

/// How long ago the change was written, by the clock that the database shares with us.
fn since(message: &[u8]) -> Duration {
    let at = text(after(message, b"\"at\":\"", b'"').unwrap_or_default());
    let at: jiff::Timestamp = at.parse().expect("a time");
    jiff::Timestamp::now().duration_since(at).try_into().unwrap_or_default()
}

/// What stands between `before` and the next `end`.
fn after<'a>(message: &'a [u8], before: &[u8], end: u8) -> Option<&'a [u8]> {
    let at = message.windows(before.len()).position(|it| it == before)? + before.len();
    message[at..].split(|byte| *byte == end).next()
}

/// The text of the frame at a place, and where the next one is; none before it is whole.
fn frame(bytes: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let bytes_at = |from: usize, count: usize| bytes.get(at + from..at + from + count);
    let head = bytes_at(0, 2)?;
    let is_known = [TEXT, CLOSE].contains(&head[0]);
    assert!(is_known, "a text in one frame: {}", text(&bytes[at..]));
    let (length, skip) = match head[1] {
        126 => (u64::from(u16::from_be_bytes(bytes_at(2, 2)?.try_into().ok()?)), 4),
        127 => (u64::from_be_bytes(bytes_at(2, 8)?.try_into().ok()?), 10),
        length => (u64::from(length), 2),
    };
    let length = usize::try_from(length).expect("is small");
    Some((bytes_at(skip, length)?, at + skip + length))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
