//! The routes, as warp filters.

use std::{convert::Infallible, net::SocketAddr, sync::Arc};

use http::{HeaderMap, Method, StatusCode, header};
use hyper::upgrade::OnUpgrade;
use tokio_util::task::TaskTracker;
use warp::{Filter, Rejection, path::FullPath};

use super::{
    answer::{self, Answer},
    door::{Door, Refused},
    query::Query,
    socket::{self, Arrival},
    upgrade,
};
use crate::{
    auth::{bearer, claims::Claims},
    session::Context,
    wire::{Close, Code},
};

/// The address of the other side of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// What the routes need.
pub struct Site {
    /// What all sessions share.
    pub context: Arc<Context>,
    /// Who may come in.
    pub door: Arc<Door>,
    /// The tasks of upgraded connections.
    pub connections: TaskTracker,
    /// How old the knowledge of the log may be for /readyz.
    pub ready_lag_max_ms: u64,
    /// Where a drain spreads the clients' return, in ms.
    pub retry_spread_ms: u64,
    /// Renders the metrics.
    pub metrics: Box<dyn Fn() -> String + Send + Sync>,
}

/// A request as far as any route looks at it.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) method: Method,
    path: String,
    pub(super) query: String,
    pub(super) headers: HeaderMap,
    pub(super) peer: SocketAddr,
    upgrade: Option<OnUpgrade>,
}

/// Everything that is served to clients.
pub fn public(
    site: Arc<Site>,
) -> impl Filter<Extract = (Answer,), Error = Infallible> + Clone + Send + Sync + 'static {
    request()
        .then(move |request: Request| {
            let site = Arc::clone(&site);
            async move { site.answer(request).await }
        })
        .recover(async |_: Rejection| {
            Ok::<_, Infallible>(answer::error(Code::NotFound, "no such path"))
        })
        .unify()
}

fn request() -> impl Filter<Extract = (Request,), Error = Rejection> + Clone + Send + Sync {
    let query = warp::query::raw().or(warp::any().map(String::new)).unify();
    warp::method()
        .and(warp::path::full())
        .and(query)
        .and(warp::header::headers_cloned())
        .and(warp::ext::get::<Peer>())
        .and(warp::ext::optional::<OnUpgrade>())
        .map(|method, path: FullPath, query, headers, Peer(peer), upgrade| Request {
            method,
            path: path.as_str().to_owned(),
            query,
            headers,
            peer,
            upgrade,
        })
}

impl Site {
    async fn answer(self: Arc<Self>, request: Request) -> Answer {
        let path = request.path.clone();
        let path = path.strip_suffix('/').unwrap_or(&path);
        match (&request.method, path) {
            (&Method::GET | &Method::HEAD, "/healthz") => {
                answer::json(StatusCode::OK, "{\"status\":\"alive\"}".to_owned())
            }
            (&Method::GET | &Method::HEAD, "/readyz") => self.ready(),
            (&Method::GET, "/metrics") => answer::text((self.metrics)()),
            (&Method::GET | &Method::OPTIONS, path) => match split_feed(path) {
                Some(("ws", feed)) => self.web_socket(request, feed).await,
                Some(("sse", feed)) => self.sse(request, feed).await,
                Some(("poll", feed)) => self.poll(request, feed).await,
                _ => answer::error(Code::NotFound, "no such path"),
            },
            _ => answer::error(Code::NotFound, "no such path"),
        }
    }

    /// Whether clients can be served exactly.
    fn ready(&self) -> Answer {
        let lag_ms = self.context.hub.lag_ms();
        let reason = match lag_ms {
            None => Some("the database has not been reached yet"),
            Some(lag_ms) if lag_ms > self.ready_lag_max_ms => Some("the log cannot be read"),
            Some(_) if self.context.drain.is_cancelled() => Some("the gateway drains"),
            Some(_) => None,
        };
        let lag = lag_ms.map_or("null".to_owned(), |lag_ms| lag_ms.to_string());
        match reason {
            None => answer::json(StatusCode::OK, format!("{{\"ready\":true,\"lag_ms\":{lag}}}")),
            Some(reason) => {
                let text = format!("{{\"ready\":false,\"reason\":\"{reason}\",\"lag_ms\":{lag}}}");
                answer::json(StatusCode::SERVICE_UNAVAILABLE, text)
            }
        }
    }

