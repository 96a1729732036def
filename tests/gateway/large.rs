//! Large rows and large transactions: the writer succeeds, everything arrives, memory is bounded.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tokio::time::Duration;

use crate::support::{
    client::{Client, Heard},
    database::Database,
    gateway::{Gateway, socket},
    proxy::Proxy,
    wait::within,
};

/// How much the gateway's memory may grow while it passes anything on.
const GROWTH_KIB_MAX: u64 = 64 * 1024;
const BULK_ROWS: usize = 100_000;
/// The bulk of the long run: see `make storm`.
const LONG_BULK_ROWS: usize = 1_000_000;

#[tokio::test]
async fn rows_of_9_kilobytes_and_5_megabytes_arrive_complete() {
    let database = Database::fresh().await;
    let gateway = Gateway::serving(&database).await;
    let mut client = Client::subscribed(&gateway.socket("changes/"), "notes").await;
    let (before, _) = gateway.memory_kib();
    gateway.forget_peak();
    for (id, bytes) in [(1, 9 * 1024), (2, 5 * 1024 * 1024)] {
        let body = format!("'a' || repeat('\u{e9}', {bytes} / 2 - 1) || 'z'");
        database.run(&format!("insert into notes (id, body) values ({id}, {body})")).await;
        let insert = client.expect("change").await;
        let told = insert["data"]["body"].as_str().expect("a text");
        assert!(told.len() == bytes && told.starts_with('a') && told.ends_with('z'));
        database.run(&format!("update notes set n = 1 where id = {id}")).await;
        let update = client.expect("change").await;
        assert_eq!((&update["old"], &update["data"]["body"]), (&json!({"n": 0}), &json!(told)));
        database.run(&format!("delete from notes where id = {id}")).await;
        assert_eq!(client.expect("change").await["data"]["body"], told);
    }
    let (_, peak) = gateway.memory_kib();
    assert!(peak < before + GROWTH_KIB_MAX, "memory grew from {before} to {peak} KiB");
}

#[tokio::test]
async fn a_bulk_update_arrives_in_order_and_whole_in_bounded_memory() {
    // The long run is asked for by a variable, so that no test is ever left out silently.
    let is_long = std::env::var_os("PGFEED_TEST_LONG").is_some();
    let rows = if is_long { LONG_BULK_ROWS } else { BULK_ROWS };
    let database = Database::fresh().await;
    let insert = "insert into notes (id, body) select i, repeat('x', 100) from generate_series(1, ";
    database.run(&format!("{insert}{rows}) i")).await;
    let gateway = Gateway::serving(&database).await;
    let mut client = Client::subscribed(&gateway.socket("changes/"), "notes").await;
    let (before, _) = gateway.memory_kib();
    gateway.forget_peak();
    database.run("update notes set n = n + 1").await;
    database.run("insert into notes (id) values (0)").await;
    let reading = bulk_in_order(&mut client, rows);
    let partial = within(Duration::from_mins(4), "the bulk to arrive", reading).await;
    assert!(partial >= rows / 20_000, "{partial} positions inside a transaction of {rows} changes");
    let (_, peak) = gateway.memory_kib();
    assert!(peak < before + GROWTH_KIB_MAX, "memory grew from {before} to {peak} KiB");
}

/// Reads an update of all rows in the order of their keys and one insert behind it; tells how many
/// positions stood inside the update.
async fn bulk_in_order(client: &mut Client, rows: usize) -> usize {
    let (mut seen, mut partial, mut xid) = (0, 0, Value::Null);
    loop {
        let message = client.raw().await;
        match message["type"].as_str() {
            Some("change") if message["operation"] == "INSERT" => {
                assert_eq!(seen, rows, "nothing comes before the end of the transaction");
                return partial;
            }
            Some("change") => {
                seen += 1;
                assert_eq!(message["key"]["id"], seen, "in the order of the statement");
                assert_eq!(message["old"], json!({"n": 0}));
                xid = if seen == 1 { message["xid"].clone() } else { xid };
                assert_eq!(message["xid"], xid, "one transaction");
            }
            Some("cursor") if message["partial"] == true => partial += 1,
            Some("cursor") => assert!(seen == 0 || seen == rows, "a whole position after {seen}"),
            _ => {}
        }
    }
}

