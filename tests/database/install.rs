//! Installing, again, beside what is there, and for a gateway's role.

use std::fs;

use super::support::{Database, Session, database, told};
use pgfeed::source::install::{self, InstallError, SAMPLE_TABLES, stand_alone_script};

#[test]
fn the_stand_alone_script_is_made_of_the_pieces() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/sql/02_triggers.sql");
    let script = fs::read_to_string(path).expect("the script is there");
    assert!(script == stand_alone_script(), "run sql/build.sh");
}

#[test]
fn every_piece_is_installed() {
    let script = stand_alone_script();
    for folder in ["tables", "functions", "views"] {
        let path = format!("{}/sql/pgfeed/{folder}", env!("CARGO_MANIFEST_DIR"));
        for entry in fs::read_dir(path).expect("the folder is there") {
            let path = entry.expect("it can be read").path();
            let piece = fs::read_to_string(&path).expect("a text");
            assert!(script.contains(&piece), "{} is not in pieces.rs", path.display());
        }
    }
}

#[tokio::test]
async fn installing_again_changes_nothing() {
    let database = database("builder").await;
    assert!(database.install(None).await.is_new);
    let session = database.session().await;
    session.run("create table t (id integer primary key); select pgfeed.watch('t')").await;
    session.run("insert into t values (1)").await;
    session.run("select pgfeed.make_tick()").await;
    let all = "select (select history from pgfeed.meta), (select count(*) from pgfeed.log), \
               (select count(*) from pgfeed.tick), (select string_agg(p.oid || p.proacl::text, ',' order by p.oid) \
                  from pg_proc p where p.pronamespace = 'pgfeed'::regnamespace)";
    let before = session.value(all).await;
    let report = database.install(None).await;
    assert!(!report.is_new);
    assert_eq!(report.watched, ["public.t"]);
    assert_eq!(report.runs_as, "pgfeed_owner");
    assert_eq!(session.value(all).await, before);
}

#[tokio::test]
async fn the_samples_and_the_script_may_be_run_again_and_again() {
    let database = database("plain").await;
    let mut session = database.session().await;
    for _ in 0..2 {
        install::make_samples(&mut session.client).await.expect("samples");
        session.run(&stand_alone_script()).await;
    }
    let watched = "select string_agg(\"table\"::text, ' ' order by id) from pgfeed.watched";
    assert_eq!(session.value(watched).await, SAMPLE_TABLES.join(" "));
    session.run("update courses set status = 'PUBLISHED' where status = 'DRAFT'").await;
    assert_eq!(session.log().await.len(), 1);
    session.refused("update courses set status = 'GONE'").await;
}

#[tokio::test]
async fn the_script_works_where_only_some_of_the_tables_are_and_own_triggers_were() {
    let database = database("plain").await;
    let session = database.session().await;
    session
        .run(
            "create table profiles (id uuid primary key, data json); \
             create table orders (id integer primary key); \
             create function notify_table_change() returns trigger language plpgsql as $$ begin \
               perform pg_notify('db_changes', row_to_json(new)::text); return new; end $$; \
             create trigger profiles_notify after insert on profiles \
               for each row execute function notify_table_change(); \
             create trigger orders_notify after insert on orders \
               for each row execute function notify_table_change()",
        )
        .await;
    session.run(&stand_alone_script()).await;
    assert_eq!(session.rows("select relation from pgfeed.watched").await, ["profiles"]);
    session
        .run("insert into profiles values (gen_random_uuid()); insert into orders values (1)")
        .await;
    assert_eq!(session.rows("select op, watch from pgfeed.log").await, ["I|1", "I|"]);
}

#[tokio::test]
async fn the_script_leaves_alone_what_only_is_called_like_a_sample() {
    let database = database("plain").await;
    let session = database.session().await;
    session.run("create table courses (id integer primary key)").await;
    session.run("create view roles as select 1 as id").await;
    let admin = database.session_of("postgres").await;
    admin.run("create table profiles (id integer primary key)").await;
    session.run(&stand_alone_script()).await;
    assert_eq!(session.rows("select relation from pgfeed.watched").await, ["courses"]);
}

#[tokio::test]
async fn an_upgrade_mends_triggers_and_shares_tables() {
    let (database, session) = Database::with_feed().await;
    session.run("create table t (id integer primary key); select pgfeed.watch('t')").await;
    session
        .run(
            "create function f() returns trigger language plpgsql as $$ begin return null; end $$; \
             create trigger f after insert on t for each row execute function f(); \
             alter table t disable trigger \"00_pgfeed_delete\"",
        )
        .await;
    let findings = "select count(*) from pgfeed.status() where status = 'fail'";
    assert_ne!(session.value(findings).await, "0");
    database.install(None).await;
    assert_eq!(session.value(findings).await, "0");
}

