//! A committed change reaches those who subscribed to its table, as the protocol tells it.

use serde_json::{Value, json};

use crate::support::{
    client::Client,
    database::Database,
    gateway::Gateway,
    samples::{SAMPLES, Sample},
    witness::Witness,
};

#[tokio::test]
async fn a_change_of_a_sample_table_reaches_its_subscribers_and_no_others() {
    let database = Database::fresh().await;
    let gateway = Gateway::serving(&database).await;
    let mut clients = Vec::new();
    for sample in SAMPLES {
        clients.push(Client::subscribed(&gateway.socket("changes/"), sample.table).await);
    }
    for sample in SAMPLES {
        for sql in [sample.insert, sample.update, sample.delete] {
            database.run(sql).await;
        }
    }
    // The last write of all goes to the first table, whose client has then been sent everything;
    // each of the others sees its own end by a further write of its own.
    for (client, sample) in clients.iter_mut().zip(SAMPLES) {
        expect_three(client, sample).await;
        database.run(sample.insert).await;
        client.until_applied(sample.table, 4).await;
        let tables = client.changes(sample.table).into_iter().map(|it| it.table.as_str());
        let own = format!("public.{}", sample.table);
        assert!(tables.into_iter().all(|table| table == own), "only changes of {own}");
        assert_eq!(client.changes(sample.table).len(), 4);
    }
}

async fn expect_three(client: &mut Client, sample: &Sample) {
    client.until_applied(sample.table, 3).await;
    let changes = client.changes(sample.table);
    let told: Vec<_> = changes.iter().map(|it| (&*it.operation, &*it.effect)).collect();
    assert_eq!(told, [("INSERT", "enter"), ("UPDATE", "update"), ("DELETE", "leave")]);
}

#[tokio::test]
async fn a_truncate_of_a_sample_table_clears_it_for_its_subscribers() {
    let database = Database::fresh().await;
    let gateway = Gateway::serving(&database).await;
    for sample in SAMPLES {
        let mut client = Client::subscribed(&gateway.socket("changes/"), sample.table).await;
        database.run(sample.truncate).await;
        client.until_applied(sample.table, 1).await;
        let change = client.changes(sample.table)[0];
        assert_eq!((&*change.operation, &*change.effect), ("TRUNCATE", "clear"));
        assert_eq!((&change.data, &change.old), (&Value::Null, &Value::Null));
    }
}

#[tokio::test]
async fn a_value_that_a_filter_names_twice_brings_a_change_once() {
    let database = Database::fresh().await;
    let gateway = Gateway::serving(&database).await;
    let mut witness = Witness::connect(gateway.address(), "changes/", &[]).await.expect("opens");
    witness.subscribe("notes", &json!({"filter": "id=in.(7,7,8)"})).await;
    database.run("insert into notes (id, title) values (7, 'rust')").await;
    witness.expect("change").await;
    assert_eq!(witness.message().await["type"], "cursor");
}

#[tokio::test]
async fn a_change_tells_the_row_and_the_former_values_of_what_changed() {
    let database = Database::fresh().await;
    let gateway = Gateway::serving(&database).await;
    let mut client = Client::subscribed(&gateway.socket("changes/"), "notes").await;
    database.run("insert into notes (id, title) values (7, 'rust')").await;
    let insert = client.expect("change").await;
    assert_eq!(insert["data"], json!({"id": 7, "title": "rust", "body": null, "n": 0}));
    assert_eq!((&insert["schema"], &insert["table"]), (&json!("public"), &json!("notes")));
    assert!(insert.get("old").is_none(), "what does not apply is absent: {insert}");

    database.run("update notes set title = 'Rust' where id = 7").await;
    let update = client.expect("change").await;
    assert_eq!(update["old"], json!({"title": "rust"}));
    assert_eq!(update["data"]["title"], "Rust");
    assert_eq!(update["key"], json!({"id": 7}));

    database.run("delete from notes").await;
    let delete = client.expect("change").await;
    assert_eq!(delete["data"], json!({"id": 7, "title": "Rust", "body": null, "n": 0}));
    for change in [insert, update, delete] {
        assert!(change["id"].is_string() && change["xid"].is_string(), "decimal texts: {change}");
        let at = change["at"].as_str().expect("a time");
        assert!(at.parse::<jiff::Timestamp>().is_ok(), "RFC 3339: {at}");
    }
}

#[tokio::test]
async fn numbers_keep_every_digit() {
    let database = Database::fresh().await;
    database.run("alter table notes add price numeric").await;
    let gateway = Gateway::serving(&database).await;
    let mut client = Client::subscribed(&gateway.socket("changes/"), "notes").await;
    let digits = "12345678901234567890.1234567890123456789000";
    database.run(&format!("insert into notes (id, price) values (1, {digits})")).await;
    client.expect("change").await;
    let told = format!("\"price\":{digits}");
    assert!(client.last_text.contains(&told), "{}", client.last_text);
}

