//! Tables that change while clients live, or are away, or while no gateway runs: each client gets
//! the right rows, or is told to start over, and never a wrong row.

use serde_json::{Value, json};
use tokio::time::Duration;

use crate::support::{
    client::{Client, Heard},
    database::Database,
    gateway::Gateway,
    wait::{PATIENCE, eventually, within},
};

async fn scene() -> (Database, Gateway, Client) {
    let database = Database::fresh().await;
    let gateway = Gateway::serving(&database).await;
    let mut client = Client::subscribed(&gateway.socket("changes/"), "notes").await;
    database.run("insert into notes (id, title) values (1, 'one')").await;
    client.until_applied("notes", 1).await;
    (database, gateway, client)
}

/// Comes back with a cursor alone; gives what is said to it.
async fn comes_back(gateway: &Gateway, client: &Client, table: &str) -> Value {
    is_told(gateway, client, table, &["resync", "live", "change"]).await
}

/// Readiness names the table; it is watched again; what a client is told that comes back to it.
async fn watched_again(database: &Database, gateway: &Gateway, client: &Client) -> Value {
    let is_told = async || {
        let answer = gateway.get("/readyz").await.expect("the gateway answers");
        answer.status == 503 && answer.body.contains("on public.notes is outdated")
    };
    eventually(PATIENCE, "readiness to name the table", is_told).await;
    database.run("select pgfeed.watch('notes')").await;
    comes_back(gateway, client, "notes").await
}

/// Comes back with a cursor alone; gives the first message of these types.
async fn is_told(gateway: &Gateway, client: &Client, table: &str, types: &[&str]) -> Value {
    let mut again = Client::connect(&gateway.socket("changes/")).await;
    let since = client.sub(table).cursor.clone();
    let request = json!({"type": "subscribe", "id": table, "table": table, "since": since});
    let mut told = Value::Null;
    // A table that was just put back is seen within seconds.
    let is_served = async || {
        again.ask(&request).await;
        loop {
            told = again.message().await;
            match told["type"].as_str() {
                Some("error") => return false,
                Some(it) if types.contains(&it) => return true,
                _ => {}
            }
        }
    };
    eventually(PATIENCE, table, is_served).await;
    told
}

const CHANGES: &[(&str, &str)] = &[
    ("alter table notes add extra text default 'x'", "extra"),
    ("alter table notes drop body", "title"),
    ("alter table notes rename title to headline", "headline"),
    ("alter table notes alter n type bigint", "n"),
    ("alter table notes alter n type text", "n"),
    ("alter table notes alter title type text using upper(title)", "title"),
];

#[tokio::test]
async fn a_change_of_columns_starts_live_clients_over_with_right_rows() {
    for (sql, column) in CHANGES {
        let (database, _gateway, mut client) = scene().await;
        database.run(sql).await;
        database.run("insert into notes (id) values (2)").await;
        let resync = client.expect("resync").await;
        assert_eq!(resync["reason"], "table_changed", "{sql}");
        let told = client.expect("subscribed").await;
        let columns = told["columns"].as_array().expect("a list");
        assert!(columns.iter().any(|it| it["name"] == *column), "{sql}: {told}");
        database.run("insert into notes (id) values (3)").await;
        let is_there = |client: &Client| client.changes("notes").iter().any(|it| it.key["id"] == 3);
        client.until("the row after", is_there).await;
        for change in client.changes("notes") {
            let mut names: Vec<&str> =
                change.data.as_object().expect("a row").keys().map(String::as_str).collect();
            let mut wanted: Vec<&str> =
                columns.iter().filter_map(|it| it["name"].as_str()).collect();
            names.sort_unstable();
            wanted.sort_unstable();
            assert_eq!(names, wanted, "{sql}");
        }
    }
}

