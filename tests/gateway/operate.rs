//! The gateway as an operator meets it: health, drain, and writers that never notice.

use std::process::Stdio;

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Command,
    time::{Duration, Instant},
};

use crate::support::{
    client::{Client, Heard},
    database::Database,
    gateway::{Gateway, Settings},
    samples::SAMPLES,
    wait::{PATIENCE, within},
};

#[tokio::test]
async fn health_and_readiness_are_told() {
    let database = Database::fresh().await;
    let gateway = Gateway::serving(&database).await;
    assert_eq!(gateway.get("/healthz").await.expect("an answer").status, 200);
    assert_eq!(gateway.get("/readyz").await.expect("an answer").status, 200);
}

#[tokio::test]
async fn a_database_that_cannot_be_reached_makes_it_unready_and_not_unhealthy() {
    let settings = Settings::for_url("postgres://postgres@127.0.0.1:1/none");
    let mut gateway = settings.start().await;
    let answer = gateway.get("/readyz").await.expect("an answer");
    assert_eq!(answer.status, 503);
    let reason: Value = serde_json::from_str(&answer.body).expect("the reason is JSON");
    assert!(reason.is_object(), "{reason}");
    assert_eq!(gateway.get("/healthz").await.expect("an answer").status, 200);
    assert!(gateway.stop().await.success(), "it ends well all the same");
}

#[tokio::test]
async fn the_owner_follows_more_tables_than_a_client_may() {
    let database = Database::fresh().await;
    let mut command = Command::new(env!("CARGO_BIN_EXE_pgfeed"));
    command.arg("tail").env("DATABASE_URL", database.url()).kill_on_drop(true);
    command.env("PGFEED__LIMITS__SUBSCRIPTIONS_PER_CONNECTION_MAX", "1");
    let mut tail = command.stdout(Stdio::piped()).spawn().expect("it runs");
    let mut lines = BufReader::new(tail.stdout.take().expect("a pipe")).lines();
    let mut tables = Vec::new();
    let all = async {
        while !SAMPLES.iter().all(|it| tables.contains(&format!("public.{}", it.table))) {
            let line = lines.next_line().await.expect("lines").expect("it does not end");
            let message: Value = serde_json::from_str(&line).expect("a line is JSON");
            if message["type"] == "subscribed" {
                tables.push(message["id"].as_str().unwrap_or_default().to_owned());
            }
        }
    };
    within(PATIENCE, "every table", all).await;
    assert!(tables.len() > 1, "{tables:?}");
}

#[tokio::test]
async fn a_drain_tells_every_client_when_to_come_back_and_ends_well() {
    let database = Database::fresh().await;
    let mut gateway = Gateway::serving(&database).await;
    let mut clients = Vec::new();
    for _ in 0..50 {
        clients.push(Client::subscribed(&gateway.socket("changes/"), "notes").await);
    }
    gateway.signal("TERM").await;
    let mut delays = Vec::new();
    for client in &mut clients {
        let Heard::Closed { code, reason } = client.ended().await else {
            unreachable!("a drain closes in good order")
        };
        assert_eq!(code, 1001);
        let delay = reason.strip_prefix("retry_ms=").and_then(|it| it.parse::<u64>().ok());
        delays.push(delay.expect("the reason tells when to come back"));
    }
    assert!(delays.iter().all(|delay| *delay <= 5000), "{delays:?}");
    delays.sort_unstable();
    delays.dedup();
    assert!(delays.len() > 10, "spread over time: {delays:?}");
    assert_eq!(gateway.ended().await.code(), Some(0));
}

#[tokio::test]
async fn changes_committed_before_a_drain_are_not_lost_by_it() {
    let database = Database::fresh().await;
    let mut gateway = Gateway::serving(&database).await;
    let url = gateway.socket("changes/");
    let mut client = Client::subscribed(&url, "notes").await;
    database.run("insert into notes (id) select generate_series(1, 1000)").await;
    gateway.signal("TERM").await;
    assert!(matches!(client.ended().await, Heard::Closed { code: 1001, .. }));
    assert!(gateway.ended().await.success());
    gateway.restart().await;
    client.resume(&url).await.expect("the gateway is back");
    client.until_applied("notes", 1000).await;
    assert_eq!(client.changes("notes").len(), 1000);
}

#[tokio::test]
async fn a_client_that_does_not_read_cannot_hold_up_a_drain() {
    let database = Database::fresh().await;
    let settings = Settings::for_database(&database).with("SERVER__DRAIN_MS", "1000");
    let mut gateway = settings.start().await;
    gateway.ready().await;
    let _deaf = Client::subscribed(&gateway.socket("changes/"), "notes").await;
    let large = "insert into notes (id, body) select i, repeat('x', 100000) \
                 from generate_series(1, 200) i";
    database.run(large).await;
    let started = Instant::now();
    assert_eq!(gateway.stop().await.code(), Some(0));
    assert!(started.elapsed() < Duration::from_secs(4), "took {:?}", started.elapsed());
}

#[tokio::test]
async fn no_new_client_is_taken_during_a_drain() {
    let database = Database::fresh().await;
    let mut gateway = Gateway::serving(&database).await;
    let url = gateway.socket("changes/");
    assert!(gateway.stop().await.success());
    assert!(Client::try_connect(&url).await.is_err());
}

#[tokio::test]
async fn a_writer_never_fails_whatever_becomes_of_the_gateway() {
    let database = Database::fresh().await;
    let mut gateway = Gateway::serving(&database).await;
    let url = gateway.socket("changes/");
    let mut client = Client::subscribed(&url, "notes").await;
    let writer = database.connect().await;
    let mut id = 0_u64;
    for round in 0..6 {
        match round {
            1 => assert!(gateway.stop().await.success()),
            2 | 4 => gateway.restart().await,
            3 => gateway.kill().await,
            _ => {}
        }
        for _ in 0..50 {
            let before = Instant::now();
            let sql = format!("insert into notes (id) values ({id})");
            writer.batch_execute(&sql).await.expect("the writer succeeds");
            assert!(before.elapsed() < Duration::from_secs(2), "took {:?}", before.elapsed());
            id += 1;
        }
    }
    client.resume(&url).await.expect("the gateway is back");
    client.until_applied("notes", 300).await;
    let ids: Vec<_> = client.changes("notes").iter().map(|it| it.key["id"].as_u64()).collect();
    assert_eq!(ids, (0..300).map(Some).collect::<Vec<_>>());
}
