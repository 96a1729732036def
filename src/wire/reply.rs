//! What the gateway says besides changes: one function a message, each giving JSON text.

use serde::Serialize;

use super::Code;
use crate::change::{Column, Table};

/// The version of the protocol.
pub const PROTOCOL: u32 = 1;

/// The gateway's name and version, as `hello` tells it.
pub const SERVER: &str = concat!("pgfeed/", env!("CARGO_PKG_VERSION"));

/// Why rows held from before are void.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Resync {
    /// The cursor is older than the log.
    CursorExpired,
    /// Another database, a restored one, or one failed over with loss.
    HistoryChanged,
    /// Writes were not captured for a time.
    CaptureGap,
    /// Another filter, other columns or another grant than the cursor's.
    ShapeChanged,
    /// The table's columns are others.
    TableChanged,
}

impl Resync {
    /// The word on the wire.
    pub fn word(self) -> &'static str {
        match self {
            Self::CursorExpired => "cursor_expired",
            Self::HistoryChanged => "history_changed",
            Self::CaptureGap => "capture_gap",
            Self::ShapeChanged => "shape_changed",
            Self::TableChanged => "table_changed",
        }
    }
}

/// Why the gateway ended a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// The reader may no longer read it.
    AccessRevoked,
    /// The table is no longer watched, or is gone.
    TableUnwatched,
}

/// What a subscription became.
#[derive(Clone, Debug)]
pub struct Subscribed<'a> {
    /// The client's name for it.
    pub id: &'a str,
    /// Whose changes are its, once it is live.
    pub topic: u64,
    /// Fingerprint of table, filter, columns and grant.
    pub shape: &'a str,
    /// The table.
    pub table: &'a Table,
    /// The columns that the reader gets.
    pub columns: Vec<&'a Column>,
    /// Changes follow after it.
    pub cursor: &'a str,
    /// Whether its changes come by topic from here on.
    pub live: bool,
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("a message of strings, numbers and bools is JSON")
}

/// The first message of a connection.
pub fn hello(heartbeat_ms: u64) -> String {
    #[derive(Serialize)]
    #[serde(tag = "type", rename = "hello")]
    struct Hello {
        protocol: u32,
        server: &'static str,
        heartbeat_ms: u64,
    }
    json(&Hello { protocol: PROTOCOL, server: SERVER, heartbeat_ms })
}

/// Answer to `auth`; `expires_at` is RFC 3339.
pub fn authenticated(expires_at: &str) -> String {
    #[derive(Serialize)]
    #[serde(tag = "type", rename = "authenticated")]
    struct Authenticated<'a> {
        expires_at: &'a str,
    }
    json(&Authenticated { expires_at })
}

/// First message of a subscription.
pub fn subscribed(it: &Subscribed<'_>) -> String {
    #[derive(Serialize)]
    #[serde(tag = "type", rename = "subscribed")]
    struct Message<'a> {
        id: &'a str,
        topic: String,
        shape: &'a str,
        schema: &'a str,
        table: &'a str,
        key: &'a [String],
        columns: &'a [&'a Column],
        cursor: &'a str,
        live: bool,
    }
    json(&Message {
        id: it.id,
        topic: it.topic.to_string(),
        shape: it.shape,
        schema: &it.table.name.schema,
        table: &it.table.name.name,
        key: &it.table.key,
        columns: &it.columns,
        cursor: it.cursor,
        live: it.live,
    })
}

/// Rows as they are; `rows` are JSON objects.
pub fn snapshot(id: &str, rows: &[String], more: bool) -> String {
    format!(
        "{{\"type\":\"snapshot\",\"id\":{},\"rows\":[{}],\"more\":{more}}}",
        json(&id),
        rows.join(",")
    )
}

/// A subscription is caught up.
pub fn live(id: &str, cursor: &str) -> String {
    #[derive(Serialize)]
    #[serde(tag = "type", rename = "live")]
    struct Live<'a> {
        id: &'a str,
        cursor: &'a str,
    }
    json(&Live { id, cursor })
}

/// Everything up to `cursor` was sent: to subscription `id`, or to all that are live.
pub fn cursor(id: Option<&str>, cursor: &str, partial: bool) -> String {
    #[derive(Serialize)]
    #[serde(tag = "type", rename = "cursor")]
    struct Message<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a str>,
        cursor: &'a str,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        partial: bool,
    }
    json(&Message { id, cursor, partial })
}

/// The gateway lives; how old its knowledge is. Without a cursor where none may be told.
pub fn heartbeat(cursor: Option<&str>, at: &str, lag_ms: u64) -> String {
    #[derive(Serialize)]
    #[serde(tag = "type", rename = "heartbeat")]
    struct Heartbeat<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        cursor: Option<&'a str>,
        at: &'a str,
        lag_ms: u64,
    }
    json(&Heartbeat { cursor, at, lag_ms })
}

/// Rows held from before are void; live from `cursor`.
pub fn resync(id: &str, reason: Resync, cursor: &str) -> String {
    #[derive(Serialize)]
    #[serde(tag = "type", rename = "resync")]
    struct Message<'a> {
        id: &'a str,
        reason: Resync,
        cursor: &'a str,
    }
    json(&Message { id, reason, cursor })
}

/// A subscription has ended.
pub fn unsubscribed(id: &str, reason: Option<Ended>) -> String {
    #[derive(Serialize)]
    #[serde(tag = "type", rename = "unsubscribed")]
    struct Unsubscribed<'a> {
        id: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<Ended>,
    }
    json(&Unsubscribed { id, reason })
}

/// A request was refused; `message` is for a person.
pub fn error(code: Code, message: &str, id: Option<&str>) -> String {
    #[derive(Serialize)]
    #[serde(tag = "type", rename = "error")]
    struct Error<'a> {
        code: &'a str,
        message: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a str>,
    }
    json(&Error { code: code.word(), message, id })
}

/// Answer to `ping`.
pub fn pong() -> String {
    "{\"type\":\"pong\"}".to_owned()
}

/// The answer of a long poll; `messages` are JSON objects joined by commas. A `partial` one ends
/// inside a transaction too large for one answer.
pub fn poll(messages: &str, cursor: &str, partial: bool) -> String {
    let partial = if partial { ",\"partial\":true" } else { "" };
    format!("{{\"type\":\"poll\",\"messages\":[{messages}],\"cursor\":{}{partial}}}", json(&cursor))
}
