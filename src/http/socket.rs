//! A WebSocket: reads requests, and writes when the client's queue was blocked.

use std::{io, sync::Arc, time::Duration};

use tokio::{
    io::{Interest, Ready},
    net::TcpStream,
    time::{Instant, timeout},
};
use tungstenite::{
    Message,
    error::{CapacityError, Error, ProtocolError},
    protocol::{CloseFrame, Role, WebSocketConfig, WebSocketContext, frame::coding::CloseCode},
};

use super::{
    door::{Door, Pass},
    opening::Opening,
    pipe::{self, Pipe, READ_BYTES, SocketTransport},
    server::Room,
};
use crate::{
    auth::claims::Claims,
    feed::encode::timestamp,
    session::{
        Context, Queue, Session,
        client::{Taken, end_of},
    },
    tasks::until,
    wire::Close,
};

/// How long the other side may take to answer a close.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

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

/// A client's socket and its session.
struct Connection {
    arrival: Arrival,
    session: Session,
    parser: WebSocketContext,
    pipe: Pipe,
    /// Since when the socket takes nothing, where it is blocked.
    blocked: Option<Instant>,
    /// Whether requests wait until the client has read more of its answers.
    is_unread: bool,
}

/// Serves a client until its socket ends.
pub async fn serve(socket: TcpStream, early: Vec<u8>, mut arrival: Arrival) {
    let transport = Arc::new(SocketTransport(socket));
    let limit = arrival.context.limits.message_bytes_max;
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BYTES)
        .write_buffer_size(0)
        .max_message_size(Some(limit))
        .max_frame_size(Some(limit));
    if let Some((close, reason)) = arrival.refused {
        let pipe = Pipe::new(Arc::clone(&transport), early, limit);
        let queue = Queue::new(transport, limit);
        let parser = WebSocketContext::new(Role::Server, Some(config));
        return Box::pin(part(&queue, parser, pipe, close, reason)).await;
    }
    let Opening { declared, subscriptions, refused } = std::mem::take(&mut arrival.opening);
    let claims = arrival.claims.take();
    let pipe = Pipe::new(Arc::clone(&transport), early, limit);
    let mut session = Session::open_on(&arrival.context, transport, claims, declared);
    session.tell_refused(&refused);
    for subscription in subscriptions {
        session.subscribe(subscription);
    }
    let parser = WebSocketContext::new(Role::Server, Some(config));
    let mut connection =
        Connection { arrival, session, parser, pipe, blocked: None, is_unread: false };
    let end = connection.run().await;
    let Connection { session, parser, pipe, .. } = connection;
    if let Some((close, reason)) = end {
        Box::pin(part(session.queue(), parser, pipe, close, &reason)).await;
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
        let stall = self.arrival.context.limits.stall;
        let queue = Arc::clone(self.session.queue());
        let transport = Arc::clone(&self.pipe.transport);
        let socket = &transport.0;
        loop {
            if self.is_unread && queue.takes_requests() {
                self.is_unread = false;
                if let Err(end) = self.read().await {
                    return end;
                }
            }
            // It is given up: its client comes back from its cursor.
            let stalled = self.blocked.map(|since| since + stall);
            let expiry = self.session.claims().as_deref().map(end_of);
            // One future for both directions and one for both limits: there are many connections.
            tokio::select! {
                ready = ready(socket, queue.takes_requests(), self.blocked.is_some()) => {
                    let ready = ready.ok()?;
                    if ready.is_writable() && self.blocked.take().is_some() {
                        queue.unblock();
                    }
                    if ready.is_readable() && queue.takes_requests()
                        && let Err(end) = self.read().await
                    {
                        return end;
                    }
                }
                () = queue.has_work() => {}
                () = until(expiry.into_iter().chain(stalled).min()) => {
                    let has_stalled = stalled.is_some_and(|it| expiry.is_none_or(|at| it < at));
                    return Some(if has_stalled {
                        (Close::TooSlow, String::new())
                    } else {
                        (Close::Unauthorized, EXPIRED.into())
                    });
                }
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
                Ok(Message::Ping(_) | Message::Pong(_)) => {
                    self.session.count().unwrap_or(Taken::Done)
                }
                Ok(Message::Close(_) | Message::Frame(_)) => Taken::Done,
                Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(());
                }
                Err(error) => return Err(self.ended(&error)),
            };
            match taken {
                Taken::Done => {}
                Taken::Auth(token) => Box::pin(self.authenticate(&token.0)).await?,
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
            Err(error) if error.is_transient() => {
                self.session.is_unavailable("tokens cannot be checked now; send it again");
                return Ok(());
            }
            Err(error) => return Err(refused(&error.to_string())),
        };
        if !self.arrival.pass.is_subject_admitted(&claims) {
            return Err(Some((Close::Limit, "too many connections".to_owned())));
        }
        let expires_at = timestamp(claims.expires_at().saturating_mul(1_000_000));
        let taken = self.session.authenticate(claims, &expires_at);
        taken.map_err(|(close, reason)| Some((close, reason.to_owned())))
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
        while !queue.is_empty() && pipe.transport.0.writable().await.is_ok() {
            queue.unblock();
        }
        if is_lost {
            // Its answer cannot be read, so we end first, as RFC 6455 §7.1.7 asks.
            pipe::end(&pipe);
        }
        while is_sent && pipe.transport.0.readable().await.is_ok() {
            let is_over =
                if is_lost { pipe::is_drained(&pipe) } else { is_answered(&mut parser, &mut pipe) };
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

/// Waits until the socket can be read or takes bytes, as far as either is of use.
async fn ready(socket: &TcpStream, to_read: bool, to_write: bool) -> io::Result<Ready> {
    let interest = match (to_read, to_write) {
        (true, true) => Interest::READABLE | Interest::WRITABLE,
        (true, false) => Interest::READABLE,
        (false, true) => Interest::WRITABLE,
        (false, false) => return std::future::pending().await,
    };
    socket.ready(interest).await
}
