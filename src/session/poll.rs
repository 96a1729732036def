//! One answer to a poll: what lies behind a cursor, for several subscriptions at once.
//!
//! A poll leaves nothing behind: its cursor is its only state, the same for all its
//! subscriptions. So it goes through the feed by itself, from that position on, and takes no
//! place among the live clients. Its changes go by `sub`, for `topic` is a gateway's own word.

mod collect;
mod rows;
mod walk;

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, timeout};

use self::collect::{Collector, Sub};
pub use self::{collect::Answer, rows::Rows};
use super::{
    Context, context,
    refusal::Refusal,
    resume::{self, Resumed},
    shapes::Since,
    snapshot,
    spec::{Declared, spec},
};
use crate::{
    auth::claims::Claims,
    change::BadCursor,
    feed::{LogError, TopicSpec},
    wire::{Code, Subscribe, reply::Resync},
};

/// How long a cursor may take to be found: one ahead of this gateway waits for the database, and
/// many that ask at once wait for each other.
const FIND_LIMIT: Duration = Duration::from_secs(10);

/// What a poll asks for.
pub struct Poll {
    /// What all sessions share.
    pub context: Arc<Context>,
    /// Who asks.
    pub claims: Option<Arc<Claims>>,
    /// What is declared of the feed.
    pub declared: Declared,
    /// The subscriptions; all have the same `since`.
    pub requests: Vec<Subscribe>,
    /// Until when to wait for something.
    pub deadline: Instant,
    /// How many changes at most, but for one transaction that has more.
    pub limit: usize,
}

/// What a poll is told.
pub enum Told {
    /// Changes.
    Changes(Answer),
    /// Rows as they are.
    Rows(Rows),
}

impl Poll {
    /// Answers as soon as there is something, or when the wait is over.
    pub async fn answer(&self) -> Result<Told, Refusal> {
        let mut subs = Vec::with_capacity(self.requests.len());
        let mut terms = 0;
        for request in &self.requests {
            let spec = self.spec(request)?;
            if self.declared.is_nothing() {
                terms += spec.scanned_terms();
                self.context.limits.check_scan(terms)?;
            }
            subs.push(Sub::new(&self.context.hub, request.clone(), &spec)?);
        }
        let to = Collector::new(subs, self.limit);
        match self.requests.first().and_then(|it| it.since.as_deref()) {
            None => self.begin(to, None).await,
            Some(since) => {
                let shapes: Vec<String> = to.subs.iter().map(Sub::shape).collect();
                let since = Since::unfolded(since, &shapes).map_err(bad)?;
                self.go_on(to, &Since::parse(&since).map_err(bad)?).await
            }
        }
    }

    fn spec(&self, request: &Subscribe) -> Result<TopicSpec, Refusal> {
        spec(&self.context, self.claims.as_deref(), &self.declared, request)
    }

    /// Answers from now; `reason` is why not from where the client stood.
    async fn begin(&self, mut to: Collector, reason: Option<Resync>) -> Result<Told, Refusal> {
        if self.requests.iter().any(|request| request.snapshot) {
            let topics = to.subs.iter().map(|sub| Arc::clone(sub.topic())).collect();
            let reading = snapshot::read(&self.context, topics).await.map_err(|error| {
                context::is_unavailable("a snapshot", &error);
                Refusal::new(Code::Unavailable, "the rows cannot be read now; ask again")
            })?;
            return Ok(Told::Rows(Rows::new(reading, to.subs, reason)));
        }
        let (_, _, mark) = self.context.hub.now().ok_or_else(|| {
            Refusal::new(Code::Unavailable, "the database has not been reached yet; try again")
        })?;
        for sub in &to.subs {
            to.messages.extend(sub.start(&mark.text, reason));
        }
        to.settle(&mark.text, false);
        Ok(Told::Changes(to.answer()))
    }

    async fn go_on(&self, mut to: Collector, since: &Since) -> Result<Told, Refusal> {
        // Read before the cursor is held against what was noted of the tables.
        let told = (self.context.hub.head(), self.context.hub.restarts());
        let found = timeout(FIND_LIMIT, resume::find(&self.context, &since.cursor)).await;
        let (position, first) = match found {
            Ok(Ok(Resumed::At { position, first })) => (position, first),
            Ok(Ok(Resumed::Over(reason))) => return self.begin(to, Some(reason)).await,
            Ok(Err(error)) => return Err(unread(&error)),
            Err(_) => return Err(Refusal::new(Code::Unavailable, UNREAD)),
        };
        let is_other = to.subs.iter().any(|sub| !since.admits(&sub.shape()));
        if is_other && self.requests.iter().any(|request| request.snapshot) {
            return self.begin(to, Some(Resync::ShapeChanged)).await;
        }
        let history = &self.context.history;
        let is_older = |sub: &Sub| position.tick.id < history.since(&sub.topic().spec.table);
        if to.subs.iter().any(is_older) && self.requests.iter().any(|request| request.snapshot) {
            return self.begin(to, Some(Resync::TableChanged)).await;
        }
        to.subs.iter_mut().filter(|sub| is_older(sub)).for_each(Sub::is_changed);
        let cursor = since.cursor.to_text();
        for sub in &to.subs {
            // The position is good; the rows that the client holds are not.
            if !since.admits(&sub.shape()) && !sub.is_void() {
                to.messages.extend(sub.start(&cursor, Some(Resync::ShapeChanged)));
            }
        }
        to.settle(&cursor, false);
        let walked = self.walk(to, position, first, told).await;
        let to = walked.map_err(|error| unread(&error))?;
        match to.over() {
            Some(reason) => self.begin(to, Some(reason)).await,
            None => Ok(Told::Changes(to.answer())),
        }
    }
}

fn bad(bad: BadCursor) -> Refusal {
    Refusal::new(Code::BadCursor, bad.to_string())
}

fn unread(error: &LogError) -> Refusal {
    context::is_unavailable("a poll", error);
    Refusal::new(Code::Unavailable, UNREAD)
}

const UNREAD: &str = "the database cannot be read now; ask again";
