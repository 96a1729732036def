//! What a NOTIFY payload says. Anybody may send one, so it is read as a stranger's text.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::change::{Operation, Row, TableName};

/// What a payload says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// The log has grown. Ours, or as good as ours: it leads to a read and no more.
    Wake {
        /// Whether the watched tables may be others by now.
        catalog: bool,
    },
    /// A change that is in no log, written by hand.
    Change(Told),
    /// Nothing that is meant for us.
    Nonsense,
}

/// A change as a payload tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The table.
    pub table: TableName,
    /// What happened.
    pub operation: Operation,
    /// The row after.
    pub new: Option<Row>,
    /// The row before, where it is told.
    pub old: Option<Row>,
}

#[derive(Deserialize)]
struct Written<'a> {
    #[serde(default)]
    log: bool,
    #[serde(default)]
    catalog: bool,
    table: Option<String>,
    schema: Option<String>,
    operation: Option<Operation>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    old: Option<&'a RawValue>,
}

impl Payload {
    /// Reads a payload.
    pub fn read(text: &str) -> Self {
        match serde_json::from_str::<Written<'_>>(text) {
            Ok(Written { log: true, catalog, .. }) => Self::Wake { catalog },
            Ok(written) => change(&written).map_or(Self::Nonsense, Self::Change),
            Err(_) => Self::Nonsense,
        }
    }
}

fn change(written: &Written<'_>) -> Option<Told> {
    let name = written.table.as_ref()?;
    let table = match &written.schema {
        Some(schema) => TableName { schema: schema.clone(), name: name.clone() },
        None => TableName::parse(name),
    };
    let operation = written.operation?;
    let object = |it: Option<&RawValue>| {
        it.filter(|it| it.get().starts_with('{')).map(|it| Row::new(it.get()))
    };
    let data = object(written.data);
    let (new, old) = match operation {
        Operation::Truncate => (None, None),
        Operation::Delete => (None, Some(data?)),
        Operation::Insert => (Some(data?), None),
        // Where the former row is not told, the change is from an unknown row to this one.
        Operation::Update => (Some(data?), object(written.old)),
    };
    Some(Told { table, operation, new, old })
}

#[cfg(test)]
mod tests {
    use super::Payload;

    #[test]
    fn a_payload_is_a_wake_a_change_or_nothing() {
        assert_eq!(Payload::read(r#"{"log":true}"#), Payload::Wake { catalog: false });
        let text = r#"{"table":"a.b","operation":"DELETE","data":{"id":1}}"#;
        let Payload::Change(told) = Payload::read(text) else { panic!("a change") };
        assert_eq!((told.table.schema.as_str(), told.new, told.old.is_some()), ("a", None, true));
        for text in [
            "",
            "{}",
            "[]",
            r#"{"table":"a","operation":"INSERT"}"#,
            r#"{"table":"a","operation":"INSERT","data":[]}"#,
            r#"{"table":"a","operation":"DROP","data":{}}"#,
            r#"{"log":"true"}"#,
        ] {
            assert_eq!(Payload::read(text), Payload::Nonsense, "{text}");
        }
    }
}
