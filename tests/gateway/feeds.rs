//! Declared feeds, on the example of the academy: who opens which, and what comes.

use serde_json::{Value, json};

use crate::support::{
    database::Database,
    gateway::{Gateway, Settings},
    tokens::{SECRET, token},
    witness::Witness,
};

const ACADEMY: &str = include_str!("../../examples/academy.toml");

const PEOPLE: &str = "
insert into profiles (id, name, email) values (1, 'Amara', 'a@x.example'), (2, 'Jonas', 'j@x.example'),
                                              (3, 'Mei', 'm@x.example'), (4, 'Luis', 'l@x.example');
insert into courses (id, title, status, price, mentor_id) values (1, 'SQL', 'PUBLISHED', 7, 2),
                                              (2, 'Rust', 'DRAFT', 9, 2);
";

async fn scene() -> (Database, Gateway) {
    let database = Database::fresh().await;
    database.run("truncate profiles, roles, courses, registrations restart identity cascade").await;
    database.run(PEOPLE).await;
    let settings = Settings::for_database(&database).with("ACCESS__DEFAULT", "nobody");
    let gateway = settings.with("AUTH__JWT_SECRET", SECRET).with_file(ACADEMY).start().await;
    gateway.ready().await;
    (database, gateway)
}

fn reader(sub: &str, role: &str) -> String {
    token(&json!({"sub": sub, "role": role}))
}

/// Opens a feed and takes what its tables are told as.
async fn open(gateway: &Gateway, feed: &str, token: &str, tables: usize) -> Witness {
    let mut witness = Witness::with_token(gateway.address(), feed, token).await;
    let mut ids = Vec::new();
    while ids.len() < tables {
        ids.push(witness.expect("subscribed").await["id"].clone());
    }
    witness
}

#[tokio::test]
async fn each_feed_opens_for_those_it_is_declared_for_and_for_nobody_else() {
    let (_database, gateway) = scene().await;
    let (admin, mentor) = (reader("1", "admin"), reader("2", "mentor"));
    let student = reader("3", "student");
    let nobody = String::new();
    for (feed, token, code) in [
        ("courses/", &nobody, None),
        ("dashboard/", &nobody, Some(4401)),
        ("dashboard", &student, Some(4403)),
        ("dashboard/", &admin, None),
        ("dashboard/", &mentor, None),
        ("notifications/", &nobody, Some(4401)),
        ("notifications/", &student, None),
        ("mentor/2/", &mentor, None),
        ("mentor/1/", &mentor, Some(4403)),
        ("mentor/2/", &student, Some(4403)),
        ("student/3/", &student, None),
        ("student/4/", &student, Some(4403)),
        ("student/03/", &student, Some(4403)),
        ("student/3/", &admin, Some(4403)),
        ("student/3/", &nobody, Some(4401)),
    ] {
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str())];
        let headers = if token.is_empty() { &[][..] } else { &headers[..] };
        let mut witness =
            Witness::connect(gateway.address(), feed, headers).await.expect("is accepted");
        match code {
            Some(code) => assert_eq!(witness.code().await, code, "{feed}"),
            None => drop(witness.expect("subscribed").await),
        }
    }
    for path in ["student/", "student/3/4/", "student/3%2F4/", "student/../courses/", "nothing/"] {
        let refused = Witness::connect(gateway.address(), path, &[]).await;
        assert_eq!(refused.map(drop), Err(404), "{path}");
    }
}

#[tokio::test]
async fn a_draft_enters_when_it_is_published_and_leaves_when_it_is_withdrawn() {
    let (database, gateway) = scene().await;
    let mut witness = Witness::connect(gateway.address(), "courses/", &[]).await.expect("opens");
    let told = witness.expect("subscribed").await;
    let names: Vec<&str> = told["columns"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|it| it["name"].as_str())
        .collect();
    assert_eq!(names, ["id", "title", "status", "mentor_id"]);
    database.run("update courses set title = 'a secret draft' where id = 2").await;
    database.run("update courses set title = 'Rust', status = 'PUBLISHED' where id = 2").await;
    let enter = witness.expect("change").await;
    assert_eq!((&enter["effect"], &enter["key"]), (&json!("enter"), &json!({"id": 2})));
    assert!(enter.get("old").is_none() && enter["data"].get("price").is_none(), "{enter}");
    database.run("update courses set title = 'hidden', status = 'DRAFT' where id = 2").await;
    let leave = witness.expect("change").await;
    assert_eq!((&leave["effect"], &leave["key"]), (&json!("leave"), &json!({"id": 2})));
    assert!(leave.get("old").is_none() && leave.get("data").is_none(), "{leave}");
    assert!(!witness.saw("secret") && !witness.saw("hidden") && !witness.saw("price"));
}

