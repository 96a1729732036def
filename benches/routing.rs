//! What it costs to find whom a change concerns, from 100 to 1,000,000 subscriptions of the form
//! `column=eq.value`, by a client's filter and by a grant on a claim; and what each match costs.
//!
//! `cargo bench --bench routing` prints nanoseconds per change, of which the first column is the
//! reading of the row's images, the same for all.

#![expect(clippy::print_stdout, reason = "the result")]

use std::{hint::black_box, sync::Arc};

use pgfeed::{
    change::{Change, Collation, Column, Folding, Operation, Row, Table, TableName},
    feed::{
        Columns, Events, Grant, Topic, TopicSpec,
        filter::{Binding, Filter, Scalar},
        grant::Part,
        index::TableTopics,
        judge::{Images, judge},
    },
};
use tokio::time::Instant;

const CHANGES: u64 = 20_000;
const SIZES: [u64; 5] = [100, 1_000, 10_000, 100_000, 1_000_000];

fn main() {
    let table = Arc::new(table());
    println!("subscriptions  images  filter: found  judged  grant: found  judged   (ns a change)");
    for size in SIZES {
        let by_filter = topics(size, |value| spec(&table, Some(value), None));
        let (images, filter_found, filter_judged) = measure(&table, &by_filter, size);
        drop(by_filter);
        let by_grant = topics(size, |value| spec(&table, None, Some(value)));
        let (_, grant_found, grant_judged) = measure(&table, &by_grant, size);
        println!(
            "{size:>13}  {images:>6}  {filter_found:>13}  {filter_judged:>6}  {grant_found:>12}  \
             {grant_judged:>6}"
        );
    }
    println!("\nmatches of one change  ns a match");
    for matches in [1, 10, 100, 1_000, 10_000] {
        println!("{matches:>21}  {:>10}", of_one(&table, matches));
    }
}

fn topics(size: u64, spec: impl Fn(u64) -> TopicSpec) -> TableTopics {
    let mut topics = TableTopics::default();
    for id in 0..size {
        topics.add(&Arc::new(Topic { id, spec: spec(id) }));
    }
    topics
}

/// Nanoseconds to read the images, to find the topics, and to judge those found.
fn measure(table: &Arc<Table>, topics: &TableTopics, size: u64) -> (u128, u128, u128) {
    // Spread over the values, so that the processor's caches are not flattered.
    let changes: Vec<Change> =
        (0..CHANGES).map(|it| change(table, it.wrapping_mul(7_919) % size)).collect();
    let reading = best(&changes, |change| {
        black_box(Images::of(change));
    });
    let finding = best(&changes, |change| {
        let images = Images::of(change);
        let found = topics.candidates(table, &images, false);
        assert_eq!(found.len(), 1, "each value has one subscription");
    });
    let judging = best(&changes, |change| {
        let images = Images::of(change);
        for topic in topics.candidates(table, &images, false) {
            assert!(black_box(judge(&topic, change, &images)).is_some(), "it matches");
        }
    });
    (reading, finding.saturating_sub(reading), judging.saturating_sub(finding))
}

/// Nanoseconds a change in the best of some rounds: what else runs on the machine only adds.
fn best(changes: &[Change], work: impl Fn(&Change)) -> u128 {
    let round = |_| {
        let began = Instant::now();
        changes.iter().for_each(&work);
        began.elapsed().as_nanos() / u128::from(CHANGES)
    };
    (0..7).map(round).min().unwrap_or_default()
}

/// Nanoseconds a match, to find and judge, where many topics want the same row.
fn of_one(table: &Arc<Table>, matches: u64) -> u128 {
    let topics = topics(matches, |_| spec(table, Some(7), None));
    let change = change(table, 7);
    let rounds = (2_000_000 / matches).clamp(20, 200_000);
    let began = Instant::now();
    for _ in 0..rounds {
        let images = Images::of(&change);
        for topic in topics.candidates(table, &images, false) {
            black_box(judge(&topic, &change, &images));
        }
    }
    began.elapsed().as_nanos() / u128::from(rounds * matches)
}

/// A subscription to one value, asked for by its client or granted by its claim.
fn spec(table: &Arc<Table>, asked: Option<u64>, granted: Option<u64>) -> TopicSpec {
    let filter = asked.map(|value| {
        let filter = Filter::parse(&format!("student_id=eq.{value}")).expect("a filter");
        filter.compile(table, &|_| true).expect("it fits")
    });
    let grant = match granted {
        None => Grant::whole(table),
        Some(value) => {
            let rule = Filter::parse_policy("student_id=eq.{claims.sub}").expect("a rule");
            let claim = Binding::One(Scalar::Text(value.to_string()));
            let rows = rule.bind(&|_| Some(claim.clone())).compile(table, &|_| true);
            let columns = Columns::all(table.columns.len());
            Grant::new(vec![Part { rows: Some(rows.expect("it fits")), columns }])
        }
    };
    TopicSpec { table: Arc::clone(table), events: Events::ALL, filter, columns: None, grant }
}

fn change(table: &Arc<Table>, student: u64) -> Change {
    let row = |progress| {
        let text = format!(
            "{{\"id\":1,\"student_id\":{student},\"course_id\":3,\"progress\":{progress},\
             \"note\":\"a text of a length that rows of applications have\"}}"
        );
        Some(Row::new(text))
    };
    Change {
        id: 1,
        xid: 1,
        at: 0,
        table: Arc::clone(table),
        operation: Operation::Update,
        new: row(50),
        old: row(40),
        is_durable: true,
        key: None,
    }
}

fn table() -> Table {
    let column = |name: &str, type_name: &str, type_oid| Column {
        name: name.to_owned(),
        type_name: type_name.to_owned(),
        type_oid,
        element_oid: 0,
        is_domain: false,
        collation: Collation::None,
        folding: Folding::Unknown,
        labels: Vec::new(),
    };
    let columns = vec![
        column("id", "bigint", 20),
        column("student_id", "bigint", 20),
        column("course_id", "bigint", 20),
        column("progress", "smallint", 21),
        column("note", "text", 25),
    ];
    let (name, key) = (TableName::parse("registrations"), vec!["id".to_owned()]);
    Table { oid: 1, name, key, columns, shape: 1 }
}
