//! What the gateway counts, as Prometheus reads it.

use std::collections::BTreeMap;

use crate::support::{
    client::Client,
    database::Database,
    gateway::{Gateway, Settings},
    wait::{PATIENCE, eventually},
};

async fn metrics(gateway: &Gateway) -> BTreeMap<String, f64> {
    let text = gateway.get("/metrics").await.expect("an answer").body;
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').expect("a name and a value");
            (name.to_owned(), value.parse().expect("a number"))
        })
        .collect()
}

/// A count, compared as text: it is printed whole.
fn whole(all: &BTreeMap<String, f64>, name: &str) -> Option<u32> {
    all.get(name).and_then(|value| value.to_string().parse().ok())
}

#[tokio::test]
async fn everything_that_alerts_stand_on_is_counted() {
    let database = Database::fresh().await;
    let settings = Settings::for_database(&database).with("SERVER__HEARTBEAT_MS", "100");
    let gateway = settings.start().await;
    gateway.ready().await;
    let url = gateway.socket("changes/");
    let mut clients = Vec::new();
    for _ in 0..3 {
        clients.push(Client::subscribed(&url, "notes").await);
    }
    database.run("insert into notes (id) select generate_series(1, 50)").await;
    for client in &mut clients {
        client.until_applied("notes", 50).await;
    }
    let counted = async || {
        let it = metrics(&gateway).await;
        it["pgfeed_deliveries_total"] >= 150.0 && it.contains_key("pgfeed_log_bytes")
    };
    eventually(PATIENCE, "the counts", counted).await;
    let it = metrics(&gateway).await;
    assert!(it["pgfeed_deliveries_total"] <= 150.0, "counted once for each client: {it:?}");
    assert!(it["pgfeed_changes_total"] >= 50.0);
    assert!(it["pgfeed_delivered_bytes_total"] > 150.0 * 100.0);
    assert!(it["pgfeed_delivery_seconds_count"] >= 1.0);
    assert!(it["pgfeed_delivery_seconds_bucket{le=\"1\"}"] >= 1.0);
    assert_eq!(whole(&it, "pgfeed_connections"), Some(3));
    assert_eq!(whole(&it, "pgfeed_subscriptions"), Some(3));
    assert_eq!(whole(&it, "pgfeed_ready"), Some(1));
    assert!(it["pgfeed_lag_seconds"] < 10.0);
    for zero in [
        "pgfeed_resyncs_total{reason=\"capture_gap\"}",
        "pgfeed_closes_total{code=\"4408\"}",
        "pgfeed_auth_failures_total",
        "pgfeed_accept_failures_total",
        "pgfeed_notify_ignored_total",
        "pgfeed_slow_clients_total",
        "pgfeed_queue_bytes",
        "pgfeed_pool_waiting",
    ] {
        assert_eq!(whole(&it, zero), Some(0), "{zero}");
    }
    drop(clients);
    let gone = async || metrics(&gateway).await["pgfeed_connections"] == 0.0;
    eventually(PATIENCE, "the clients to be gone", gone).await;
}

/// The dashboard and the alerts ask for nothing that does not exist.
#[tokio::test]
async fn dashboard_and_alerts_name_only_metrics_that_are_there() {
    let database = Database::fresh().await;
    let gateway = Gateway::serving(&database).await;
    let measured = async || metrics(&gateway).await.contains_key("pgfeed_log_bytes");
    eventually(PATIENCE, "the log's size", measured).await;
    let text = gateway.get("/metrics").await.expect("an answer").body;
    for file in ["grafana.json", "alerts.yml"] {
        let path = format!("{}/deploy/{file}", env!("CARGO_MANIFEST_DIR"));
        let asks = std::fs::read_to_string(path).expect("the file is there");
        let is_name = |c: char| c.is_ascii_lowercase() || c == '_';
        for (at, _) in asks.match_indices("pgfeed_") {
            let name: String = asks[at..].chars().take_while(|c| is_name(*c)).collect();
            let name = name.strip_suffix("_bucket").unwrap_or(&name);
            let help = format!("# HELP {name} ");
            assert!(text.contains(&help), "{file}: {name}");
        }
    }
}

#[tokio::test]
async fn subscriptions_are_counted_until_they_end_however_that_is() {
    let database = Database::fresh().await;
    let gateway = Gateway::serving(&database).await;
    let mut client = Client::subscribed(&gateway.socket("changes/"), "notes").await;
    let counted = async |wanted| {
        let is_so =
            async || whole(&metrics(&gateway).await, "pgfeed_subscriptions") == Some(wanted);
        eventually(PATIENCE, "the count of subscriptions", is_so).await;
    };
    counted(1).await;
    for id in 1..=3 {
        database.run(&format!("alter table notes add more_{id} integer")).await;
        database.run(&format!("insert into notes (id) values ({id})")).await;
        client.expect("resync").await;
        client.expect("subscribed").await;
    }
    counted(1).await;
    database.run("select pgfeed.unwatch('notes')").await;
    client.expect("unsubscribed").await;
    counted(0).await;
}
