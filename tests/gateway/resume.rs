//! A client that comes back with its cursor gets every change once, wherever and whenever.

use serde_json::{Value, json};

use crate::support::{
    client::{Client, Heard},
    database::Database,
    fault::Frozen,
    gateway::{Gateway, Settings, socket},
    proxy::Proxy,
    random::Random,
    wait::{PATIENCE, eventually},
};

async fn insert(database: &Database, id: u64) {
    database.run(&format!("insert into notes (id) values ({id})")).await;
}

fn keys(client: &Client) -> Vec<u64> {
    let ids = client.changes("notes").into_iter().map(|it| it.key["id"].as_u64());
    ids.map(|id| id.expect("a key")).collect()
}

#[tokio::test]
async fn a_change_made_while_the_gateway_is_stopped_reaches_a_client_that_resumes() {
    let database = Database::fresh().await;
    let mut gateway = Gateway::serving(&database).await;
    let url = gateway.socket("changes/");
    let mut client = Client::subscribed(&url, "notes").await;
    insert(&database, 1).await;
    client.until_applied("notes", 1).await;
    assert!(gateway.stop().await.success());
    insert(&database, 2).await;
    gateway.restart().await;
    insert(&database, 3).await;
    client.resume(&url).await.expect("the gateway is back");
    client.until_applied("notes", 3).await;
    assert_eq!(keys(&client), [1, 2, 3]);
    assert!(client.sub("notes").resyncs.is_empty());
}

#[tokio::test]
async fn a_gateway_that_was_killed_is_resumed_with_nothing_lost_or_repeated() {
    let database = Database::fresh().await;
    let mut gateway = Gateway::serving(&database).await;
    let url = gateway.socket("changes/");
    let mut client = Client::subscribed(&url, "notes").await;
    for round in 0..5 {
        insert(&database, round * 10).await;
        if round % 2 == 0 {
            client.until_applied("notes", client.sub("notes").applied.len() + 1).await;
        }
        gateway.kill().await;
        insert(&database, round * 10 + 1).await;
        gateway.restart().await;
        insert(&database, round * 10 + 2).await;
        client.resume(&url).await.expect("the gateway is back");
    }
    client.until_applied("notes", 15).await;
    let expected: Vec<u64> =
        (0..5).flat_map(|round| (0..3).map(move |it| round * 10 + it)).collect();
    assert_eq!(keys(&client), expected);
}

