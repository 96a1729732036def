//! What really happened: the committed row changes as PostgreSQL's own logical decoding tells them,
//! independent of triggers, log and gateway.

use std::collections::BTreeMap;

use tokio_postgres::SimpleQueryMessage;

use super::database::Database;

/// Types whose text in `test_decoding` is the text in JSON.
const COMPARED: &[&str] =
    &["integer", "bigint", "smallint", "text", "character varying", "boolean", "uuid"];

/// The values of a row that can be compared, by column; none for null.
pub(crate) type Columns = BTreeMap<String, Option<String>>;

/// A committed transaction: its changes of the tables asked for, in the order of their making.
#[derive(Clone, Debug)]
pub(crate) struct Transaction {
    pub(crate) xid: String,
    pub(crate) rows: Vec<RowChange>,
}

/// One change of one row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RowChange {
    pub(crate) table: String,
    pub(crate) operation: String,
    pub(crate) new: Columns,
    pub(crate) old: Columns,
    /// Whether any column differs, those that can't be compared included.
    pub(crate) differs: bool,
}

impl RowChange {
    /// The row after the change, or the one that was.
    pub(crate) fn row(&self) -> &Columns {
        if self.operation == "DELETE" { &self.old } else { &self.new }
    }
}

/// A replication slot that keeps everything from its making on.
#[derive(Debug)]
pub(crate) struct Oracle {
    tables: Vec<String>,
}

impl Oracle {
    /// Starts to watch these tables, each with its schema. To be made before the first write.
    pub(crate) async fn watch(database: &Database, tables: &[String]) -> Self {
        let client = database.connect().await;
        for table in tables {
            // So that updates and deletes are decoded with the whole former row.
            let sql = format!("alter table {table} replica identity full");
            client.batch_execute(&sql).await.expect("the table's identity is set");
        }
        let slot = "select pg_create_logical_replication_slot('oracle', 'test_decoding')";
        client.simple_query(slot).await.expect("a slot is made");
        Self { tables: tables.to_vec() }
    }

    /// All transactions committed so far, in the order of their commits.
    pub(crate) async fn transactions(&self, database: &Database) -> Vec<Transaction> {
        let client = database.connect().await;
        let sql = "select data from pg_logical_slot_peek_changes('oracle', null, null)";
        let messages = client.simple_query(sql).await.expect("the slot can be read");
        let lines = messages.iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        });
        self.read(&lines.collect::<Vec<_>>())
    }

    fn read(&self, lines: &[&str]) -> Vec<Transaction> {
        let mut found = Vec::new();
        let mut rows = Vec::new();
        for line in lines {
            if let Some(xid) = line.strip_prefix("COMMIT ") {
                if !rows.is_empty() {
                    found
                        .push(Transaction { xid: xid.to_owned(), rows: std::mem::take(&mut rows) });
                }
            } else {
                let row = line.strip_prefix("table ").and_then(row_change);
                rows.extend(row.filter(|row| self.tables.contains(&row.table)));
            }
        }
        found
    }
}

/// `public.courses: UPDATE: old-key: id[integer]:1 … new-tuple: id[integer]:1 …`
fn row_change(text: &str) -> Option<RowChange> {
    let (table, text) = text.split_once(": ")?;
    let (operation, text) = text.split_once(": ")?;
    let (old, new) = match operation {
        "INSERT" => ("", text),
        "DELETE" => (text, ""),
        "UPDATE" => text.strip_prefix("old-key: ")?.split_once(" new-tuple: ")?,
        _ => ("", ""),
    };
    let (mut old, new) = (columns(old), columns(new));
    if operation == "UPDATE" {
        // The former row is decoded without its nulls.
        for (name, (kind, _)) in &new {
            old.entry(name.clone()).or_insert_with(|| (kind.clone(), None));
        }
    }
    Some(RowChange {
        table: table.to_owned(),
        operation: operation.to_owned(),
        differs: old != new,
        new: compared(new),
        old: compared(old),
    })
}

fn compared(columns: BTreeMap<String, (String, Option<String>)>) -> Columns {
    let compared = columns.into_iter().filter(|(_, (kind, _))| COMPARED.contains(&kind.as_str()));
    compared.map(|(name, (_, value))| (name, value)).collect()
}

/// The type and value of each column.
fn columns(text: &str) -> BTreeMap<String, (String, Option<String>)> {
    let mut found = BTreeMap::new();
    let mut rest = text;
    while let Some((name, after)) = rest.split_once('[') {
        let Some((kind, after)) = after.split_once("]:") else { break };
        let (value, after) = literal(after);
        found.insert(name.trim_matches('"').to_owned(), (kind.to_owned(), value));
        rest = after.trim_start();
    }
    found
}

/// A value and what follows it.
fn literal(text: &str) -> (Option<String>, &str) {
    let Some(quoted) = text.strip_prefix('\'') else {
        let (value, after) = text.split_once(' ').unwrap_or((text, ""));
        return ((value != "null").then(|| value.to_owned()), after);
    };
    let mut value = String::new();
    let mut signs = quoted.char_indices().peekable();
    while let Some((at, sign)) = signs.next() {
        if sign == '\'' && signs.next_if(|(_, next)| *next == '\'').is_none() {
            return (Some(value), &quoted[at + 1..]);
        }
        value.push(sign);
    }
    (Some(value), "")
}

#[test]
fn a_decoded_update_is_read_with_its_quotes_and_nulls() {
    let line = "public.t: UPDATE: old-key: id[integer]:1 \"a b\"[text]:'it''s' tags[text[]]:'{}' \
                new-tuple: id[integer]:1 \"a b\"[text]:null tags[text[]]:'{a}' void[text]:null";
    let change = row_change(line).expect("is a change");
    assert_eq!((change.table.as_str(), change.operation.as_str()), ("public.t", "UPDATE"));
    assert_eq!(change.old["a b"].as_deref(), Some("it's"));
    assert_eq!(change.new["a b"], None);
    assert_eq!(change.new["id"].as_deref(), Some("1"));
    assert!(!change.new.contains_key("tags") && change.differs);
    assert_eq!(change.old["void"], None);
}
