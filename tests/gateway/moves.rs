//! Two readers and rows that pass from one to the other and back, while both keep every byte: on
//! every transport, as it happens and afterwards, with narrowed columns and with rows first.

use serde_json::{Value, json};

use crate::support::{
    database::Database,
    follower::{WAYS, Way},
    gateway::{Gateway, Settings},
    reader::Reader,
    tokens::{SECRET, token},
};

/// A row is whose name stands in it: of `notes` all of it, of `items` not that name.
const POLICY: &str = r#"
[tables."public.notes"]
[[tables."public.notes".grants]]
read = ["reader"]
rows = "body=eq.{claims.sub}"
[tables."public.items"]
[[tables."public.items".grants]]
read = ["reader"]
rows = "body=eq.{claims.sub}"
columns = ["id", "title", "n"]
"#;

/// What happens to the row: within a reader's time, from one to the other with and without a new
/// key, within one transaction, by upsert; its end, and another row under the same key.
const MOVES: &[&str] = &[
    "insert into T (id, title, n, body) values (1, 'of-ann-1', 1, 'ann')",
    "update T set title = 'of-ann-2', n = 2 where id = 1",
    "update T set title = 'of-bob-1', n = 3, body = 'bob' where id = 1",
    "update T set title = 'of-bob-2', n = 4 where id = 1",
    "update T set id = 2, title = 'of-bob-3' where id = 1",
    "update T set id = 3, title = 'of-ann-3', body = 'ann' where id = 2",
    "update T set title = 'of-ann-4' where id = 3",
    "begin; update T set title = 'of-ann-5' where id = 3; \
     update T set title = 'of-bob-4', body = 'bob' where id = 3; commit",
    "insert into T (id, title, body) values (3, 'of-ann-6', 'ann') \
     on conflict (id) do update set title = excluded.title, body = excluded.body",
    "update T set title = 'of-bob-5', body = 'bob' where id = 3",
    "delete from T where id = 3",
    "insert into T (id, title, body) values (3, 'of-ann-7', 'ann')",
    "delete from T where id = 3",
    // Rows of their own tell each where it ends.
    "insert into T (id, title, body) values (8, 'of-ann-8', 'ann'), (9, 'of-bob-9', 'bob')",
];

const OF_ANN: &[&str] = &[
    "enter 1 of-ann-1",
    "update 1 of-ann-2",
    "leave 1 -",
    "enter 3 of-ann-3",
    "update 3 of-ann-4",
    "update 3 of-ann-5",
    "leave 3 -",
    "enter 3 of-ann-6",
    "leave 3 -",
    "enter 3 of-ann-7",
    "leave 3 of-ann-7",
    "enter 8 of-ann-8",
];

const OF_BOB: &[&str] = &[
    "enter 1 of-bob-1",
    "update 1 of-bob-2",
    "leave 1 -",
    "enter 2 of-bob-3",
    "leave 2 -",
    "enter 3 of-bob-4",
    "leave 3 -",
    "enter 3 of-bob-5",
    "leave 3 of-bob-5",
    "enter 9 of-bob-9",
];

/// What is asked of each table: all, and less.
const ASKED: [&str; 4] =
    ["table=notes", "table=items", "table=notes&columns=id,title", "table=items&columns=n,title"];

async fn scene() -> (Database, Gateway) {
    let database = Database::fresh().await;
    let settings = Settings::for_database(&database).with("ACCESS__DEFAULT", "nobody");
    let gateway = settings.with("AUTH__JWT_SECRET", SECRET).with_file(POLICY).start().await;
    gateway.ready().await;
    (database, gateway)
}

fn reader(sub: &str) -> String {
    token(&json!({"sub": sub, "role": "reader"}))
}

async fn run(database: &Database, moves: &[&str]) {
    for table in ["notes", "items"] {
        for sql in moves {
            database.run(&sql.replace(" T ", &format!(" {table} "))).await;
        }
    }
}

fn told(changes: &[Value]) -> Vec<String> {
    let one = |it: &Value| {
        let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
        format!("{} {} {}", text(&it["effect"]), it["key"]["id"], text(&it["data"]["title"]))
    };
    changes.iter().map(one).collect()
}

/// One of the two, and what it may see and must not.
struct Own {
    reader: Reader,
    expected: &'static [&'static str],
    last: u64,
    other: &'static str,
    what: String,
}

async fn open(gateway: &Gateway, way: Way, asked: &str, sub: &str) -> Own {
    let feed = format!("changes/?{asked}");
    let reader = Reader::of(gateway.address(), way, &reader(sub), &feed).await;
    let what = format!("{sub} by {way:?} with {asked}");
    match sub {
        "ann" => Own { reader, expected: OF_ANN, last: 8, other: "of-bob", what },
        _ => Own { reader, expected: OF_BOB, last: 9, other: "of-ann", what },
    }
}

impl Own {
    async fn check(&mut self) {
        let changes = self.reader.until_row(self.last).await;
        assert_eq!(told(&changes), self.expected, "{}", self.what);
        for change in &changes {
            let has = |name: &str| change.get(name).is_some();
            match (change["effect"].as_str(), change["operation"].as_str()) {
                (Some("leave"), Some("UPDATE")) => assert!(!has("data") && !has("old"), "{change}"),
                (Some("update"), _) => assert!(change["old"]["title"].is_string(), "{change}"),
                _ => assert!(!has("old"), "{change}"),
            }
        }
        assert!(!self.reader.saw(self.other), "{} saw what is the other's", self.what);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_moves_is_told_to_each_in_its_own_time_on_every_transport() {
    let (database, gateway) = scene().await;
    let mut all = Vec::new();
    for way in WAYS {
        for asked in ASKED {
            for sub in ["ann", "bob"] {
                all.push(open(&gateway, way, asked, sub).await);
            }
        }
    }
    run(&database, MOVES).await;
    for own in &mut all {
        own.check().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_moved_while_the_gateway_was_down_is_told_just_so_whatever_one_returns_by() {
    let (database, mut gateway) = scene().await;
    let mut all = Vec::new();
    for (at, way) in WAYS.into_iter().enumerate() {
        for asked in ASKED {
            for (sub, next) in [("ann", way), ("bob", WAYS[(at + 1) % 3])] {
                all.push((open(&gateway, way, asked, sub).await, next, sub));
            }
        }
    }
    gateway.kill().await;
    run(&database, MOVES).await;
    gateway.restart().await;
    gateway.ready().await;
    for (own, way, sub) in all {
        let reader = own.reader.back(gateway.address(), way, &reader(sub)).await;
        let what = format!("{} and back by {way:?}", own.what);
        Own { reader, what, ..own }.check().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_those_of_the_moment_and_never_the_others() {
    let (database, gateway) = scene().await;
    let mut done = 0;
    // In bob's time, in ann's with another key, and when the row is gone.
    for (until, owner) in [(4, "bob"), (7, "ann"), (11, "")] {
        run(&database, &MOVES[done..until]).await;
        done = until;
        for way in WAYS {
            for asked in ASKED {
                for sub in ["ann", "bob"] {
                    let asked = format!("{asked}&snapshot=true");
                    let mut own = open(&gateway, way, &asked, sub).await;
                    let snapshot = own.reader.expect("snapshot").await;
                    let rows = snapshot["rows"].as_array().expect("rows").len();
                    assert_eq!(rows, usize::from(sub == owner), "{}: {snapshot}", own.what);
                    assert!(!own.reader.saw(own.other), "{}", own.what);
                }
            }
        }
    }
}
