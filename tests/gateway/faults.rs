//! What an administrator fears: a standby that lacks the last transactions takes over, the log is
//! locked, connections are used up. `tests/gateway/outage.rs` has the rest of the table.

use std::{fs, os::unix::fs::MetadataExt as _, path::Path, process::Command};

use pgfeed::source::cluster::StopMode;
use tokio::time::{Duration, Instant};

use crate::support::{
    client::Client,
    database::Database,
    gateway::{Gateway, Settings},
    wait::{PATIENCE, eventually},
};

async fn is_ready(gateway: &Gateway) -> bool {
    gateway.get("/readyz").await.is_some_and(|it| it.status == 200)
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status().expect("`cp` runs");
    assert!(copied.success());
}

/// The server goes on from a copy of its data that lacks what was committed since: as a standby
/// that is promoted, where `is_standby`, or as a backup.
async fn a_server_without_the_last_transactions_is_told(is_standby: bool) {
    let mut database = Database::durable().await;
    let mut gateway = Gateway::serving(&database).await;
    let url = gateway.socket("changes/");
    let mut away = Client::subscribed(&url, "notes").await;
    database.run("insert into notes (id) values (1)").await;
    away.until_applied("notes", 1).await;
    let data = database.server().data_dir();
    let aside = data.with_extension("aside");
    database.server().stop(StopMode::Fast).await.expect("it stops");
    copy(&data, &aside);
    database.server().start_again().await.expect("it starts");
    eventually(PATIENCE, "the feed", async || is_ready(&gateway).await).await;

    let mut live = Client::subscribed(&url, "notes").await;
    database.run("insert into notes (id) values (2)").await;
    live.until_applied("notes", 1).await;
    away.until_applied("notes", 2).await;
    database.server().stop(StopMode::Immediate).await.expect("it stops");
    let owner = fs::metadata(&data).expect("there is data");
    fs::remove_dir_all(&data).expect("it can be removed");
    copy(&aside, &data);
    if is_standby {
        let signal = data.join("standby.signal");
        fs::write(&signal, "").expect("it is written");
        std::os::unix::fs::chown(&signal, Some(owner.uid()), Some(owner.gid())).expect("given");
    }
    database.server().start_again().await.expect("it starts");
    if is_standby {
        let told = async || gateway.output().contains("the server is a standby");
        eventually(PATIENCE, "the refusal of a standby", told).await;
        assert_eq!(database.value("select pg_promote()").await, "t");
    }
    // Other data under the ids and transaction numbers that clients have seen.
    database.run("insert into notes (id) values (3)").await;
    for client in [&mut live, &mut away] {
        loop {
            let message = client.message().await;
            if message["type"] == "resync" {
                assert_eq!(message["reason"], "history_changed");
                break;
            }
            assert_ne!(message["type"], "change", "nothing comes before the resync: {message}");
        }
    }
    // Who was away over all that is told as well, also by another gateway.
    gateway.kill().await;
    gateway.restart().await;
    database.run("insert into notes (id) values (4)").await;
    away.resume(&url).await.expect("the gateway is back");
    away.until("the row after", |it| it.changes("notes").iter().any(|it| it.key["id"] == 4)).await;
    fs::remove_dir_all(&aside).expect("it can be removed");
}

#[tokio::test]
async fn a_promoted_standby_that_lacks_transactions_starts_everybody_over_first() {
    a_server_without_the_last_transactions_is_told(true).await;
}

#[tokio::test]
async fn a_restored_backup_starts_everybody_over_first() {
    a_server_without_the_last_transactions_is_told(false).await;
}

#[tokio::test]
async fn a_locked_log_makes_it_stale_and_loses_nothing() {
    let database = Database::fresh().await;
    let settings = Settings::for_database(&database)
        .with("SERVER__HEARTBEAT_MS", "500")
        .with("SERVER__READY_LAG_MAX_MS", "3000");
    let gateway = settings.start().await;
    gateway.ready().await;
    let mut client = Client::subscribed(&gateway.socket("changes/"), "notes").await;
    let locker = database.connect().await;
    locker.batch_execute("begin; lock table pgfeed.log").await.expect("the lock is free");
    let began = Instant::now();
    let unready = async || !is_ready(&gateway).await;
    eventually(Duration::from_secs(10), "/readyz to say so", unready).await;
    loop {
        let message = client.message().await;
        if message["type"] == "heartbeat" && message["lag_ms"].as_u64() >= Some(3_000) {
            break;
        }
    }
    while began.elapsed() < Duration::from_secs(15) {
        client.message().await;
    }
    locker.batch_execute("commit").await.expect("the lock is given back");
    database.run("insert into notes (id) values (1)").await;
    client.until_applied("notes", 1).await;
    eventually(PATIENCE, "/readyz", async || is_ready(&gateway).await).await;
}

#[tokio::test]
async fn used_up_connections_leave_live_clients_alone() {
    let options = pgfeed::source::cluster::Options::from_env().with("max_connections", "14");
    let database = Database::own(options).await;
    let gateway = Gateway::serving(&database).await;
    let url = gateway.socket("changes/");
    let mut client = Client::subscribed(&url, "notes").await;
    let writer = database.connect().await;
    let mut hogs = Vec::new();
    while let Ok(hog) = crate::support::database::try_connect(&database.url()).await {
        hogs.push(hog);
    }
    for id in 1..=20 {
        let insert = format!("insert into notes (id) values ({id})");
        writer.batch_execute(&insert).await.expect("the writer has its connection");
    }
    client.until_applied("notes", 20).await;
    drop(hogs);
    client.resume(&url).await.expect("the gateway is there");
    writer.batch_execute("insert into notes (id) values (21)").await.expect("it goes on");
    client.until_applied("notes", 21).await;
}
