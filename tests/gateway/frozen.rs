//! The database is there and does not answer: it stands still, is behind a black hole, or its log
//! is locked. Clients are told how old their pages are, and nothing is lost.

use tokio::time::{Duration, Instant};

use crate::support::{
    client::Client,
    database::Database,
    fault::{Frozen, Writer, endure, has_all, lasting},
    gateway::{Gateway, Settings},
    proxy::Proxy,
};

const PACE: Duration = Duration::from_millis(50);
const SHORT: Duration = Duration::from_secs(12);

async fn scene(settings: Settings) -> (Gateway, Client) {
    let gateway = settings.with("SERVER__HEARTBEAT_MS", "500").start().await;
    gateway.ready().await;
    let client = Client::subscribed(&gateway.socket("changes/"), "notes").await;
    (gateway, client)
}

#[tokio::test]
async fn a_database_that_stands_still_for_half_a_minute_is_told_and_loses_nothing() {
    let mut database = Database::durable().await;
    let (gateway, mut client) = scene(Settings::for_database(&database)).await;
    let writer = Writer::start(&database, PACE).await;
    client.until_applied("notes", 5).await;
    let frozen = Frozen::server(database.server().pid().expect("it runs"));
    endure(&gateway, &mut client, Instant::now(), lasting(SHORT, Duration::from_secs(30))).await;
    drop(frozen);
    let seen = client.changes("notes").len();
    client.until_applied("notes", seen + 20).await;
    gateway.ready().await;
    has_all(&mut client, writer.end().await).await;
}

#[tokio::test]
async fn a_log_that_is_locked_for_a_minute_is_told_and_loses_nothing() {
    let database = Database::fresh().await;
    let (gateway, mut client) = scene(Settings::for_database(&database)).await;
    let writer = Writer::start(&database, PACE).await;
    client.until_applied("notes", 5).await;
    let locker = database.connect().await;
    locker.batch_execute("begin; lock table pgfeed.log").await.expect("the lock is free");
    endure(&gateway, &mut client, Instant::now(), lasting(SHORT, Duration::from_mins(1))).await;
    locker.batch_execute("commit").await.expect("the lock is given back");
    let seen = client.changes("notes").len();
    client.until_applied("notes", seen + 20).await;
    gateway.ready().await;
    has_all(&mut client, writer.end().await).await;
}

#[tokio::test]
async fn a_black_hole_for_half_a_minute_is_told_while_writers_write_on() {
    let database = Database::fresh().await;
    let proxy = Proxy::to(([127, 0, 0, 1], database.port()).into()).await;
    let settings = Settings::for_url(&database.url_through(proxy.address().port()));
    let (gateway, mut client) = scene(settings).await;
    let writer = Writer::start(&database, PACE).await;
    client.until_applied("notes", 5).await;
    proxy.stall();
    endure(&gateway, &mut client, Instant::now(), lasting(SHORT, Duration::from_secs(30))).await;
    proxy.restore();
    gateway.ready().await;
    let written = writer.end().await;
    assert!(written.slowest < Duration::from_secs(2), "a write took {:?}", written.slowest);
    has_all(&mut client, written).await;
}