/// Triggers made before it see null in a virtual column.
#[tokio::test]
async fn a_virtual_column_is_served_when_its_table_is_watched_again() {
    let (database, gateway, mut client) = scene().await;
    let version = database.value("show server_version_num").await;
    if version.parse::<u32>().expect("a number") < 180_000 {
        return;
    }
    database.run("alter table notes add twice integer generated always as (n * 2)").await;
    database.run("insert into notes (id, n) values (2, 2)").await;
    assert_eq!(client.expect("unsubscribed").await["reason"], "table_unwatched");
    assert!(client.changes("notes").iter().all(|it| it.key["id"] != 2), "its column is not there");
    let told = watched_again(&database, &gateway, &client).await;
    assert_eq!(told["reason"], "table_changed", "{told}");
    let mut client = Client::subscribed(&gateway.socket("changes/"), "notes").await;
    database.run("insert into notes (id, n) values (3, 3)").await;
    client.until("the row", |client| !client.changes("notes").is_empty()).await;
    assert_eq!(client.changes("notes")[0].data["twice"], 6);
}

#[tokio::test]
async fn a_cursor_older_than_a_change_of_columns_starts_over_on_every_gateway() {
    for (sql, _) in CHANGES {
        let (database, mut gateway, mut client) = scene().await;
        let peer = Gateway::serving(&database).await;
        gateway.kill().await;
        database.run(sql).await;
        database.run("insert into notes (id) values (2)").await;
        // Down during the change, and before anybody noticed it.
        gateway.restart().await;
        for gateway in [&gateway, &peer] {
            let told = comes_back(gateway, &client, "notes").await;
            assert_eq!(
                (&told["type"], &told["reason"]),
                (&json!("resync"), &json!("table_changed"))
            );
        }
        client.resume(&gateway.socket("changes/")).await.expect("the gateway is back");
        assert_eq!(client.expect("resync").await["reason"], "table_changed", "{sql}");
        // What was given since leads on.
        database.run("insert into notes (id) values (3)").await;
        client.until_applied("notes", 1).await;
        let told = comes_back(&peer, &client, "notes").await;
        assert_eq!(told["type"], "live", "{told}");
    }
}

/// The values of a generated column change in all rows, and no trigger fires.
#[tokio::test]
async fn an_expression_that_is_set_anew_starts_over() {
    let database = Database::fresh().await;
    let version = database.value("show server_version_num").await;
    if version.parse::<u32>().expect("a number") < 170_000 {
        return;
    }
    database
        .run(
            "create table sums (id bigint primary key, \
                                twice bigint generated always as (id * 2) stored); \
             select pgfeed.watch('sums')",
        )
        .await;
    let gateway = Gateway::serving(&database).await;
    let mut client = Client::subscribed(&gateway.socket("changes/"), "sums").await;
    database.run("alter table sums alter twice set expression as (id * 3)").await;
    assert_eq!(client.expect("resync").await["reason"], "table_changed");
}

#[tokio::test]
async fn a_table_written_anew_with_the_values_it_had_goes_on() {
    let (database, _gateway, mut client) = scene().await;
    for harmless in [
        "vacuum full notes",
        "cluster notes using notes_pkey",
        "analyze notes",
        "vacuum freeze pg_attribute",
        "create index on notes (title)",
        "alter table notes set unlogged",
        "alter table notes set logged",
    ] {
        database.run(harmless).await;
    }
    // The gateway looks at the table's shape with every row.
    database.run("insert into notes (id) values (2)").await;
    client.until_applied("notes", 2).await;
    assert!(client.sub("notes").resyncs.is_empty(), "nothing starts over");
}

#[tokio::test]
async fn a_table_dropped_and_made_anew_is_another_one() {
    let (database, gateway, mut client) = scene().await;
    database
        .run(
            "drop table notes; create table notes (id bigint primary key, title text not null \
             default '', body text, n integer not null default 0); select pgfeed.watch('notes')",
        )
        .await;
    let told = client.expect("unsubscribed").await;
    assert_eq!(told["reason"], "table_unwatched");
    let told = comes_back(&gateway, &client, "notes").await;
    assert_eq!(told["reason"], "table_changed", "{told}");
}

