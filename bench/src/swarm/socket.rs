//! One client: its socket, its handshake and what it has received so far.
//!
//! Holds no buffer of its own except for the part of a message that has not come whole.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use mio::net::TcpStream;
use socket2::{Domain, Protocol, Socket as RawSocket, Type};

use super::message::Spec;
use crate::mark::LANES;

/// Number of a lane of which the socket has seen nothing yet.
pub(super) const UNSEEN: u32 = u32::MAX;
/// Clients that share one source address. Each group has addresses of its own: looking for a free
/// port among thousands that were closed a moment ago costs more than the whole connection.
const CLIENTS_PER_ADDRESS: u32 = 100;
const ADDRESSES: u32 = 250;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Connecting,
    Upgrading,
    /// Upgraded, with subscriptions that are not confirmed.
    Waiting,
    Ready,
    Closed,
}

pub(super) struct Socket {
    pub(super) group: u32,
    pub(super) number: u32,
    pub(super) state: State,
    pub(super) stream: Option<TcpStream>,
    pub(super) part: Vec<u8>,
    pub(super) out: Vec<u8>,
    pub(super) unconfirmed: u32,
    /// By lane, the number that has to come next.
    pub(super) next: [u32; LANES],
    pub(super) cursor: String,
    /// The code of a Close frame that came.
    pub(super) close_code: u16,
}

/// What reading one piece told.
pub(super) enum Piece {
    /// So many bytes, and maybe more are waiting.
    Bytes(usize),
    Nothing,
    End,
}

impl Socket {
    pub(super) fn new(group: u32, number: u32) -> Self {
        Self {
            group,
            number,
            state: State::Connecting,
            stream: None,
            part: Vec::new(),
            out: Vec::new(),
            unconfirmed: 0,
            next: [UNSEEN; LANES],
            cursor: String::new(),
            close_code: 0,
        }
    }

    /// Starts to connect, from one of many source addresses.
    pub(super) fn open(&mut self, spec: &Spec) -> io::Result<&mut TcpStream> {
        let raw = RawSocket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
        raw.set_nonblocking(true)?;
        if let Some(size) = spec.receive_buffer {
            raw.set_recv_buffer_size(size)?;
        }
        let part = |number: u32| u8::try_from(1 + number % ADDRESSES).unwrap_or(1);
        let last = part(self.number / CLIENTS_PER_ADDRESS);
        let [a, b, ..] = spec.sources.octets();
        let source = Ipv4Addr::new(a, b, part(self.group), last);
        let source = SocketAddr::from((IpAddr::V4(source), 0));
        raw.bind(&source.into())?;
        match raw.connect(&spec.address.into()) {
            Ok(()) => {}
            Err(e) if e.raw_os_error() == Some(EINPROGRESS) => {}
            Err(e) => return Err(e),
        }
        self.state = State::Connecting;
        self.part.clear();
        self.out.clear();
        self.unconfirmed = spec.subscribed;
        self.close_code = 0;
        Ok(self.stream.insert(TcpStream::from_std(raw.into())))
    }

    /// The upgrade, with a fixed key: nothing here depends on the answer to it.
    pub(super) fn ask_upgrade(&mut self, spec: &Spec) {
        let since = if self.cursor.is_empty() {
            String::new()
        } else {
            let joint = if spec.path.contains('?') { '&' } else { '?' };
            format!("{joint}since={}", self.cursor)
        };
        let request = format!(
            "GET {}{since} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
            spec.path, spec.address
        );
        self.out.extend(request.into_bytes());
        self.state = State::Upgrading;
    }

    /// The subscriptions that are made by message.
    pub(super) fn subscribe(&mut self, spec: &Spec) {
        let Some(subscribe) = &spec.subscribe else { return };
        for k in 0..subscribe.per_socket {
            let value = (self.number * subscribe.per_socket + k) % subscribe.modulo;
            let text = subscribe.text.replace("{k}", &k.to_string());
            let text = text.replace("{v}", &value.to_string());
            super::frame::push_masked(&mut self.out, super::frame::TEXT, text.as_bytes());
        }
    }

    /// Writes what waits, as far as the kernel takes it.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        let Some(stream) = &mut self.stream else { return Ok(()) };
        let mut written = 0;
        while written < self.out.len() {
            match stream.write(&self.out[written..]) {
                Ok(count) => written += count,
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        self.out.drain(..written);
        if self.out.is_empty() {
            self.out.shrink_to_fit();
        }
        Ok(())
    }

    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Piece {
        let Some(stream) = &mut self.stream else { return Piece::Nothing };
        loop {
            return match stream.read(buffer) {
                Ok(0) => Piece::End,
                Ok(count) => Piece::Bytes(count),
                Err(e) if e.kind() == ErrorKind::WouldBlock => Piece::Nothing,
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(_ended) => Piece::End,
            };
        }
    }
}

/// The number Linux gives "operation now in progress"; the standard library has no kind for it.
const EINPROGRESS: i32 = 115;
