//! What an administrator fears: the database goes on without the last transactions.

use std::{fs, os::unix::fs::MetadataExt as _, path::Path, process::Command};

use crate::support::{
    client::Client,
    database::Database,
    gateway::Gateway,
    wait::{PATIENCE, eventually},
};
use pgfeed::source::cluster::StopMode;

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
    eventually(PATIENCE, "the feed", async || gateway.is_ready().await).await;

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
