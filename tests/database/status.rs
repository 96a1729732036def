//! Each finding of `pgfeed.status()`.

use super::support::{Database, Session};

async fn findings(session: &Session) -> Vec<String> {
    session.rows("select \"check\", status, detail from pgfeed.status() where status <> 'ok'").await
}

/// Breaks something, and looks for the one finding that tells it.
async fn finds(session: &Session, damage: &str, finding: &str) {
    session.run(damage).await;
    let found = findings(session).await;
    assert!(found.iter().any(|it| it.starts_with(finding)), "{damage}\n{finding}\n{found:#?}");
}

#[tokio::test]
async fn a_sound_feed_has_no_findings_but_the_test_server_without_fsync() {
    let (_database, session) = Database::with_feed().await;
    session.run("create table t (id integer primary key); select pgfeed.watch('t')").await;
    session.run("insert into t values (1)").await;
    session.run("select pgfeed.make_tick()").await;
    let found = findings(&session).await;
    assert_eq!(found, ["fsync|warn|fsync is off: a crash can lose what clients have seen"]);
    let checks = session.rows("select distinct \"check\" from pgfeed.status()").await;
    assert_eq!(checks.len(), 20, "{checks:?}");
}

#[tokio::test]
async fn what_is_wrong_with_a_watched_table_is_found() {
    let (_database, session) = Database::with_feed().await;
    session.run("create table t (id integer primary key); select pgfeed.watch('t')").await;
    for (damage, finding) in [
        (
            "alter table t disable trigger \"00_pgfeed_insert\"",
            "triggers|fail|public.t: trigger 00_pgfeed_insert on public.t is off",
        ),
        (
            "alter table t enable trigger \"00_pgfeed_insert\"",
            "triggers|fail|public.t: trigger 00_pgfeed_insert on public.t is off",
        ),
        (
            "drop trigger \"00_pgfeed_insert\" on t",
            "triggers|fail|public.t: trigger 00_pgfeed_insert on public.t is missing",
        ),
        (
            "create table kid () inherits (t)",
            "partitions|fail|public.t: trigger 00_pgfeed_delete on public.kid is missing",
        ),
        ("select 1", "triggers|fail|public.t: trigger 00_pgfeed_delete on public.t is outdated"),
        ("alter table t rename to s", "renamed|warn|public.t is now called public.s"),
        ("alter table s drop constraint t_pkey", "primary key|warn|public.s has none"),
        (
            "drop table kid; alter table s set unlogged",
            "unlogged|warn|public.s is emptied by a crash",
        ),
        ("drop table s", "dropped|warn|public.t does not exist"),
    ] {
        finds(&session, damage, finding).await;
    }
}

#[tokio::test]
async fn mends_mend() {
    let (_database, session) = Database::with_feed().await;
    session
        .run(
            "create table ev (id integer primary key) partition by list (id); \
             select pgfeed.watch('ev'); create table ev_1 partition of ev for values in (1); \
             create table t (id integer primary key); select pgfeed.watch('t', 'never'); \
             alter table t disable trigger all",
        )
        .await;
    let mends = "select distinct mend from pgfeed.status() where \"check\" in ('triggers', 'partitions') \
                 and status <> 'ok'";
    let mends = session.rows(mends).await;
    assert_eq!(mends.len(), 2, "{mends:?}");
    for mend in mends {
        session.run(&mend).await;
    }
    let left = findings(&session).await;
    assert!(!left.iter().any(|it| it.starts_with("trig") || it.starts_with("part")), "{left:?}");
    assert_eq!(
        session.value("select wake from pgfeed.watched where relation = 't'::regclass").await,
        "never"
    );
}

#[tokio::test]
async fn triggers_by_hand_that_do_not_tell_all_are_found() {
    let (database, session) = Database::with_feed().await;
    session
        .run(
            "create table t (id integer primary key); create trigger h after insert on t \
               for each row execute function notify_table_change(); \
             create function f() returns trigger language plpgsql as $$ begin return null; end $$",
        )
        .await;
    finds(
        &session,
        "create trigger a after insert on t for each row execute function f()",
        "written by hand|warn|trigger h on public.t fires after a",
    )
    .await;
    finds(
        &session,
        "alter table t disable trigger h",
        "written by hand|fail|trigger h on public.t is disabled",
    )
    .await;
    finds(
        &session,
        "create trigger s after insert on t execute function notify_table_change()",
        "written by hand|warn|trigger s on public.t is not for each row",
    )
    .await;
    finds(
        &session,
        "drop trigger s on t; drop trigger h on t; select pgfeed.watch('t'); \
           create trigger h after insert on t for each row execute function notify_table_change()",
        "written by hand|fail|public.t has both h and",
    )
    .await;
    let admin = database.session_of("postgres").await;
    admin.run("set session_replication_role = replica").await;
    finds(&admin, "select 1", "session_replication_role|warn|trigger h on public.t does not fire")
        .await;
}

#[tokio::test]
async fn what_stands_between_gateways_and_rows_is_found() {
    let (database, session) = Database::with_feed().await;
    session.run("create role gw_status login; create table t (id integer primary key)").await;
    database.install(Some("gw_status")).await;
    session.run("select pgfeed.watch('t')").await;
    finds(
        &session,
        "alter table t enable row level security",
        "row security|warn|policies of public.t",
    )
    .await;
    finds(
        &session,
        "revoke select on t from gw_status",
        "privileges|fail|gw_status may not read public.t",
    )
    .await;
    finds(&session, "insert into t values (1)", "ticks|warn|none yet").await;
}

#[tokio::test]
async fn functions_that_run_as_a_superuser_are_found() {
    let (database, session) = Database::with_feed().await;
    let admin = database.session_of("postgres").await;
    finds(
        &admin,
        "alter function pgfeed.capture() owner to postgres",
        "owner|warn|pgfeed.capture() runs as postgres",
    )
    .await;
    drop(session);
}

#[tokio::test]
async fn a_prepared_transaction_that_was_forgotten_is_found() {
    let (_database, session) = Database::with_feed().await;
    let view = session.value("select prosrc from pg_proc where proname = 'status_of_server'").await;
    let now = view.replace("interval '1 minute'", "interval '0'").replace('\'', "''");
    session.run("create table t (id integer); begin; insert into t values (1)").await;
    session.run("prepare transaction 'forgotten'").await;
    let found = session.rows(&now.replace("''", "'")).await;
    session.run("rollback prepared 'forgotten'").await;
    assert!(
        found.iter().any(|it| it.starts_with("prepared transactions|warn|forgotten")),
        "{found:?}"
    );
}

#[tokio::test]
async fn a_sql_ascii_database_is_found() {
    let admin = Session::open("postgres", "postgres").await;
    let make = "create database test_ascii owner builder encoding 'SQL_ASCII' template template0";
    admin.run(make).await;
    let database = Database { name: "test_ascii".to_owned(), owner: "builder" };
    database.install(None).await;
    let session = database.session().await;
    finds(&session, "select 1", "encoding|fail|the database is SQL_ASCII").await;
}