#[tokio::test]
async fn every_cursor_on_the_way_resumes_exactly_behind_itself() {
    let database = Database::fresh().await;
    let gateway = Gateway::serving(&database).await;
    let url = gateway.socket("changes/");
    let mut client = Client::subscribed(&url, "notes").await;
    let mut cursors = vec![client.sub("notes").cursor.clone()];
    for id in 0..12 {
        insert(&database, id).await;
        client.until_applied("notes", cursors.len()).await;
        cursors.push(client.sub("notes").cursor.clone());
    }
    for (seen, cursor) in cursors.iter().enumerate() {
        assert!(cursor.len() < 2048, "{} bytes", cursor.len());
        let mut late = Client::connect(&format!("{url}?table=notes&since={cursor}")).await;
        late.until("the subscription", |late| late.subs.contains_key("notes")).await;
        late.until("to be live", |late| late.sub("notes").live).await;
        // Those that are live at once get what they missed as they get everything else.
        late.until_applied("notes", 12 - seen).await;
        assert_eq!(keys(&late), (seen as u64..12).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_cursor_is_valid_on_another_gateway() {
    let database = Database::fresh().await;
    let (one, other) = (Gateway::serving(&database).await, Gateway::serving(&database).await);
    let mut client = Client::subscribed(&one.socket("changes/"), "notes").await;
    for id in 0..20 {
        insert(&database, id).await;
        let gateway = if id % 2 == 0 { &other } else { &one };
        client.resume(&gateway.socket("changes/")).await.expect("the gateway accepts");
        client.until_applied("notes", usize::try_from(id).expect("is small") + 1).await;
    }
    assert_eq!(keys(&client), (0..20).collect::<Vec<_>>());
    assert!(client.sub("notes").resyncs.is_empty());
}

#[tokio::test]
async fn a_gateway_that_is_behind_does_not_lead_a_cursor_back() {
    let database = Database::fresh().await;
    let ahead = Settings::for_database(&database).with("SERVER__HEARTBEAT_MS", "100").start().await;
    ahead.ready().await;
    let url = format!("{}?application_name=behind", database.url());
    let behind = Settings::for_url(&url).with("SERVER__HEARTBEAT_MS", "100").start().await;
    behind.ready().await;
    let mut client = Client::subscribed(&ahead.socket("changes/"), "notes").await;
    insert(&database, 1).await;
    client.until_applied("notes", 1).await;
    // The reader's session alone: positions can be looked up all the while.
    let reader = "select pid from pg_stat_activity
                   where application_name = 'behind'
                     and (query like 'select array[pg_catalog.pg_current_snapshot()%'
                          or query = 'select pgfeed.beat()')";
    let mut pid = String::new();
    let is_found = async || {
        pid = database.value(reader).await;
        !pid.is_empty()
    };
    eventually(PATIENCE, "the reader's session", is_found).await;
    let frozen = Frozen::processes(vec![pid]);
    for id in 2..6 {
        insert(&database, id).await;
    }
    client.until_applied("notes", 5).await;
    // Meanwhile a tick is made, so that the cursor names no ids any more.
    for _ in 0..20 {
        client.expect("heartbeat").await;
    }
    client.resume(&behind.socket("changes/")).await.expect("the other gateway accepts");
    for _ in 0..20 {
        client.expect("heartbeat").await;
    }
    assert!(!client.sub("notes").live, "it has yet to read what the client has seen");
    drop(frozen);
    insert(&database, 6).await;
    client.until_applied("notes", 6).await;
    assert_eq!(keys(&client), [1, 2, 3, 4, 5, 6]);
    assert!(client.sub("notes").resyncs.is_empty());
}

#[tokio::test]
async fn a_new_client_of_a_gateway_that_was_restarted_begins_now() {
    let database = Database::fresh().await;
    let mut gateway = Gateway::serving(&database).await;
    for id in 0..50 {
        insert(&database, id).await;
    }
    gateway.kill().await;
    gateway.restart().await;
    let mut client = loop {
        // The gateway takes nobody before its first read.
        if let Ok(client) = Client::try_connect(&gateway.socket("changes/?table=notes")).await {
            break client;
        }
    };
    client.until("to be live", |client| client.subs.values().any(|it| it.live)).await;
    insert(&database, 50).await;
    client.until_applied("notes", 1).await;
    assert_eq!(keys(&client), [50]);
}

#[tokio::test]
async fn a_change_in_a_transaction_that_was_open_at_the_cursor_is_not_missed() {
    let database = Database::fresh().await;
    let mut gateway = Gateway::serving(&database).await;
    let url = gateway.socket("changes/");
    let early = database.connect().await;
    early.batch_execute("begin; insert into notes (id) values (1)").await.expect("is written");
    let mut client = Client::subscribed(&url, "notes").await;
    insert(&database, 2).await;
    client.until_applied("notes", 1).await;
    gateway.kill().await;
    early.batch_execute("commit").await.expect("is committed");
    gateway.restart().await;
    client.resume(&url).await.expect("the gateway is back");
    client.until_applied("notes", 2).await;
    assert_eq!(keys(&client), [2, 1]);
}

#[tokio::test]
async fn a_damaged_cursor_is_refused_and_the_connection_stays() {
    let database = Database::fresh().await;
    let gateway = Gateway::serving(&database).await;
    let mut client = Client::subscribed(&gateway.socket("changes/"), "notes").await;
    insert(&database, 1).await;
    client.until_applied("notes", 1).await;
    let good = client.sub("notes").cursor.clone();
    let mut damaged =
        vec![String::new(), "nonsense".to_owned(), format!("{good}0"), good[1..].to_owned()];
    for at in 0..good.len() {
        let other = if good.as_bytes()[at] == b'1' { "2" } else { "1" };
        damaged.push(format!("{}{other}{}", &good[..at], &good[at + 1..]));
    }
    for cursor in damaged {
        let request = json!({"type": "subscribe", "id": "x", "table": "notes", "since": cursor});
        let mut other = Client::connect(&gateway.socket("changes/")).await;
        other.ask(&request).await;
        let error = other.expect("error").await;
        assert_eq!((&error["code"], &error["id"]), (&json!("bad_cursor"), &json!("x")), "{cursor}");
        other.subscribe("items").await;
    }
}

#[tokio::test]
async fn a_catching_up_subscription_comes_before_it_is_live() {
    let database = Database::fresh().await;
    let gateway = Gateway::serving(&database).await;
    let url = gateway.socket("changes/");
    let start = Client::subscribed(&url, "notes").await.sub("notes").cursor.clone();
    database.run("insert into notes (id) select generate_series(1, 500)").await;
    let mut client = Client::connect(&url).await;
    let request = json!({"type": "subscribe", "id": "notes", "table": "notes", "since": start});
    client.ask(&request).await;
    let first = client.message().await;
    assert_eq!((&first["type"], &first["cursor"]), (&json!("subscribed"), &json!(start)));
    client.until_applied("notes", 500).await;
    client.until("to be live", |client| client.sub("notes").live).await;
    assert_eq!(keys(&client), (1..=500).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_wire_cut_at_any_byte_loses_and_repeats_nothing() {
    let database = Database::fresh().await;
    let gateway = Gateway::serving(&database).await;
    let proxy = Proxy::to(gateway.address()).await;
    let url = socket(proxy.address(), "changes/");
    let mut client = Client::subscribed(&url, "notes").await;
    let mut random = Random::seeded(7);
    let mut written = 0;
    for _ in 0..30 {
        let bytes = i64::try_from(random.below(4000)).expect("is small");
        proxy.cut_after(bytes);
        for _ in 0..10 {
            insert(&database, written).await;
            written += 1;
        }
        // The ten changes are more than the wire lets through, or all of them have come.
        let total = usize::try_from(written).expect("is small");
        while client.sub("notes").applied.len() < total {
            if let Heard::Cut | Heard::Closed { .. } = client.next_within(PATIENCE).await {
                proxy.restore();
                while client.resume(&url).await.is_err() {}
            }
        }
        proxy.restore();
    }
    assert_eq!(keys(&client), (0..written).collect::<Vec<_>>());
}

#[tokio::test]
async fn many_clients_that_resume_at_once_each_get_their_own_rest() {
    let database = Database::fresh().await;
    let mut gateway = Gateway::serving(&database).await;
    let url = gateway.socket("changes/");
    let mut clients = Vec::new();
    for id in 0..20 {
        let mut client = Client::subscribed(&url, "notes").await;
        insert(&database, id).await;
        // The next one must not begin before this change, which it would then get too.
        client.until_applied("notes", 1).await;
        clients.push(client);
    }
    gateway.kill().await;
    insert(&database, 20).await;
    gateway.restart().await;
    for (first, client) in clients.iter_mut().enumerate() {
        client.resume(&url).await.expect("the gateway is back");
        client.until_applied("notes", 21 - first).await;
        assert_eq!(keys(client), (first as u64..=20).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_cursor_of_another_database_is_told_so() {
    let (database, stranger) = (Database::fresh().await, Database::fresh().await);
    let (gateway, other) = (Gateway::serving(&database).await, Gateway::serving(&stranger).await);
    insert(&stranger, 1).await;
    let mut client = Client::subscribed(&gateway.socket("changes/"), "notes").await;
    insert(&database, 1).await;
    client.until_applied("notes", 1).await;
    client.resume(&other.socket("changes/")).await.expect("the other gateway accepts");
    let resync = client.expect("resync").await;
    assert_eq!((&resync["id"], &resync["reason"]), (&json!("notes"), &json!("history_changed")));
    assert_ne!(resync["cursor"], Value::Null);
    insert(&stranger, 2).await;
    client.until_applied("notes", 1).await;
    assert_eq!(keys(&client), [2]);
}
