//! The subscriptions of one connection.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
};

use tokio::task::AbortHandle;

use super::{Context, Queue, telling::Telling};
use crate::{
    auth::claims::Claims,
    change::TableName,
    feed::{
        Columns, Events, Grant, Topic, TopicSpec,
        hub::{ClientId, Member},
    },
    wire::{Code, Encoding, Frames, Subscribe, reply},
};

/// What a session's request handler and its catch-ups share. Ends with the connection.
pub struct Shared {
    /// What all sessions share.
    pub context: Arc<Context>,
    /// What waits for the client.
    pub queue: Arc<Queue>,
    /// The client's number in the hub.
    pub client: ClientId,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    subscriptions: HashMap<String, Subscription>,
    /// How many live subscriptions follow a topic.
    members: HashMap<u64, usize>,
    claims: Option<Arc<Claims>>,
    next: u64,
}

/// One subscription.
struct Subscription {
    /// Tells it from another one with the same id, before or after it.
    number: u64,
    request: Arc<Subscribe>,
    topic: Arc<Topic>,
    is_live: bool,
    /// Cursors of the whole connection are not told until it is live; see [`super::telling`].
    is_withholding: bool,
    task: Option<AbortHandle>,
}

/// A subscription as its catch-up knows it.
#[derive(Clone)]
pub struct Ticket {
    /// Its number; see [`Shared::is_current`].
    pub number: u64,
    /// What was asked for.
    pub request: Arc<Subscribe>,
    /// What it follows.
    pub topic: Arc<Topic>,
}

/// Why a subscription is refused.
#[derive(Debug)]
pub struct Refusal {
    /// For the program.
    pub code: Code,
    /// For a person.
    pub message: String,
}

impl Refusal {
    /// A refusal with its reason.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl Shared {
    /// A connection without subscriptions.
    pub fn new(
        context: Arc<Context>,
        queue: Arc<Queue>,
        client: ClientId,
        claims: Option<Arc<Claims>>,
    ) -> Arc<Self> {
        let state = Mutex::new(State { claims, ..State::default() });
        Arc::new(Self { context, queue, client, state })
    }

    /// Adds messages to the queue.
    pub fn push(&self, json: String) {
        self.queue.push(&Frames::one(json));
    }

    /// Adds a message about one subscription that tells its cursor.
    pub fn push_at(&self, json: String, cursor: &str) {
        self.queue.push_own(&Frames::with_cursor_beside(json, cursor.to_owned()));
    }

    /// Who the reader is.
    pub fn claims(&self) -> Option<Arc<Claims>> {
        self.state().claims.clone()
    }

    /// Takes other claims.
    pub fn set_claims(&self, claims: Arc<Claims>) {
        self.state().claims = Some(claims);
    }

    /// Whether an id is in use.
    pub fn has(&self, id: &str) -> bool {
        self.state().subscriptions.contains_key(id)
    }

    /// How many subscriptions there are.
    pub fn count(&self) -> usize {
        self.state().subscriptions.len()
    }

    /// What a request asks for, as far as the reader may have it.
    pub fn spec(&self, request: &Subscribe) -> Result<TopicSpec, Refusal> {
        spec(&self.context, self.claims().as_deref(), request)
    }

    /// Adds a subscription.
    pub fn add(&self, request: Arc<Subscribe>, topic: Arc<Topic>) -> Ticket {
        let mut state = self.state();
        state.next += 1;
        let number = state.next;
        let id = request.id.clone();
        let ticket = Ticket { number, request: Arc::clone(&request), topic: Arc::clone(&topic) };
        let (is_live, is_withholding, task) = (false, false, None);
        let subscription = Subscription { number, request, topic, is_live, is_withholding, task };
        state.subscriptions.insert(id, subscription);
        if self.queue.encoding() == Encoding::EventStream {
            let topics = state.subscriptions.values().map(|it| it.topic.spec.shape());
            let shapes: Vec<String> = topics.collect();
            self.queue.telling(|it| it.set_shapes(&shapes));
        }
        ticket
    }

    /// No cursor of the whole connection is told until the subscription is live, or gone.
    pub fn withhold(&self, ticket: &Ticket) {
        let mut state = self.state();
        if let Some(subscription) = state.current(ticket).filter(|it| !it.is_withholding) {
            subscription.is_withholding = true;
            self.queue.telling(Telling::withhold);
        }
    }

    /// The client has been told that the subscription is live.
    pub fn settle(&self, ticket: &Ticket) {
        let mut state = self.state();
        if let Some(subscription) = state.current(ticket).filter(|it| it.is_withholding) {
            subscription.is_withholding = false;
            self.queue.telling(Telling::release);
        }
    }

    /// Gives the subscription the task that catches it up.
    pub fn set_task(&self, ticket: &Ticket, task: AbortHandle) {
        let mut state = self.state();
        match state.current(ticket) {
            Some(subscription) => subscription.task = Some(task),
            None => task.abort(),
        }
    }

    /// The subscription goes live at chunk `after`; called under the hub's lock.
    pub fn set_live(&self, ticket: &Ticket, after: u64) -> Member {
        let mut state = self.state();
        let topic = ticket.topic.id;
        match state.current(ticket) {
            Some(subscription) => subscription.is_live = true,
            None => return Member::Cancelled,
        }
        let members = state.members.entry(topic).or_default();
        *members += 1;
        if *members > 1 {
            return Member::Already;
        }
        self.queue.join(topic, after);
        Member::New
    }

