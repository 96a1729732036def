//! What a client may say, what it is told, and where its limits are.

use serde_json::{Value, json};
use tokio::time::Duration;
use tokio_tungstenite::tungstenite::Message;

use crate::support::{
    client::{Client, Heard},
    database::Database,
    gateway::{Gateway, Settings},
};

async fn scene() -> (Database, Gateway) {
    let database = Database::fresh().await;
    let gateway = Gateway::serving(&database).await;
    (database, gateway)
}

#[tokio::test]
async fn the_first_message_is_the_hello() {
    let (_database, gateway) = scene().await;
    for path in ["changes/", "changes", "changes/?table=notes"] {
        let client = Client::connect(&gateway.socket(path)).await;
        assert_eq!(client.hello["protocol"], 1);
        let server = client.hello["server"].as_str().expect("a text");
        assert_eq!(server, concat!("pgfeed/", env!("CARGO_PKG_VERSION")));
        assert_eq!(client.hello["heartbeat_ms"], 15_000);
    }
}

#[tokio::test]
async fn subscribed_describes_the_table() {
    let (_database, gateway) = scene().await;
    let mut client = Client::connect(&gateway.socket("changes/")).await;
    client.ask(&json!({"type": "subscribe", "id": "x", "table": "public.notes"})).await;
    let told = client.expect("subscribed").await;
    assert_eq!(told["id"], "x");
    assert_eq!((&told["schema"], &told["table"]), (&json!("public"), &json!("notes")));
    assert_eq!(told["key"], json!(["id"]));
    let names: Vec<_> = columns(&told).map(|it| it["name"].clone()).collect();
    assert_eq!(names, ["id", "title", "body", "n"]);
    let types: Vec<_> = columns(&told).map(|it| it["type"].clone()).collect();
    assert_eq!(types, ["bigint", "text", "text", "integer"]);
    for field in ["topic", "shape", "cursor"] {
        assert!(told[field].is_string(), "{field} is a text: {told}");
    }
    let cursor = told["cursor"].as_str().expect("a text");
    assert!(cursor.len() < 2048 && !cursor.contains(['%', '&', '=', '+', ' ', '/']), "{cursor}");
}

fn columns(told: &Value) -> impl Iterator<Item = &Value> {
    told["columns"].as_array().expect("columns are a list").iter()
}

#[tokio::test]
async fn an_id_is_used_once_at_a_time() {
    let (database, gateway) = scene().await;
    let mut client = Client::subscribed(&gateway.socket("changes/"), "notes").await;
    client.ask(&json!({"type": "subscribe", "id": "notes", "table": "items"})).await;
    let error = client.expect("error").await;
    assert_eq!((&error["code"], &error["id"]), (&json!("duplicate_id"), &json!("notes")));
    client.ask(&json!({"type": "unsubscribe", "id": "notes"})).await;
    let ended = client.expect("unsubscribed").await;
    assert_eq!(ended["id"], "notes");
    assert!(ended.get("reason").is_none(), "the client ended it: {ended}");
    database.run("insert into notes (id) values (1)").await;
    client.subs.clear();
    client.ask(&json!({"type": "subscribe", "id": "notes", "table": "items"})).await;
    client.expect("subscribed").await;
    database.run("insert into items (id) values (2)").await;
    let change = client.expect("change").await;
    assert_eq!(change["table"], "items", "nothing came of the table that was left");
}

#[tokio::test]
async fn a_table_that_may_not_be_read_looks_like_one_that_is_not_there() {
    let (_database, gateway) = scene().await;
    let mut client = Client::connect(&gateway.socket("changes/")).await;
    let mut answers = Vec::new();
    for table in ["no_such_table", "other", "pgfeed.log", "pg_catalog.pg_class", "Notes", ""] {
        client.ask(&json!({"type": "subscribe", "id": "x", "table": table})).await;
        let mut error = client.expect("error").await;
        assert_eq!(error["id"], "x");
        let message = error["message"].as_str().unwrap_or_default().replace(table, "TABLE");
        error["message"] = json!(if table.is_empty() { "" } else { &message });
        answers.push(error);
    }
    // An empty name is no name; the others must not be told apart.
    answers.pop();
    assert_eq!(answers[0]["code"], "unauthorized", "a token might help");
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
}

