//! Who sees what, to the last byte: rows that change hands, cursors of others, tokens that end.

use serde_json::{Value, json};
use tokio::time::{Duration, Instant};

use crate::support::{
    client::Heard,
    database::Database,
    gateway::{Gateway, Settings},
    spawn,
    tokens::{SECRET, token, token_for},
    wait::{PATIENCE, eventually},
    witness::Witness,
};

/// A row of `notes` is its `title`'s; of `items` all is seen but `body`.
const POLICY: &str = r#"
[tables."public.notes"]
[[tables."public.notes".grants]]
read = ["reader"]
rows = "title=eq.{claims.sub}"
[[tables."public.notes".grants]]
read = ["admin"]
[tables."public.items"]
read = "authenticated"
columns = ["id", "title", "n"]
"#;

async fn scene() -> (Database, Gateway) {
    scene_with(&[]).await
}

async fn scene_with(changes: &[(&str, &str)]) -> (Database, Gateway) {
    let database = Database::fresh().await;
    let mut settings = Settings::for_database(&database).with("ACCESS__DEFAULT", "nobody");
    for (name, value) in changes {
        settings = settings.with(name, value);
    }
    let gateway = settings.with("AUTH__JWT_SECRET", SECRET).with_file(POLICY).start().await;
    gateway.ready().await;
    (database, gateway)
}

fn reader(sub: &str) -> String {
    token(&json!({"sub": sub, "role": "reader"}))
}

async fn follow(gateway: &Gateway, token: &str, more: &Value) -> Witness {
    let mut witness = Witness::with_token(gateway.address(), "changes/", token).await;
    let told = witness.subscribe("notes", more).await;
    assert_eq!(told["type"], "subscribed", "{told}");
    witness
}

/// The row goes from ann to bob and back, and ends.
const MOVES: &[&str] = &[
    "insert into notes (id, title, body) values (1, 'ann', 'ann-1')",
    "update notes set body = 'ann-2' where id = 1",
    "update notes set title = 'bob', body = 'bob-1' where id = 1",
    "update notes set body = 'bob-2' where id = 1",
    "update notes set title = 'ann', body = 'ann-3' where id = 1",
    "update notes set title = 'bob', body = 'bob-3' where id = 1",
    "delete from notes where id = 1",
];

/// Rows of their own that tell each reader where the moves end.
const ENDS: &str = "insert into notes (id, title) values (8, 'ann'), (9, 'bob')";

/// Each change as its effect and the body that it shows.
fn effects(changes: &[Value]) -> Vec<String> {
    let one = |it: &Value| {
        let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
        format!("{} {}", text(&it["effect"]), text(&it["data"]["body"]))
    };
    changes.iter().map(one).collect()
}

async fn check_moves(ann: &mut Witness, bob: &mut Witness) {
    let seen = ann.until_row(8).await;
    assert_eq!(
        effects(&seen[..seen.len() - 1]),
        ["enter ann-1", "update ann-2", "leave -", "enter ann-3", "leave -"],
    );
    assert!(!ann.saw("bob"), "nothing of bob's time reaches ann");
    let seen = bob.until_row(9).await;
    assert_eq!(
        effects(&seen[..seen.len() - 1]),
        ["enter bob-1", "update bob-2", "leave -", "enter bob-3", "leave bob-3"],
    );
    assert!(!bob.saw("ann"), "nothing of ann's time reaches bob");
}

#[tokio::test]
async fn a_row_that_changes_hands_is_seen_by_each_reader_in_its_own_time_alone() {
    let (database, gateway) = scene().await;
    let mut ann = follow(&gateway, &reader("ann"), &Value::Null).await;
    let mut bob = follow(&gateway, &reader("bob"), &Value::Null).await;
    for sql in MOVES {
        database.run(sql).await;
    }
    database.run(ENDS).await;
    check_moves(&mut ann, &mut bob).await;
}