#[tokio::test]
async fn a_trigger_of_a_former_version_captures_until_it_is_brought_up_to_date() {
    let (database, session) = Database::with_feed().await;
    session.run("create table t (id integer primary key); select pgfeed.watch('t')").await;
    session
        .run(
            "create or replace trigger \"00_pgfeed_update\" after update on t for each row \
               when (old.* operator(pg_catalog.*<>) new.*) \
               execute function pgfeed.capture('1', 'auto', 'plain'); \
             alter table t enable always trigger \"00_pgfeed_update\"; \
             insert into t values (1); update t set id = 2",
        )
        .await;
    database.install(None).await;
    session.run("update t set id = 3; update t set id = id").await;
    let updates = "select new from pgfeed.log where op = 'U' order by id";
    assert_eq!(session.rows(updates).await, [r#"{"id":2}"#, r#"{"id":3}"#]);
    let calls = "select tgfoid::regproc from pg_trigger where tgname = '00_pgfeed_update'";
    assert_eq!(session.value(calls).await, "pgfeed.capture_update");
}

const NEEDED: [&str; 9] = [
    "select * from pgfeed.log",
    "select * from pgfeed.tick",
    "select * from pgfeed.meta",
    "select * from pgfeed.watched",
    "select * from pgfeed.make_tick()",
    "select pgfeed.beat()",
    "select pgfeed.prune()",
    "select * from pgfeed.status()",
    "select pg_advisory_lock(1128678482, 1), pg_advisory_unlock(1128678482, 1)",
];

const NOT_NEEDED: [&str; 9] = [
    "insert into pgfeed.log (op) values ('B')",
    "delete from pgfeed.log",
    "update pgfeed.meta set version = 9",
    "select pgfeed.watch('t')",
    "select pgfeed.start_history()",
    "select pgfeed.grant_to('gateway')",
    "insert into t values (9)",
    "select * from other",
    "create trigger x after insert on t for each row execute function pgfeed.capture('1', 'auto', 'plain')",
];

#[tokio::test]
async fn a_gateway_gets_what_it_needs_and_no_more() {
    let database = database("builder").await;
    let admin = Session::open(&database.name, "postgres").await;
    admin.run("create role gateway login").await;
    let report = database.install(Some("gateway")).await;
    assert_eq!(report.granted_to.as_deref(), Some("gateway"));
    let session = database.session().await;
    session
        .run(
            "create table t (id integer primary key); create table other (id integer); \
             create table read (id integer); grant select on read to gateway; \
             select pgfeed.watch('t'), pgfeed.watch('read')",
        )
        .await;
    session.run("insert into t values (1)").await;
    let gateway = database.session_of("gateway").await;
    for needed in NEEDED {
        gateway.run(needed).await;
    }
    gateway.run("listen db_changes; select * from t").await;
    for denied in NOT_NEEDED {
        assert!(gateway.refused(denied).await.starts_with("42501"), "{denied}");
    }
    session.run("select pgfeed.unwatch('t'), pgfeed.unwatch('read')").await;
    assert!(gateway.refused("select * from t").await.starts_with("42501"));
    gateway.run("select * from read").await;
    session.run("select pgfeed.watch('other')").await;
    gateway.run("select * from other").await;
    database.install(Some("gateway")).await;
}

#[tokio::test]
async fn what_stands_in_the_way_is_named_with_the_mend() {
    let database = database("plain").await;
    let mut session = database.session().await;
    let error = install::install(&mut session.client, Some("nobody_known")).await;
    let told_text = told(&error.expect_err("no such role"));
    assert!(told_text.contains("create role nobody_known login"), "{told_text}");
    assert_eq!(
        session.value("select to_regnamespace('pgfeed') is null").await,
        "t",
        "all or nothing"
    );

    let mut stranger = database.session_of("builder").await;
    let error = install::install(&mut stranger.client, None).await.expect_err("not the owner");
    assert!(told(&error).contains("grant create on database"), "{}", told(&error));

    let other = database.session().await;
    other.run("begin; select pg_advisory_xact_lock(1128678482, 0)").await;
    let error = install::install(&mut session.client, None).await.expect_err("another is at it");
    assert!(matches!(error, InstallError::Busy { .. }) && error.is_transient(), "{error}");
    other.run("rollback").await;
    database.install(None).await;
    let error = install::install(&mut stranger.client, None).await.expect_err("belongs to plain");
    assert!(told(&error).contains("belongs to plain"), "{}", told(&error));
}