#[tokio::test]
async fn tables_are_named_in_the_address_too() {
    let (database, gateway) = scene().await;
    for query in ["?table=notes,items", "?table=notes&table=items"] {
        let mut client = Client::connect(&gateway.socket(&format!("changes/{query}"))).await;
        client.until("both tables", |client| client.subs.len() == 2).await;
        assert_eq!(client.subs.keys().collect::<Vec<_>>(), ["items", "notes"]);
    }
    let mut client = Client::connect(&gateway.socket("changes/?table=no_such_table")).await;
    let error = client.expect("error").await;
    assert_eq!((&error["code"], &error["id"]), (&json!("unauthorized"), &json!("no_such_table")));
    let mut client = Client::connect(&gateway.socket("changes/?table=notes&events=DELETE")).await;
    client.until("the subscription", |client| client.subs.len() == 1).await;
    database.run("insert into notes (id) values (1); delete from notes").await;
    assert_eq!(client.expect("change").await["operation"], "DELETE");
}

#[tokio::test]
async fn only_the_events_asked_for_come() {
    let (database, gateway) = scene().await;
    let mut client = Client::connect(&gateway.socket("changes/")).await;
    for (id, events) in [("few", json!(["UPDATE", "TRUNCATE"])), ("all", Value::Null)] {
        let mut request = json!({"type": "subscribe", "id": id, "table": "notes"});
        if !events.is_null() {
            request["events"] = events;
        }
        client.ask(&request).await;
        client.expect("subscribed").await;
    }
    let sql = "insert into notes (id) values (1); update notes set n = 1; delete from notes";
    database.run(sql).await;
    database.run("truncate notes").await;
    client.until_applied("all", 4).await;
    client.until_applied("few", 2).await;
    let operations: Vec<_> = client.changes("few").iter().map(|it| it.operation.clone()).collect();
    assert_eq!(operations, ["UPDATE", "TRUNCATE"]);
}

#[tokio::test]
async fn a_ping_is_answered() {
    let (_database, gateway) = scene().await;
    let mut client = Client::connect(&gateway.socket("changes/")).await;
    client.ask(&json!({"type": "ping"})).await;
    assert_eq!(client.message().await["type"], "pong");
}

#[tokio::test]
async fn heartbeats_tell_the_time_and_that_nothing_waits() {
    let database = Database::fresh().await;
    let settings = Settings::for_database(&database).with("SERVER__HEARTBEAT_MS", "200");
    let gateway = settings.start().await;
    gateway.ready().await;
    let mut client = Client::subscribed(&gateway.socket("changes/"), "notes").await;
    assert_eq!(client.hello["heartbeat_ms"], 200);
    for _ in 0..3 {
        let beat = client.expect("heartbeat").await;
        assert_eq!(beat["lag_ms"], 0);
        assert!(beat["cursor"].is_string(), "{beat}");
        let at: jiff::Timestamp = beat["at"].as_str().expect("a time").parse().expect("RFC 3339");
        assert!(at.duration_until(jiff::Timestamp::now()).as_secs().abs() < 5, "now: {at}");
    }
}

