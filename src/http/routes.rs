//! The routes, as warp filters.

use std::{convert::Infallible, net::SocketAddr, sync::Arc};

use http::{HeaderMap, Method, StatusCode, header};
use hyper::upgrade::OnUpgrade;
use tokio_util::task::TaskTracker;
use warp::{Filter, Rejection, path::FullPath};

use super::{
    answer::{self, Answer},
    console::Sizes,
    door::{Door, Pass, Refused},
    opening::{self, Opening},
    ready::State,
    server::Room,
    socket::{self, Arrival},
    upgrade,
};
use crate::{
    auth::{bearer, claims::Claims, feeds::Feeds},
    session::Context,
    wire::{Close, Code},
};

/// The address of the other side of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// Which paths a listener serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Those for clients.
    Public,
    /// Those for the operator: metrics, readiness, console.
    Admin,
    /// All.
    Both,
}

/// What the routes need.
pub struct Site {
    /// What all sessions share.
    pub context: Arc<Context>,
    /// Who may come in.
    pub door: Arc<Door>,
    /// The declared feeds.
    pub feeds: Arc<Feeds>,
    /// The tasks of upgraded connections.
    pub connections: TaskTracker,
    /// How old the knowledge of the log may be for /readyz.
    pub ready_lag_max_ms: u64,
    /// Where a drain spreads the clients' return, in ms.
    pub retry_spread_ms: u64,
    /// How the settings stand to the database.
    pub fitness: Box<dyn Fn() -> State + Send + Sync>,
    /// Renders the metrics.
    pub metrics: Box<dyn Fn() -> String + Send + Sync>,
    /// Where the console is on: the sizes of tables.
    pub console: Option<Sizes>,
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
    pub(super) room: Room,
}

