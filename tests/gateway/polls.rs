//! Long poll: answers that end where a client may go on, and no later than asked.

use serde_json::{Value, json};

use crate::support::{
    database::Database,
    gateway::{Gateway, Settings},
    http, spawn,
    wait::{PATIENCE, eventually, within},
};

async fn poll(gateway: &Gateway, path: &str) -> Value {
    let answer = gateway.get(path).await.expect("an answer");
    serde_json::from_str(&answer.body).expect("JSON")
}

fn cursor_of(answer: &Value) -> String {
    answer["cursor"].as_str().expect("a cursor").to_owned()
}

/// Begins now, so that everything from here on is to come.
async fn begin(gateway: &Gateway) -> String {
    cursor_of(&poll(gateway, "/poll/changes/?table=notes").await)
}

#[tokio::test]
async fn polls_read_a_long_log_in_answers_that_end_between_transactions() {
    const EACH: u64 = 500;
    let database = Database::fresh().await;
    let mut gateway = Gateway::serving(&database).await;
    let mut cursor = begin(&gateway).await;
    gateway.kill().await;
    for transaction in 0..20 {
        let first = transaction * EACH;
        let rows = format!("generate_series({first}, {first} + {EACH} - 1) id");
        database.run(&format!("insert into notes (id, n) select id, 1 from {rows}")).await;
    }
    gateway.restart().await;
    gateway.ready().await;
    let mut keys = Vec::new();
    while (keys.len() as u64) < 20 * EACH {
        let path = format!("/poll/changes/?table=notes&since={cursor}&wait=9&limit=700");
        let answer = poll(&gateway, &path).await;
        let messages = answer["messages"].as_array().expect("messages");
        let count = messages.len() as u64;
        assert!(
            count.is_multiple_of(EACH) && count <= 2 * EACH,
            "whole ones up to the limit: {count}"
        );
        keys.extend(messages.iter().map(|it| it["key"]["id"].as_u64().expect("a key")));
        cursor = cursor_of(&answer);
    }
    assert!(keys.into_iter().eq(0..20 * EACH), "once and in order");
}

#[tokio::test]
async fn a_table_that_changes_is_told_by_one_answer_and_polls_go_on() {
    let database = Database::fresh().await;
    let gateway = Gateway::serving(&database).await;
    let mut cursor = begin(&gateway).await;
    for (column, row) in [("x", 1), ("y", 2)] {
        database.run(&format!("alter table notes add {column} integer")).await;
        let mut kinds = Vec::new();
        for sql in [String::new(), format!("insert into notes (id) values ({row})")] {
            database.run(&sql).await;
            let path = format!("/poll/changes/?table=notes&since={cursor}&wait=20");
            let answer = poll(&gateway, &path).await;
            let messages = answer["messages"].as_array().expect("messages");
            kinds.extend(messages.iter().map(|it| it["type"].as_str().expect("a type").to_owned()));
            cursor = cursor_of(&answer);
        }
        assert_eq!(kinds, ["subscribed", "resync", "change"], "{column}");
    }
}

#[tokio::test]
async fn the_cursor_beside_the_end_of_one_of_many_tables_is_that_of_the_others() {
    let database = Database::fresh().await;
    let gateway = Gateway::serving(&database).await;
    let tables = ["notes", "items", "courses", "profiles", "roles", "registrations"];
    let path = |tables: &[&str]| format!("/poll/changes/?table={}&wait=20", tables.join(","));
    let begun = poll(&gateway, &path(&tables)).await;
    database.run("select pgfeed.unwatch('items')").await;
    let since = cursor_of(&begun);
    let told = poll(&gateway, &format!("{}&since={since}", path(&tables))).await;
    assert_eq!(told["messages"][0]["type"], "unsubscribed", "{told}");
    let others = tables.map(|table| if table == "items" { "notes" } else { table });
    database.run("insert into notes (id) values (1)").await;
    let since = cursor_of(&told);
    let told = poll(&gateway, &format!("{}&since={since}", path(&others[1..]))).await;
    assert_eq!(told["messages"][0]["type"], "change", "{told}");
}

#[tokio::test]
async fn a_table_that_changed_between_polls_costs_the_others_nothing() {
    let database = Database::fresh().await;
    let mut gateway = Gateway::serving(&database).await;
    let path = |since: &str| format!("/poll/changes/?table=notes,items&wait=20&since={since}");
    let mut cursor = cursor_of(&poll(&gateway, "/poll/changes/?table=notes,items").await);
    // In memory, and by the log of a gateway that was not there.
    for (id, column) in [(1, "x"), (2, "y")] {
        if id == 2 {
            gateway.kill().await;
        }
        database.run(&format!("insert into items (id) values ({id})")).await;
        database.run(&format!("insert into notes (id) values ({id})")).await;
        database.run(&format!("alter table notes add {column} integer")).await;
        database.run(&format!("insert into items (id) values ({id}0)")).await;
        if id == 2 {
            gateway.restart().await;
            gateway.ready().await;
        } else {
            let told = async || gateway.metric("pgfeed_changes_total").await >= 3.0;
            eventually(PATIENCE, "the gateway to have read it", told).await;
        }
        let (mut items, mut notes) = (Vec::new(), Vec::new());
        for _ in 0..10 {
            if items.last() == Some(&(id * 10)) && !notes.is_empty() {
                break;
            }
            let answer = poll(&gateway, &path(&cursor)).await;
            for message in answer["messages"].as_array().expect("messages") {
                let is_change = message["type"] == "change";
                match message["table"].as_str() {
                    Some("items") if is_change => {
                        items.push(message["key"]["id"].as_i64().expect("a key"));
                    }
                    _ if message["type"] == "resync" => {
                        notes.push((message["id"].clone(), message["reason"].clone()));
                    }
                    _ => {}
                }
            }
            cursor = cursor_of(&answer);
        }
        assert_eq!(items, [id, id * 10]);
        assert_eq!(notes, [(json!("notes"), json!("table_changed"))]);
    }
}