#[tokio::test]
async fn nonsense_is_answered_and_enough_of_it_ends_the_connection() {
    let database = Database::fresh().await;
    let settings = Settings::for_database(&database).with("LIMITS__CLIENT_ERRORS_MAX", "8");
    let gateway = settings.start().await;
    gateway.ready().await;
    let mut client = Client::connect(&gateway.socket("changes/")).await;
    let nonsense = [
        Message::text("not JSON"),
        Message::text("[]"),
        Message::text(r#"{"type":"no_such_type"}"#),
        Message::text(r#"{"type":"ping","unknown":1}"#),
        Message::text(r#"{"type":"subscribe","id":"x"}"#),
        Message::text(r#"{"type":"subscribe","id":"","table":"notes"}"#),
        Message::binary(b"{\"type\":\"ping\"}".to_vec()),
    ];
    for message in nonsense {
        client.send(message.clone()).await;
        let error = client.expect("error").await;
        assert_eq!(error["code"], "bad_message", "to {message:?}");
        assert!(error["message"].as_str().is_some_and(|it| !it.is_empty()), "{error}");
    }
    client.ask(&json!({"type": "ping"})).await;
    client.expect("pong").await;
    client.send(Message::text("one too many")).await;
    let ended = client.ended().await;
    assert!(matches!(ended, Heard::Closed { code: 4400, .. }), "{ended:?}");
}

#[tokio::test]
async fn too_many_messages_are_refused_and_then_end_the_connection() {
    let database = Database::fresh().await;
    let settings = Settings::for_database(&database).with("LIMITS__MESSAGES_PER_SECOND_MAX", "5");
    let gateway = settings.start().await;
    gateway.ready().await;
    let mut client = Client::connect(&gateway.socket("changes/")).await;
    for _ in 0..40 {
        client.ask(&json!({"type": "ping"})).await;
    }
    let error = client.expect("error").await;
    assert_eq!(error["code"], "too_many_messages");
    let ended = client.ended().await;
    assert!(matches!(ended, Heard::Closed { code: 4429, .. }), "{ended:?}");
}

#[tokio::test]
async fn a_message_that_is_too_large_ends_the_connection() {
    let database = Database::fresh().await;
    let settings = Settings::for_database(&database).with("LIMITS__MESSAGE_BYTES_MAX", "1024");
    let gateway = settings.start().await;
    gateway.ready().await;
    let mut client = Client::connect(&gateway.socket("changes/")).await;
    client.ask(&json!({"type": "ping"})).await;
    client.expect("pong").await;
    client.send(Message::text("x".repeat(1025))).await;
    assert_eq!(client.expect("error").await["code"], "too_large");
    let ended = client.ended().await;
    assert!(matches!(ended, Heard::Closed { code: 1009, .. }), "{ended:?}");
}

#[tokio::test]
async fn subscriptions_of_a_connection_have_a_limit() {
    let database = Database::fresh().await;
    let settings = Settings::for_database(&database);
    let gateway = settings.with("LIMITS__SUBSCRIPTIONS_PER_CONNECTION_MAX", "2").start().await;
    gateway.ready().await;
    let mut client = Client::connect(&gateway.socket("changes/")).await;
    for id in ["a", "b"] {
        client.ask(&json!({"type": "subscribe", "id": id, "table": "notes"})).await;
        client.expect("subscribed").await;
    }
    client.ask(&json!({"type": "subscribe", "id": "c", "table": "notes"})).await;
    let error = client.expect("error").await;
    assert_eq!((&error["code"], &error["id"]), (&json!("too_many_subscriptions"), &json!("c")));
}

#[tokio::test]
async fn an_unknown_feed_is_not_found() {
    let (_database, gateway) = scene().await;
    let refused = Client::try_connect(&gateway.socket("no_such_feed/")).await;
    let error = refused.map(|_| ()).expect_err("the handshake is refused");
    assert!(error.contains("404"), "{error}");
    let answer = gateway.get("/no/such/path").await.expect("an answer");
    assert_eq!(answer.status, 404);
    let body: Value = serde_json::from_str(&answer.body).expect("errors are JSON");
    assert_eq!((&body["type"], &body["code"]), (&json!("error"), &json!("not_found")));
}

#[tokio::test]
async fn a_client_that_says_nothing_stays_connected() {
    let database = Database::fresh().await;
    let settings = Settings::for_database(&database).with("SERVER__HEARTBEAT_MS", "100");
    let gateway = settings.start().await;
    gateway.ready().await;
    let mut client = Client::connect(&gateway.socket("changes/")).await;
    for _ in 0..10 {
        let heard = client.next_within(Duration::from_secs(5)).await;
        assert!(matches!(heard, Heard::Message(_)), "{heard:?}");
    }
}