#[tokio::test]
async fn a_bulk_update_cut_in_the_middle_is_resumed_in_the_middle() {
    let database = Database::fresh().await;
    let rows = 60_000;
    let insert = "insert into notes (id) select generate_series(1, ";
    database.run(&format!("{insert}{rows})")).await;
    let gateway = Gateway::serving(&database).await;
    let proxy = Proxy::to(gateway.address()).await;
    let url = socket(proxy.address(), "changes/");
    let mut client = Client::subscribed(&url, "notes").await;
    proxy.cut_after(5_000_000);
    database.run("update notes set n = n + 1").await;
    let mut cuts = 0;
    while client.sub("notes").applied.len() < rows {
        if let Heard::Cut | Heard::Closed { .. } = client.next().await {
            cuts += 1;
            assert!(!client.sub("notes").applied.is_empty(), "a partial cursor came in time");
            proxy.restore();
            if cuts < 3 {
                proxy.cut_after(5_000_000);
            }
            while client.resume(&url).await.is_err() {}
        }
    }
    assert!(cuts > 0, "the wire was cut");
    let keys = client.changes("notes").into_iter().map(|it| it.key["id"].as_u64());
    assert!(keys.eq((1..=rows as u64).map(Some)), "every row once and in order");
}

#[tokio::test]
async fn a_client_that_reads_nothing_of_a_flood_costs_little_and_gets_it_all_later() {
    let database = Database::fresh().await;
    let gateway = Gateway::serving(&database).await;
    let url = gateway.socket("changes/");
    let mut slow = Client::subscribed(&url, "notes").await;
    let mut quick = Client::subscribed(&url, "notes").await;
    let (before, _) = gateway.memory_kib();
    gateway.forget_peak();
    for batch in 0..50 {
        let sql = format!(
            "insert into notes (id, body) select {batch} * 1000 + i, repeat('x', 1000) \
             from generate_series(1, 1000) i"
        );
        database.run(&sql).await;
    }
    quick.until_applied("notes", 50_000).await;
    let (_, peak) = gateway.memory_kib();
    assert!(peak < before + GROWTH_KIB_MAX, "memory grew from {before} to {peak} KiB");
    while slow.sub("notes").applied.len() < 50_000 {
        match slow.next().await {
            Heard::Message(_) => {}
            Heard::Closed { code, .. } => {
                assert_eq!(code, 4408, "it was too slow");
                slow.resume(&url).await.expect("the gateway takes it back");
            }
            Heard::Cut => unreachable!("a slow client is told"),
        }
    }
    let keys = slow.changes("notes").into_iter().map(|it| it.key["id"].as_u64());
    assert!(keys.eq((1..=50_000).map(Some)), "every row once and in order");
}

#[tokio::test]
async fn keys_that_one_statement_passes_on_from_row_to_row_stay_whole() {
    const ROWS: usize = 2_000;
    let database = Database::fresh().await;
    database
        .run(&format!(
            "create table seats (id int primary key deferrable initially deferred, body text);
             insert into seats select i, repeat(md5(i::text), 10) from generate_series(1, {ROWS}) i;
             select pgfeed.watch('seats')"
        ))
        .await;
    let gateway = Gateway::serving(&database).await;
    let mut client = Client::subscribed(&gateway.socket("changes/"), "seats").await;
    database.run("update seats set id = id + 1").await;
    client.until_applied("seats", 2 * ROWS).await;
    let mut seats: BTreeSet<u64> = (1..=ROWS as u64).collect();
    for change in client.changes("seats") {
        let id = change.key["id"].as_u64().expect("a number");
        if change.effect == "leave" {
            seats.remove(&id)
        } else {
            seats.insert(id)
        };
    }
    assert!(seats.into_iter().eq(2..=ROWS as u64 + 1));
}
