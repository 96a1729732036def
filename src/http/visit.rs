//! A request for changes over plain HTTP: who comes, and what for.

use std::sync::Arc;

use http::{HeaderName, HeaderValue, Method, StatusCode, header};

use super::{
    answer::{self, Answer},
    door::{Pass, Refused},
    opening::{self, Opening},
    query::Query,
    routes::{Request, Site},
    upgrade::values,
};
use crate::{
    auth::{claims::Claims, feeds::Found},
    session::refusal::Refusal,
    wire::{Code, Subscribe},
};

/// A client that was let in.
pub(super) struct Visit {
    /// Counts the client as long as it is here.
    pub(super) pass: Pass,
    /// Who the reader is.
    pub(super) claims: Option<Arc<Claims>>,
    /// What the URL says.
    pub(super) query: Query,
    /// The declared feed, where it is one.
    pub(super) declared: Option<Found>,
    /// What it subscribes to; `since` is that of `Last-Event-ID` where that is sent.
    pub(super) subscriptions: Vec<Subscribe>,
}

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        Self::new(refused.code, refused.message)
    }
}

impl Site {
    /// Lets a client in, or says why not: every refusal has its status.
    pub(super) async fn visit(&self, request: &Request, feed: &str) -> Result<Visit, Refusal> {
        let Some(feed) = opening::find(&self.feeds, feed) else {
            return Err(Refusal::new(Code::NotFound, "no such feed"));
        };
        let pass = self.let_in(request)?;
        let claims = self.claims(request).await?;
        if claims.as_ref().is_some_and(|claims| !pass.is_subject_admitted(claims)) {
            let message = "this subject has too many connections";
            return Err(Refusal::new(Code::TooManyConnections, message));
        }
        let Opening { declared, mut subscriptions, refused } =
            opening::resolve(&feed, claims.as_deref(), &request.query)?;
        if let Some((_, refusal)) = refused.into_iter().next() {
            return Err(refusal);
        }
        if subscriptions.is_empty() {
            return Err(Refusal::new(Code::BadMessage, "name a table: `?table=…`"));
        }
        self.check_many(&subscriptions)?;
        let last = values(&request.headers, &LAST_EVENT_ID).next().filter(|it| !it.is_empty());
        for subscription in subscriptions.iter_mut().filter(|_| last.is_some()) {
            subscription.since = last.map(str::to_owned);
        }
        let query = Query::parse(&request.query)
            .map_err(|bad| Refusal::new(Code::BadMessage, bad.message))?;
        Ok(Visit { pass, claims, query, declared, subscriptions })
    }

    /// One request asks for no more than a connection may. Judged here, since a poll has no
    /// session that would count.
    fn check_many(&self, subscriptions: &[Subscribe]) -> Result<(), Refusal> {
        let max = self.context.limits.subscriptions_max;
        if subscriptions.len() > max {
            let message = format!("at most {max} subscriptions in one request");
            return Err(Refusal::new(Code::TooManySubscriptions, message));
        }
        let mut ids: Vec<&str> = subscriptions.iter().map(|it| it.id.as_str()).collect();
        ids.sort_unstable();
        if ids.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(Refusal::new(Code::DuplicateId, "a table stands twice in the request"));
        }
        Ok(())
    }
}

/// The answer to a request that is refused.
pub(super) fn refuse(refusal: &Refusal) -> Answer {
    answer::error(refusal.code, &refusal.message)
}

/// Lets a page of another origin read the answer, where that origin is served.
pub(super) fn allow_origin(site: &Site, request: &Request, mut answer: Answer) -> Answer {
    let headers = answer.headers_mut();
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    let origin = request.headers.get(header::ORIGIN);
    if let Some(origin) = origin.filter(|_| site.check_headers(&request.headers).is_ok()) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        let exposed = HeaderValue::from_static("Retry-After");
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    }
    answer
}

/// The answer to a browser that asks whether it may ask.
pub(super) fn preflight(site: &Site, request: &Request) -> Option<Answer> {
    if request.method != Method::OPTIONS {
        return None;
    }
    if let Err(refused) = site.check_headers(&request.headers) {
        return Some(refuse(&refused.into()));
    }
    let mut answer = Answer::default();
    *answer.status_mut() = StatusCode::NO_CONTENT;
    let headers = answer.headers_mut();
    for (name, value) in [
        (header::ALLOW, "GET, OPTIONS"),
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET"),
        (
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "authorization, cache-control, content-type, last-event-id",
        ),
        (header::ACCESS_CONTROL_MAX_AGE, "600"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    Some(answer)
}
