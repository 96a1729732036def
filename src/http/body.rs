//! The body of an answer that goes on: what a client's queue writes into and hyper reads from.
//!
//! It holds little. A client that does not read fills the kernel's buffers, then this one; then
//! its queue finds it blocked, as it finds a socket.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll, Waker},
};

use bytes::{Bytes, BytesMut};
use futures::Stream;
use tokio::sync::Notify;

use crate::{
    session::Transport,
    wire::{Encoding, frame::ends_event},
};

/// What waits here at most, but for one larger buffer and the end of its event.
const BYTES_MAX: usize = 64 * 1024;

/// Buffers smaller than this are joined: each would be a chunk of the transfer on its own.
const JOIN_BYTES: usize = 16 * 1024;

/// The writing end. Owned by the client's session.
#[derive(Debug)]
pub struct Outlet {
    shared: Arc<Shared>,
    encoding: Encoding,
}

/// The reading end, which hyper owns; dropped when the client goes.
#[derive(Debug)]
pub struct Body(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    inner: Mutex<Inner>,
    /// There is room again, or nobody reads any more.
    changed: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    waiting: VecDeque<Bytes>,
    bytes: usize,
    reader: Option<Waker>,
    is_full: bool,
    is_gone: bool,
    end: Option<End>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// All was said.
    Whole,
    /// The rest cannot be had: the transfer is broken off, so that nobody takes it for whole.
    Broken,
}

/// A body and what writes into it.
pub fn pair(encoding: Encoding) -> (Outlet, Body) {
    let shared = Arc::<Shared>::default();
    (Outlet { shared: Arc::clone(&shared), encoding }, Body(shared))
}

impl Outlet {
    /// Waits until there is room after there was none, or until the client is gone.
    pub async fn changed(&self) {
        self.shared.changed.notified().await;
    }

    /// Whether the client is gone.
    pub fn is_gone(&self) -> bool {
        self.shared.inner().is_gone
    }

    /// Whether nothing waits for the client's connection.
    pub fn is_empty(&self) -> bool {
        self.shared.inner().waiting.is_empty()
    }

    /// Ends the body after what waits.
    pub fn end(&self) {
        self.shared.end(End::Whole);
    }

    /// Breaks the body off.
    pub fn break_off(&self) {
        self.shared.end(End::Broken);
    }
}

impl Transport for Outlet {
    fn encoding(&self) -> Encoding {
        self.encoding
    }

    fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let copies = slices.iter().map(|slice| Bytes::copy_from_slice(slice)).collect();
        self.shared.take(&copies)
    }

    fn try_share(&self, pending: &VecDeque<Bytes>) -> Option<io::Result<usize>> {
        Some(self.shared.take(pending))
    }
}

impl Shared {
    fn take(&self, pending: &VecDeque<Bytes>) -> io::Result<usize> {
        let mut inner = self.inner();
        if inner.is_gone || inner.end.is_some() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let mut taken = 0;
        for bytes in pending {
            // An event is taken whole: the rest of what waits may be dropped, and a last word come
            // in its place.
            if inner.bytes >= BYTES_MAX && !ends_event(bytes) {
                break;
            }
            inner.bytes += bytes.len();
            inner.waiting.push_back(bytes.clone());
            taken += bytes.len();
        }
        if taken == 0 {
            inner.is_full = true;
            return Err(io::ErrorKind::WouldBlock.into());
        }
        inner.wake();
        Ok(taken)
    }

    fn end(&self, end: End) {
        let mut inner = self.inner();
        inner.end.get_or_insert(end);
        inner.wake();
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("no holder of a body panics")
    }
}

