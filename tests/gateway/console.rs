//! The console: off unless switched on, guarded, and telling nobody more than the policy grants.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{
    client::Client,
    database::Database,
    gateway::{Gateway, Settings, socket},
    http,
    tokens::{SECRET, token},
    wait::{PATIENCE, eventually},
};

/// What the page is made of.
const FILES: [(&str, &str); 6] = [
    ("/console/", "text/html; charset=utf-8"),
    ("/console", "text/html; charset=utf-8"),
    ("/console/console.js", "text/javascript; charset=utf-8"),
    ("/console/feed.js", "text/javascript; charset=utf-8"),
    ("/console/console.css", "text/css; charset=utf-8"),
    ("/console/icon.svg", "image/svg+xml"),
];

/// An answer with its headers, their names in lower case.
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        let is_it = |line: &&str| line.to_lowercase().starts_with(&format!("{name}: "));
        self.head.lines().find(is_it).map_or("", |line| line[name.len() + 2..].trim())
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }
}

async fn ask(address: SocketAddr, method: &str, path: &str, headers: &str) -> Answer {
    let mut stream = TcpStream::connect(address).await.expect("the gateway listens");
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{headers}\r\n"
    );
    stream.write_all(request.as_bytes()).await.expect("it reads");
    let mut text = String::new();
    stream.read_to_string(&mut text).await.expect("it answers");
    let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
    let status = head.split(' ').nth(1).and_then(|it| it.parse().ok()).expect("a status");
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

async fn get(address: SocketAddr, path: &str) -> Answer {
    ask(address, "GET", path, "").await
}

/// The state, to the bearer of a token or to anyone.
async fn state(address: SocketAddr, token: Option<&str>) -> Answer {
    let header = token.map(|it| format!("Authorization: Bearer {it}\r\n")).unwrap_or_default();
    ask(address, "GET", "/console/state", &header).await
}

fn on(database: &Database) -> Settings {
    Settings::for_database(database).with("SERVER__CONSOLE", "true")
}

fn named<'a>(state: &'a Value, table: &str) -> &'a Value {
    let tables = state["tables"].as_array().expect("tables");
    tables.iter().find(|it| it["table"] == table).unwrap_or(&Value::Null)
}

#[tokio::test]
async fn it_is_off_unless_switched_on() {
    let database = Database::fresh().await;
    let gateway = Gateway::serving(&database).await;
    let unknown = get(gateway.address(), "/nothing/here").await;
    for path in FILES.map(|it| it.0).into_iter().chain(["/console/state", "/console/state/"]) {
        let answer = get(gateway.address(), path).await;
        assert_eq!((answer.status, &answer.body), (404, &unknown.body), "{path}");
        assert_eq!(answer.header("content-security-policy"), "", "{path}");
    }
}

#[tokio::test]
async fn its_files_are_served_with_a_policy_that_forbids_all_else() {
    let database = Database::fresh().await;
    let gateway = on(&database).start().await;
    for (path, kind) in FILES {
        let answer = get(gateway.address(), path).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, kind), "{path}");
        let policy = answer.header("content-security-policy");
        for part in [
            "default-src 'none';",
            "script-src 'self';",
            "style-src 'self';",
            "connect-src 'self';",
            "frame-ancestors 'none';",
            "require-trusted-types-for 'script';",
        ] {
            assert!(policy.contains(part), "{path}: {part} in {policy}");
        }
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{path}");
        assert_eq!(answer.header("cache-control"), "no-cache", "{path}");
        let tag = answer.header("etag").to_owned();
        assert!(tag.len() > 10, "{path}");
        let again = format!("If-None-Match: {tag}\r\n");
        let again = ask(gateway.address(), "GET", path, &again).await;
        assert_eq!((again.status, again.body.as_str()), (304, ""), "{path}");
        let head = ask(gateway.address(), "HEAD", path, "").await;
        assert_eq!((head.status, head.body.as_str()), (200, ""), "{path}");
    }
    for path in [
        "/console/nothing.js",
        "/console/console.rs",
        "/console/../console.rs",
        "/console/%2e%2e/state.rs",
        "/console/..%2fstate.rs",
        "/console//etc/passwd",
        "/console/state/x",
    ] {
        assert_eq!(get(gateway.address(), path).await.status, 404, "{path}");
    }
    assert_eq!(ask(gateway.address(), "POST", "/console/", "").await.status, 404);
}

