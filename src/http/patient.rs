//! A socket that does not wait for ever for its other side to read.
//!
//! hyper has limits on how long a request may take to come, and none on how long an answer may
//! take to go: who asks and never reads would keep the connection and the answer.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep, sleep},
};

/// Who reads so much is reading; a byte now and then is no progress.
const STEP_BYTES: usize = 64 * 1024;

/// A socket whose writes fail where nothing is read for some time.
#[derive(Debug)]
pub(super) struct Patient {
    socket: TcpStream,
    limit: Duration,
    /// What waits for the other side, if anything does.
    waiting: Option<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    until: Pin<Box<Sleep>>,
    /// What it has read since.
    taken: usize,
}

impl Patient {
    pub(super) fn new(socket: TcpStream, limit: Duration) -> Self {
        Self { socket, limit, waiting: None }
    }

    /// The socket, for another protocol with limits of its own.
    pub(super) fn into_inner(self) -> TcpStream {
        self.socket
    }

    /// Judges one write of `asked` bytes by what came of it.
    fn judge(
        &mut self,
        context: &mut Context<'_>,
        asked: usize,
        polled: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match &polled {
            Poll::Ready(Ok(written)) if *written >= asked => self.waiting = None,
            Poll::Ready(Ok(written)) => {
                if let Some(waiting) = &mut self.waiting {
                    waiting.taken += written;
                    if waiting.taken >= STEP_BYTES {
                        waiting.taken = 0;
                        waiting.until.as_mut().reset(Instant::now() + self.limit);
                    }
                }
            }
            Poll::Ready(Err(_)) => {}
            Poll::Pending => {
                let limit = self.limit;
                let begin = || Waiting { until: Box::pin(sleep(limit)), taken: 0 };
                let waiting = self.waiting.get_or_insert_with(begin);
                if waiting.until.as_mut().poll(context).is_ready() {
                    return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                }
            }
        }
        polled
    }
}

impl AsyncRead for Patient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(context, buffer)
    }
}

impl AsyncWrite for Patient {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.socket).poll_write(context, bytes);
        self.judge(context, bytes.len(), polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let asked = slices.iter().map(|slice| slice.len()).sum();
        let polled = Pin::new(&mut self.socket).poll_write_vectored(context, slices);
        self.judge(context, asked, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}
