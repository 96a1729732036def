//! NOTIFY: a wake that carries no row, only while no gateway is awake, and never a danger.

use tokio::sync::RwLock;

use super::support::Database;

/// The cluster has one queue: who fills it does so alone.
static QUEUE: RwLock<()> = RwLock::const_new(());

#[tokio::test]
async fn a_wake_names_table_and_operation_and_no_row() {
    let _shared = QUEUE.read().await;
    let (_database, mut session) = Database::with_feed().await;
    session.run("create table t (id integer primary key, v text); select pgfeed.watch('t')").await;
    session.run("listen db_changes; insert into t values (1, 'secret')").await;
    let payloads = session.notified().await;
    assert_eq!(payloads.len(), 1);
    let payload: serde_json::Value = serde_json::from_str(&payloads[0]).expect("JSON");
    let wanted = serde_json::json!(
        {"table": "t", "schema": "public", "operation": "INSERT", "log": true}
    );
    assert_eq!(payload, wanted);
}

#[tokio::test]
async fn a_transaction_wakes_once_for_each_table_and_operation() {
    let _shared = QUEUE.read().await;
    let (_database, mut session) = Database::with_feed().await;
    session
        .run(
            "create table t (id integer primary key, v text); create table u (id integer); \
             select pgfeed.watch('t', level => 'row'), pgfeed.watch('u')",
        )
        .await;
    session.run("listen db_changes").await;
    session
        .run(
            "begin; insert into t select g, '' from generate_series(1, 500) g; \
             update t set v = 'a'; insert into u values (1); insert into t values (1000, ''); \
             delete from t where id < 3; commit",
        )
        .await;
    assert_eq!(session.notified().await.len(), 4);
    session.run("begin; insert into t values (2000, ''); rollback").await;
    assert!(session.notified().await.is_empty());
    let savepoint = "begin; savepoint s; insert into t values (1, ''); rollback to s; \
                     insert into t values (2, ''); commit";
    session.run(savepoint).await;
    assert_eq!(session.notified().await.len(), 1, "a wake undone with its savepoint is made again");
}

#[tokio::test]
async fn while_a_gateway_is_awake_only_tables_that_always_wake_do() {
    let _shared = QUEUE.read().await;
    let (database, mut session) = Database::with_feed().await;
    session
        .run(
            "create table a (id integer); create table b (id integer); create table c (id integer); \
             create table h (id integer); create trigger h after insert on h \
               for each row execute function notify_table_change(); \
             select pgfeed.watch('a'), pgfeed.watch('b', 'always'), pgfeed.watch('c', 'never')",
        )
        .await;
    session.run("listen db_changes").await;
    let write = "insert into a values (1); insert into b values (1); insert into c values (1); \
                 insert into h values (1)";
    let gateway = database.session().await;
    gateway.run("select pg_advisory_lock(1128678482, 1)").await;
    session.run(write).await;
    assert_eq!(tables(&session.notified().await), ["b"]);
    let awake = "select detail from pgfeed.status() where \"check\" = 'gateway'";
    assert!(session.value(awake).await.starts_with("a gateway is awake"));
    gateway.run("select pg_advisory_unlock(1128678482, 1)").await;
    session.run(write).await;
    assert_eq!(tables(&session.notified().await), ["a", "b", "h"]);
    gateway.run("select pg_advisory_lock(1128678482, 1)").await;
    assert_eq!(session.value("select count(*) from pgfeed.log").await, "8");
}

/// Between two statements a session is interrupted, and what it locked stays locked: by chance only,
/// so this is held by the text.
#[tokio::test]
async fn the_lock_of_wakes_is_taken_and_given_back_by_one_expression() {
    let (_database, session) = Database::with_feed().await;
    let holds = "select proname, prosrc ~ '_lock_shared\\(1128678482, 1\\)\\s+and pg_advisory_unlock_shared\\(1128678482, 1\\)'
                   and array_length(string_to_array(prosrc, '1128678482, 1)'), 1) = 3
                 from pg_proc where prosrc like '%1128678482, 1)%' order by 1";
    assert_eq!(
        session.rows(holds).await,
        ["capture|t", "capture_update|t", "notify_table_change|t"]
    );
}

fn tables(payloads: &[String]) -> Vec<String> {
    let names = payloads.iter().map(|payload| {
        let value: serde_json::Value = serde_json::from_str(payload).expect("JSON");
        value["table"].as_str().expect("a name").to_owned()
    });
    names.collect()
}

#[tokio::test]
async fn a_partition_wakes_in_the_name_of_its_table() {
    let _shared = QUEUE.read().await;
    let (_database, mut session) = Database::with_feed().await;
    session
        .run(
            "create table ev (id integer) partition by list (id); \
             create table ev_1 partition of ev for values in (1); \
             select pgfeed.watch('ev')",
        )
        .await;
    session.run("listen db_changes; insert into ev_1 values (1)").await;
    session.run("alter table ev rename to events; insert into ev_1 values (1)").await;
    assert_eq!(tables(&session.notified().await), ["ev", "events"]);
}

#[tokio::test]
async fn a_queue_that_says_it_is_filling_ends_wakes() {
    let _shared = QUEUE.read().await;
    let (_database, mut session) = Database::with_feed().await;
    session.run("create table t (id integer); select pgfeed.watch('t', 'always')").await;
    session
        .run(
            "create schema fake; create function fake.pg_notification_queue_usage() returns float8 \
               language sql as 'select 0.51::float8'; grant usage on schema fake to pgfeed_owner; \
             alter function pgfeed.wake(integer, oid, text) set search_path = fake, pg_catalog",
        )
        .await;
    session.run("listen db_changes; insert into t values (1)").await;
    assert!(session.notified().await.is_empty());
    assert_eq!(session.value("select count(*) from pgfeed.log").await, "1");
}

#[tokio::test]
async fn a_queue_that_a_stuck_listener_fills_fails_no_write() {
    let _alone = QUEUE.write().await;
    let (database, session) = Database::with_feed().await;
    let pages = "select count(*) from pg_settings where name = 'max_notify_queue_pages'";
    if session.value(pages).await == "0" {
        return; // Before 17 the queue holds 8 GB, too much to fill here.
    }
    session.run("create table t (id integer, v text); select pgfeed.watch('t', 'always')").await;
    let stuck = database.session_of("postgres").await;
    stuck.run("listen anything").await;
    stuck.run("begin; select 1").await;
    let filler = "do $$ begin for i in 1..20 loop \
                    perform pg_notify('filler', i || repeat('x', 7000)); end loop; end $$";
    while session.value("select pg_notification_queue_usage() >= 0.5").await != "t" {
        session.run(filler).await;
    }
    let before = session.value("select pg_notification_queue_usage()").await;
    for id in 0..50 {
        session.run(&format!("insert into t values ({id}, repeat('x', 5000))")).await;
    }
    assert_eq!(session.value("select pg_notification_queue_usage()").await, before);
    assert_eq!(session.value("select count(*) from pgfeed.log").await, "50");
    let told = "select status from pgfeed.status() where \"check\" = 'notify queue'";
    assert_eq!(session.value(told).await, "fail");
    stuck.run("commit").await;
    session.run("select pg_notify('filler', '')").await;
}
