//! Tables that change their shape, leave the feed or vanish; histories that begin anew. The client
//! is told first, and never sees a wrong row.

use serde_json::{Value, json};

use crate::support::{
    client::Client,
    database::Database,
    gateway::{Gateway, Settings},
};

async fn scene() -> (Database, Gateway, Client) {
    let database = Database::fresh().await;
    let gateway = Gateway::serving(&database).await;
    let mut client = Client::subscribed(&gateway.socket("changes/"), "notes").await;
    client.subscribe("items").await;
    (database, gateway, client)
}

#[tokio::test]
async fn a_table_taken_off_the_feed_ends_its_subscriptions() {
    let (database, _gateway, mut client) = scene().await;
    database.run("insert into notes (id) values (1); select pgfeed.unwatch('notes')").await;
    let told = client.expect("unsubscribed").await;
    assert_eq!((&told["id"], &told["reason"]), (&json!("notes"), &json!("table_unwatched")));
    assert_eq!(client.changes("notes").len(), 1, "what came before is not lost");
    client.ask(&json!({"type": "subscribe", "id": "again", "table": "notes"})).await;
    assert_eq!(client.expect("error").await["code"], "unauthorized");
    database.run("insert into items (id) values (1)").await;
    client.until_applied("items", 1).await;
}

#[tokio::test]
async fn a_change_right_before_a_table_is_taken_off_is_told_when_the_tables_are_looked_at() {
    let database = Database::fresh().await;
    let settings = Settings::for_database(&database)
        .with("DATABASE__POLL_MS", "60000")
        .with("SERVER__HEARTBEAT_MS", "500");
    let gateway = settings.start().await;
    gateway.ready().await;
    let mut client = Client::subscribed(&gateway.socket("changes/"), "notes").await;
    // The gateway sleeps, until a look at the tables is due with the next read.
    for _ in 0..9 {
        client.expect("heartbeat").await;
    }
    database.run("insert into notes (id) values (1); select pgfeed.unwatch('notes')").await;
    client.expect("unsubscribed").await;
    assert_eq!(client.changes("notes").len(), 1, "what came before is not lost");
}

#[tokio::test]
async fn a_dropped_or_renamed_table_ends_its_subscriptions() {
    for sql in ["drop table notes", "alter table notes rename to memos"] {
        let (database, _gateway, mut client) = scene().await;
        database.run(sql).await;
        let told = client.expect("unsubscribed").await;
        assert_eq!((&told["id"], &told["reason"]), (&json!("notes"), &json!("table_unwatched")));
        database.run("insert into items (id) values (1)").await;
        client.until_applied("items", 1).await;
    }
}

