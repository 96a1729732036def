//! NOTIFY is a wake, and a way in for programs that send by hand. Nothing on the channel does harm.

use pgfeed::source::cluster::Options;
use serde_json::{Value, json};

use crate::support::{
    client::Client,
    database::{Database, value},
    gateway::{Gateway, Settings},
};

const UNDURABLE: &str = "
[tables.\"public.notes\"]
read = \"anyone\"
undurable = true
[tables.\"public.items\"]
read = \"anyone\"
";

fn by_hand(table: &str, id: u64) -> String {
    let payload = json!({"table": table, "operation": "INSERT", "data": {"id": id, "n": 5}});
    format!("select pg_notify('db_changes', '{payload}')")
}

#[tokio::test]
async fn a_notification_by_hand_is_relayed_where_the_settings_allow_it_and_nowhere_else() {
    let database = Database::fresh().await;
    let gateway = Settings::for_database(&database).with_file(UNDURABLE).start().await;
    gateway.ready().await;
    let mut client = Client::connect(&gateway.socket("changes/?table=notes,items")).await;
    client.until("both", |client| client.subs.values().filter(|it| it.live).count() == 2).await;
    database.run(&by_hand("items", 1)).await;
    database.run(&by_hand("notes", 2)).await;
    let change = client.expect("change").await;
    assert_eq!((&change["table"], &change["operation"]), (&json!("notes"), &json!("INSERT")));
    assert_eq!(change["data"]["id"], 2);
    assert_eq!(change["durable"], false);
    assert!(change.get("id").is_none() && change.get("xid").is_none(), "{change}");
    database.run("insert into items (id) values (3)").await;
    let change = client.expect("change").await;
    assert_eq!((&change["table"], &change["key"]), (&json!("items"), &json!({"id": 3})));
    assert!(change.get("durable").is_none(), "{change}");
}

#[tokio::test]
async fn notifications_that_make_no_sense_harm_nothing() {
    let database = Database::fresh().await;
    let gateway = Settings::for_database(&database).with_file(UNDURABLE).start().await;
    gateway.ready().await;
    let mut client = Client::subscribed(&gateway.socket("changes/"), "notes").await;
    let long = "x".repeat(7999);
    let deep = "[".repeat(3000);
    let payloads = [
        "",
        "nonsense",
        "[]",
        "null",
        "5",
        "{}",
        "{\"table\":5}",
        "{\"table\":\"notes\"}",
        "{\"table\":\"notes\",\"operation\":\"DROP\",\"data\":{}}",
        "{\"table\":\"notes\",\"operation\":\"INSERT\",\"data\":7}",
        "{\"table\":\"no_such_table\",\"operation\":\"INSERT\",\"data\":{\"id\":1}}",
        "{\"table\":\"notes\",\"operation\":\"INSERT\",\"data\":{\"id\":",
        "{\"log\":true}",
        &long,
        &deep,
    ];
    let sender = database.connect().await;
    for payload in payloads {
        sender.execute("select pg_notify('db_changes', $1)", &[&payload]).await.expect("is sent");
    }
    database.run("insert into notes (id) values (1)").await;
    let change = client.expect("change").await;
    assert_eq!((&change["key"], change.get("durable")), (&json!({"id": 1}), None::<&Value>));
    assert_eq!(gateway.get("/readyz").await.expect("an answer").status, 200);
}

#[tokio::test]
async fn a_payload_of_ours_carries_no_row() {
    let database = Database::fresh().await;
    let secret = "insert into notes (id, title) values (1, 'secret')";
    let (listener, mut connection) =
        tokio_postgres::connect(&database.url(), tokio_postgres::NoTls).await.expect("connects");
    let (heard_tx, mut heard_rx) = tokio::sync::mpsc::channel(16);
    crate::support::spawn(async move {
        while let Some(Ok(message)) = std::future::poll_fn(|cx| connection.poll_message(cx)).await {
            if let tokio_postgres::AsyncMessage::Notification(heard) = message {
                let _sent = heard_tx.send(heard.payload().to_owned()).await;
            }
        }
    });
    listener.batch_execute("listen db_changes").await.expect("listens");
    database.run(secret).await;
    let heard = crate::support::wait::within(
        crate::support::wait::PATIENCE,
        "a wake, as no gateway is awake",
        heard_rx.recv(),
    );
    let payload = heard.await.expect("a payload");
    let told: Value = serde_json::from_str(&payload).expect("every payload is JSON");
    assert_eq!((&told["table"], &told["operation"]), (&json!("notes"), &json!("INSERT")));
    assert!(!payload.contains("secret") && told.get("data").is_none(), "{payload}");
}

/// Filling the queue takes seconds where it can be made small (PostgreSQL 17), gigabytes before.
/// There, the tests of the triggers hold the same guard.
#[tokio::test]
async fn a_full_notification_queue_fails_no_writer_and_delays_no_change() {
    let probe = Database::fresh().await;
    let version: u32 = probe.value("show server_version_num").await.parse().expect("a number");
    if version < 170_000 {
        return;
    }
    let options = Options::from_env().with("max_notify_queue_pages", "64");
    let database = Database::own(options).await;
    let holder = database.connect().await;
    // In two steps: a LISTEN counts from its commit.
    for sql in ["listen elsewhere", "begin; select 1"] {
        holder.batch_execute(sql).await.expect("holds the queue");
    }
    let filler = database.connect().await;
    let fill = "select count(pg_notify('elsewhere', i || repeat('x', 7900))) \
                from generate_series(1, 40) i";
    while filler.simple_query(fill).await.is_ok() {}
    let full = value(&filler, "select pg_notification_queue_usage() > 0.5").await;
    assert_eq!(full, "t", "the queue is full");
    database.run("insert into notes (id) values (1)").await;

    let gateway = Gateway::serving(&database).await;
    let mut client = Client::subscribed(&gateway.socket("changes/"), "notes").await;
    for id in 2..20 {
        database.run(&format!("insert into notes (id) values ({id})")).await;
    }
    client.until_applied("notes", 18).await;
    holder.batch_execute("commit").await.expect("lets go");
    database.run("insert into notes (id) values (20)").await;
    client.until_applied("notes", 19).await;
}
