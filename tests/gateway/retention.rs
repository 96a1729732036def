//! The log is kept as long and as large as the settings say, and nobody waits for that.

use tokio::time::{Duration, Instant};

use crate::support::{
    client::Client,
    database::Database,
    fault::{Writer, has_all},
    gateway::Settings,
    wait::{PATIENCE, eventually},
};

const PRUNED: &str = "pgfeed_pruned_total";

#[tokio::test]
async fn old_changes_go_while_writers_write_and_a_live_client_misses_none() {
    let database = Database::fresh().await;
    let settings = Settings::for_database(&database).with("LOG__RETENTION", "2s");
    let mut gateway = settings.start().await;
    gateway.ready().await;
    // A peer that prunes too: the database lets one at a time.
    let settings = Settings::for_database(&database).with("LOG__RETENTION", "2s");
    let peer = settings.start().await;
    let url = gateway.socket("changes/");
    let mut client = Client::subscribed(&url, "notes").await;
    let mut away = Client::subscribed(&url, "notes").await;
    let writer = Writer::start(&database, Duration::from_millis(2)).await;
    away.until_applied("notes", 1).await;
    let pruned = async || gateway.metric(PRUNED).await + peer.metric(PRUNED).await;
    let deadline = Instant::now() + Duration::from_mins(1);
    while pruned().await < 500.0 {
        assert!(Instant::now() < deadline, "{} changes were pruned", pruned().await);
        let seen = client.changes("notes").len();
        client.until_applied("notes", seen + 100).await;
    }
    let left = "select count(*) from pgfeed.log where at < clock_timestamp() - interval '5 s'";
    eventually(PATIENCE, "old changes to go", async || database.value(left).await == "0").await;
    let written = writer.end().await;
    assert!(written.slowest < Duration::from_secs(1), "took {:?}", written.slowest);
    has_all(&mut client, written).await;

    // The gateway's memory reaches further back than the log: another one has to say so.
    gateway.kill().await;
    gateway.restart().await;
    away.resume(&url).await.expect("the gateway is there");
    assert_eq!(away.expect("resync").await["reason"], "cursor_expired");
    database.run("insert into notes (id) values (0)").await;
    away.until_applied("notes", 1).await;
}

#[tokio::test]
async fn a_log_over_its_size_is_cut_and_told() {
    let database = Database::fresh().await;
    // The first tick of a copied database begins a new history, with an empty log.
    database.run("select pgfeed.make_tick()").await;
    let fill = "insert into notes (id, body)
                select i, string_agg(md5(i::text || j), '') from generate_series(1, 3000) i,
                       generate_series(1, 30) j group by i";
    database.run(fill).await;
    database.run("select pgfeed.make_tick()").await;
    let alarm = "The log is larger than log.size_max";
    let settings = || Settings::for_database(&database).with("LOG__SIZE_MAX", "1MB");
    // A minute is kept whatever its size.
    let mut gateway = settings().start().await;
    eventually(PATIENCE, "the alarm", async || gateway.output().contains(alarm)).await;
    gateway.kill().await;
    let age = "update pgfeed.log set at = at - interval '1 h';
               update pgfeed.tick set at = at - interval '1 h'";
    database.run(age).await;
    let gateway = settings().start().await;
    let left = "select count(*) from pgfeed.log where watch is not null";
    eventually(PATIENCE, "the log to be cut", async || database.value(left).await == "0").await;
    let measured = async || {
        gateway.metric("pgfeed_log_bytes").await > 3e6
            && gateway.metric("pgfeed_log_used_bytes").await < 3e5
    };
    eventually(Duration::from_mins(1), "the metrics", measured).await;
    assert!(!gateway.output().contains(alarm), "its space stays at the peak, its changes are gone");
}