#[tokio::test]
async fn a_table_put_on_the_feed_can_be_subscribed_to_at_once() {
    let (database, _gateway, mut client) = scene().await;
    database.run("select pgfeed.watch('other')").await;
    let mut asked = client.subs.len();
    while !client.subs.contains_key("other") {
        asked += 1;
        assert!(asked < 500, "the table is not seen");
        client.ask(&json!({"type": "subscribe", "id": "other", "table": "other"})).await;
        let answer = client.message().await;
        assert!(answer["type"] != "error" || answer["code"] == "unauthorized", "{answer}");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    database.run("insert into other (id) values (1)").await;
    client.until_applied("other", 1).await;
}

#[tokio::test]
async fn a_new_column_is_told_before_any_row_that_has_it() {
    let (database, _gateway, mut client) = scene().await;
    database.run("insert into notes (id) values (1)").await;
    client.until_applied("notes", 1).await;
    database
        .run("alter table notes add extra text; insert into notes (id, extra) values (2, 'x')")
        .await;
    let resync = client.expect("resync").await;
    assert_eq!((&resync["id"], &resync["reason"]), (&json!("notes"), &json!("table_changed")));
    let told = client.expect("subscribed").await;
    let columns = told["columns"].as_array().expect("a list");
    assert!(columns.contains(&json!({"name": "extra", "type": "text"})), "{told}");
    database.run("insert into notes (id, extra) values (3, 'y')").await;
    client
        .until("the new row", |client| client.changes("notes").iter().any(|it| it.key["id"] == 3))
        .await;
    let change = client.changes("notes").into_iter().last().expect("a change");
    assert_eq!(change.data["extra"], "y");
}

#[tokio::test]
async fn a_column_dropped_while_a_client_was_away_is_told_when_it_comes_back() {
    let (database, mut gateway, mut client) = scene().await;
    database.run("insert into notes (id) values (1)").await;
    client.until_applied("notes", 1).await;
    gateway.kill().await;
    database.run("alter table notes drop body; insert into notes (id) values (2)").await;
    gateway.restart().await;
    client.resume(&gateway.socket("changes/")).await.expect("the gateway is back");
    let resync = client.expect("resync").await;
    assert_eq!(resync["id"], "notes");
    let reason = resync["reason"].as_str().expect("a reason");
    assert!(["table_changed", "shape_changed"].contains(&reason), "{reason}");
}

#[tokio::test]
async fn a_new_history_is_told_before_anything_of_it() {
    let (database, _gateway, mut client) = scene().await;
    database.run("insert into notes (id) values (1)").await;
    client.until_applied("notes", 1).await;
    database.run("select pgfeed.start_history()").await;
    database.run("insert into notes (id) values (2)").await;
    let mut reasons = Vec::new();
    while client.changes("notes").iter().all(|it| it.key["id"] != 2) {
        let message = client.message().await;
        if message["type"] == "resync" {
            reasons.push((message["id"].clone(), message["reason"].clone()));
        }
        // A change of the new history may be told only after the resync, or be covered by it.
        if reasons.len() == 2 {
            break;
        }
    }
    reasons.sort_by_key(|(id, _)| id.to_string());
    let changed = json!("history_changed");
    assert_eq!(reasons, [(json!("items"), changed.clone()), (json!("notes"), changed)]);
    database.run("insert into notes (id) values (3)").await;
    client
        .until("the new row", |client| client.changes("notes").iter().any(|it| it.key["id"] == 3))
        .await;
}

#[tokio::test]
async fn a_cursor_of_an_old_history_is_told_so() {
    let (database, mut gateway, mut client) = scene().await;
    database.run("insert into notes (id) values (1)").await;
    client.until_applied("notes", 1).await;
    gateway.kill().await;
    database.run("select pgfeed.start_history(); insert into notes (id) values (2)").await;
    gateway.restart().await;
    client.resume(&gateway.socket("changes/")).await.expect("the gateway is back");
    let resync = client.expect("resync").await;
    assert_eq!(resync["reason"], "history_changed");
    assert_ne!(resync["cursor"], Value::Null);
    database.run("insert into notes (id) values (3)").await;
    client
        .until("the new row", |client| client.changes("notes").iter().any(|it| it.key["id"] == 3))
        .await;
}

#[tokio::test]
async fn a_new_history_is_told_to_who_still_reads_the_old_one() {
    let (database, mut gateway, mut client) = scene().await;
    database.run("insert into notes (id) values (1)").await;
    client.until_applied("notes", 1).await;
    gateway.kill().await;
    // More than the sockets on the way hold.
    for first in (2..=30_000).step_by(3_000) {
        let rows = format!("generate_series({first}, {first} + 2999) id");
        let insert = "insert into notes (id, body) select id, repeat('x', 1000) from";
        database.run(&format!("{insert} {rows}")).await;
    }
    gateway.restart().await;
    gateway.ready().await;
    let mut other = Client::subscribed(&gateway.socket("changes/"), "notes").await;
    client.resume(&gateway.socket("changes/")).await.expect("the gateway is back");
    client.until("to have begun", |it| it.changes("notes").len() > 1).await;
    database.run("select pgfeed.start_history()").await;
    assert_eq!(other.expect("resync").await["reason"], "history_changed");
    let resync = loop {
        let message = client.message().await;
        assert_ne!((&message["type"], &message["id"]), (&json!("live"), &json!("notes")));
        if message["type"] == "resync" && message["id"] == "notes" {
            break message;
        }
    };
    assert_eq!(resync["reason"], "history_changed");
    database.run("insert into notes (id) values (0)").await;
    client.until_applied("notes", 1).await;
    assert_eq!(client.changes("notes")[0].key["id"], 0, "and nothing of the old one after it");
}

#[tokio::test]
async fn the_rows_of_a_table_that_changes_are_sent_anew_once() {
    let database = Database::fresh().await;
    let gateway = Gateway::serving(&database).await;
    database.run("insert into notes (id) values (1)").await;
    let mut client = Client::connect(&gateway.socket("changes/")).await;
    let rows = json!({"type": "subscribe", "id": "notes", "table": "notes", "snapshot": true});
    client.ask(&rows).await;
    client.expect("live").await;
    let mut kinds = Vec::new();
    for sql in ["alter table notes add x integer", "insert into notes (id) values (2)"] {
        database.run(sql).await;
        let last = if sql.starts_with("alter") { "live" } else { "change" };
        while kinds.last().is_none_or(|kind| kind != last) {
            let message = client.message().await;
            kinds.push(message["type"].as_str().expect("a type").to_owned());
        }
    }
    let count = |kind: &str| kinds.iter().filter(|it| *it == kind).count();
    assert_eq!((count("resync"), count("snapshot"), count("live")), (1, 1, 1), "{kinds:?}");
}

#[tokio::test]
async fn a_cursor_older_than_the_log_is_told_so() {
    let (database, mut gateway, mut client) = scene().await;
    database.run("insert into notes (id) values (1)").await;
    client.until_applied("notes", 1).await;
    gateway.kill().await;
    database.run("insert into notes (id) values (2)").await;
    let forget = "select pgfeed.make_tick(); select pgfeed.prune('0')";
    for sql in forget.split("; ") {
        database.run(sql).await;
    }
    gateway.restart().await;
    client.resume(&gateway.socket("changes/")).await.expect("the gateway is back");
    assert_eq!(client.expect("resync").await["reason"], "cursor_expired");
}
