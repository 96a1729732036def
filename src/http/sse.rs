//! Server-sent events: the same session as on a WebSocket, told in one direction.

use std::{sync::Arc, time::Duration};

use http::{HeaderValue, header};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use warp::Reply;

use super::{
    answer::Answer,
    body::{self, Outlet},
    routes::{Request, Site},
    visit::{self, Visit},
};
use crate::{
    session::{Session, Transport, client::end_of, refusal::Refusal, snapshot},
    tasks::until,
    wire::{Code, Encoding, reply},
};

/// How long a farewell may take.
const END_LIMIT: Duration = Duration::from_secs(2);

/// One client of a stream.
struct Stream {
    session: Session,
    outlet: Arc<Outlet>,
    visit: Visit,
}

/// Why a stream ends from our side.
enum End {
    /// The gateway drains.
    Drain,
    /// The token has ended.
    Expired,
    /// The client is too slow, or cannot be served: it comes back with its cursor.
    GiveUp,
    /// The client is gone.
    Gone,
}

impl Site {
    /// Answers `/sse/{feed}/`.
    pub(super) async fn sse(self: Arc<Self>, request: Request, feed: &str) -> Answer {
        let answer = match visit::preflight(&self, &request) {
            Some(answer) => answer,
            None => match Arc::clone(&self).open(&request, feed).await {
                Ok(answer) => answer,
                Err(refusal) => visit::refuse(&refusal),
            },
        };
        visit::allow_origin(&self, &request, answer)
    }

    async fn open(self: Arc<Self>, request: &Request, feed: &str) -> Result<Answer, Refusal> {
        let mut visit = self.visit(request, feed).await?;
        if visit.subscriptions.iter().any(|it| it.snapshot) {
            // A place that is free now: a stream that has begun can no longer be refused.
            let place = snapshot::place(&self.context.snapshots).await;
            place.map(drop).ok_or_else(|| {
                let message = "too many snapshots are read at the same time; try again";
                Refusal::new(Code::Unavailable, message)
            })?;
        }
        let (outlet, body) = body::pair(Encoding::EventStream);
        let outlet = Arc::new(outlet);
        let transport: Arc<dyn Transport> = Arc::<Outlet>::clone(&outlet);
        let (claims, declared) = (visit.claims.clone(), visit.declared.take());
        let mut session = Session::open_on(&self.context, transport, claims, declared);
        if let Err(refusal) = session.stream(std::mem::take(&mut visit.subscriptions)) {
            session.end();
            return Err(refusal);
        }
        let site = Arc::clone(&self);
        self.connections.spawn(async move {
            Stream { session, outlet, visit }.serve(&site).await;
        });
        let mut answer = warp::reply::stream(body).into_response();
        let headers = answer.headers_mut();
        for (name, value) in [
            (header::CONTENT_TYPE, "text/event-stream"),
            (header::CACHE_CONTROL, "no-store"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            // What nginx reads as: pass it on at once.
            (http::HeaderName::from_static("x-accel-buffering"), "no"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        Ok(answer)
    }
}

impl Stream {
    async fn serve(mut self, site: &Site) {
        let end = self.run(site).await;
        let queue = self.session.queue();
        match end {
            End::Drain => {
                let retry_ms = fastrand::u64(0..=site.retry_spread_ms);
                queue.push_bytes(format!("retry:{retry_ms}\n\n").into());
                self.part().await;
            }
            End::Expired => {
                let message = "the token has expired; come back with another one";
                let json = reply::error(Code::Unauthorized, message, None);
                queue.end_with(format!("data:{json}\n\n").into());
                self.part().await;
            }
            End::GiveUp => self.outlet.break_off(),
            End::Gone => {}
        }
        self.session.end();
    }

    async fn run(&mut self, site: &Site) -> End {
        let queue = Arc::clone(self.session.queue());
        let drain = self.session.drain();
        let stall = site.context.limits.stall;
        let mut keep_alive = interval(Duration::from_millis(site.context.heartbeat_ms.max(1)));
        keep_alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut blocked: Option<Instant> = None;
        let expiry = self.visit.claims.as_deref().map(end_of);
        loop {
            tokio::select! {
                () = self.outlet.changed() => {
                    if self.outlet.is_gone() {
                        return End::Gone;
                    }
                    blocked = None;
                    queue.unblock();
                }
                () = queue.has_work() => {}
                () = until(expiry) => {}
                () = until(blocked.map(|since| since + stall)) => return End::GiveUp,
                () = drain.cancelled() => return End::Drain,
                _ = keep_alive.tick() => {
                    // A heartbeat is not sent to who lags or catches up; a proxy wants bytes.
                    if queue.is_empty() {
                        queue.push_bytes(b":\n\n".as_slice().into());
                    }
                }
            }
            let work = queue.work();
            if work.is_closed {
                return End::Gone;
            }
            if work.has_ended || expiry.is_some_and(|at| Instant::now() >= at) {
                return End::Expired;
            }
            if work.is_given_up {
                return End::GiveUp;
            }
            if work.is_blocked && blocked.is_none() {
                blocked = Some(Instant::now());
            }
            self.session.attend(&work.notices, work.lag);
        }
    }

    /// Lets what waits go out, and ends the body.
    async fn part(&self) {
        let queue = self.session.queue();
        let farewell = async {
            while !queue.is_empty() && !self.outlet.is_gone() {
                self.outlet.changed().await;
                queue.unblock();
            }
        };
        timeout(END_LIMIT, farewell).await.unwrap_or_default();
        self.outlet.end();
    }
}