/// Everything that is served on one side.
pub fn all(
    site: Arc<Site>,
    side: Side,
) -> impl Filter<Extract = (Answer,), Error = Infallible> + Clone + Send + Sync + 'static {
    request()
        .then(move |request: Request| {
            let site = Arc::clone(&site);
            async move { site.answer(request, side).await }
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
        .and(warp::ext::get::<Room>())
        .map(|method, path: FullPath, query, headers, Peer(peer), upgrade, room| Request {
            method,
            path: path.as_str().to_owned(),
            query,
            headers,
            peer,
            upgrade,
            room,
        })
}

impl Site {
    async fn answer(self: Arc<Self>, request: Request, side: Side) -> Answer {
        let path = request.path.clone();
        let path = path.strip_suffix('/').unwrap_or(&path);
        let is_get = request.method == Method::GET;
        if is_get || request.method == Method::HEAD {
            match path {
                "/healthz" => {
                    return answer::json(StatusCode::OK, "{\"status\":\"alive\"}".to_owned());
                }
                "/readyz" if side != Side::Public => return self.ready(),
                "/metrics" if side != Side::Public => return answer::text((self.metrics)()),
                _ => {}
            }
        }
        if request.room.is_crowded {
            let message = "the gateway's connections are used up; try again later";
            return answer::error(Code::TooManyConnections, message);
        }
        if (is_get || request.method == Method::HEAD)
            && let Some(answer) = self.console(&request, path, side).await
        {
            return answer;
        }
        let is_asked = is_get || request.method == Method::OPTIONS;
        match split_feed(path).filter(|_| is_asked && self.has_feeds(side, path)) {
            Some(("ws", feed)) if is_get => self.web_socket(request, feed).await,
            Some(("sse", feed)) => self.sse(request, feed).await,
            Some(("poll", feed)) => self.poll(request, feed).await,
            _ => answer::error(Code::NotFound, "no such path"),
        }
    }

    async fn web_socket(self: Arc<Self>, request: Request, feed: &str) -> Answer {
        let Some(feed) = opening::find(&self.feeds, feed) else {
            return answer::error(Code::NotFound, "no such feed");
        };
        let Some(on_upgrade) = request
            .upgrade
            .clone()
            .filter(|_| upgrade::is_asked_for(&request.method, &request.headers))
        else {
            let message = "this path takes a WebSocket (or use /sse/ or /poll/)";
            return answer::error(Code::BadMessage, message);
        };
        match self.arrive(&request, &feed).await {
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

    /// Whether anybody is served now.
    pub(super) fn check_open(&self) -> Result<(), Refused> {
        let message = if self.context.drain.is_cancelled() {
            "the gateway drains; try again"
        } else if self.context.hub.lag_ms().is_none() || (self.fitness)() == State::Unknown {
            "the database has not been reached yet; try again"
        } else {
            return Ok(());
        };
        Err(Refused { code: Code::Unavailable, message })
    }

    /// Lets a client in, as far as its address and its headers tell.
    pub(super) fn let_in(&self, request: &Request) -> Result<Pass, Refused> {
        self.check_open()?;
        self.check_headers(&request.headers)?;
        let forwarded = upgrade::values(&request.headers, &FORWARDED);
        let proxies = &self.door.rules().proxies;
        let address = proxies.client(request.peer.ip(), forwarded.collect::<Vec<_>>());
        self.door.enter(address)
    }

    async fn arrive(
        &self,
        request: &Request,
        feed: &opening::Feed,
    ) -> Result<(Answer, Arrival), Refused> {
        let pass = self.let_in(request)?;
        let answer = upgrade::accept(&request.headers)
            .map_err(|message| Refused { code: Code::BadMessage, message })?;
        let mut opening = Opening::default();
        let (claims, refused) = match self.claims(request).await {
            Err(refused) if refused.code == Code::Unavailable => return Err(refused),
            Err(Refused { message, .. }) => (None, Some((Close::Unauthorized, message))),
            Ok(Some(claims)) if !pass.is_subject_admitted(&claims) => {
                (None, Some((Close::Limit, "too many connections")))
            }
            Ok(claims) => match opening::resolve(feed, claims.as_deref(), &request.query) {
                Ok(opened) => {
                    opening = opened;
                    (claims, None)
                }
                Err(refusal) if refusal.code == Code::Unauthorized => {
                    (None, Some((Close::Unauthorized, "this feed needs a token")))
                }
                Err(_) => (None, Some((Close::Forbidden, "the token does not open this feed"))),
            },
        };
        let arrival = Arrival {
            context: Arc::clone(&self.context),
            door: Arc::clone(&self.door),
            pass,
            room: request.room.clone(),
            claims,
            refused,
            opening,
            retry_spread_ms: self.retry_spread_ms,
        };
        Ok((answer, arrival))
    }

    /// Whether the request's headers can be judged, and its origin may connect.
    pub(super) fn check_headers(&self, headers: &HeaderMap) -> Result<(), Refused> {
        if !upgrade::is_readable(headers) {
            let message = "a header holds more than ASCII";
            return Err(Refused { code: Code::BadMessage, message });
        }
        let origins: Vec<&str> = upgrade::values(headers, &header::ORIGIN).collect();
        let hosts: Vec<&str> = upgrade::values(headers, &header::HOST).collect();
        if self.door.rules().origins.admits(&origins, &hosts) {
            return Ok(());
        }
        let message = "this origin is not served: name it in `server.allowed_origins`";
        Err(Refused { code: Code::Forbidden, message })
    }

    /// Whose token the request has; none where it has none.
    pub(super) async fn claims(&self, request: &Request) -> Result<Option<Arc<Claims>>, Refused> {
        let unauthorized = |message| Refused { code: Code::Unauthorized, message };
        let headers = &request.headers;
        let token = bearer::token(
            upgrade::values(headers, &header::AUTHORIZATION),
            upgrade::values(headers, &header::SEC_WEBSOCKET_PROTOCOL),
            Some(&request.query),
        )
        .map_err(|bearer::TwoTokens| unauthorized("more than one token"))?;
        match token {
            None => Ok(None),
            Some(token) => match self.door.verify(&token).await {
                Ok(claims) => Ok(Some(claims)),
                Err(error) => {
                    tracing::debug!(%error, "A token was refused.");
                    Err(if error.is_transient() {
                        let message = "tokens cannot be checked now; try again";
                        Refused { code: Code::Unavailable, message }
                    } else {
                        unauthorized("the token is not accepted")
                    })
                }
            },
        }
    }
}

const FORWARDED: http::HeaderName = http::HeaderName::from_static("x-forwarded-for");

/// The transport and the feed of a path.
fn split_feed(path: &str) -> Option<(&str, &str)> {
    path.strip_prefix('/')?.split_once('/')
}
