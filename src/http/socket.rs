//! A WebSocket: reads requests, and writes when the client's queue was blocked.

use std::{
    io::{self, IoSlice, Read, Write},
    sync::Arc,
    time::Duration,
};

use tokio::{
    net::TcpStream,
    time::{Instant, sleep_until, timeout},
};
use tungstenite::{
    Message,
    error::{CapacityError, Error, ProtocolError},
    protocol::{CloseFrame, Role, WebSocketConfig, WebSocketContext, frame::coding::CloseCode},
};

use super::{
    door::{Door, Pass},
    opening::Opening,
    server::Room,
};
use crate::{
    auth::claims::Claims,
    feed::encode::timestamp,
    session::{Context, Queue, Session, Transport, client::Taken},
    wire::{Close, Encoding},
};

/// A socket that took nothing for this long is given up: its client comes back from its cursor.
const STALL_LIMIT: Duration = Duration::from_mins(2);

/// How long the other side may take to answer a close.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// What a connection reads at a time. Requests are small, and there are many connections.
const READ_BYTES: usize = 1024;

/// A client that was let in, before its socket is there.
pub struct Arrival {
    /// What all sessions share.
    pub context: Arc<Context>,
    /// Verifies tokens sent later.
    pub door: Arc<Door>,
    /// Counts the client as long as it is here.
    pub pass: Pass,
    /// Its socket's place.
    pub room: Room,
    /// Who the reader is.
    pub claims: Option<Arc<Claims>>,
    /// Why the connection is closed at once.
    pub refused: Option<(Close, &'static str)>,
    /// What the path and the query open.
    pub opening: Opening,
    /// Where a drain spreads the clients' return, in ms.
    pub retry_spread_ms: u64,
}

/// Writes to the socket without waiting.
struct SocketTransport(Arc<TcpStream>);

impl Transport for SocketTransport {
    fn encoding(&self) -> Encoding {
        Encoding::WebSocket
    }

    fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(slices)
    }
}

/// What the parser reads from and answers to: the socket's bytes, and a buffer for its own
/// frames (pong, close), which go through the queue like all others.
struct Pipe {
    socket: Arc<TcpStream>,
    early: Vec<u8>,
    replies: Vec<u8>,
    /// What was read since the last whole message. The parser bounds what a message holds, not
    /// in how many fragments it comes; empty ones could come for ever.
    unfinished: usize,
    unfinished_max: usize,
}

impl Pipe {
    fn new(socket: Arc<TcpStream>, early: Vec<u8>, message_bytes_max: usize) -> Self {
        let unfinished_max = 2 * message_bytes_max + READ_BYTES;
        Self { socket, early, replies: Vec::new(), unfinished: 0, unfinished_max }
    }
}

