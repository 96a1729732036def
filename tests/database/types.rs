//! `pgfeed types`: what it prints for every kind of column, held against a kept file.

use std::{fs, path::Path, process::Output};

use tokio::process::Command;

use crate::support::{Database, Session, socket_folder};

/// What it is to print; `client/test/gateway/generated-types.test.ts` compiles such text.
const KEPT: &str = "tests/database/types.ts";

const TABLES: &str = r#"
create type mood as enum ('glad', 'it''s', 'so "so"');
create type place as (x int, y int);
create domain email as text check (value like '%@%');
create domain filled as email not null;
create schema sales;
create table courses (
  id bigint primary key, title text not null, price numeric(10,2), seats integer not null,
  rating real, live boolean not null default true, at timestamptz not null default now(),
  tags text[] not null default '{}', plan jsonb, cover bytea, length interval, span int4range);
comment on table courses is 'What is taught. Ends */ nothing';
comment on column courses.title is 'As shown';
create table "Odd Ones" (
  "first key" int, "second" smallint, mood mood not null, moods mood[], place place,
  places place[], owner email, must filled, numbers bigint[], trees jsonb[], "it's" uuid,
  "snow ☃" date, primary key ("second", "first key"));
create table sales.orders (id int, note varchar(80));
create table sales."dotted.name" (id int primary key);
select pgfeed.watch('courses'), pgfeed.watch('"Odd Ones"'), pgfeed.watch('sales.orders'),
       pgfeed.watch('sales."dotted.name"');
create table unwatched (id int primary key);
"#;

async fn types(database: &Database, arguments: &[&str]) -> Output {
    let folder = socket_folder().display();
    let url = format!("host={folder} user={} dbname={}", database.owner, database.name);
    let mut command = Command::new(env!("CARGO_BIN_EXE_pgfeed"));
    command.arg("types").args(arguments).env("PGFEED__DATABASE__URL", url);
    command.kill_on_drop(true).output().await.expect("the program runs")
}

async fn printed(database: &Database, arguments: &[&str]) -> String {
    let output = types(database, arguments).await;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    String::from_utf8(output.stdout).expect("text")
}

async fn prepared() -> (Database, Session) {
    let (database, session) = Database::with_feed().await;
    session.run(TABLES).await;
    (database, session)
}

#[tokio::test]
async fn the_types_of_every_kind_of_column_are_those_of_its_json() {
    let (database, session) = prepared().await;
    let kept = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(KEPT));
    let now = printed(&database, &[]).await;
    assert!(kept.is_ok_and(|kept| kept == now), "{KEPT} is to be:\n{now}");
    // What the types say is what PostgreSQL does.
    session
        .run(
            "insert into courses (id, title, price, seats, rating, plan, cover, length, span)
             values (9007199254740993, 't', 'NaN', 1, 1.5, '[1]', 'x', '1 day', '[1,2)');
             insert into \"Odd Ones\" values
               (1, 2, 'glad', '{glad}', '(1,2)', '{\"(1,2)\"}', 'a@b', 'c@d', '{1}', '{\"{}\"}')",
        )
        .await;
    let of = async |table: &str| {
        let row = format!("select row_to_json(t) from {table} t");
        let kinds = "select string_agg(key || ' ' || json_typeof(value), ', ') from json_each";
        session.value(&format!("{kinds}(({row}))")).await
    };
    assert_eq!(
        of("courses").await,
        "id number, title string, price string, seats number, rating number, live boolean, \
         at string, tags array, plan array, cover string, length string, span string",
    );
    assert_eq!(
        of("\"Odd Ones\"").await,
        "first key number, second number, mood string, moods array, place object, places array, \
         owner string, must string, numbers array, trees array, it's null, snow ☃ null",
    );
}

#[tokio::test]
async fn the_exact_types_have_all_that_may_come() {
    let (database, _session) = prepared().await;
    let text = printed(&database, &["--exact", "--table", "courses", "--table", "Odd Ones"]).await;
    for line in [
        "readonly id: number | string\n",
        "readonly price: number | string | null\n",
        "readonly seats: number\n",
        "readonly tags: readonly (string | null)[]\n",
        "readonly numbers: readonly (number | string | null)[] | null\n",
        "readonly trees: readonly unknown[] | null\n",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    assert!(!text.contains("Orders") && !text.contains("--exact"), "{text}");
}

#[tokio::test]
async fn a_file_is_written_when_the_tables_changed_and_only_then() {
    let (database, session) = prepared().await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("tables.ts");
    let path = file.to_str().expect("a path");
    assert!(printed(&database, &["--out", path]).await.contains("types of 4 tables"));
    let first = fs::read_to_string(&file).expect("it is written");
    assert_eq!(first, printed(&database, &[]).await);
    let written = fs::metadata(&file).and_then(|it| it.modified()).expect("a time");
    assert!(printed(&database, &["--out", path]).await.contains("is up to date"));
    let now = fs::metadata(&file).and_then(|it| it.modified()).expect("a time");
    assert_eq!(now, written);
    session.run("alter table courses add weeks int").await;
    printed(&database, &["--out", path]).await;
    let second = fs::read_to_string(&file).expect("it is written");
    let line = "  /** integer */\n  readonly weeks: number | null\n";
    assert_eq!(second.replace(line, ""), first, "the diff is the column");
}

#[tokio::test]
async fn what_is_not_on_the_feed_is_named() {
    let (database, _session) = prepared().await;
    let output = types(&database, &["--table", "unwatched"]).await;
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("`pgfeed watch public.unwatched` puts it there"), "{said}");
    let (database, _session) = Database::with_feed().await;
    let output = types(&database, &[]).await;
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("no table is on the feed"), "{said}");
}