#[tokio::test]
async fn a_row_that_changed_hands_while_the_gateway_was_down_is_told_apart_just_so() {
    let (database, mut gateway) = scene().await;
    let ann = follow(&gateway, &reader("ann"), &Value::Null).await;
    let bob = follow(&gateway, &reader("bob"), &Value::Null).await;
    gateway.kill().await;
    for sql in MOVES {
        database.run(sql).await;
    }
    database.run(ENDS).await;
    gateway.restart().await;
    gateway.ready().await;
    let mut ann = follow(&gateway, &reader("ann"), &json!({"since": ann.cursor})).await;
    let mut bob = follow(&gateway, &reader("bob"), &json!({"since": bob.cursor})).await;
    check_moves(&mut ann, &mut bob).await;
}

#[tokio::test]
async fn a_cursor_brings_no_rights_with_it() {
    let (database, gateway) = scene().await;
    let admin = token(&json!({"sub": "ann", "role": "admin"}));
    let mut all = Witness::with_token(gateway.address(), "changes/", &admin).await;
    let told = all.subscribe("notes", &Value::Null).await;
    database.run(MOVES[0]).await;
    all.until_row(1).await;
    let cursor = all.cursor.clone();
    for sql in &MOVES[1..] {
        database.run(sql).await;
    }
    database.run(ENDS).await;
    // Another reader's cursor is a place, and what comes from there is judged by the own grant.
    let mut bob = follow(&gateway, &reader("bob"), &json!({"since": cursor})).await;
    bob.until_row(9).await;
    assert!(!bob.saw("ann"));
    // The same reader with fewer rights: rows held by the former grant are void.
    let more = json!({"since": cursor, "shape": told["shape"]});
    let mut ann = follow(&gateway, &reader("ann"), &more).await;
    assert_eq!(ann.expect("resync").await["reason"], "shape_changed");
    database.run("insert into notes (id, title, body) values (10, 'ann', 'x')").await;
    ann.until_row(10).await;
    assert!(!ann.saw("bob"));
}

#[tokio::test]
async fn a_hidden_column_is_in_no_message() {
    let (database, gateway) = scene().await;
    let mut witness = Witness::with_token(gateway.address(), "changes/", &reader("ann")).await;
    witness.subscribe("items", &Value::Null).await;
    for sql in [
        "insert into items (id, title, body) values (1, 'a', 'hidden-1')",
        "update items set body = 'hidden-2'",
        "update items set title = 'b', body = 'hidden-3'",
        "delete from items",
        "insert into items (id) values (2)",
    ] {
        database.run(sql).await;
    }
    let seen = witness.until_row(2).await;
    let told: Vec<_> = seen.iter().map(|it| it["operation"].as_str().unwrap_or("")).collect();
    assert_eq!(told, ["INSERT", "UPDATE", "DELETE", "INSERT"]);
    assert_eq!(seen[1]["old"], json!({"title": "a"}));
    assert!(!witness.saw("hidden") && !witness.saw("body"));
}

#[tokio::test]
async fn an_error_tells_nothing_of_what_is_hidden() {
    let (_database, gateway) = scene().await;
    let mut witness = Witness::with_token(gateway.address(), "changes/", &reader("ann")).await;
    for template in ["COLUMN=eq.1", "COLUMN=is.null", "or=(n.eq.1,COLUMN->>a.eq.1)"] {
        let mut answers = Vec::new();
        for column in ["body", "nope"] {
            let filter = template.replace("COLUMN", column);
            let answer = witness.subscribe("items", &json!({"filter": filter})).await;
            assert_eq!(answer["code"], "bad_filter", "{answer}");
            answers.push(answer.to_string().replace(column, "COLUMN"));
        }
        assert_eq!(answers[0], answers[1]);
    }
    let mut answers = Vec::new();
    for column in ["body", "nope"] {
        let answer = witness.subscribe("items", &json!({"columns": ["id", column]})).await;
        assert_eq!(answer["code"], "bad_message", "{answer}");
        answers.push(answer.to_string().replace(column, "COLUMN"));
    }
    assert_eq!(answers[0], answers[1]);
    let names =
        ["courses", "nope", "other", "pgfeed.log", "Notes", "\"notes\"", "notes ", "x.notes"];
    let mut answers = Vec::new();
    for name in names {
        let answer = witness.subscribe(name, &json!({"filter": "id=eq.1"})).await;
        answers.push(answer.to_string().replace(&json!(name).to_string(), "NAME"));
    }
    assert!(answers[0].contains("forbidden"), "{answers:?}");
    assert!(answers.iter().all(|it| *it == answers[0]), "{answers:?}");
}