impl Read for Pipe {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.unfinished > self.unfinished_max {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        if self.early.is_empty() {
            let count = self.socket.try_read(into)?;
            self.unfinished += count;
            return Ok(count);
        }
        let count = self.early.len().min(into.len());
        into[..count].copy_from_slice(&self.early[..count]);
        self.early.drain(..count);
        Ok(count)
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.replies.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A client's socket and its session.
struct Connection {
    arrival: Arrival,
    session: Session,
    parser: WebSocketContext,
    pipe: Pipe,
    /// The last time the socket took something, where it is blocked.
    blocked: Option<Instant>,
    /// Whether requests wait until the client has read more of its answers.
    is_unread: bool,
}

/// Serves a client until its socket ends.
pub async fn serve(socket: TcpStream, early: Vec<u8>, mut arrival: Arrival) {
    let socket = Arc::new(socket);
    let limit = arrival.context.limits.message_bytes_max;
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BYTES)
        .write_buffer_size(0)
        .max_message_size(Some(limit))
        .max_frame_size(Some(limit));
    let transport = Arc::new(SocketTransport(Arc::clone(&socket)));
    if let Some((close, reason)) = arrival.refused {
        let queue = Queue::new(transport, limit);
        let parser = WebSocketContext::new(Role::Server, Some(config));
        let pipe = Pipe::new(socket, early, limit);
        return part(&queue, parser, pipe, close, reason).await;
    }
    let Opening { declared, subscriptions, refused } = std::mem::take(&mut arrival.opening);
    let claims = arrival.claims.take();
    let mut session = Session::open_on(&arrival.context, transport, claims, declared);
    session.tell_refused(&refused);
    for subscription in subscriptions {
        session.subscribe(subscription);
    }
    let parser = WebSocketContext::new(Role::Server, Some(config));
    let pipe = Pipe::new(socket, early, limit);
    let mut connection =
        Connection { arrival, session, parser, pipe, blocked: None, is_unread: false };
    let end = connection.run().await;
    let Connection { session, parser, pipe, .. } = connection;
    if let Some((close, reason)) = end {
        part(session.queue(), parser, pipe, close, &reason).await;
    }
    session.end();
}

/// The reason of a close at the end of a token.
const EXPIRED: &str = "expired";

/// Why a connection ends from our side.
type End = (Close, String);

impl Connection {
    /// Serves until the client goes (none), or until it is to be closed.
    async fn run(&mut self) -> Option<End> {
        if !self.pipe.early.is_empty()
            && let Err(end) = self.read().await
        {
            return end;
        }
        let drain = self.arrival.context.drain.clone();
        let queue = Arc::clone(self.session.queue());
        let socket = Arc::clone(&self.pipe.socket);
        loop {
            if self.is_unread && queue.takes_requests() {
                self.is_unread = false;
                if let Err(end) = self.read().await {
                    return end;
                }
            }
            let is_blocked = self.blocked.is_some();
            let stalled = self.blocked.map(|since| since + STALL_LIMIT);
            tokio::select! {
                ready = socket.readable(), if queue.takes_requests() => {
                    ready.ok()?;
                    if let Err(end) = self.read().await {
                        return end;
                    }
                }
                ready = socket.writable(), if is_blocked => {
                    ready.ok()?;
                    self.blocked = None;
                    queue.unblock();
                }
                () = queue.has_work() => {}
                () = until(self.expiry()) => return Some((Close::Unauthorized, EXPIRED.into())),
                () = until(stalled) => return Some((Close::TooSlow, String::new())),
                () = drain.cancelled() => return Some(self.drained()),
            }
            let work = queue.work();
            if work.is_closed {
                return None;
            }
            if work.has_ended {
                return Some((Close::Unauthorized, EXPIRED.into()));
            }
            if work.is_given_up {
                return Some((Close::TooSlow, String::new()));
            }
            if work.is_blocked && self.blocked.is_none() {
                self.blocked = Some(Instant::now());
            }
            self.session.attend(&work.notices, work.lag);
        }
    }

    /// Reads what is there. An error ends the connection.
    async fn read(&mut self) -> Result<(), Option<End>> {
        loop {
            let read = self.parser.read(&mut self.pipe);
            if read.is_ok() {
                self.pipe.unfinished = 0;
            }
            if !self.pipe.replies.is_empty() {
                let replies = std::mem::take(&mut self.pipe.replies);
                self.session.queue().push_bytes(replies.into());
            }
            let taken = match read {
                Ok(Message::Text(text)) => self.session.take(&text),
                Ok(Message::Binary(_)) => self.session.count().unwrap_or_else(|| {
                    self.session.bad("a binary frame; requests are JSON in text frames")
                }),
                Ok(Message::Ping(_)) => self.session.count().unwrap_or(Taken::Done),
                Ok(Message::Pong(_) | Message::Close(_) | Message::Frame(_)) => Taken::Done,
                Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(());
                }
                Err(error) => return Err(self.ended(&error)),
            };
            match taken {
                Taken::Done => {}
                Taken::Auth(token) => self.authenticate(&token.0).await?,
                Taken::Close(close, reason) => return Err(Some((close, reason.to_owned()))),
            }
            // Who does not read the answers is not asked for more; the parser may hold some.
            if !self.session.queue().takes_requests() {
                self.is_unread = true;
                return Ok(());
            }
        }
    }

