//! What a client keeps: its subscriptions with the changes applied to each, and the tape of all
//! that came over its connections.

use std::{fmt, sync::Arc};

use serde_json::{Value, json};

/// One `change` message as a subscription got it.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    /// The subscription.
    pub(crate) sub: String,
    /// Schema and table with a dot.
    pub(crate) table: String,
    pub(crate) operation: String,
    pub(crate) effect: String,
    pub(crate) key: Value,
    pub(crate) data: Value,
    pub(crate) old: Value,
    pub(crate) id: String,
    pub(crate) xid: String,
    pub(crate) durable: bool,
}

impl Change {
    pub(crate) fn read(sub: &str, message: &Value) -> Self {
        let text = |name: &str| message[name].as_str().unwrap_or_default().to_owned();
        Self {
            sub: sub.to_owned(),
            table: format!("{}.{}", text("schema"), text("table")),
            operation: text("operation"),
            effect: text("effect"),
            key: message["key"].clone(),
            data: message["data"].clone(),
            old: message["old"].clone(),
            id: text("id"),
            xid: text("xid"),
            durable: message["durable"] != Value::Bool(false),
        }
    }
}

/// One thing that happened on a client's connections, in order.
#[derive(Clone, Debug)]
pub(crate) enum Mark {
    /// A new connection: what came after the last cursor is void and will come again.
    Connected,
    Change(Arc<Change>),
    /// A position, with the subscriptions that it is of.
    Cursor {
        subs: Vec<String>,
        partial: bool,
        text: String,
    },
}

impl fmt::Display for Mark {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connected => write!(out, "connected"),
            Self::Change(change) => {
                let Change { sub, id, xid, operation, key, .. } = &**change;
                write!(out, "{sub}: {operation} of {key}, id {id}, xid {xid}")
            }
            Self::Cursor { subs, partial, text } => {
                let kind = if *partial { "partial cursor" } else { "cursor" };
                write!(out, "{kind} of {subs:?}: {text}")
            }
        }
    }
}

/// A subscription and what a careful client knows about it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Subscription {
    pub(crate) id: String,
    pub(crate) table: String,
    /// Where to resume: everything before it is in `applied`.
    pub(crate) cursor: String,
    pub(crate) shape: Value,
    pub(crate) topic: String,
    pub(crate) live: bool,
    /// Why the server ended it, where it did.
    pub(crate) ended: Option<String>,
    /// Changes at or before the cursor, since the subscription began or was last resynced.
    pub(crate) applied: Vec<Arc<Change>>,
    /// Changes after the cursor: forgotten when the connection ends.
    pub(crate) pending: Vec<Arc<Change>>,
    /// The reasons of all resyncs.
    pub(crate) resyncs: Vec<String>,
}

impl Subscription {
    /// All changes since the last resync, those after the cursor too.
    pub(crate) fn changes(&self) -> impl Iterator<Item = &Change> {
        self.applied.iter().chain(&self.pending).map(AsRef::as_ref)
    }

    /// The request that resumes it.
    pub(crate) fn request(&self) -> Value {
        json!({
            "type": "subscribe", "id": self.id, "table": self.table,
            "since": self.cursor, "shape": self.shape,
        })
    }

    pub(crate) fn settle(&mut self, cursor: &Value) {
        cursor.as_str().expect("a cursor is a text").clone_into(&mut self.cursor);
        self.applied.append(&mut self.pending);
    }

    pub(crate) fn void(&mut self, reason: &str) {
        self.resyncs.push(reason.to_owned());
        self.applied.clear();
        self.pending.clear();
    }
}
