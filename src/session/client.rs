//! A session: what one client asks, and what it is told.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    Context, Queue, Transport,
    catch_up::{self, Start},
    context, lag,
    limits::Rate,
    queue::Lag,
    refusal::{Refusal, error},
    shapes::Since,
    subscription::{Shared, Ticket},
    telling::Telling,
};
use crate::{
    auth::{claims::Claims, feeds::Found},
    feed::Notice,
    tasks,
    wire::{
        Close, Code, Encoding, Frames, Request, Subscribe,
        reply::{self, Ended},
    },
};

/// Over-rate messages in a row that close the connection.
const OVER_RATE_MAX: u32 = 10;

/// One client. Owned by its transport; [`Session::end`] ends it.
pub struct Session {
    shared: Arc<Shared>,
    rate: Rate,
    over_rate: u32,
    errors: u32,
    /// Subscriptions of a declared feed that wait for a token.
    waiting: Vec<Subscribe>,
    lag: Option<tokio::task::JoinHandle<()>>,
}

impl Session {
    /// Opens a session and says hello.
    pub fn open(
        context: &Arc<Context>,
        transport: Arc<dyn Transport>,
        claims: Option<Arc<Claims>>,
    ) -> Self {
        Self::open_on(context, transport, claims, None)
    }

    /// The same on a declared feed, which has its own tables.
    pub fn open_on(
        context: &Arc<Context>,
        transport: Arc<dyn Transport>,
        claims: Option<Arc<Claims>>,
        declared: Option<Found>,
    ) -> Self {
        let queue = Queue::new(transport, context.limits.queue_bytes_max);
        queue.set_end(claims.as_deref().map(end_of));
        queue.push(&Frames::one(reply::hello(context.heartbeat_ms)));
        if queue.encoding() == Encoding::EventStream {
            // Until all its subscriptions are there: see [`Session::stream`].
            queue.telling(Telling::withhold);
        }
        // From here on it is told heartbeats.
        let client = context.hub.enter(Arc::<Queue>::clone(&queue));
        let rate = Rate::new(context.limits.messages_per_second_max);
        let shared = Shared::new(Arc::clone(context), queue, client, (claims, declared));
        metrics::gauge!("pgfeed_connections").increment(1);
        Self { shared, rate, over_rate: 0, errors: 0, waiting: Vec::new(), lag: None }
    }

    /// What its requests and its catch-ups share.
    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// What waits for the client.
    pub fn queue(&self) -> &Arc<Queue> {
        &self.shared.queue
    }

    /// Who the reader is.
    pub fn claims(&self) -> Option<Arc<Claims>> {
        self.shared.claims()
    }

    /// Takes a message; gives the close that it leads to.
    ///
    /// `auth` is not answered here but given back, for a token is verified where keys are.
    pub fn take(&mut self, text: &str) -> Taken {
        if let Some(close) = self.count() {
            return close;
        }
        match Request::parse(text) {
            Ok(Request::Ping {}) => self.shared.push(reply::pong()),
            Ok(Request::Auth { token }) => return Taken::Auth(token),
            Ok(Request::Subscribe(request)) if self.is_declared() => self.refuse(&request.id),
            Ok(Request::Unsubscribe { id }) if self.is_declared() => self.refuse(&id),
            Ok(Request::Subscribe(request)) => self.subscribe(*request),
            Ok(Request::Unsubscribe { id }) => self.unsubscribe(&id),
            Err(bad) => return self.bad(&bad.to_string()),
        }
        Taken::Done
    }

    /// A message that is no request.
    pub fn bad(&mut self, why: &str) -> Taken {
        self.shared.push(reply::error(Code::BadMessage, why, None));
        self.errors += 1;
        let is_enough = self.errors >= self.shared.context.limits.client_errors_max;
        if is_enough { Taken::Close(Close::BadMessages, "") } else { Taken::Done }
    }

    /// A message over the size limit.
    pub fn too_large(&self) -> Taken {
        let max = self.shared.context.limits.message_bytes_max;
        let message = format!("a message takes at most {max} bytes");
        self.shared.push(reply::error(Code::TooLarge, &message, None));
        Taken::Close(Close::TooLarge, "")
    }

    /// The message was understood and cannot be heeded now.
    pub fn is_unavailable(&self, message: &str) {
        self.shared.push(reply::error(Code::Unavailable, message, None));
    }