#[tokio::test]
async fn an_answer_that_is_full_does_not_lead_back_behind_what_came_before() {
    let database = Database::fresh().await;
    let mut gateway = Gateway::serving(&database).await;
    let begun = begin(&gateway).await;
    let sessions = [database.connect().await, database.connect().await];
    let insert = |id: u32| format!("insert into notes (id) values ({id})");
    sessions[0].batch_execute(&format!("begin; {}", insert(1))).await.expect("it is written");
    database.run(&insert(2)).await;
    sessions[1].batch_execute(&format!("begin; {}", insert(3))).await.expect("it is written");
    let path = |since: &str| format!("/poll/changes/?table=notes&wait=20&limit=1&since={since}");
    let mut answer = poll(&gateway, &path(&begun)).await;
    gateway.kill().await;
    for session in &sessions {
        session.batch_execute("commit").await.expect("it is committed");
    }
    gateway.restart().await;
    gateway.ready().await;
    let mut keys = Vec::new();
    loop {
        let messages = answer["messages"].as_array().expect("messages");
        keys.extend(messages.iter().map(|it| it["key"]["id"].as_u64().expect("a key")));
        if keys.len() >= 3 {
            break;
        }
        answer = poll(&gateway, &path(&cursor_of(&answer))).await;
    }
    assert_eq!(keys, [2, 1, 3]);
}

#[tokio::test]
async fn a_poll_may_end_inside_a_very_large_transaction_and_says_so() {
    let database = Database::fresh().await;
    let gateway = Gateway::serving(&database).await;
    let mut cursor = begin(&gateway).await;
    database.run("insert into notes (id) select generate_series(1, 30000)").await;
    let (mut keys, mut partial) = (Vec::new(), 0);
    while keys.len() < 30_000 {
        let path = format!("/poll/changes/?table=notes&since={cursor}&wait=9");
        let answer = poll(&gateway, &path).await;
        let messages = answer["messages"].as_array().expect("messages");
        keys.extend(messages.iter().map(|it| it["key"]["id"].as_u64().expect("a key")));
        let is_partial = answer["partial"] == Value::Bool(true);
        assert_eq!(is_partial, keys.len() < 30_000, "inside of it, and only there");
        partial += usize::from(is_partial);
        cursor = cursor_of(&answer);
    }
    assert!(partial > 1, "{partial} answers end inside");
    assert!(keys.into_iter().eq(1..=30_000), "once and in order");
}

#[tokio::test]
async fn a_poll_waits_no_longer_than_asked_and_keeps_to_its_limit() {
    let database = Database::fresh().await;
    let gateway = Gateway::serving(&database).await;
    let mut cursor = begin(&gateway).await;
    for id in 0..5 {
        database.run(&format!("insert into notes (id) values ({id})")).await;
    }
    database.run("insert into notes (id) select generate_series(10, 19)").await;
    let mut counts = Vec::new();
    while counts.iter().sum::<usize>() < 15 {
        let path = format!("/poll/changes/?table=notes&since={cursor}&wait=9&limit=2");
        let answer = poll(&gateway, &path).await;
        counts.push(answer["messages"].as_array().expect("messages").len());
        cursor = cursor_of(&answer);
    }
    assert!(counts.iter().all(|count| *count <= 3 || *count == 10 || *count == 11), "{counts:?}");
    let path = format!("/poll/changes/?table=notes&since={cursor}&wait=0");
    let answer = gateway.get(&path).await.expect("an answer");
    assert!(answer.body.starts_with("{\"type\":\"poll\",\"messages\":[],"), "{}", answer.body);
}

#[tokio::test]
async fn a_poll_that_waits_when_a_policy_no_longer_fits_is_told_that_it_ended() {
    let database = Database::fresh().await;
    let toml = "[tables.\"public.notes\"]\nread = \"anyone\"\nrows = \"n=gt.0\"\n";
    let gateway = Settings::for_database(&database).with_file(toml).start().await;
    gateway.ready().await;
    let since = begin(&gateway).await;
    let (address, path) =
        (gateway.address(), format!("/poll/changes/?table=notes&since={since}&wait=60"));
    let poll = spawn(async move { http::get(address, &path).await });
    let waits = async || gateway.metric("pgfeed_sockets").await >= 2.0;
    eventually(PATIENCE, "the poll beside the question for it", waits).await;
    database.run("alter table notes rename n to m").await;
    let told = within(PATIENCE, "its answer", poll).await.expect("it ends well");
    let told: Value = serde_json::from_str(&told.expect("an answer").body).expect("JSON");
    let ended = json!([{"type": "unsubscribed", "id": "notes", "reason": "access_revoked"}]);
    assert_eq!(told["messages"], ended, "{told}");
}