#[tokio::test]
async fn fewer_rights_in_a_new_token_hold_before_the_next_change() {
    let (database, gateway) = scene().await;
    let admin = token(&json!({"sub": "ann", "role": "admin"}));
    let mut witness = follow(&gateway, &admin, &Value::Null).await;
    witness.subscribe("items", &Value::Null).await;
    let writer = database.connect().await;
    let writing = spawn(async move {
        for id in 100..1_100 {
            let sql =
                format!("insert into notes (id, title, body) values ({id}, 'bob', 'for-bob')");
            writer.batch_execute(&sql).await.expect("is written");
        }
    });
    witness.expect("change").await;
    witness.ask(&json!({"type": "auth", "token": reader("ann")})).await;
    witness.expect("authenticated").await;
    let ended = witness.message().await;
    assert_eq!((&ended["type"], &ended["id"]), (&json!("unsubscribed"), &json!("notes")));
    assert_eq!(ended["reason"], "access_revoked");
    writing.await.expect("the writer ends");
    // The subscription with an equal grant went on.
    database.run("insert into items (id) values (5)").await;
    let seen = witness.until_row(5).await;
    assert_eq!(seen.len(), 1, "nothing of notes came after `authenticated`: {seen:?}");
    witness.ask(&json!({"type": "auth", "token": reader("bob")})).await;
    assert_eq!(witness.code().await, 4401, "another subject");
}

#[tokio::test]
async fn nothing_is_sent_after_the_token_has_ended() {
    let (database, gateway) = scene().await;
    let began = jiff::Timestamp::now().as_second();
    let short = token_for(&json!({"sub": "ann", "role": "admin"}), 2);
    let mut witness = follow(&gateway, &short, &Value::Null).await;
    let writer = database.connect().await;
    let writing = spawn(async move {
        let end = Instant::now() + Duration::from_secs(4);
        let mut id = 0;
        while Instant::now() < end {
            id += 1;
            let sql = format!("insert into notes (id) values ({id})");
            writer.batch_execute(&sql).await.expect("is written");
        }
    });
    let mut last = jiff::Timestamp::UNIX_EPOCH;
    let mut count = 0;
    let code = loop {
        match witness.next().await {
            Heard::Message(message) if message["type"] == "change" => {
                last = message["at"].as_str().expect("a time").parse().expect("RFC 3339");
                count += 1;
            }
            Heard::Message(_) => {}
            Heard::Closed { code, .. } => break code,
            Heard::Cut => panic!("a client that reads is told why"),
        }
    };
    assert_eq!(code, 4401);
    assert!(count > 10, "changes came before: {count}");
    assert!(last.as_second() <= began + 2, "{last} is after the end");
    writing.await.expect("the writer ends");
}

