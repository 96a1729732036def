//! The keys of one issuer, kept fresh: rotation is noticed, the source is asked seldom, and an
//! outage of the source is survived for a bounded time.
//!
//! A cache belongs to one source. It is found through its verifier, never by a key's name, so
//! that two issuers that chose the same `kid` cannot sign for each other.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use jsonwebtoken::Algorithm;
use tokio::time::Instant;
use tracing::{info, warn};

use super::fetch::{FetchError, Source};
use super::key::Key;
use crate::tasks;

/// How often the source is asked and how long its last answer counts.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// An answer older than this is read again at the next use.
    pub refresh: Duration,
    /// Two reads are at least so far apart, whatever tokens ask for.
    pub apart: Duration,
    /// A read ends after this.
    pub limit: Duration,
    /// A token whose key is held waits no longer than this for a fresher answer.
    pub patience: Duration,
    /// While the source fails, its last answer counts for so long: a key that was withdrawn
    /// must end some time, also when somebody cuts the line to the source.
    pub stale_max: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            refresh: Duration::from_mins(5),
            apart: Duration::from_secs(10),
            limit: Duration::from_secs(5),
            patience: Duration::from_millis(500),
            stale_max: Duration::from_hours(1),
        }
    }
}

/// Why no key was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoKey {
    /// The source has no such key, or several that fit a token without `kid`.
    Unknown,
    /// The key of that name is for another algorithm.
    OtherAlgorithm,
    /// The source was not reached, or not for too long.
    Unavailable,
}

/// The cache of one source. Lives as long as its verifier.
#[derive(Clone, Debug)]
pub struct KeySet(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    source: Source,
    pace: Pace,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    keys: Arc<[Key]>,
    read_at: Option<Instant>,
    tried_at: Option<Instant>,
    reading: Option<Reading>,
}

/// A read in progress, awaited by all who need its result.
type Reading = Shared<BoxFuture<'static, Result<(), FetchError>>>;

enum Look {
    /// Nothing else is to be had by asking.
    Fresh(Result<Key, NoKey>),
    /// Usable, but due to be read again.
    Due(Key),
    Not(NoKey),
}

impl KeySet {
    /// A cache that has not been read yet.
    pub fn new(source: Source, pace: Pace) -> Self {
        Self(Arc::new(Inner { source, pace, state: Mutex::default() }))
    }

    /// Begins to read the source, and gives the end of that.
    pub fn warm(&self) -> impl Future<Output = Result<(), FetchError>> + use<> {
        let reading = self.0.reading(Instant::now());
        async move {
            match reading {
                Some(reading) => reading.await,
                None => Ok(()),
            }
        }
    }

    /// The one key of that name and algorithm; without a name, the only one of the algorithm.
    pub(super) async fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Result<Key, NoKey> {
        let inner = &self.0;
        let look = inner.look(kid, algorithm, Instant::now());
        if let Look::Fresh(found) = look {
            return found;
        }
        if let Some(reading) = inner.reading(Instant::now()) {
            let wait = match look {
                Look::Due(_) => inner.pace.patience,
                _ => inner.pace.limit,
            };
            // A failure is logged where it happens; what is held then decides.
            drop(tokio::time::timeout(wait, reading).await);
        }
        match inner.look(kid, algorithm, Instant::now()) {
            Look::Fresh(found) => found,
            Look::Due(key) => Ok(key),
            Look::Not(why) => Err(why),
        }
    }
}

impl Inner {
    fn look(&self, kid: Option<&str>, algorithm: Algorithm, now: Instant) -> Look {
        let (keys, read_at) = {
            let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            (Arc::clone(&state.keys), state.read_at)
        };
        let Some(age) = read_at.map(|at| now.saturating_duration_since(at)) else {
            return Look::Not(NoKey::Unavailable);
        };
        if age >= self.pace.refresh + self.pace.stale_max {
            return Look::Not(NoKey::Unavailable);
        }
        let is_fresh = age < self.pace.refresh;
        let named = |key: &&Key| kid.is_none() || key.name.as_deref() == kid;
        let mut fitting = keys.iter().filter(named).filter(|key| key.algorithm == algorithm);
        match (fitting.next(), fitting.next()) {
            (Some(key), None) if is_fresh => Look::Fresh(Ok(key.clone())),
            (Some(key), None) => Look::Due(key.clone()),
            (None, _) if kid.is_some() && keys.iter().any(|key| named(&key)) => {
                // Any reader can send such a token, so it is no reason to ask before the time.
                let why = NoKey::OtherAlgorithm;
                if is_fresh { Look::Fresh(Err(why)) } else { Look::Not(why) }
            }
            _ => Look::Not(NoKey::Unknown),
        }
    }

    /// The read in progress, or a new one if the last is long enough ago.
    fn reading(self: &Arc<Self>, now: Instant) -> Option<Reading> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // One that ended without clearing its place (the runtime stopped it) does not count.
        if let Some(reading) = state.reading.as_ref().filter(|it| it.peek().is_none()) {
            return Some(reading.clone());
        }
        let apart = |at: Instant| now.saturating_duration_since(at) >= self.pace.apart;
        if !state.tried_at.is_none_or(apart) {
            return None;
        }
        state.tried_at = Some(now);
        let reading = self.start();
        state.reading = Some(reading.clone());
        Some(reading)
    }

    /// Reads in a task of its own: a client that asks with an unknown key and hangs up would
    /// otherwise end the read, and with it the rotation that others wait for.
    fn start(self: &Arc<Self>) -> Reading {
        let inner = Arc::clone(self);
        let task = tasks::spawn("key-set", async move { inner.read().await });
        let ended = |_error| FetchError::NoAnswer(String::from("the read was ended"));
        async move { task.await.map_err(ended)? }.boxed().shared()
    }

    async fn read(&self) -> Result<(), FetchError> {
        let text = self.source.read(self.pace.limit).await;
        let keys = text.and_then(|text| Key::set(&text).map_err(|_error| FetchError::NotKeySet));
        match &keys {
            Ok(keys) => info!(source = %self.source, keys = keys.len(), "Key set read."),
            Err(error) => warn!(source = %self.source, %error, "Key set not read."),
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.reading = None;
        // What the source says counts, also an empty set: every key is withdrawn.
        state.keys = keys?.into();
        state.read_at = Some(Instant::now());
        Ok(())
    }
}

#[cfg(test)]
mod tests;
