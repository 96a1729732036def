//! Who may read what, as the operator wrote it: `[tables]` and `[feeds]`.
//!
//! Plain values; they are compiled against the catalog elsewhere. Nothing here decides.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Who may read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Readers {
    /// No one.
    #[default]
    Nobody,
    /// Everyone with a valid token.
    Authenticated,
    /// Everyone.
    Anyone,
    /// Those whose token names one of these roles.
    Roles(Vec<String>),
}

/// `[tables."schema.table"]`: what is shown of one table.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TablePolicy {
    pub read: Readers,
    /// A filter in the words of the protocol; `None`: every row.
    pub rows: Option<String>,
    /// `None`: every column.
    pub columns: Option<Vec<String>>,
    /// Relay NOTIFY payloads written by hand.
    pub undurable: bool,
    pub grants: Vec<Grant>,
}

/// One of several grants on a table; a reader has the union of those that name them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    pub read: Readers,
    pub rows: Option<String>,
    pub columns: Option<Vec<String>>,
}

/// `[feeds.name]`: a feed with its own path that subscribes to its tables by itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeedDecl {
    /// The name in the settings.
    #[serde(skip)]
    pub name: String,
    /// Below `/ws/`, `/sse/` and `/poll/`, as `student/{id}`. Left out: the name.
    #[serde(default)]
    pub path: String,
    /// Claims that a token must carry, each with the values of which it must have one.
    #[serde(default, deserialize_with = "claims")]
    pub require: BTreeMap<String, Vec<String>>,
    pub tables: Vec<FeedTable>,
}

/// One table of a declared feed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeedTable {
    pub table: String,
    pub filter: Option<String>,
    pub events: Option<Vec<Operation>>,
    pub columns: Option<Vec<String>>,
}

/// What happened to a row, as named in `events`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Operation {
    Insert,
    Update,
    Delete,
    Truncate,
}

impl Operation {
    /// The word of the protocol.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Insert => "INSERT",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
            Self::Truncate => "TRUNCATE",
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected text or a list of texts")]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl<'de> Deserialize<'de> for Readers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match OneOrMany::deserialize(deserializer)? {
            OneOrMany::Many(roles) => Ok(Self::Roles(roles)),
            OneOrMany::One(word) => match word.as_str() {
                "nobody" => Ok(Self::Nobody),
                "authenticated" => Ok(Self::Authenticated),
                "anyone" => Ok(Self::Anyone),
                _ => Err(de::Error::custom(format!(
                    "`{word}` is none of nobody, authenticated, anyone; \
                     roles are written as a list: [\"{word}\"]"
                ))),
            },
        }
    }
}

impl Serialize for Readers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Nobody => serializer.serialize_str("nobody"),
            Self::Authenticated => serializer.serialize_str("authenticated"),
            Self::Anyone => serializer.serialize_str("anyone"),
            Self::Roles(roles) => roles.serialize(serializer),
        }
    }
}

fn claims<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, Vec<String>>, D::Error> {
    let written = BTreeMap::<String, OneOrMany>::deserialize(deserializer)?;
    let values = |it| match it {
        OneOrMany::One(value) => vec![value],
        OneOrMany::Many(values) => values,
    };
    Ok(written.into_iter().map(|(claim, it)| (claim, values(it))).collect())
}
