//! A WebSocket's bytes: what its parser reads from, and what its queue writes into.

use std::{
    io::{self, IoSlice, Read, Write},
    os::fd::AsRawFd as _,
    sync::Arc,
};

use rustix::{
    io::Errno,
    net::{SendFlags, Shutdown, send, shutdown},
};
use tokio::net::TcpStream;

use crate::{session::Transport, wire::Encoding};

/// What a connection reads at a time. Requests are small, and there are many connections.
pub(super) const READ_BYTES: usize = 256;

/// Writes to the socket without waiting.
pub(super) struct SocketTransport(pub(super) TcpStream);

impl Transport for SocketTransport {
    fn encoding(&self) -> Encoding {
        Encoding::WebSocket
    }

    fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(slices)
    }

    fn touch(&self) -> usize {
        usize::try_from(self.0.as_raw_fd()).unwrap_or(0)
    }

    fn try_write_one(&self, bytes: &[u8]) -> io::Result<usize> {
        // Straight to the kernel: what the runtime notes of each socket is one more piece of
        // memory to fetch, and the C library's `send` is a point where threads may be cancelled,
        // which costs. Only where the socket takes nothing must the runtime learn of it.
        match send(&self.0, bytes, SendFlags::empty()) {
            Err(Errno::AGAIN) => self.0.try_write(bytes),
            written => written.map_err(io::Error::from),
        }
    }
}

/// What the parser reads from and answers to: the socket's bytes, and a buffer for its own
/// frames (pong, close), which go through the queue like all others.
pub(super) struct Pipe {
    pub(super) transport: Arc<SocketTransport>,
    pub(super) early: Vec<u8>,
    pub(super) replies: Vec<u8>,
    /// What was read since the last whole message. The parser bounds what a message holds, not
    /// in how many fragments it comes; empty ones could come for ever.
    pub(super) unfinished: usize,
    unfinished_max: usize,
}

impl Pipe {
    pub(super) fn new(
        transport: Arc<SocketTransport>,
        early: Vec<u8>,
        message_bytes_max: usize,
    ) -> Self {
        let unfinished_max = 2 * message_bytes_max + READ_BYTES;
        Self { transport, early, replies: Vec::new(), unfinished: 0, unfinished_max }
    }
}

impl Read for Pipe {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.unfinished > self.unfinished_max {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        if self.early.is_empty() {
            let count = self.transport.0.try_read(into)?;
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

/// Says that nothing more comes; what the other side says can still be read.
pub(super) fn end(pipe: &Pipe) {
    // Where the connection is gone already, that is what was wanted.
    shutdown(&pipe.transport.0, Shutdown::Write).unwrap_or_default();
}

/// Throws away what is there, so that the close is not lost to a reset; true at the end.
pub(super) fn is_drained(pipe: &Pipe) -> bool {
    let mut scratch = [0; 4096];
    loop {
        match pipe.transport.0.try_read(&mut scratch) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() != io::ErrorKind::WouldBlock,
        }
    }
}