    fn ended(&mut self, error: &Error) -> Option<End> {
        match error {
            Error::Capacity(CapacityError::MessageTooLong { .. }) => {
                self.session.too_large();
                Some((Close::TooLarge, String::new()))
            }
            Error::Io(error) if error.kind() == io::ErrorKind::FileTooLarge => {
                self.session.too_large();
                Some((Close::TooLarge, "too many fragments".to_owned()))
            }
            Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => None,
            Error::Protocol(error) => Some((Close::Protocol, error.to_string())),
            Error::Utf8(_) => Some((Close::NotText, String::new())),
            _ => None,
        }
    }

    async fn authenticate(&mut self, token: &str) -> Result<(), Option<End>> {
        let refused = |reason: &str| Some((Close::Unauthorized, reason.to_owned()));
        let claims = match self.arrival.door.verify(token).await {
            Ok(claims) => claims,
            Err(error) => return Err(refused(&error.to_string())),
        };
        if !self.arrival.pass.is_subject_admitted(&claims) {
            return Err(Some((Close::Limit, "too many connections".to_owned())));
        }
        let expires_at = timestamp(claims.expires_at().saturating_mul(1_000_000));
        let taken = self.session.authenticate(claims, &expires_at);
        taken.map_err(|(close, reason)| Some((close, reason.to_owned())))
    }

    fn expiry(&self) -> Option<Instant> {
        let claims = self.session.claims()?;
        let now = jiff::Timestamp::now().as_millisecond();
        let left = claims.expires_at().saturating_mul(1_000).saturating_sub(now);
        Some(Instant::now() + Duration::from_millis(u64::try_from(left).unwrap_or(0)))
    }

    fn drained(&self) -> End {
        let spread = self.arrival.retry_spread_ms;
        (Close::GoingAway, format!("retry_ms={}", fastrand::u64(0..=spread)))
    }
}

/// Closes from our side: what waits goes out first, then the close; then the other side's.
async fn part(
    queue: &Arc<Queue>,
    mut parser: WebSocketContext,
    mut pipe: Pipe,
    close: Close,
    reason: &str,
) {
    // A close frame's payload is at most 125 bytes, two of them the number (RFC 6455 §5.5).
    let mut end = reason.len().min(123);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    let frame = CloseFrame { code: CloseCode::from(close.number()), reason: reason[..end].into() };
    metrics::counter!("pgfeed_closes_total", "code" => close.number().to_string()).increment(1);
    let is_sent = parser.close(&mut pipe, Some(frame)).is_ok();
    let last = std::mem::take(&mut pipe.replies).into();
    // What still waits was for another, or for a token that is good no more.
    if close == Close::Unauthorized {
        queue.end_with(last);
    } else {
        queue.push_bytes(last);
    }
    pipe.unfinished = 0;
    // After bytes that were no frame, or too many, the parser has lost its place.
    let is_lost = matches!(close, Close::TooLarge | Close::Protocol | Close::NotText);
    let farewell = async {
        while !queue.is_empty() && pipe.socket.writable().await.is_ok() {
            queue.unblock();
        }
        while is_sent && pipe.socket.readable().await.is_ok() {
            let is_over =
                if is_lost { is_drained(&pipe) } else { is_answered(&mut parser, &mut pipe) };
            if is_over {
                return;
            }
        }
    };
    timeout(CLOSE_LIMIT, farewell).await.unwrap_or_default();
    queue.close();
}

/// Reads what is there; true where the other side has answered the close, or is gone.
fn is_answered(parser: &mut WebSocketContext, pipe: &mut Pipe) -> bool {
    loop {
        match parser.read(pipe) {
            Ok(_) => {}
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => return false,
            Err(_) => return true,
        }
    }
}

/// Throws away what is there, so that the close is not lost to a reset; true at the end.
fn is_drained(pipe: &Pipe) -> bool {
    let mut scratch = [0; 4096];
    loop {
        match pipe.socket.try_read(&mut scratch) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() != io::ErrorKind::WouldBlock,
        }
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
