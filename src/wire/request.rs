//! What a client may ask: one JSON object a text frame.

use serde::Deserialize;

use crate::change::Operation;

/// The longest subscription id in bytes.
pub const ID_BYTES_MAX: usize = 128;

/// One request of a client.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Follow a table.
    Subscribe(Box<Subscribe>),
    /// Stop following.
    Unsubscribe {
        /// The subscription.
        id: String,
    },
    /// Another token for this connection.
    Auth {
        /// A JWT.
        token: Token,
    },
    /// Answered by `pong`.
    Ping {},
}

/// What to follow, and from where.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subscribe {
    /// The client's name for the subscription, unique on the connection.
    pub id: String,
    /// The table, as [`crate::change::TableName::parse`] reads it.
    pub table: String,
    /// Only these operations; all where absent.
    #[serde(default)]
    pub events: Option<Vec<Operation>>,
    /// Only these rows.
    #[serde(default)]
    pub filter: Option<String>,
    /// Only these columns.
    #[serde(default)]
    pub columns: Option<Vec<String>>,
    /// The cursor to go on from; from now where absent.
    #[serde(default)]
    pub since: Option<String>,
    /// The shape that the rows held by the client have.
    #[serde(default)]
    pub shape: Option<String>,
    /// Whether to start with the rows as they are.
    #[serde(default)]
    pub snapshot: bool,
}

/// A token's text, which no log line shows.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct Token(pub String);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(hidden)")
    }
}

/// Why a message is no request; tells the client what was wrong.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadMessage(String);

impl Request {
    /// Reads a text frame.
    pub fn parse(text: &str) -> Result<Self, BadMessage> {
        // An array of its parts would be taken for it as well.
        if text.trim_start().starts_with('[') {
            return Err(BadMessage("not a request: an object is expected".to_owned()));
        }
        let request: Self = serde_json::from_str(text).map_err(|error| explain(&error))?;
        let id = match &request {
            Self::Subscribe(subscribe) => Some(&subscribe.id),
            Self::Unsubscribe { id } => Some(id),
            Self::Auth { .. } | Self::Ping {} => None,
        };
        if id.is_some_and(|id| id.is_empty() || id.len() > ID_BYTES_MAX) {
            return Err(BadMessage(format!("`id` takes 1 to {ID_BYTES_MAX} bytes")));
        }
        if let Self::Subscribe(subscribe) = &request
            && subscribe.events.as_ref().is_some_and(Vec::is_empty)
        {
            return Err(BadMessage("`events` is empty: name one, or leave it out".to_owned()));
        }
        Ok(request)
    }
}

fn explain(error: &serde_json::Error) -> BadMessage {
    BadMessage(match error.classify() {
        serde_json::error::Category::Data => format!("not a request: {error}"),
        _ => format!("not JSON: {error}"),
    })
}

#[cfg(test)]
mod tests {
    use super::Request;

    #[test]
    fn a_subscribe_is_read_with_all_its_fields() {
        let text = r#"{"type":"subscribe","id":"a","table":"courses","events":["INSERT"],
            "filter":"id=eq.1","columns":["id"],"since":"x","shape":"y","snapshot":true}"#;
        let Ok(Request::Subscribe(it)) = Request::parse(text) else { panic!("refused") };
        assert_eq!((&*it.id, &*it.table, it.snapshot), ("a", "courses", true));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, says) in [
            ("{", "not JSON"),
            ("[]", "not a request"),
            (r#" ["ping"]"#, "not a request"),
            (r#"["unsubscribe","a"]"#, "not a request"),
            ("{}", "missing field `type`"),
            (r#"{"type":"nope"}"#, "unknown variant `nope`"),
            (r#"{"type":"ping","x":1}"#, "unknown field `x`"),
            (r#"{"type":"subscribe","id":"a"}"#, "missing field `table`"),
            (r#"{"type":"subscribe","id":"","table":"t"}"#, "1 to 128 bytes"),
            (r#"{"type":"subscribe","id":"a","table":"t","wat":1}"#, "unknown field `wat`"),
            (r#"{"type":"subscribe","id":"a","table":"t","events":["insert"]}"#, "insert"),
            (r#"{"type":"subscribe","id":"a","table":"t","events":[]}"#, "empty"),
            (r#"{"type":"unsubscribe","id":7}"#, "invalid type"),
        ] {
            let error = Request::parse(text).expect_err(text).to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