    async fn web_socket(self: Arc<Self>, request: Request, feed: &str) -> Answer {
        if feed != "changes" {
            return answer::error(Code::NotFound, "no such feed");
        }
        let Some(on_upgrade) = request
            .upgrade
            .clone()
            .filter(|_| upgrade::is_asked_for(&request.method, &request.headers))
        else {
            let message = "this path takes a WebSocket (or use /sse/ or /poll/)";
            return answer::error(Code::BadMessage, message);
        };
        match self.arrive(&request).await {
            Ok((answer, arrival)) => {
                self.connections.spawn(async move {
                    if let Some((socket, early)) = upgrade::socket(on_upgrade).await {
                        Box::pin(socket::serve(socket, early, arrival)).await;
                    }
                });
                answer
            }
            Err(Refused { code, message }) => answer::error(code, message),
        }
    }

    async fn arrive(&self, request: &Request) -> Result<(Answer, Arrival), Refused> {
        let refused = |code, message| Refused { code, message };
        self.check_open()?;
        self.check_origin(&request.headers)?;
        let answer = upgrade::accept(&request.headers)
            .map_err(|message| refused(Code::BadMessage, message))?;
        let subscriptions = Query::parse(&request.query)
            .and_then(|query| query.subscriptions())
            .map_err(|_| refused(Code::BadMessage, "the query cannot be read"))?;
        let rules = self.door.rules();
        let forwarded = upgrade::values(&request.headers, &FORWARDED);
        let address = rules.proxies.client(request.peer.ip(), forwarded.collect::<Vec<_>>());
        let pass = self.door.enter(address)?;
        let (claims, refused) = match self.claims(request).await {
            Ok(claims) => {
                let is_admitted =
                    claims.as_ref().is_none_or(|claims| pass.is_subject_admitted(claims));
                let refused = (!is_admitted).then_some((Close::Limit, "too many connections"));
                (claims, refused)
            }
            Err(reason) => (None, Some((Close::Unauthorized, reason))),
        };
        let arrival = Arrival {
            context: Arc::clone(&self.context),
            door: Arc::clone(&self.door),
            pass,
            claims,
            refused,
            subscriptions,
            retry_spread_ms: self.retry_spread_ms,
        };
        Ok((answer, arrival))
    }

    /// Whether clients are served now.
    pub(super) fn check_open(&self) -> Result<(), Refused> {
        let unavailable = |message| Err(Refused { code: Code::Unavailable, message });
        if self.context.drain.is_cancelled() {
            return unavailable("the gateway drains; try again");
        }
        if self.context.hub.lag_ms().is_none() {
            return unavailable("the database has not been reached yet; try again");
        }
        Ok(())
    }

    pub(super) fn check_origin(&self, headers: &HeaderMap) -> Result<(), Refused> {
        let origins: Vec<&str> = upgrade::values(headers, &header::ORIGIN).collect();
        let hosts: Vec<&str> = upgrade::values(headers, &header::HOST).collect();
        if self.door.rules().origins.admits(&origins, &hosts) {
            return Ok(());
        }
        let message = "this origin is not served: name it in `server.allowed_origins`";
        Err(Refused { code: Code::Forbidden, message })
    }

    pub(super) async fn claims(
        &self,
        request: &Request,
    ) -> Result<Option<Arc<Claims>>, &'static str> {
        let headers = &request.headers;
        let token = bearer::token(
            upgrade::values(headers, &header::AUTHORIZATION),
            upgrade::values(headers, &header::SEC_WEBSOCKET_PROTOCOL),
            Some(&request.query),
        )
        .map_err(|_| "more than one token")?;
        match token {
            None => Ok(None),
            Some(token) => match self.door.verify(&token).await {
                Ok(claims) => Ok(Some(claims)),
                Err(error) => {
                    tracing::debug!(%error, "A token was refused.");
                    Err("the token is not accepted")
                }
            },
        }
    }
}

pub(super) const FORWARDED: http::HeaderName = http::HeaderName::from_static("x-forwarded-for");

/// The transport and the feed of a path.
fn split_feed(path: &str) -> Option<(&str, &str)> {
    path.strip_prefix('/')?.split_once('/')
}