#[tokio::test]
async fn partitions_made_go_on_and_partitions_attached_start_over() {
    let database = Database::fresh().await;
    database
        .run(
            "create table events (id bigint, k integer, primary key (id, k)) partition by list (k); \
             create table events_1 partition of events for values in (1); \
             select pgfeed.watch('events')",
        )
        .await;
    let gateway = Gateway::serving(&database).await;
    let mut client = Client::subscribed(&gateway.socket("changes/"), "events").await;
    database
        .run(
            "create table events_2 partition of events for values in (2); \
             insert into events values (1, 1), (2, 2)",
        )
        .await;
    client.until_applied("events", 2).await;
    // The gateway has looked at the tables since, for it serves one that is younger.
    database.run("create table later (id bigint primary key); select pgfeed.watch('later')").await;
    let mut other = Client::subscribed(&gateway.socket("changes/"), "notes").await;
    let is_seen = async || {
        other.ask(&json!({"type": "subscribe", "id": "later", "table": "later"})).await;
        let answers = |it: &Value| it["id"] == "later" && it["type"] != "error";
        loop {
            let message = other.message().await;
            if answers(&message) || message["type"] == "error" {
                return answers(&message);
            }
        }
    };
    eventually(PATIENCE, "the table to be seen", is_seen).await;
    database.run("insert into events values (3, 1)").await;
    client.until_applied("events", 3).await;
    assert!(client.sub("events").resyncs.is_empty(), "nothing starts over");
    database
        .run(
            "create table events_3 (id bigint not null, k integer not null, primary key (id, k)); \
             insert into events_3 values (4, 3)",
        )
        .await;
    database.run("alter table events attach partition events_3 for values in (3)").await;
    let told = client.expect("resync").await;
    assert_eq!(told["reason"], "capture_gap", "its rows came without a change");
    database.run("insert into events values (5, 3)").await;
    client.until_applied("events", 1).await;
    database.run("drop table events_1").await;
    let told = client.expect("resync").await;
    assert_eq!(told["reason"], "capture_gap", "its rows went without a change");
}

#[tokio::test]
async fn a_row_trigger_written_by_hand_on_a_partitioned_table_tells_all_its_partitions() {
    let database = Database::fresh().await;
    database
        .run(
            "create table events (id bigint, k integer, primary key (id, k)) partition by list (k); \
             create table events_1 partition of events for values in (1); \
             create table events_2 partition of events for values in (2, 3) partition by list (k); \
             create table events_3 partition of events_2 for values in (3); \
             create trigger by_hand after insert or update or delete on events \
               for each row execute function notify_table_change()",
        )
        .await;
    let gateway = Gateway::serving(&database).await;
    let mut client = Client::subscribed(&gateway.socket("changes/"), "events").await;
    database.run("insert into events values (1, 1), (2, 3)").await;
    database.run("update events set id = id + 10; delete from events").await;
    client.until_applied("events", 8).await;
    let told: Vec<_> = client.changes("events").iter().map(|it| it.key["id"].clone()).collect();
    assert_eq!(told, [1, 2, 1, 2, 11, 12, 11, 12], "each under the table that has the trigger");
}

/// Its statement triggers do not see what comes through the other table.
#[tokio::test]
async fn a_table_that_became_a_part_is_served_when_it_is_watched_again() {
    for (whole, join) in [
        ("partition by range (id)", "alter table whole attach partition notes default"),
        ("", "alter table notes inherit whole"),
    ] {
        let (database, gateway, mut client) = scene().await;
        database
            .run(&format!("create table whole (like notes including defaults) {whole}; {join}"))
            .await;
        let told = within(Duration::from_secs(10), "the end", client.expect("unsubscribed")).await;
        assert_eq!(told["reason"], "table_unwatched", "{join}");
        database.run("delete from whole").await;
        let told = watched_again(&database, &gateway, &client).await;
        assert_eq!(told["type"], "resync", "{join}: {told}");
        let mut client = Client::subscribed(&gateway.socket("changes/"), "notes").await;
        database.run("insert into notes (id) values (2); delete from whole").await;
        client.until_applied("notes", 2).await;
    }
}

