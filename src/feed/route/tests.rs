//! Changes of keys: in what order a topic and its neighbours are told of them.

use serde_json::Value;

use super::*;
use crate::{change::Operation, feed::sample};

fn topic(id: u64, filter: Option<&str>) -> (Arc<Topic>, Addressee<'static>) {
    let table = sample::table(&["n"]);
    (Arc::new(Topic { id, spec: sample::spec(&table, filter) }), Addressee::Topic)
}

/// A transaction's row from one state to another, each `(id, n)`.
fn row(xid: u64, old: Option<(i64, i64)>, new: (i64, i64)) -> LogRow {
    let text = |(id, n): (i64, i64)| Row::new(format!("{{\"id\":{id},\"n\":{n}}}"));
    let operation = if old.is_some() { Operation::Update } else { Operation::Insert };
    let change = sample::change(&sample::table(&["n"]), operation);
    let change = Change { xid, old: old.map(text), new: Some(text(new)), ..change };
    LogRow { id: 1, xid, at: 0, body: Body::Change(change) }
}

/// A row of transaction 20 gets another key.
fn moved(from: i64, to: i64, n: i64) -> LogRow {
    row(20, Some((from, n)), (to, n))
}

/// What is told, as `effect id`.
fn told(rows: &[LogRow], topics: &[(Arc<Topic>, Addressee<'_>)]) -> Vec<String> {
    let messages = messages_of(rows, topics).expect("all can be told");
    let text = |message: &Message| {
        let json: Value = serde_json::from_slice(&message.json).expect("JSON");
        format!("{} {}", json["effect"].as_str().expect("an effect"), json["key"]["id"])
    };
    messages.iter().map(text).collect()
}

#[test]
fn a_row_under_its_new_key_comes_before_what_is_changed_after_it() {
    let topics = [topic(1, Some("n=eq.1")), topic(2, Some("n=eq.2"))];
    let rows = [moved(2, 20, 1), moved(3, 30, 1), row(20, None, (5, 2)), row(21, None, (6, 2))];
    let expected = ["leave 2", "leave 3", "enter 20", "enter 30", "enter 5", "enter 6"];
    assert_eq!(told(&rows, &topics), expected);
    let since = topics.map(|(topic, _)| (topic, sample::position(0)));
    let orders: Vec<u32> = messages_since(&rows, &since).iter().map(|it| it.order).collect();
    assert_eq!(orders, [0, 1, 1, 1, 2, 3]);
}