/// Every file that the page names is there, and none stands on another site.
#[tokio::test]
async fn what_the_page_names_is_served() {
    let database = Database::fresh().await;
    let gateway = on(&database).start().await;
    let page = get(gateway.address(), "/console/").await.body;
    assert!(!page.contains(" style=") && !page.contains("<style"), "no style is inline");
    let named = page.split(['"', '\'']).filter(|it| it.starts_with("../console/"));
    let mut waiting: Vec<String> = named.map(|it| it.trim_start_matches("..").to_owned()).collect();
    assert!(waiting.len() >= 4, "{waiting:?}");
    let mut seen = Vec::new();
    while let Some(path) = waiting.pop() {
        if seen.contains(&path) {
            continue;
        }
        let answer = get(gateway.address(), &path).await;
        assert_eq!(answer.status, 200, "{path}");
        for markup in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("] {
            assert!(!answer.body.contains(markup), "{path}: {markup}");
        }
        let from = |it: &str| it.split('\'').next().map(str::to_owned);
        let imports = answer.body.split("from './").skip(1).filter_map(from);
        waiting.extend(imports.map(|it| format!("/console/{it}")));
        seen.push(path);
    }
    assert!(seen.len() >= 10, "the modules too: {seen:?}");
}

#[tokio::test]
async fn the_state_tells_what_the_gateway_knows() {
    let database = Database::fresh().await;
    let gateway = on(&database).start().await;
    gateway.ready().await;
    let mut client = Client::subscribed(&gateway.socket("changes/"), "notes").await;
    database.run("insert into notes (id) select generate_series(1, 50)").await;
    database.run("update notes set title = 'x' where id = 7; analyze notes").await;
    client.until_applied("notes", 51).await;
    let is_told = async || {
        let state = state(gateway.address(), None).await.json();
        named(&state, "notes")["rows"] == 50.0
    };
    eventually(PATIENCE, "the size of the table", is_told).await;
    let answer = state(gateway.address(), None).await;
    assert_eq!(answer.header("cache-control"), "no-store");
    assert!(answer.header("content-security-policy").contains("default-src 'none'"));
    let told = answer.json();
    let reached = (&told["ready"], &told["reason"], &told["reader"], &told["scope"]);
    assert_eq!(reached, (&json!(true), &Value::Null, &Value::Null, &json!("reader")));
    let notes = named(&told, "notes");
    assert_eq!((&notes["changes"], &notes["reads"]), (&json!(51), &json!("all")));
    assert_eq!(notes["key"], json!(["id"]));
    assert_eq!(notes["columns"][0]["name"], "id");
    assert!(notes["bytes"].as_f64().expect("a size") >= 8_192.0);
    assert!(notes["last_at"].as_i64().expect("a time") > 1_700_000_000_000);
    let items = named(&told, "items");
    assert_eq!((&items["changes"], &items["last_at"]), (&json!(0), &Value::Null));
    assert_eq!(told["metrics"]["pgfeed_connections"], 1.0);
    assert_eq!(told["metrics"]["pgfeed_subscriptions"], 1.0);
    assert!(told["metrics"]["pgfeed_closes_total{code=\"4401\"}"] == 0.0);
    database.run("alter table notes disable trigger \"00_pgfeed_update\"").await;
    let is_told = async || {
        let told = state(gateway.address(), None).await.json();
        told["ready"] == false && told["reason"].to_string().contains("00_pgfeed_update")
    };
    eventually(PATIENCE, "the reason", is_told).await;
}

