//! The accept loop: our own around warp's filters.

use std::{
    convert::Infallible,
    fs::File,
    io,
    pin::pin,
    task::{Context as TaskContext, Poll},
    time::Duration,
};

use http::Request;
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use warp::Filter;

use super::{answer::Answer, routes::Peer};

/// The largest head of a request. A token may stand in it.
const HEAD_BYTES_MAX: usize = 24 * 1024;

/// Serves HTTP on one listener.
pub struct Server {
    listener: TcpListener,
    /// How long a request's head may take to arrive.
    head_limit: Duration,
    /// Ends the accept loop and idle connections.
    drain: CancellationToken,
    tasks: TaskTracker,
    /// A descriptor to give up when they run out, so that the next client can be refused
    /// instead of left hanging.
    reserve: Option<File>,
}

impl Server {
    /// A server on a bound listener.
    pub fn new(
        listener: TcpListener,
        head_limit: Duration,
        drain: CancellationToken,
        tasks: TaskTracker,
    ) -> Self {
        Self { listener, head_limit, drain, tasks, reserve: File::open("/dev/null").ok() }
    }

    /// Accepts until the drain.
    pub async fn run<F>(mut self, routes: F)
    where
        F: Filter<Extract = (Answer,), Error = Infallible> + Clone + Send + Sync + 'static,
    {
        let service = warp::service(routes);
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = self.drain.cancelled() => return,
            };
            match accepted {
                Ok((socket, address)) => {
                    let service = WithPeer { inner: service.clone(), peer: Peer(address) };
                    let connection = http1::Builder::new()
                        .timer(TokioTimer::new())
                        .header_read_timeout(self.head_limit)
                        .max_buf_size(HEAD_BYTES_MAX)
                        .serve_connection(TokioIo::new(socket), TowerToHyperService::new(service))
                        .with_upgrades();
                    let drain = self.drain.clone();
                    self.tasks.spawn(async move {
                        let mut connection = pin!(connection);
                        let ended = tokio::select! {
                            ended = connection.as_mut() => ended,
                            () = drain.cancelled() => {
                                connection.as_mut().graceful_shutdown();
                                connection.await
                            }
                        };
                        if let Err(error) = ended {
                            tracing::trace!(%error, "A connection ended early.");
                        }
                    });
                }
                Err(error) => self.cannot_accept(&error).await,
            }
        }
    }

    /// Out of descriptors: take one connection with the reserved one and drop it.
    async fn cannot_accept(&mut self, error: &io::Error) {
        tracing::warn!(%error, "A connection cannot be accepted.");
        metrics::counter!("pgfeed_accept_failures_total").increment(1);
        if self.reserve.take().is_some() {
            let next = tokio::time::timeout(Duration::from_millis(10), self.listener.accept());
            if let Ok(Ok((socket, _))) = next.await {
                drop(socket);
            }
            self.reserve = File::open("/dev/null").ok();
        } else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            self.reserve = File::open("/dev/null").ok();
        }
    }
}

/// Puts the peer's address where routes find it: warp's own way works only in its own server.
#[derive(Clone)]
struct WithPeer<S> {
    inner: S,
    peer: Peer,
}

impl<S> tower_service::Service<Request<Incoming>> for WithPeer<S>
where
    S: tower_service::Service<Request<Incoming>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut TaskContext<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(self.peer);
        self.inner.call(request)
    }
}
