//! From log rows to a topic's messages, in order.

use std::{collections::HashSet, sync::Arc};

use super::{
    Topic,
    encode::{Addressee, Encoded, encode},
    judge::{Effect, Images, judge},
    log::{Body, LogRow},
};
use crate::{
    change::{Change, Position, Row},
    wire::frame::Message,
};

/// A topic's messages of a run of log rows, being put together.
///
/// A statement's `leave`s go before its `enter`s, so that a set kept by key survives keys that
/// are passed on from row to row, over the edge of the set too. The log does not tell statements
/// apart, so what counts as one is a run of key changes of one transaction in which no row is
/// changed twice: a row that a second statement changes again is known by its image.
#[derive(Debug, Default)]
pub struct RouteBuilder {
    messages: Vec<Message>,
    enters: Vec<String>,
    entered: HashSet<Row>,
    run_xid: u64,
    /// The run's last row. Its `enter`s have the place of it among the changes of other topics.
    run_order: u32,
    is_unknown: bool,
    bytes: usize,
}

impl RouteBuilder {
    /// Judges a change and adds what it means to the topic; `order` rises from row to row.
    pub fn add(
        &mut self,
        topic: &Topic,
        addressee: Addressee<'_>,
        (order, change): (u32, &Change),
        images: &Images<'_>,
    ) {
        let Some(effect) = judge(topic, change, images) else {
            return self.follow(change);
        };
        self.is_unknown |= effect == Effect::Unknown;
        if self.is_unknown {
            return;
        }
        match encode(topic, addressee, change, images, &effect) {
            Encoded::Nothing => {}
            Encoded::Message(message) => {
                self.bytes += message.len();
                self.flush();
                self.push(order, message);
            }
            Encoded::Move { leave, enter } => {
                self.bytes +=
                    [&leave, &enter].into_iter().flatten().map(String::len).sum::<usize>();
                self.go_on(order, change);
                if let Some(leave) = leave {
                    self.push(order, leave);
                }
                if enter.is_some() {
                    self.entered.extend(change.new.clone());
                }
                self.enters.extend(enter);
            }
        }
    }

    /// What its messages take by now, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The same as [`RouteBuilder::add`] where there is no memory for more: if the change means
    /// something to the topic, it cannot be told.
    pub fn refuse(&mut self, topic: &Topic, change: &Change, images: &Images<'_>) {
        if judge(topic, change, images).is_some() {
            *self = Self { is_unknown: true, ..Self::default() };
        }
    }

    /// The messages; or nothing where a change could not be judged.
    pub fn finish(mut self) -> Result<Vec<Message>, Unjudged> {
        self.flush();
        if self.is_unknown { Err(Unjudged) } else { Ok(self.messages) }
    }

    /// A row of the run that is changed unseen is known by its new image from then on.
    fn follow(&mut self, change: &Change) {
        // Looking a row up costs its length, and most changes are unseen by most topics.
        if !self.entered.is_empty()
            && let (Some(old), Some(new)) = (&change.old, &change.new)
            && self.entered.remove(old)
        {
            self.entered.insert(new.clone());
        }
    }

    /// Goes on with the run of key changes, or begins another one.
    fn go_on(&mut self, order: u32, change: &Change) {
        let is_again = change.old.as_ref().is_some_and(|old| self.entered.contains(old));
        if self.run_xid != change.xid || is_again {
            self.flush();
        }
        (self.run_xid, self.run_order) = (change.xid, order);
    }

    fn flush(&mut self) {
        self.entered.clear();
        for json in std::mem::take(&mut self.enters) {
            self.push(self.run_order, json);
        }
    }

    fn push(&mut self, order: u32, json: String) {
        self.messages.push(Message { json: json.into(), order, event_id: None });
    }
}

/// The topic cannot be told what a change means: it was too large to be logged, or is of another
/// definition of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unjudged;

/// The messages of `rows` for several topics, merged in the rows' order.
#[expect(single_use_lifetimes, reason = "an anonymous lifetime in impl Trait is unstable")]
pub fn messages_of<'a>(
    rows: impl IntoIterator<Item = &'a LogRow>,
    topics: &[(Arc<Topic>, Addressee<'_>)],
) -> Result<Vec<Message>, Unjudged> {
    let mut builders: Vec<RouteBuilder> = topics.iter().map(|_| RouteBuilder::default()).collect();
    for (order, row) in (0_u32..).zip(rows) {
        let Body::Change(change) = &row.body else { continue };
        let mut images = None;
        for ((topic, addressee), builder) in topics.iter().zip(&mut builders) {
            if topic.spec.table.oid == change.table.oid {
                let images = images.get_or_insert_with(|| Images::of(change));
                builder.add(topic, *addressee, (order, change), images);
            }
        }
    }
    Ok(merged(builders.into_iter().map(RouteBuilder::finish).collect::<Result<_, _>>()?))
}

/// The messages of `rows` by topic, of each topic those behind a place; without the topics that
/// cannot be told what some change means.
pub fn messages_since(rows: &[LogRow], topics: &[(Arc<Topic>, Position)]) -> Vec<Message> {
    let of_topic = |(topic, from): &(Arc<Topic>, Position)| {
        let mut builder = RouteBuilder::default();
        for (order, row) in (0_u32..).zip(rows) {
            let Body::Change(change) = &row.body else { continue };
            if topic.spec.table.oid == change.table.oid && !from.has(row.id, row.xid) {
                builder.add(topic, Addressee::Topic, (order, change), &Images::of(change));
            }
        }
        builder.finish().ok()
    };
    merged(topics.iter().filter_map(of_topic).collect())
}

fn merged(mut each: Vec<Vec<Message>>) -> Vec<Message> {
    if each.len() == 1 {
        return each.pop().unwrap_or_default();
    }
    let mut merged: Vec<Message> = each.into_iter().flatten().collect();
    merged.sort_by_key(|message| message.order);
    merged
}

#[cfg(test)]
mod tests;