const POLICY: &str = "
    [tables.\"public.notes\"]
    read = [\"reader\"]
    columns = [\"id\", \"title\"]

    [tables.\"public.items\"]
    read = [\"reader\"]
    rows = \"title=eq.{claims.sub}\"

    [tables.\"public.people\"]
    read = \"nobody\"
";

#[tokio::test]
async fn where_clients_come_in_it_tells_each_what_the_policy_grants() {
    let database = Database::fresh().await;
    database.run("create table people (id int primary key); select pgfeed.watch('people')").await;
    let settings = on(&database).with("ACCESS__DEFAULT", "authenticated").with_file(POLICY);
    let gateway = settings.with("AUTH__JWT_SECRET", SECRET).start().await;
    gateway.ready().await;
    database.run("insert into notes (id) values (1); insert into people (id) values (1)").await;
    let stranger = state(gateway.address(), None).await;
    assert_eq!(stranger.json()["tables"], json!([]), "names are not for strangers");
    assert!(!stranger.body.contains("notes") && !stranger.body.contains("people"));
    let token = token(&json!({"sub": "ann", "role": "reader"}));
    let told = state(gateway.address(), Some(&token)).await;
    assert!(!told.body.contains("people"), "{}", told.body);
    let told = told.json();
    assert_eq!(told["reader"]["sub"], "ann");
    assert_eq!(told["reader"]["roles"], json!(["reader"]));
    let notes = named(&told, "notes");
    let names: Vec<&Value> = notes["columns"].as_array().expect("columns").iter().collect();
    assert_eq!(names.len(), 2, "{notes}");
    // A count of changes would count those that are hidden.
    assert_eq!((&notes["reads"], &notes["changes"]), (&json!("all"), &Value::Null));
    let items = named(&told, "items");
    assert_eq!((&items["reads"], &items["changes"]), (&json!("some"), &Value::Null));
    let refused = state(gateway.address(), Some("no.such.token")).await;
    assert_eq!((refused.status, &refused.json()["code"]), (401, &json!("unauthorized")));
    let elsewhere = "Origin: https://evil.example\r\n";
    let elsewhere = ask(gateway.address(), "GET", "/console/state", elsewhere).await;
    assert_eq!(elsewhere.status, 403);
    assert_eq!(elsewhere.header("access-control-allow-origin"), "");
    assert!(!gateway.output().contains(&token), "no token is printed");
    database.run("alter table people disable trigger \"00_pgfeed_update\"").await;
    let is_unready = async || {
        let told = state(gateway.address(), Some(&token)).await;
        assert!(!told.body.contains("people"), "{}", told.body);
        told.json()["ready"] == false
    };
    eventually(PATIENCE, "the gateway to be unready", is_unready).await;
}

#[tokio::test]
async fn on_the_operators_listener_it_tells_all_and_readers_stay_who_they_are() {
    let database = Database::fresh().await;
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let admin = free.local_addr().expect("an address");
    drop(free);
    let settings = on(&database).with("SERVER__ADMIN_LISTEN", &admin.to_string());
    let settings = settings.with("AUTH__JWT_SECRET", SECRET).with("ACCESS__DEFAULT", "nobody");
    let toml = "[tables.\"public.notes\"]\nread = \"anyone\"\ncolumns = [\"id\"]\n";
    let gateway = settings.with_file(toml).start().await;
    let is_ready = async || http::get(admin, "/readyz").await.is_some_and(|it| it.status == 200);
    eventually(PATIENCE, "/readyz to say 200", is_ready).await;
    for path in ["/console/", "/console/console.js", "/console/state"] {
        assert_eq!(get(gateway.address(), path).await.status, 404, "{path}, for clients");
        assert_eq!(get(admin, path).await.status, 200, "{path}, for the operator");
    }
    let told = state(admin, None).await.json();
    assert_eq!(told["scope"], "all");
    let (notes, items) = (named(&told, "notes"), named(&told, "items"));
    assert_eq!((&notes["reads"], &items["reads"]), (&json!("all"), &json!("none")));
    assert_eq!(notes["columns"][0]["readable"], true);
    assert_eq!(notes["columns"][1]["readable"], false);
    assert_eq!((&notes["changes"], &items["changes"]), (&json!(0), &json!(0)));
    // The feed that the page shows is there, with the rights of whoever asks.
    let mut client = Client::subscribed(&socket(admin, "changes/"), "notes").await;
    client.ask(&json!({"type": "subscribe", "id": "items", "table": "items"})).await;
    assert_eq!(client.expect("error").await["code"], "unauthorized");
    for path in ["/sse/changes/?table=notes", "/poll/changes/?table=notes"] {
        assert_eq!(get(admin, path).await.status, 404, "{path}");
    }
}
