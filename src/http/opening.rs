//! What a path and its query open: the subscriptions of the built-in feed or of a declared one.
//!
//! The one place where every transport resolves a feed.

use super::query::Query;
use crate::{
    auth::{
        claims::Claims,
        feeds::{BUILT_IN, Feeds, Found, Refusal},
    },
    session::refusal::Refusal as Refused,
    wire::{Code, Subscribe, request::ID_BYTES_MAX},
};

/// A feed that exists, before anybody's claims are looked at.
#[derive(Clone, Debug)]
pub enum Feed {
    /// The client names the tables.
    BuiltIn,
    /// The settings do.
    Declared(Box<Found>),
}

/// What is opened for a reader.
#[derive(Debug, Default)]
pub struct Opening {
    /// The declared feed, for [`crate::session::Session::open_on`].
    pub declared: Option<Found>,
    /// What is subscribed to.
    pub subscriptions: Vec<Subscribe>,
    /// What the query asked for and does not get: the id, if it is about one, and why.
    pub refused: Vec<(Option<String>, Refused)>,
}

/// The feed at a path below `/ws/`, `/sse/` or `/poll/`; none where there is none.
pub fn find(feeds: &Feeds, path: &str) -> Option<Feed> {
    if path.strip_suffix('/').unwrap_or(path) == BUILT_IN {
        return Some(Feed::BuiltIn);
    }
    feeds.find(path).map(|found| Feed::Declared(Box::new(found)))
}

/// What the feed opens for these claims. An error means that it does not open at all
/// ([`Code::Unauthorized`], [`Code::Forbidden`]); single subscriptions that cannot be made are in
/// [`Opening::refused`].
pub fn resolve(feed: &Feed, claims: Option<&Claims>, query: &str) -> Result<Opening, Refused> {
    match feed {
        Feed::BuiltIn => Ok(built_in(query)),
        Feed::Declared(found) => declared(found, claims, query),
    }
}

fn built_in(query: &str) -> Opening {
    let mut opening = Opening::default();
    match Query::parse(query).and_then(|query| query.subscriptions()) {
        Ok(subscriptions) => {
            for it in subscriptions {
                if it.id.len() > ID_BYTES_MAX {
                    let message = format!("`table` takes 1 to {ID_BYTES_MAX} bytes");
                    opening.refused.push((None, Refused::new(Code::BadMessage, message)));
                } else {
                    opening.subscriptions.push(it);
                }
            }
        }
        Err(bad) if bad.tables.is_empty() => {
            opening.refused.push((None, Refused::new(bad.code, bad.message)));
        }
        Err(bad) => {
            let refused = |table| (Some(table), Refused::new(bad.code, bad.message.clone()));
            opening.refused = bad.tables.into_iter().map(refused).collect();
        }
    }
    opening
}

fn declared(found: &Found, claims: Option<&Claims>, query: &str) -> Result<Opening, Refused> {
    let opened = found.open(claims).map_err(|refusal| {
        let code = match refusal {
            Refusal::Unauthorized => Code::Unauthorized,
            Refusal::Forbidden => Code::Forbidden,
        };
        Refused::new(code, refusal.to_string())
    })?;
    let mut opening = Opening { declared: Some(found.clone()), ..Opening::default() };
    let query = match Query::parse(query) {
        Ok(query) => query,
        Err(bad) => {
            opening.refused.push((None, Refused::new(bad.code, bad.message)));
            Query::default()
        }
    };
    if !query.tables.is_empty() || query.has_narrowing() {
        let message = "this feed has its own tables; `table`, `events`, `filter` and `columns` \
                       go with /changes/";
        opening.refused.push((None, Refused::new(Code::Forbidden, message)));
    }
    opening.subscriptions = opened
        .into_iter()
        .map(|it| Subscribe {
            id: it.table.clone(),
            table: it.table,
            events: it.events,
            columns: it.columns,
            since: query.since.clone(),
            snapshot: query.snapshot,
            ..Subscribe::default()
        })
        .collect();
    Ok(opening)
}