    /// Counts a message against the rate.
    pub fn count(&mut self) -> Option<Taken> {
        if self.rate.take() {
            self.over_rate = 0;
            return None;
        }
        self.over_rate += 1;
        let max = self.shared.context.limits.messages_per_second_max;
        let message = format!("at most {max} messages a second; this one was not read");
        self.shared.push(reply::error(Code::TooManyMessages, &message, None));
        let is_enough = self.over_rate >= OVER_RATE_MAX;
        Some(if is_enough { Taken::Close(Close::Limit, "") } else { Taken::Done })
    }

    /// Subscribes, or says why not.
    pub fn subscribe(&mut self, request: Subscribe) {
        let again = self.is_declared().then(|| request.clone());
        let id = request.id.clone();
        if let Err(refusal) = self.try_subscribe(request) {
            self.shared.push(error(&refusal, Some(&id)));
            self.waiting.extend(again.filter(|_| refusal.code == Code::Unauthorized));
        }
    }

    fn is_declared(&self) -> bool {
        self.shared.declared.is_some()
    }

    fn refuse(&self, id: &str) {
        let message = "this feed has its own tables; name tables on the feed `changes`";
        self.shared.push(reply::error(Code::Forbidden, message, Some(id)));
    }

    /// Says what the query asked for and does not get.
    pub fn tell_refused(&self, refused: &[(Option<String>, Refusal)]) {
        for (id, refusal) in refused {
            self.shared.push(error(refusal, id.as_deref()));
        }
    }

    /// Subscribes, or gives the reason why not.
    pub fn try_subscribe(&mut self, request: Subscribe) -> Result<(), Refusal> {
        if self.shared.has(&request.id) {
            let message = "`id` is in use on this connection: unsubscribe it first";
            return Err(Refusal::new(Code::DuplicateId, message));
        }
        let max = self.shared.context.limits.subscriptions_max;
        if self.shared.count() >= max {
            let message = format!("at most {max} subscriptions on a connection");
            return Err(Refusal::new(Code::TooManySubscriptions, message));
        }
        let start = match &request.since {
            Some(text) => {
                let bad =
                    |bad: crate::change::BadCursor| Refusal::new(Code::BadCursor, bad.to_string());
                Start::Cursor(Box::new(Since::parse(text).map_err(bad)?.cursor))
            }
            None => Start::Now,
        };
        begin(&self.shared, &Arc::new(request), start)
    }

    fn unsubscribe(&self, id: &str) {
        if self.shared.remove(id) {
            self.shared.push(reply::unsubscribed(id, None));
        } else {
            let message = "no subscription has this `id`";
            self.shared.push(reply::error(Code::NotFound, message, Some(id)));
        }
    }

    /// Takes other claims; ends what they no longer allow, before it says that it took them: from
    /// `authenticated` on nothing comes by the rights of before. An error closes the connection.
    pub fn authenticate(
        &mut self,
        claims: Arc<Claims>,
        expires_at: &str,
    ) -> Result<(), (Close, &'static str)> {
        if self.shared.claims().is_some_and(|now| !now.same_subject(&claims)) {
            return Err((Close::Unauthorized, "the token is another subject's"));
        }
        let end = end_of(&claims);
        if !self.shared.set_claims(claims) {
            return Err((Close::Forbidden, "the token does not open this feed"));
        }
        let mut revoked = Vec::new();
        for (request, topic) in self.shared.grants() {
            let is_equal = self.shared.spec(&request).is_ok_and(|spec| spec.is_same(&topic.spec));
            if !is_equal && self.shared.remove(&request.id) {
                revoked.push(request);
            }
        }
        self.shared.queue.set_end(Some(end));
        self.shared.push(reply::authenticated(expires_at));
        for request in revoked {
            self.shared.push(reply::unsubscribed(&request.id, Some(Ended::AccessRevoked)));
        }
        for request in std::mem::take(&mut self.waiting) {
            self.subscribe(request);
        }
        Ok(())
    }

    /// Does what the queue has for the session: topics that ended, chunks not taken.
    pub fn attend(&mut self, notices: &[(u64, Notice)], lag: Option<Lag>) {
        for (topic, notice) in notices {
            if notice.ends_for_good() {
                for request in self.shared.take_ended(*topic) {
                    start_over(&self.shared, &request, *notice);
                }
            } else {
                let reason = notice.reason();
                for ticket in self.shared.suspend(*topic) {
                    join(&self.shared, &ticket, Start::Over { reason, is_told: true });
                }
            }
            self.shared.queue.telling(Telling::release);
        }
        let is_recovering = self.lag.as_ref().is_some_and(|task| !task.is_finished());
        if let (Some(lag), false) = (lag, is_recovering) {
            metrics::counter!("pgfeed_slow_clients_total").increment(1);
            let shared = Arc::clone(&self.shared);
            self.lag = Some(tasks::spawn("lag", async move {
                if let Err(error) = lag::recover(&shared, lag).await {
                    context::is_unavailable("a slow client's rest", &error);
                    shared.queue.give_up();
                }
            }));
        }
    }