const OFF: &str = "alter table notes disable trigger \"00_pgfeed_insert\"";
const ON: &str = "alter table notes enable always trigger \"00_pgfeed_insert\"";

#[tokio::test]
async fn capture_that_was_off_ends_subscriptions_and_leaves_a_gap() {
    let (database, gateway, mut client) = scene().await;
    database.run(OFF).await;
    let told = within(Duration::from_secs(10), "the end", client.expect("unsubscribed")).await;
    assert_eq!(told["reason"], "table_unwatched");
    database.run("insert into notes (id) values (2)").await;
    database.run(ON).await;
    // The table may be served a moment before the gap in it is read.
    let told = is_told(&gateway, &client, "notes", &["resync"]).await;
    assert_eq!(told["reason"], "capture_gap", "{told}");
}

#[tokio::test]
async fn capture_that_was_off_while_no_gateway_ran_or_looked_is_noticed() {
    let (database, mut gateway, mut client) = scene().await;
    // Between two looks at the catalog.
    database.run(&format!("{OFF}; insert into notes (id) values (2); {ON}")).await;
    assert_eq!(client.expect("resync").await["reason"], "capture_gap");
    database.run("insert into notes (id) values (3)").await;
    client.until_applied("notes", 1).await;

    gateway.kill().await;
    database.run(&format!("{OFF}; insert into notes (id) values (4); {ON}")).await;
    gateway.restart().await;
    while !matches!(client.next().await, Heard::Cut | Heard::Closed { .. }) {}
    client.resume(&gateway.socket("changes/")).await.expect("the gateway is back");
    assert_eq!(client.expect("resync").await["reason"], "capture_gap");
}

#[tokio::test]
async fn an_order_by_labels_is_that_of_now() {
    for declared in ["mood", "mood[]", "calm"] {
        let database = Database::fresh().await;
        database
            .run(&format!(
                "create type mood as enum ('low', 'high'); create domain calm as mood;
                 create table moods (id bigint primary key, mood {declared});
                 select pgfeed.watch('moods')"
            ))
            .await;
        let gateway = Gateway::serving(&database).await;
        let mut client = Client::connect(&gateway.socket("changes/")).await;
        // Arrays have no order here; that their filter is read anew shows by the resync.
        let filter = if declared == "mood[]" { "mood=neq.{}" } else { "mood=gt.low" };
        let request =
            json!({"type": "subscribe", "id": "moods", "table": "moods", "filter": filter});
        client.ask(&request).await;
        client.expect("subscribed").await;
        let value = |label: &str| match declared {
            "mood[]" => format!("array['{label}']::mood[]"),
            _ => format!("'{label}'"),
        };
        for (change, label, id) in [
            ("alter type mood add value 'middle' before 'high'", "middle", 1),
            ("alter type mood rename value 'middle' to 'mild'", "mild", 2),
        ] {
            database.run(change).await;
            database.run(&format!("insert into moods values ({id}, {})", value(label))).await;
            assert_eq!(client.expect("resync").await["reason"], "table_changed", "{change}");
            client.expect("subscribed").await;
            // The row may lie before or after the place from which it is live again.
            let after = format!("insert into moods values ({}, {})", id + 10, value(label));
            database.run(&after).await;
            let is_there =
                |client: &Client| client.changes("moods").iter().any(|it| it.key["id"] == id + 10);
            client.until("the row of the new label", is_there).await;
        }
    }
}