#[tokio::test]
async fn what_waited_when_the_token_ended_is_dropped() {
    // All that is written waits in the queue, but for what the kernel takes.
    let (database, gateway) = scene_with(&[("LIMITS__QUEUE_BYTES_MAX", "100000000")]).await;
    let end = jiff::Timestamp::now().as_second() + 9;
    let end = jiff::Timestamp::from_second(end).expect("a time");
    let short = token_for(&json!({"sub": "ann", "role": "admin"}), 8);
    let mut witness = follow(&gateway, &short, &Value::Null).await;
    let bulk = "insert into notes (id, body) select i, repeat('x', 1000) \
                from generate_series(1, 60000) i";
    database.run(bulk).await;
    // It does not read until then: its frames wait, and one is half written.
    let counts = async |name: &str, count: u64| {
        let metrics = gateway.get("/metrics").await.expect("an answer").body;
        let line = metrics.lines().find_map(|it| it.strip_prefix(name));
        line.is_some_and(|it| it.trim().parse() == Ok(count))
    };
    let is_told = async || counts("pgfeed_changes_total ", 60_000).await;
    eventually(PATIENCE, "the changes to be told", is_told).await;
    // It reads from the moment its token has ended: what the kernel has, and then nothing more.
    let has_ended = async || jiff::Timestamp::now() >= end;
    eventually(PATIENCE, "the token to end", has_ended).await;
    let mut count = 0;
    let ended = loop {
        match witness.next().await {
            Heard::Message(_) => count += 1,
            ended => break ended,
        }
    };
    assert!(matches!(ended, Heard::Cut), "the frame under way is cut, not finished: {ended:?}");
    assert!(count < 15_000, "{count} messages came");
}

#[tokio::test]
async fn a_refreshed_token_carries_the_connection_on() {
    let (database, gateway) = scene().await;
    let short = token_for(&json!({"sub": "ann", "role": "reader"}), 2);
    let end = jiff::Timestamp::now().as_second() + 3;
    let mut witness = follow(&gateway, &short, &Value::Null).await;
    witness.ask(&json!({"type": "auth", "token": reader("ann")})).await;
    let told = witness.expect("authenticated").await;
    assert!(told["expires_at"].as_str().is_some_and(|it| it.ends_with('Z')), "{told}");
    // Longer than the first token: what holds the connection is the second.
    let has_ended = async || jiff::Timestamp::now().as_second() >= end;
    eventually(PATIENCE, "the first token to end", has_ended).await;
    database.run("insert into notes (id, title) values (1, 'ann')").await;
    witness.until_row(1).await;
}

#[tokio::test]
async fn a_forged_notification_goes_through_the_grant_like_any_row() {
    let database = Database::fresh().await;
    let toml =
        POLICY.replace("[tables.\"public.notes\"]", "[tables.\"public.notes\"]\nundurable = true");
    let settings = Settings::for_database(&database).with("AUTH__JWT_SECRET", SECRET);
    let gateway = settings.with("ACCESS__DEFAULT", "nobody").with_file(&toml).start().await;
    gateway.ready().await;
    let mut ann = follow(&gateway, &reader("ann"), &Value::Null).await;
    ann.subscribe("items", &Value::Null).await;
    database.run("create role mallory").await;
    let forge = |table: &str, title: &str| {
        let data = json!({"id": 5, "title": title, "body": "forged"});
        let payload = json!({"table": table, "operation": "INSERT", "data": data});
        format!("set role mallory; select pg_notify('db_changes', '{payload}')")
    };
    database.run(&forge("items", "x")).await;
    database.run(&forge("notes", "bob")).await;
    database.run(&forge("pgfeed.log", "x")).await;
    database.run(&forge("courses", "x")).await;
    assert!(!ann.saw("forged"));
    database.run(&forge("notes", "ann")).await;
    let change = ann.expect("change").await;
    assert_eq!((&change["durable"], &change["data"]["title"]), (&json!(false), &json!("ann")));
    assert!(change.get("id").is_none() && change.get("xid").is_none(), "{change}");
    database.run("insert into items (id) values (7)").await;
    let seen = ann.until_row(7).await;
    assert_eq!(seen.len(), 1, "no forged row of a table that relays none: {seen:?}");
}
