//! The guarantees, each as a comparison of what a client recorded with what the oracle knows. A
//! broken one is told with the first few places where it broke.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde_json::Value;

use super::{
    client::Client,
    oracle::{Columns, RowChange, Transaction},
    record::{Change, Mark},
};

/// How many faults a message shows.
const SHOWN: usize = 5;
const CHARS_SHOWN: usize = 800;
/// How much of the tape a message shows on both sides of a place.
const AROUND: usize = 12;

/// Every guarantee, for one subscription of one table.
pub(crate) fn all_hold(client: &Client, id: &str, truth: &[Transaction]) {
    let table = &client.sub(id).table;
    let truth = of_table(truth, table);
    let changes = client.changes(id);
    let faults = [
        ("exactly once", exactly_once(&changes)),
        ("complete", complete(&truth, &changes)),
        ("ordered", ordered(&truth, &changes)),
        ("whole", whole(&client.tape)),
    ];
    for (guarantee, faults) in faults {
        let count = faults.len();
        let shown = shown(&faults);
        assert!(
            count == 0,
            "not {guarantee} on {table}, {count} faults:{shown}{}",
            tape(client, id)
        );
    }
}

/// The first faults, short enough to read, each on a line of its own.
pub(crate) fn shown(faults: &[String]) -> String {
    let cut = |fault: &String| fault.chars().take(CHARS_SHOWN).collect::<String>();
    let first: Vec<_> = faults.iter().take(SHOWN).map(cut).collect();
    format!("\n  {}", first.join("\n  "))
}

/// What came around the first repeated change of a subscription, in brief.
fn tape(client: &Client, id: &str) -> String {
    let mut seen = HashSet::new();
    let mut changes = client.changes(id).into_iter();
    let Some(repeated) = changes.find(|it| !seen.insert((it.id.clone(), it.effect.clone()))) else {
        return String::new();
    };
    let mut text = format!("\n  change {} came more than once:", repeated.id);
    for (at, mark) in client.tape.iter().enumerate() {
        let Mark::Change(change) = mark else { continue };
        if change.id == repeated.id && change.sub == id {
            let around = at.saturating_sub(AROUND)..(at + AROUND).min(client.tape.len());
            text.extend(client.tape[around].iter().map(|mark| format!("\n    {mark}")));
            text.push_str("\n    ...");
        }
    }
    text
}

/// The transactions that really changed something in a table.
pub(crate) fn of_table(truth: &[Transaction], table: &str) -> Vec<Transaction> {
    let mut found = Vec::new();
    for transaction in truth {
        let is_told = |row: &&RowChange| row.table == table && row.differs;
        let rows: Vec<_> = transaction.rows.iter().filter(is_told).cloned().collect();
        if !rows.is_empty() {
            found.push(Transaction { xid: transaction.xid.clone(), rows });
        }
    }
    found
}

/// A change is applied once; a new key is told as a `leave` and an `enter` of the same id.
pub(crate) fn exactly_once(changes: &[&Change]) -> Vec<String> {
    let mut seen = HashSet::new();
    let mut faults = Vec::new();
    for change in changes.iter().filter(|change| change.durable) {
        if !seen.insert((&change.id, &change.effect)) {
            faults.push(format!("repeated: {change:?}"));
        }
    }
    faults
}

/// Every committed change and no other, with the right values, in the order of its transaction.
pub(crate) fn complete(truth: &[Transaction], changes: &[&Change]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut got: BTreeMap<&str, Vec<&Change>> = BTreeMap::new();
    for change in changes.iter().filter(|change| change.durable) {
        got.entry(&change.xid).or_default().push(change);
    }
    for transaction in truth {
        let rows = &transaction.rows;
        let seen = got.remove(transaction.xid.as_str()).unwrap_or_default();
        if seen.len() != rows.len() {
            faults.push(format!(
                "transaction {}: {} of {} changes",
                transaction.xid,
                seen.len(),
                rows.len()
            ));
        }
        for (row, change) in rows.iter().zip(seen) {
            faults.extend(differs(row, change));
        }
    }
    faults.extend(got.keys().map(|xid| format!("transaction {xid} was never committed")));
    faults
}

/// Changes of one row come in the order of their commits.
pub(crate) fn ordered(truth: &[Transaction], changes: &[&Change]) -> Vec<String> {
    let mut place = HashMap::new();
    for (at, transaction) in truth.iter().enumerate() {
        place.insert(transaction.xid.as_str(), at);
    }
    let mut last: HashMap<String, usize> = HashMap::new();
    let mut faults = Vec::new();
    for change in changes {
        let Some(&at) = place.get(change.xid.as_str()) else { continue };
        let before = last.insert(change.key.to_string(), at);
        if before.is_some_and(|before| before > at) {
            faults.push(format!("too late for its row: {change:?}"));
        }
    }
    faults
}

/// No transaction is on both sides of a cursor that stands between transactions, and none is mixed
/// with another.
pub(crate) fn whole(tape: &[Mark]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut closed: BTreeSet<(&str, &str)> = BTreeSet::new();
    let mut open: HashMap<&str, &str> = HashMap::new();
    for mark in tape {
        match mark {
            Mark::Connected => {
                // What came after the last cursor comes again.
                open.clear();
                closed.clear();
            }
            Mark::Cursor { subs, partial: false, .. } => {
                for sub in subs.iter().map(String::as_str) {
                    closed.extend(open.remove(sub).map(|xid| (sub, xid)));
                }
            }
            Mark::Change(change) if change.durable => {
                let (sub, xid) = (change.sub.as_str(), change.xid.as_str());
                if closed.contains(&(sub, xid)) {
                    faults.push(format!("transaction {xid} is torn: {change:?}"));
                }
                let before = open.insert(sub, xid).filter(|before| *before != xid);
                closed.extend(before.map(|before| (sub, before)));
            }
            Mark::Cursor { .. } | Mark::Change(_) => {}
        }
    }
    faults
}

/// What is wrong with one change against the truth.
fn differs(row: &RowChange, change: &Change) -> Option<String> {
    let told = told(&change.data, row.row());
    let is_right = row.operation == change.operation
        && told.as_ref() == Some(row.row())
        && (row.operation != "UPDATE" || old_is_right(row, &change.old));
    (!is_right).then(|| format!("told {change:?}\n    but was {row:?}"))
}

/// `old` holds the former values of what changed, and nothing else.
fn old_is_right(row: &RowChange, old: &Value) -> bool {
    row.old.iter().all(|(column, former)| {
        let changed = row.new.get(column) != Some(former);
        let told = old.get(column).map(text);
        if changed { told.as_ref() == Some(former) } else { told.is_none() }
    })
}

/// The columns that the oracle can compare, as the change tells them.
fn told(data: &Value, columns: &Columns) -> Option<Columns> {
    columns.keys().map(|name| Some((name.clone(), text(data.get(name)?)))).collect()
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}