impl Inner {
    fn wake(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    /// The next buffer: a large one as it is, small ones joined.
    fn next(&mut self) -> Option<Bytes> {
        let first = self.waiting.pop_front()?;
        self.bytes -= first.len();
        if self.waiting.front().is_none_or(|next| first.len() + next.len() > JOIN_BYTES) {
            return Some(first);
        }
        let mut joined = BytesMut::from(&*first);
        while let Some(next) = self.waiting.front()
            && joined.len() + next.len() <= JOIN_BYTES
        {
            joined.extend_from_slice(next);
            self.bytes -= next.len();
            self.waiting.pop_front();
        }
        Some(joined.freeze())
    }
}

impl Stream for Body {
    type Item = io::Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut inner = self.0.inner();
        if let Some(bytes) = inner.next() {
            if inner.is_full && inner.bytes <= BYTES_MAX / 2 {
                inner.is_full = false;
                self.0.changed.notify_one();
            }
            return Poll::Ready(Some(Ok(bytes)));
        }
        match inner.end {
            Some(End::Whole) => Poll::Ready(None),
            Some(End::Broken) => Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into()))),
            None => {
                // Asked for more: what was given has gone to the connection.
                inner.reader = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        let mut inner = self.0.inner();
        inner.is_gone = true;
        inner.waiting.clear();
        inner.bytes = 0;
        self.0.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::VecDeque, io, sync::Arc};

    use bytes::Bytes;
    use futures::StreamExt as _;

    use super::{BYTES_MAX, Outlet, pair};
    use crate::{
        session::{Queue, Transport as _, telling::Telling},
        wire::{Encoding, Frames},
    };

    #[tokio::test]
    async fn a_full_body_blocks_and_says_when_there_is_room() {
        let (outlet, mut body) = pair(Encoding::EventStream);
        let pending: VecDeque<Bytes> = (0..9).map(|_| vec![b'x'; 10_000].into()).collect();
        let taken = outlet.try_share(&pending).expect("it shares").expect("it takes");
        assert!((BYTES_MAX..pending.len() * 10_000).contains(&taken), "{taken}");
        let full = outlet.try_share(&pending).expect("it shares").expect_err("it is full");
        assert_eq!(full.kind(), io::ErrorKind::WouldBlock);
        let mut read = 0;
        while read < taken {
            read += body.next().await.expect("there is more").expect("it is whole").len();
        }
        outlet.changed().await;
        assert!(outlet.is_empty());
        outlet.break_off();
        assert!(body.next().await.expect("it says so").is_err());
        drop(body);
        assert!(outlet.is_gone());
    }

    #[tokio::test]
    async fn an_event_is_taken_whole_so_that_the_last_word_of_a_queue_is_one_too() {
        let large = format!("\"{}\"", "x".repeat(BYTES_MAX));
        for (is_told, end) in [(true, "\nid:abc\n\n"), (false, "\n\n")] {
            let (outlet, mut body) = pair(Encoding::EventStream);
            let outlet = Arc::new(outlet);
            let queue = Queue::new(Arc::<Outlet>::clone(&outlet), 1024 * 1024);
            if !is_told {
                queue.telling(Telling::withhold);
            }
            // What its end takes for a connection of its own is another buffer.
            queue.push(&Frames::with_cursor_beside(large.clone(), "abc"));
            queue.push(&Frames::one("{}"));
            queue.end_with("data:last\n\n".into());
            let mut text = body.next().await.expect("there is more").expect("it is whole").to_vec();
            queue.unblock();
            outlet.end();
            while let Some(bytes) = body.next().await {
                text.extend_from_slice(&bytes.expect("it is whole"));
            }
            let text = String::from_utf8(text).expect("UTF-8");
            assert_eq!(text, format!("data:{large}{end}data:last\n\n"));
        }
    }

    #[tokio::test]
    async fn small_buffers_leave_as_one() {
        let (outlet, mut body) = pair(Encoding::EventStream);
        let pending: VecDeque<Bytes> = [&b"a"[..], b"b", b"c"].map(Bytes::from_static).into();
        assert!(matches!(outlet.try_share(&pending), Some(Ok(3))));
        outlet.end();
        assert_eq!(body.next().await.expect("there is more").expect("it is whole"), &b"abc"[..]);
        assert!(body.next().await.is_none());
    }
}
