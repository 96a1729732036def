//! The subscriptions of one connection.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
};

use tokio::{sync::Semaphore, task::AbortHandle};

use super::{
    Context, Queue,
    refusal::Refusal,
    spec::{Declared, spec},
    telling::Telling,
};
use crate::{
    auth::{claims::Claims, feeds::Found},
    change::Position,
    feed::{
        Topic, TopicSpec,
        hub::{ClientId, Joined, Member},
    },
    wire::{Encoding, Frames, Subscribe},
};

/// What a session's request handler and its catch-ups share. Ends with the connection.
pub struct Shared {
    /// What all sessions share.
    pub context: Arc<Context>,
    /// What waits for the client.
    pub queue: Arc<Queue>,
    /// The client's number in the hub.
    pub client: ClientId,
    /// The declared feed that the connection is on, if any: then the client names no tables.
    pub declared: Option<Found>,
    /// Lets one subscription after the other read its rows.
    pub snapshots: Semaphore,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    subscriptions: HashMap<String, Subscription>,
    /// How many live subscriptions follow a topic.
    members: HashMap<u64, usize>,
    claims: Option<Arc<Claims>>,
    /// What is declared of the feed, as it is for the claims.
    owners: Declared,
    next: u64,
}

/// One subscription.
struct Subscription {
    /// Tells it from another one with the same id, before or after it.
    number: u64,
    request: Arc<Subscribe>,
    topic: Arc<Topic>,
    is_live: bool,
    /// What every change of the table costs because of it.
    scanned_terms: usize,
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

impl Shared {
    /// A connection without subscriptions.
    pub fn new(
        context: Arc<Context>,
        queue: Arc<Queue>,
        client: ClientId,
        (claims, declared): (Option<Arc<Claims>>, Option<Found>),
    ) -> Arc<Self> {
        let owners = Declared::new(declared.as_ref(), claims.as_deref());
        let state = Mutex::new(State { claims, owners, ..State::default() });
        let snapshots = Semaphore::new(1);
        Arc::new(Self { context, queue, client, declared, snapshots, state })
    }

    /// Adds messages to the queue.
    pub fn push(&self, json: String) {
        self.queue.push(&Frames::one(json));
    }

    /// Who the reader is.
    pub fn claims(&self) -> Option<Arc<Claims>> {
        self.state().claims.clone()
    }

    /// Takes other claims. False where the declared feed is not open to them.
    pub fn set_claims(&self, claims: Arc<Claims>) -> bool {
        let owners = Declared::new(self.declared.as_ref(), Some(&claims));
        let is_open = !matches!(owners, Declared::Closed);
        if is_open {
            let mut state = self.state();
            state.claims = Some(claims);
            state.owners = owners;
        }
        is_open
    }

    /// Adds messages of a subscription to the queue, unless it has ended: what a task is still
    /// about to send must not come after the end was told.
    pub fn push_to(&self, ticket: &Ticket, frames: &Frames) -> bool {
        let mut state = self.state();
        let is_there = state.current(ticket).is_some();
        if is_there {
            self.queue.push_own(frames);
        }
        is_there
    }

    /// The same for a message that tells the subscription's cursor.
    pub fn push_at(&self, ticket: &Ticket, json: String, cursor: &str) -> bool {
        self.push_to(ticket, &Frames::with_cursor_beside(json, cursor.to_owned()))
    }

    /// Whether an id is in use.
    pub fn has(&self, id: &str) -> bool {
        self.state().subscriptions.contains_key(id)
    }

    /// How many subscriptions there are.
    pub fn count(&self) -> usize {
        self.state().subscriptions.len()
    }

    /// How many comparisons every change may cost because of this client.
    pub fn scanned_terms(&self) -> usize {
        self.state().subscriptions.values().map(|it| it.scanned_terms).sum()
    }

    /// How many values the index holds because of this client.
    pub fn indexed_values(&self) -> usize {
        self.state().subscriptions.values().map(|it| it.topic.spec.indexed_values()).sum()
    }

    /// What a request asks for, as far as the reader may have it.
    pub fn spec(&self, request: &Subscribe) -> Result<TopicSpec, Refusal> {
        let (claims, owners) = {
            let state = self.state();
            (state.claims.clone(), state.owners.clone())
        };
        spec(&self.context, claims.as_deref(), &owners, request)
    }

