//! The gateway's clock goes wrong by an hour, while it runs. Passed over where there is no
//! libfaketime (Debian: `faketime`); the project's own checks install it.

use std::{fs, path::Path};

use serde_json::json;
use tokio::time::Duration;

use crate::support::{
    client::{Client, Heard},
    database::Database,
    fault::{Writer, has_all},
    gateway::Settings,
    tokens::{SECRET, token_for},
    wait::{PATIENCE, eventually},
};

fn library() -> Option<&'static str> {
    [
        "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
        "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
        "/usr/local/lib/faketime/libfaketime.so.1",
    ]
    .into_iter()
    .find(|path| Path::new(path).exists())
}

/// A clock of the gateway's own that is wrong by what `file` says, from then on. Time that only
/// measures goes on as it did: a machine's clock is set in the same way.
fn with_clock(settings: Settings, library: &str, file: &Path) -> Settings {
    settings
        .with_variable("LD_PRELOAD", library)
        .with_variable("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .with_variable("FAKETIME_NO_CACHE", "1")
        .with_variable("FAKETIME_TIMESTAMP_FILE", &file.display().to_string())
}

#[tokio::test]
async fn a_clock_that_jumps_by_an_hour_and_back_changes_nothing_for_clients() {
    let Some(library) = library() else { return };
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs::write(file.path(), "+0\n").expect("the clock is set");
    let database = Database::fresh().await;
    let settings = with_clock(Settings::for_database(&database), library, file.path());
    // An hour ahead, and all that is older than half of that is to go.
    let settings =
        settings.with("SERVER__HEARTBEAT_MS", "200").with("LOG__RETENTION", "30m").start();
    let gateway = settings.await;
    gateway.ready().await;
    let url = gateway.socket("changes/");
    let mut client = Client::subscribed(&url, "notes").await;
    let mut away = Client::subscribed(&url, "notes").await;
    let writer = Writer::start(&database, Duration::from_millis(20)).await;
    away.until_applied("notes", 1).await;
    for clock in ["+3600\n", "-3600\n", "+0\n"] {
        fs::write(file.path(), clock).expect("the clock is set");
        let seen = client.changes("notes").len();
        client.until_applied("notes", seen + 50).await;
        for _ in 0..10 {
            let heartbeat = client.expect("heartbeat").await;
            assert!(heartbeat["lag_ms"].as_u64() < Some(5_000), "{clock}: {heartbeat}");
            assert!(gateway.is_ready().await, "{clock}");
        }
        away.resume(&url).await.expect("the gateway accepts");
        away.until("to be live", |it| it.sub("notes").live).await;
    }
    let written = writer.end().await;
    assert!(written.slowest < Duration::from_secs(2), "a write took {:?}", written.slowest);
    has_all(&mut client, written).await;
    has_all(&mut away, written).await;
    let kept = database.value("select count(*) from pgfeed.log where watch is not null").await;
    assert_eq!(kept, written.count.to_string(), "nothing was pruned before its time");
}

#[tokio::test]
async fn a_token_is_judged_by_the_gateways_clock_and_its_client_comes_back_when_that_is_right() {
    let Some(library) = library() else { return };
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs::write(file.path(), "+0\n").expect("the clock is set");
    let database = Database::fresh().await;
    let settings = with_clock(Settings::for_database(&database), library, file.path());
    let gateway = settings.with("AUTH__JWT_SECRET", SECRET).start().await;
    gateway.ready().await;
    let token = token_for(&json!({"sub": "ann"}), 600);
    let url = format!("{}?token={token}", gateway.socket("changes/"));
    let mut client = Client::subscribed(&url, "notes").await;
    fs::write(file.path(), "+3600\n").expect("the clock is set");
    // Expired, as this gateway sees it; and good again when its clock is set right.
    let is_refused = async || match Client::try_connect(&url).await {
        Ok(mut client) => matches!(client.ended().await, Heard::Closed { code: 4401, .. }),
        Err(_refused) => true,
    };
    eventually(PATIENCE, "an expired token's refusal", is_refused).await;
    database.run("insert into notes (id) values (1)").await;
    fs::write(file.path(), "+0\n").expect("the clock is set");
    let is_taken = async || Client::try_connect(&url).await.is_ok();
    eventually(PATIENCE, "the clock to be right", is_taken).await;
    client.resume(&url).await.expect("the token is good");
    client.until_applied("notes", 1).await;
}
