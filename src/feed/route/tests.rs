//! Changes of keys: in what order a topic and its neighbours are told of them.

use std::collections::BTreeSet;

use serde_json::Value;

use super::*;
use crate::{
    change::Operation,
    feed::{Columns, TopicSpec, sample},
};

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

/// The set that is kept by what is told.
fn kept(told: &[String], before: impl IntoIterator<Item = i64>) -> BTreeSet<i64> {
    let mut set: BTreeSet<i64> = before.into_iter().collect();
    for one in told {
        let (effect, id) = one.split_once(' ').expect("two words");
        let id = id.parse().expect("a number");
        if effect == "leave" {
            set.remove(&id)
        } else {
            set.insert(id)
        };
    }
    set
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

#[test]
fn keys_that_are_passed_on_over_the_edge_of_a_filter_leave_the_set_of_its_select() {
    let rows = [(1, 2), (2, 3), (3, 4)].map(|(from, to)| moved(from, to, from));
    for (filter, before, after) in [
        ("id=lt.4", vec![1, 2, 3], vec![2, 3]),
        ("id=gte.2", vec![2, 3], vec![2, 3, 4]),
        ("id=eq.2", vec![2], vec![2]),
        ("id=in.(1,3)", vec![1, 3], vec![3]),
    ] {
        let told = told(&rows, &[topic(1, Some(filter))]);
        assert!(kept(&told, before).into_iter().eq(after), "{filter}: {told:?}");
        assert!(told.is_sorted_by_key(|it| !it.starts_with("leave")), "{filter}: {told:?}");
    }
}

#[test]
fn a_row_that_comes_and_goes_by_its_key_is_told_in_that_order() {
    let rows = [moved(9, 1, 7), moved(1, 2, 7), moved(2, 9, 7), moved(9, 3, 7)];
    let told = told(&rows, &[topic(1, Some("id=lt.4"))]);
    assert_eq!(told, ["enter 1", "leave 1", "enter 2", "leave 2", "enter 3"]);
}

#[test]
fn a_row_that_is_changed_unseen_between_two_keys_is_known_again() {
    let table = sample::table(&["n"]);
    let columns = Some(Columns::new(table.column("id")));
    let spec = TopicSpec { columns, ..sample::spec(&table, None) };
    let topics = [(Arc::new(Topic { id: 1, spec }), Addressee::Topic)];
    let rows = [moved(1, 2, 7), row(20, Some((2, 7)), (2, 8)), moved(2, 3, 8)];
    assert_eq!(told(&rows, &topics), ["leave 1", "enter 2", "leave 2", "enter 3"]);
}
