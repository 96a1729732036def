//! Changes as messages.
//!
//! A message is put together from the row's own text: values go through as PostgreSQL wrote
//! them. A row that is seen whole is copied whole.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::{
    Columns, Image, Topic,
    judge::{Effect, Images},
};
use crate::change::{Change, Operation, Row, Table};

/// For whom a change is: all live subscriptions of its topic, or one that catches up.
#[derive(Clone, Copy, Debug)]
pub enum Addressee<'a> {
    /// By topic.
    Topic,
    /// By the subscription's id.
    Subscription(&'a str),
}

/// One change's messages for one topic.
#[derive(Debug, PartialEq, Eq)]
pub enum Encoded {
    /// It cannot be told.
    Nothing,
    /// What is told where it stands.
    Message(String),
    /// A change of the key: a statement's `leave`s go before its `enter`s, also of those of its
    /// rows that only come into the set by it or only go.
    Move {
        /// The row goes from its former key.
        leave: Option<String>,
        /// The row comes under its new key.
        enter: Option<String>,
    },
}

/// Encodes what a change means for a topic.
pub fn encode(
    topic: &Topic,
    addressee: Addressee<'_>,
    change: &Change,
    images: &Images<'_>,
    effect: &Effect,
) -> Encoded {
    let message = Message { topic, addressee, change, images };
    match effect {
        Effect::Enter(now) if images.moves => {
            Encoded::Move { leave: None, enter: Some(message.row("enter", now, None)) }
        }
        Effect::Enter(now) => Encoded::Message(message.row("enter", now, None)),
        Effect::Update { before, now } => {
            Encoded::Message(message.row("update", now, Some(before)))
        }
        Effect::Leave(Some(before)) => Encoded::Message(message.row("leave", before, None)),
        Effect::Leave(None) if images.moves => {
            Encoded::Move { leave: Some(message.leave()), enter: None }
        }
        Effect::Leave(None) => Encoded::Message(message.leave()),
        Effect::Move(now) => {
            let enter = Some(message.row("enter", now, None));
            Encoded::Move { leave: Some(message.leave()), enter }
        }
        Effect::Clear => Encoded::Message(message.clear()),
        Effect::Unknown => Encoded::Nothing,
    }
}

/// The database's clock as it stands in `at`: RFC 3339 with six digits.
pub fn timestamp(micros: i64) -> String {
    Timestamp::from_microsecond(micros)
        .unwrap_or(Timestamp::UNIX_EPOCH)
        .strftime("%Y-%m-%dT%H:%M:%S.%6fZ")
        .to_string()
}

/// A row as those see it who see these columns of it.
pub fn row(table: &Table, image: &Image<'_>, seen: &Columns) -> String {
    let mut out = String::with_capacity(image.text().len());
    put_row(&mut out, table, image, seen);
    out
}

struct Message<'a> {
    topic: &'a Topic,
    addressee: Addressee<'a>,
    change: &'a Change,
    images: &'a Images<'a>,
}

impl Message<'_> {
    fn row(&self, effect: &str, seen: &Columns, before: Option<&Columns>) -> String {
        let mut out = self.head(effect);
        let image = match self.change.operation {
            Operation::Delete => &self.images.old,
            _ => &self.images.new,
        };
        match image {
            Some(image) if !self.change.is_oversize() => {
                self.put_key(&mut out, image);
                out.push_str(",\"data\":");
                put_row(&mut out, &self.change.table, image, seen);
                if let (Some(before), Some(old)) = (before, &self.images.old) {
                    self.put_old(&mut out, old, image, &before.and(seen));
                }
            }
            _ => {
                out.push_str(",\"key\":");
                out.push_str(self.change.key.as_ref().map_or("{}", Row::text));
                out.push_str(",\"oversize\":true");
            }
        }
        self.end(out)
    }

    /// A row that goes out of sight carries its key alone.
    fn leave(&self) -> String {
        let mut out = self.head("leave");
        match &self.images.old {
            Some(old) => self.put_key(&mut out, old),
            None => out.push_str(",\"key\":{}"),
        }
        self.end(out)
    }

    fn clear(&self) -> String {
        let mut out = self.head("clear");
        out.push_str(",\"key\":{}");
        self.end(out)
    }

    fn head(&self, effect: &str) -> String {
        let change = self.change;
        let rows = change.new.as_ref().or(change.old.as_ref()).map_or(0, Row::bytes);
        let mut out = String::with_capacity(rows + 320);
        out.push_str("{\"type\":\"change\",");
        match self.addressee {
            Addressee::Topic => put(&mut out, format_args!("\"topic\":\"{}\"", self.topic.id)),
            Addressee::Subscription(id) => {
                out.push_str("\"sub\":");
                put_string(&mut out, id);
            }
        }
        out.push_str(",\"schema\":");
        put_string(&mut out, &change.table.name.schema);
        out.push_str(",\"table\":");
        put_string(&mut out, &change.table.name.name);
        let operation = change.operation.word();
        put(&mut out, format_args!(",\"operation\":\"{operation}\",\"effect\":\"{effect}\""));
        out
    }

    fn end(&self, mut out: String) -> String {
        let Change { id, xid, at, is_durable, .. } = self.change;
        if *is_durable {
            put(&mut out, format_args!(",\"id\":\"{id}\",\"xid\":\"{xid}\""));
        } else {
            out.push_str(",\"durable\":false");
        }
        put(&mut out, format_args!(",\"at\":\"{}\"}}", timestamp(*at)));
        out
    }

    fn put_key(&self, out: &mut String, image: &Image<'_>) {
        out.push_str(",\"key\":");
        let table = &self.change.table;
        let places: Vec<usize> = table.key.iter().filter_map(|name| table.column(name)).collect();
        put_object(out, table, image, places.into_iter());
    }

    fn put_old(&self, out: &mut String, old: &Image<'_>, new: &Image<'_>, both: &Columns) {
        out.push_str(",\"old\":");
        let changed = both.places().filter(|place| old.value(*place) != new.value(*place));
        put_object(out, &self.change.table, old, changed);
    }
}

fn put_row(out: &mut String, table: &Table, image: &Image<'_>, seen: &Columns) {
    // A row may have a column that was dropped since: then even seeing all is not seeing that.
    if image.is_exact() && seen.count() == table.columns.len() {
        out.push_str(image.text());
    } else {
        put_object(out, table, image, seen.places());
    }
}

fn put_object(
    out: &mut String,
    table: &Table,
    image: &Image<'_>,
    places: impl Iterator<Item = usize>,
) {
    out.push('{');
    let mut is_first = true;
    for place in places {
        let Some(value) = image.value(place) else { continue };
        if !is_first {
            out.push(',');
        }
        is_first = false;
        put_string(out, &table.columns[place].name);
        out.push(':');
        out.push_str(value);
    }
    out.push('}');
}

fn put_string(out: &mut String, text: &str) {
    if text.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\') {
        out.push('"');
        out.push_str(text);
        out.push('"');
    } else {
        out.push_str(&serde_json::to_string(text).expect("text is JSON"));
    }
}

fn put(out: &mut String, arguments: std::fmt::Arguments<'_>) {
    out.write_fmt(arguments).expect("writing to a string does not fail");
}
