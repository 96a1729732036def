//! The accept loop: our own around warp's filters.

use std::{
    convert::Infallible,
    fs::File,
    io,
    net::SocketAddr,
    pin::pin,
    sync::{Arc, Mutex},
    task::{Context as TaskContext, Poll},
    time::Duration,
};

use http::Request;
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower_service::Service;
use warp::Filter;

use super::{answer::Answer, patient::Patient, routes::Peer};

/// The largest head of a request. A token may stand in it.
const HEAD_BYTES_MAX: usize = 24 * 1024;

/// How many connections beyond the limit are answered at a time: they are told that there are too
/// many, and health checks among them get through.
const CROWD_MAX: usize = 8;

/// How long the head of each of those may take.
const CROWD_LIMIT: Duration = Duration::from_secs(1);

/// What strangers may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long a request's head may take to arrive.
    pub head: Duration,
    /// How long an answer may wait for who does not read it.
    pub stall: Duration,
    /// Sockets at a time.
    pub sockets_max: usize,
}

/// Serves HTTP on one listener.
pub struct Server {
    listener: TcpListener,
    limits: Limits,
    /// Ends the accept loop and idle connections.
    drain: CancellationToken,
    tasks: TaskTracker,
    sockets: Arc<Semaphore>,
    crowd: Arc<Semaphore>,
    reserve: Arc<Reserve>,
}

impl Server {
    /// A server on a bound listener.
    pub fn new(
        listener: TcpListener,
        limits: Limits,
        drain: CancellationToken,
        tasks: TaskTracker,
    ) -> Self {
        let sockets = Arc::new(Semaphore::new(limits.sockets_max.min(Semaphore::MAX_PERMITS)));
        let crowd = Arc::new(Semaphore::new(CROWD_MAX));
        let reserve = Arc::new(Reserve::default());
        reserve.refill();
        Self { listener, limits, drain, tasks, sockets, crowd, reserve }
    }

    /// Accepts until the drain.
    pub async fn run<F>(self, routes: F)
    where
        F: Filter<Extract = (Answer,), Error = Infallible> + Clone + Send + Sync + 'static,
    {
        let service = warp::service(routes);
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = self.drain.cancelled() => return,
            };
            let accepted = match accepted {
                Ok((socket, address)) => {
                    // Frames are joined already; to wait for the last one's acknowledgement
                    // (Nagle) only adds the other side's 40 ms.
                    if let Err(error) = socket.set_nodelay(true) {
                        tracing::debug!(%error, "A connection is gone already.");
                    }
                    let room = Arc::clone(&self.sockets).try_acquire_owned().ok();
                    Some((socket, address, room))
                }
                Err(error) => self.accept_on_reserve(&error).await,
            };
            if let Some((socket, address, room)) = accepted {
                self.serve(socket, address, room, service.clone());
            }
        }
    }

    /// Out of descriptors: takes one connection with a reserved one.
    async fn accept_on_reserve(
        &self,
        error: &io::Error,
    ) -> Option<(TcpStream, SocketAddr, Option<OwnedSemaphorePermit>)> {
        tracing::warn!(%error, "A connection cannot be accepted.");
        metrics::counter!("pgfeed_accept_failures_total").increment(1);
        if !self.reserve.give_one() {
            sleep(Duration::from_millis(20)).await;
            self.reserve.refill();
            return None;
        }
        let next = timeout(Duration::from_millis(10), self.listener.accept()).await;
        let accepted = next.ok().and_then(Result::ok);
        if accepted.is_none() {
            self.reserve.refill();
        }
        accepted.map(|(socket, address)| (socket, address, None))
    }

    /// Serves a connection; one without `room` is told that it is one too many.
    fn serve<S>(
        &self,
        socket: TcpStream,
        address: SocketAddr,
        room: Option<OwnedSemaphorePermit>,
        inner: S,
    ) where
        S: Service<Request<Incoming>, Response = Answer, Error = Infallible>,
        S: Clone + Send + 'static,
        S::Future: Send,
    {
        let is_crowded = room.is_none();
        let Some(permit) = room.or_else(|| Arc::clone(&self.crowd).try_acquire_owned().ok()) else {
            metrics::counter!("pgfeed_accept_failures_total").increment(1);
            return;
        };
        let room = Room { _socket: Arc::new(Socket::new(permit)), is_crowded };
        let service = WithPeer { inner, peer: Peer(address), room };
        let head = if is_crowded { self.limits.head.min(CROWD_LIMIT) } else { self.limits.head };
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(head)
            .max_buf_size(HEAD_BYTES_MAX)
            .keep_alive(!is_crowded)
            .serve_connection(
                TokioIo::new(Patient::new(socket, self.limits.stall)),
                TowerToHyperService::new(service),
            )
            .with_upgrades();
        let drain = self.drain.clone();
        let reserve = Arc::clone(&self.reserve);
        self.tasks.spawn(async move {
            let served = async {
                let mut connection = pin!(connection);
                tokio::select! {
                    ended = connection.as_mut() => ended,
                    () = drain.cancelled() => {
                        connection.as_mut().graceful_shutdown();
                        connection.await
                    }
                }
            };
            let ended = if is_crowded {
                timeout(2 * CROWD_LIMIT, served).await.unwrap_or(Ok(()))
            } else {
                served.await
            };
            if let Err(error) = ended {
                tracing::trace!(%error, "A connection ended early.");
            }
            if is_crowded {
                reserve.refill();
            }
        });
    }
}

/// Descriptors kept back for the time when there are no others.
#[derive(Default)]
struct Reserve(Mutex<Vec<File>>);

impl Reserve {
    fn refill(&self) {
        let mut files = self.0.lock().expect("no holder of the reserve panics");
        while files.len() < CROWD_MAX {
            let Ok(file) = File::open("/dev/null") else { return };
            files.push(file);
        }
    }

    fn give_one(&self) -> bool {
        self.0.lock().expect("no holder of the reserve panics").pop().is_some()
    }
}

/// A connection's place among those that may be open. Kept as long as the connection is.
#[derive(Clone, Debug)]
pub struct Room {
    _socket: Arc<Socket>,
    /// Whether it is beyond the limit, so that health alone is served on it.
    pub is_crowded: bool,
}

/// A socket that is open, counted.
#[derive(Debug)]
struct Socket {
    _permit: OwnedSemaphorePermit,
}

impl Socket {
    fn new(permit: OwnedSemaphorePermit) -> Self {
        metrics::gauge!("pgfeed_sockets").increment(1);
        Self { _permit: permit }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        metrics::gauge!("pgfeed_sockets").decrement(1);
    }
}

/// Puts the peer's address where routes find it: warp's own way works only in its own server.
#[derive(Clone)]
struct WithPeer<S> {
    inner: S,
    peer: Peer,
    room: Room,
}

impl<S> Service<Request<Incoming>> for WithPeer<S>
where
    S: Service<Request<Incoming>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut TaskContext<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(self.peer);
        request.extensions_mut().insert(self.room.clone());
        self.inner.call(request)
    }
}