    /// Ends a subscription; false where there is none.
    pub fn remove(&self, id: &str) -> bool {
        let Some(subscription) = self.state().subscriptions.remove(id) else { return false };
        self.end(&subscription);
        true
    }

    /// Ends all subscriptions.
    pub fn remove_all(&self) {
        let all: Vec<Subscription> =
            self.state().subscriptions.drain().map(|(_, subscription)| subscription).collect();
        for subscription in &all {
            self.end(subscription);
        }
    }

    /// The live subscriptions of a topic that ended for good, taken out.
    pub fn take_ended(&self, topic: u64) -> Vec<Arc<Subscribe>> {
        let mut state = self.state();
        state.members.remove(&topic);
        let ids = state.live_ids(topic);
        ids.iter().filter_map(|id| Some(state.subscriptions.remove(id)?.request)).collect()
    }

    /// The live subscriptions of a topic whose members were taken from it, not live any more.
    pub fn suspend(&self, topic: u64) -> Vec<Ticket> {
        let mut state = self.state();
        state.members.remove(&topic);
        let ids = state.live_ids(topic);
        let mut tickets = Vec::new();
        for id in ids {
            let Some(subscription) = state.subscriptions.get_mut(&id) else { continue };
            subscription.is_live = false;
            tickets.push(Ticket {
                number: subscription.number,
                request: Arc::clone(&subscription.request),
                topic: Arc::clone(&subscription.topic),
            });
        }
        tickets
    }

    /// Every subscription's request and grant, to be judged anew.
    pub fn grants(&self) -> Vec<(Arc<Subscribe>, Arc<Topic>)> {
        let state = self.state();
        let all = state.subscriptions.values();
        all.map(|it| (Arc::clone(&it.request), Arc::clone(&it.topic))).collect()
    }

    /// The topics of the live subscriptions.
    pub fn live_topics(&self) -> Vec<Arc<Topic>> {
        let state = self.state();
        let mut topics: Vec<Arc<Topic>> = state
            .subscriptions
            .values()
            .filter(|it| it.is_live)
            .map(|it| Arc::clone(&it.topic))
            .collect();
        topics.sort_unstable_by_key(|topic| topic.id);
        topics.dedup_by_key(|topic| topic.id);
        topics
    }

    fn end(&self, subscription: &Subscription) {
        if let Some(task) = &subscription.task {
            task.abort();
        }
        if subscription.is_withholding {
            self.queue.telling(Telling::release);
        }
        let topic = subscription.topic.id;
        if !subscription.is_live {
            self.context.hub.release(topic);
            return;
        }
        self.context.hub.part(self.client, topic, || {
            let mut state = self.state();
            let Some(members) = state.members.get_mut(&topic) else { return false };
            *members -= 1;
            let is_last = *members == 0;
            if is_last {
                state.members.remove(&topic);
                self.queue.part(topic);
            }
            is_last
        });
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of a session's state panics")
    }
}

impl State {
    fn live_ids(&self, topic: u64) -> Vec<String> {
        let is_concerned = |it: &Subscription| it.topic.id == topic && it.is_live;
        let all = self.subscriptions.iter();
        all.filter(|(_, it)| is_concerned(it)).map(|(id, _)| id.clone()).collect()
    }

    fn current(&mut self, ticket: &Ticket) -> Option<&mut Subscription> {
        let subscription = self.subscriptions.get_mut(&ticket.request.id)?;
        (subscription.number == ticket.number).then_some(subscription)
    }
}

/// What a request asks for, as far as the reader may have it.
pub fn spec(
    context: &Context,
    claims: Option<&Claims>,
    request: &Subscribe,
) -> Result<TopicSpec, Refusal> {
    let catalog = context.hub.catalog();
    let name = TableName::parse(&request.table);
    let table = catalog.named(&name);
    let granted = table.and_then(|table| {
        let grant = context.access.grant(table, claims)?;
        Some((Arc::clone(table), grant))
    });
    let Some((table, grant)) = granted else {
        // One answer for a table that is not there, not watched or not theirs.
        return Err(match claims {
            Some(_) => Refusal::new(Code::Forbidden, FORBIDDEN),
            None => Refusal::new(Code::Unauthorized, UNAUTHORIZED),
        });
    };
    let columns = match &request.columns {
        Some(names) => Some(columns(&table, &grant, names)?),
        None => None,
    };
    let filter = match &request.filter {
        Some(text) => Some(super::catch_up::filter(text, &table, &grant)?),
        None => None,
    };
    let events = Events::new(request.events.as_deref());
    Ok(TopicSpec { table, events, filter, columns, grant })
}

const FORBIDDEN: &str = "no such table on this feed, or not one that you may read";
const UNAUTHORIZED: &str = "no such table on this feed, or not one to be read without a token";

fn columns(
    table: &crate::change::Table,
    grant: &Grant,
    names: &[String],
) -> Result<Columns, Refusal> {
    let granted = grant.columns();
    let place = |name: &String| {
        table.column(name).filter(|place| granted.has(*place)).ok_or_else(|| {
            let message = format!("`columns`: no column {name:?} that you may read");
            Refusal::new(Code::BadMessage, message)
        })
    };
    if names.is_empty() {
        let message = "`columns` is empty: name one, or leave it out";
        return Err(Refusal::new(Code::BadMessage, message));
    }
    Ok(Columns::new(names.iter().map(place).collect::<Result<Vec<_>, _>>()?))
}

/// An `error` message.
pub fn error(refusal: &Refusal, id: Option<&str>) -> String {
    reply::error(refusal.code, &refusal.message, id)
}