    /// Adds a subscription; none where the reader's claims are others than those it was made by.
    pub fn add(
        &self,
        request: Arc<Subscribe>,
        topic: Arc<Topic>,
        claims: Option<&Arc<Claims>>,
    ) -> Option<Ticket> {
        let mut state = self.state();
        let is_same = match (claims, &state.claims) {
            (None, None) => true,
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            _ => false,
        };
        if !is_same {
            return None;
        }
        state.next += 1;
        let number = state.next;
        let id = request.id.clone();
        let ticket = Ticket { number, request: Arc::clone(&request), topic: Arc::clone(&topic) };
        let subscription = Subscription {
            number,
            request,
            scanned_terms: topic.spec.scanned_terms(),
            topic,
            is_live: false,
            is_withholding: false,
            task: None,
        };
        state.subscriptions.insert(id, subscription);
        metrics::gauge!("pgfeed_subscriptions").increment(1);
        self.note_shapes(&state);
        Some(ticket)
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

    /// The subscription goes live; called under the hub's lock.
    pub fn set_live(&self, ticket: &Ticket, joined: &Joined) -> Member {
        let mut state = self.state();
        let topic = ticket.topic.id;
        let is_followed = state.members.contains_key(&topic);
        let Some(subscription) = state.current(ticket) else { return Member::Cancelled };
        if is_followed && (!joined.is_delivered || self.queue.is_lagging()) {
            return Member::Undelivered;
        }
        subscription.is_live = true;
        let members = state.members.entry(topic).or_default();
        *members += 1;
        if *members > 1 {
            return Member::Already;
        }
        self.queue.join(topic, joined.after, joined.position.clone());
        Member::New
    }

    /// Ends a subscription; false where there is none.
    pub fn remove(&self, id: &str) -> bool {
        let mut state = self.state();
        let Some(subscription) = state.subscriptions.remove(id) else { return false };
        self.note_shapes(&state);
        drop(state);
        self.end(&subscription);
        true
    }

    /// Ends this very subscription, not another that has its id by now; false where it has ended.
    pub fn remove_ticket(&self, ticket: &Ticket) -> bool {
        let mut state = self.state();
        if state.current(ticket).is_none() {
            return false;
        }
        let subscription = state.subscriptions.remove(&ticket.request.id);
        self.note_shapes(&state);
        drop(state);
        subscription.is_some_and(|subscription| {
            self.end(&subscription);
            true
        })
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
        metrics::gauge!("pgfeed_subscriptions").decrement(count(ids.len()));
        let ended = ids.iter().filter_map(|id| Some(state.subscriptions.remove(id)?.request));
        let ended = ended.collect();
        self.note_shapes(&state);
        ended
    }

    /// The live subscriptions of a topic whose members were taken from it, not live any more.
    ///
    /// None where the topic comes by the shard: its first subscription joined after the members
    /// were taken, and so did all others, for as long as one is left nobody joins for the first
    /// time.
    pub fn suspend(&self, topic: u64) -> Vec<Ticket> {
        let mut state = self.state();
        if self.queue.is_live(topic) {
            return Vec::new();
        }
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

    /// The topics that come by the shard, and from which place on.
    pub fn live_topics(&self) -> Vec<(Arc<Topic>, Position)> {
        let state = self.state();
        let topic = |id: u64| {
            let mut all = state.subscriptions.values();
            all.find(|it| it.is_live && it.topic.id == id).map(|it| Arc::clone(&it.topic))
        };
        let live = self.queue.live().into_iter();
        live.filter_map(|(id, from)| Some((topic(id)?, from))).collect()
    }

    /// Cursors of an event stream are told with the shapes of what it has from now on.
    fn note_shapes(&self, state: &State) {
        if self.queue.encoding() == Encoding::EventStream {
            let topics = state.subscriptions.values().map(|it| it.topic.spec.shape());
            let shapes: Vec<String> = topics.collect();
            self.queue.telling(|it| it.set_shapes(&shapes));
        }
    }

    fn end(&self, subscription: &Subscription) {
        metrics::gauge!("pgfeed_subscriptions").decrement(1);
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

#[expect(clippy::cast_precision_loss, reason = "a connection has a few hundred at most")]
fn count(subscriptions: usize) -> f64 {
    subscriptions as f64
}