    /// Ends the session: its subscriptions, its tasks.
    pub fn end(self) {
        self.shared.queue.close();
        if let Some(task) = &self.lag {
            task.abort();
        }
        self.shared.remove_all();
        metrics::gauge!("pgfeed_connections").decrement(1);
        self.shared.context.hub.leave(self.shared.client);
    }
}

/// When these claims end, by the clock that timers use.
pub fn end_of(claims: &Claims) -> Instant {
    let now = jiff::Timestamp::now().as_millisecond();
    let left_ms = claims.expires_at().saturating_mul(1_000).saturating_sub(now);
    Instant::now() + Duration::from_millis(u64::try_from(left_ms).unwrap_or(0))
}

/// What a message leads to.
#[derive(Debug, PartialEq, Eq)]
pub enum Taken {
    /// It was answered.
    Done,
    /// A token is to be verified.
    Auth(crate::wire::request::Token),
    /// The connection is to be closed.
    Close(Close, &'static str),
}

/// Begins a subscription: from now at once where possible, else by a task.
fn begin(shared: &Arc<Shared>, request: &Arc<Subscribe>, start: Start) -> Result<(), Refusal> {
    if shared.context.hub.now().is_none() {
        let message = "the database has not been reached yet; try again";
        return Err(Refusal::new(Code::Unavailable, message));
    }
    let ticket = loop {
        let claims = shared.claims();
        let spec = shared.spec(request)?;
        if shared.declared.is_none() {
            let limits = &shared.context.limits;
            limits.check_scan(shared.scanned_terms() + spec.scanned_terms())?;
            limits.check_index(shared.indexed_values() + spec.indexed_values())?;
        }
        let Some(topic) = shared.context.hub.acquire(&spec) else {
            let message = "the table is being changed; try again";
            return Err(Refusal::new(Code::Unavailable, message));
        };
        let id = topic.id;
        match shared.add(Arc::clone(request), topic, claims.as_ref()) {
            Some(ticket) => break ticket,
            // The claims are others by now: what was made by those of before is void.
            None => shared.context.hub.release(id),
        }
    };
    join(shared, &ticket, start);
    Ok(())
}

/// Joins a subscription to its topic, at once where possible, else by a task.
fn join(shared: &Arc<Shared>, ticket: &Ticket, start: Start) {
    let starts_over = matches!(start, Start::Over { is_told: true, .. });
    if starts_over || shared.queue.encoding() == Encoding::EventStream {
        shared.withhold(ticket);
    }
    let is_from_now = matches!(start, Start::Now | Start::Over { .. }) && !ticket.request.snapshot;
    if is_from_now && catch_up::join_now(shared, ticket, &start).is_ok() {
        return;
    }
    let run = catch_up::run(Arc::clone(shared), ticket.clone(), start);
    let task = tasks::spawn("catch-up", run);
    shared.set_task(ticket, task.abort_handle());
}

/// A catching-up subscription's topic ended: its table is another one, or gone.
pub fn restart(shared: &Arc<Shared>, ticket: &Ticket) {
    let table = ticket.topic.spec.table.oid;
    shared.queue.telling(Telling::withhold);
    if shared.remove_ticket(ticket) {
        start_over(shared, &ticket.request, Notice::TableChanged(table));
    }
    shared.queue.telling(Telling::release);
}

/// Starts a subscription over, or ends it, because of what happened to its table or the log.
fn start_over(shared: &Arc<Shared>, request: &Arc<Subscribe>, notice: Notice) {
    if let Notice::TableGone(_) = notice {
        shared.push(reply::unsubscribed(&request.id, Some(Ended::TableUnwatched)));
        return;
    }
    let start = Start::Over { reason: notice.reason(), is_told: true };
    let Err(refusal) = begin(shared, request, start) else { return };
    if !matches!(refusal.code, Code::Forbidden | Code::Unauthorized) {
        shared.push(error(&refusal, Some(&request.id)));
    }
    let why = refusal.ended(&shared.context, &request.table);
    shared.push(reply::unsubscribed(&request.id, Some(why)));
}