#[tokio::test]
async fn a_transaction_comes_whole_in_the_order_of_its_statements() {
    let database = Database::fresh().await;
    let gateway = Gateway::serving(&database).await;
    let mut client = Client::subscribed(&gateway.socket("changes/"), "notes").await;
    let writer = database.connect().await;
    let sql = "begin; insert into notes (id) values (1); update notes set n = 1; \
               savepoint s; update notes set n = 99; rollback to s; \
               insert into notes (id) values (2); update notes set n = n + 5; delete from notes \
               where id = 1; commit";
    writer.batch_execute(sql).await.expect("the transaction commits");
    client.until_applied("notes", 6).await;
    let changes = client.changes("notes");
    let told: Vec<_> = changes.iter().map(|it| (&*it.operation, &it.data["n"])).collect();
    let five = [("INSERT", 0), ("UPDATE", 1), ("INSERT", 0), ("UPDATE", 6), ("UPDATE", 5)];
    let expected = five.into_iter().chain([("DELETE", 6)]).map(|(it, n)| (it, json!(n)));
    let expected: Vec<_> = expected.collect();
    assert_eq!(told, expected.iter().map(|(it, n)| (*it, n)).collect::<Vec<_>>());
    assert!(changes.iter().all(|it| it.xid == changes[0].xid), "one transaction");
}

#[tokio::test]
async fn a_new_key_is_a_leave_of_the_old_and_an_enter_of_the_new() {
    let database = Database::fresh().await;
    database.run("insert into notes (id, title) values (1, 'moves')").await;
    let gateway = Gateway::serving(&database).await;
    let mut client = Client::subscribed(&gateway.socket("changes/"), "notes").await;
    database.run("update notes set id = 2").await;
    client.until_applied("notes", 2).await;
    let changes = client.changes("notes");
    let told: Vec<_> = changes.iter().map(|it| (&*it.effect, it.key.clone())).collect();
    assert_eq!(told, [("leave", json!({"id": 1})), ("enter", json!({"id": 2}))]);
    assert_eq!((&changes[0].id, &changes[0].xid), (&changes[1].id, &changes[1].xid));
    assert_eq!(changes[0].data, Value::Null, "a leave carries the key alone");
    assert_eq!(changes[1].data["title"], "moves");
}

#[tokio::test]
async fn an_update_that_changes_nothing_and_a_rollback_are_not_told() {
    let database = Database::fresh().await;
    database.run("insert into notes (id) values (1)").await;
    let gateway = Gateway::serving(&database).await;
    let mut client = Client::subscribed(&gateway.socket("changes/"), "notes").await;
    database.run("update notes set n = n").await;
    let writer = database.connect().await;
    let undone = writer.batch_execute("begin; insert into notes (id) values (3); rollback").await;
    undone.expect("the rollback succeeds");
    database.run("insert into notes (id) values (2)").await;
    client.until_applied("notes", 1).await;
    assert_eq!(client.changes("notes")[0].key, json!({"id": 2}));
}

#[tokio::test]
async fn subscriptions_that_are_alike_share_a_topic_and_a_change_comes_once() {
    let database = Database::fresh().await;
    let gateway = Gateway::serving(&database).await;
    let mut client = Client::connect(&gateway.socket("changes/")).await;
    for id in ["a", "b"] {
        client.ask(&json!({"type": "subscribe", "id": id, "table": "notes"})).await;
        client.expect("subscribed").await;
    }
    assert_eq!(client.sub("a").topic, client.sub("b").topic);
    database.run("insert into notes (id) values (1)").await;
    client.expect("change").await;
    database.run("insert into notes (id) values (2)").await;
    let second = client.expect("change").await;
    assert_eq!(second["key"], json!({"id": 2}), "the first change came once for both");
    assert_eq!((client.changes("a").len(), client.changes("b").len()), (2, 2));
}

#[tokio::test]
async fn two_tables_on_one_connection_keep_their_causal_order() {
    let database = Database::fresh().await;
    let gateway = Gateway::serving(&database).await;
    let mut client = Client::connect(&gateway.socket("changes/?table=notes,items")).await;
    client
        .until("both to be live", |client| client.subs.values().filter(|it| it.live).count() == 2)
        .await;
    for id in 0..20 {
        database.run(&format!("insert into notes (id) values ({id})")).await;
        database.run(&format!("insert into items (id) values ({id})")).await;
    }
    for id in 0..20 {
        for table in ["notes", "items"] {
            let change = client.expect("change").await;
            assert_eq!((&change["table"], &change["key"]), (&json!(table), &json!({"id": id})));
        }
    }
}