#[tokio::test]
async fn own_rows_are_found_by_the_subject() {
    let (database, gateway) = scene().await;
    let mut mei = open(&gateway, "student/3/", &reader("3", "student"), 2).await;
    let mut all = open(&gateway, "dashboard/", &reader("1", "admin"), 3).await;
    database.run("insert into registrations (id, student_id, course_id) values (7, 4, 1)").await;
    database.run("insert into registrations (id, student_id, course_id) values (8, 3, 1)").await;
    let change = mei.expect("change").await;
    assert_eq!((&change["table"], &change["key"]["id"]), (&json!("registrations"), &json!(8)));
    assert_eq!(all.expect("change").await["key"]["id"], 7);
    assert_eq!(all.expect("change").await["key"]["id"], 8);
    // The grant holds within the feed: no registration of another, whatever the feed says.
    let mut own = open(&gateway, "registrations/", &reader("4", "student"), 1).await;
    database.run("update registrations set progress = 5").await;
    assert_eq!(own.expect("change").await["key"]["id"], 7);
    assert!(!own.saw("\"student_id\":3"));
}

#[tokio::test]
async fn a_declared_feed_takes_no_tables_from_its_client() {
    let (_database, gateway) = scene().await;
    let mut witness = open(&gateway, "courses/", &reader("1", "admin"), 1).await;
    let refused = witness.subscribe("profiles", &Value::Null).await;
    assert_eq!((&refused["code"], &refused["id"]), (&json!("forbidden"), &json!("profiles")));
    witness.ask(&json!({"type": "unsubscribe", "id": "courses"})).await;
    assert_eq!(witness.expect("error").await["code"], "forbidden");
    let mut witness =
        Witness::with_token(gateway.address(), "courses/?table=profiles", &reader("1", "admin"))
            .await;
    assert_eq!(witness.expect("error").await["code"], "forbidden");
    assert_eq!(witness.expect("subscribed").await["id"], "courses");
}

#[tokio::test]
async fn a_feed_is_resumed_by_its_address() {
    let (database, gateway) = scene().await;
    let token = reader("3", "student");
    let mut witness = open(&gateway, "student/3/", &token, 2).await;
    database.run("insert into registrations (id, student_id, course_id) values (7, 3, 1)").await;
    witness.until_row(7).await;
    let cursor = witness.cursor.clone();
    drop(witness);
    database.run("update registrations set progress = 50 where id = 7").await;
    let feed = format!("student/3/?since={cursor}");
    // One table may be caught up before the other is subscribed: nothing is taken on the way.
    let mut witness = Witness::with_token(gateway.address(), &feed, &token).await;
    let change = witness.expect("change").await;
    assert_eq!((&change["effect"], &change["data"]["progress"]), (&json!("update"), &json!(50)));
    for bad in ["student/3/?since=", "student/3/?since=nonsense"] {
        let mut witness = Witness::with_token(gateway.address(), bad, &token).await;
        let error = witness.expect("error").await;
        assert_eq!((&error["code"], &error["id"]), (&json!("bad_cursor"), &json!("registrations")));
    }
}

#[tokio::test]
async fn a_token_sent_later_opens_what_waited_for_it() {
    let database = Database::fresh().await;
    let toml = "[tables.\"public.notes\"]\nread = \"authenticated\"\n\
                [feeds.own]\ntables = [{ table = \"notes\" }]\n\
                [feeds.strict]\nrequire = { role = \"a\" }\ntables = [{ table = \"notes\" }]\n";
    let settings = Settings::for_database(&database).with("AUTH__JWT_SECRET", SECRET);
    let gateway = settings.with_file(toml).start().await;
    gateway.ready().await;
    let mut witness = Witness::connect(gateway.address(), "own/", &[]).await.expect("opens");
    assert_eq!(witness.expect("error").await["code"], "unauthorized");
    witness.ask(&json!({"type": "auth", "token": token(&json!({"sub": "1"}))})).await;
    assert_eq!(witness.expect("subscribed").await["id"], "notes");
    database.run("insert into notes (id) values (1)").await;
    witness.until_row(1).await;
    // A new token that no longer opens the feed ends the connection.
    let good = token(&json!({"sub": "1", "role": "a"}));
    let mut witness = Witness::with_token(gateway.address(), "strict/", &good).await;
    witness.expect("subscribed").await;
    let less = token(&json!({"sub": "1", "role": "b"}));
    witness.ask(&json!({"type": "auth", "token": less})).await;
    assert_eq!(witness.code().await, 4403);
}
