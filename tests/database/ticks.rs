//! Positions: durable, ordered, honest about another history; and what pruning leaves.

use super::support::{Database, Session};

async fn tick(session: &Session, max_age: &str) -> String {
    session.value(&format!("select id, tag from pgfeed.make_tick('{max_age}')")).await
}

#[tokio::test]
async fn a_tick_is_good_while_nothing_is_logged_and_up_to_its_age() {
    let (_database, session) = Database::with_feed().await;
    session.run("create table t (id integer); select pgfeed.watch('t')").await;
    let first = tick(&session, "0").await;
    assert_eq!(tick(&session, "0").await, first, "nothing was logged");
    session.run("insert into t values (1)").await;
    assert_eq!(tick(&session, "1 hour").await, first, "young enough");
    let second = tick(&session, "0").await;
    assert_ne!(second, first);
    let seen = "select pg_visible_in_snapshot(l.xid, t.snap) from pgfeed.log l, pgfeed.tick t order by t.id";
    assert_eq!(session.rows(seen).await, ["f", "t"]);
}

#[tokio::test]
async fn a_tick_flushes_what_it_has_seen() {
    let (_database, session) = Database::with_feed().await;
    session
        .run("create table t (id integer); select pgfeed.watch('t'); set synchronous_commit = off")
        .await;
    for id in 0..20 {
        session.run(&format!("insert into t values ({id})")).await;
        let inserted = session.value("select pg_current_wal_insert_lsn()").await;
        tick(&session, "0").await;
        let flushed = format!("select pg_current_wal_flush_lsn() >= '{inserted}'");
        assert_eq!(session.value(&flushed).await, "t", "round {id}");
    }
    assert_eq!(session.value("show synchronous_commit").await, "off");
}

#[tokio::test]
async fn a_tick_needs_a_transaction_of_its_own() {
    let (_database, session) = Database::with_feed().await;
    session.run("create table t (id integer); begin; insert into t values (1)").await;
    assert!(session.refused("select pgfeed.make_tick()").await.contains("of its own"));
    session.run("rollback; begin isolation level repeatable read").await;
    assert!(session.refused("select pgfeed.make_tick()").await.contains("read committed"));
}

#[tokio::test]
async fn gateways_that_make_ticks_at_once_share_or_order_them() {
    let (database, session) = Database::with_feed().await;
    session.run("create table t (id integer); select pgfeed.watch('t')").await;
    let others = [database.session().await, database.session().await, database.session().await];
    for round in 0..20 {
        session.run(&format!("insert into t values ({round})")).await;
        let made = futures::future::join_all(others.iter().map(|it| tick(it, "0"))).await;
        assert_eq!(made[0], made[1], "nothing was logged between them");
        assert_eq!(made[1], made[2]);
    }
    let disorder = "select count(*) from pgfeed.tick a join pgfeed.tick b on b.id = a.id + 1 \
                    where b.at < a.at or pg_snapshot_xmax(b.snap) < pg_snapshot_xmax(a.snap)";
    assert_eq!(session.value(disorder).await, "0");
}

#[tokio::test]
async fn another_cluster_starts_a_new_history() {
    let (_database, session) = Database::with_feed().await;
    session.run("create table t (id integer primary key); select pgfeed.watch('t')").await;
    session.run("insert into t values (1)").await;
    tick(&session, "0").await;
    session.run("insert into t values (2)").await;
    let history = session.value("select history from pgfeed.meta").await;
    session.run("update pgfeed.meta set sysid = sysid + 1").await;
    let told = "select status from pgfeed.status() where \"check\" = 'history'";
    assert_eq!(session.value(told).await, "warn");
    let fresh = tick(&session, "1 hour").await;
    assert_ne!(session.value("select history from pgfeed.meta").await, history);
    assert!(session.log().await.is_empty());
    assert_eq!(session.rows("select id, tag from pgfeed.tick").await, std::slice::from_ref(&fresh));
    assert_eq!(tick(&session, "1 hour").await, fresh, "once is enough");
    assert_eq!(session.value(told).await, "ok");
}

#[tokio::test]
async fn a_copy_of_the_database_starts_a_new_history() {
    let (database, session) = Database::with_feed().await;
    session.run("create table t (id integer primary key); select pgfeed.watch('t')").await;
    session.run("insert into t values (1)").await;
    tick(&session, "0").await;
    let history = session.value("select history from pgfeed.meta").await;
    drop(session);
    let admin = Session::open("postgres", "postgres").await;
    let copy = format!("{}_copy", database.name);
    let gone = format!("select count(*) from pg_stat_activity where datname = '{}'", database.name);
    while admin.value(&gone).await != "0" {}
    admin.run(&format!("create database {copy} template {} owner builder", database.name)).await;
    let session = Session::open(&copy, "builder").await;
    tick(&session, "0").await;
    assert_ne!(session.value("select history from pgfeed.meta").await, history);
    assert!(session.log().await.is_empty());
    session.run("insert into t values (2)").await;
    assert_eq!(session.log().await, [r#"I||{"id":2}|"#]);
}

#[tokio::test]
async fn pruning_removes_what_the_oldest_tick_kept_has_seen() {
    let (database, session) = Database::with_feed().await;
    session.run("create table t (id integer); select pgfeed.watch('t')").await;
    let open = database.session().await;
    open.run("begin; insert into t values (0)").await;
    for id in 1..=25 {
        session.run(&format!("insert into t values ({id})")).await;
    }
    assert_eq!(session.value("select pgfeed.prune('0')").await, "0", "no tick, nothing is old");
    tick(&session, "0").await;
    session.run("insert into t values (26)").await;
    assert_eq!(session.value("select pgfeed.prune('1 hour')").await, "0", "the tick is young");
    assert_eq!(session.value("select pgfeed.prune('0', 10)").await, "10");
    assert_eq!(session.value("select pgfeed.prune('0', 10)").await, "10");
    assert_eq!(session.value("select pgfeed.prune('0', 10)").await, "5");
    open.run("commit").await;
    let left = "select new->>'id' from pgfeed.log order by id";
    assert_eq!(session.rows(left).await, ["0", "26"], "unseen by the tick");
    tick(&session, "0").await;
    assert_eq!(
        session.value("select pgfeed.prune('0')").await,
        "2",
        "also below where pruning was"
    );
    assert_eq!(session.value("select count(*) from pgfeed.tick").await, "1");
}

#[tokio::test]
async fn a_full_batch_does_not_pass_a_transaction_that_is_under_way() {
    let (database, session) = Database::with_feed().await;
    session.run("create table t (id integer); select pgfeed.watch('t')").await;
    let open = database.session().await;
    open.run("begin; insert into t values (0)").await;
    session.run("insert into t values (1)").await;
    session.run("insert into t values (2)").await;
    tick(&session, "0").await;
    open.run("commit").await;
    assert_eq!(session.value("select pgfeed.prune('0', 2)").await, "2", "a full batch");
    session.run("insert into t values (3)").await;
    tick(&session, "0").await;
    assert_eq!(session.value("select pgfeed.prune('0', 2)").await, "2");
    assert!(session.log().await.is_empty(), "nothing is kept for ever");
}

#[tokio::test]
async fn one_session_prunes_at_a_time() {
    let (database, session) = Database::with_feed().await;
    session
        .run("create table t (id integer); select pgfeed.watch('t'); insert into t values (1)")
        .await;
    tick(&session, "0").await;
    let other = database.session().await;
    other.run("begin; select pgfeed.prune('0')").await;
    assert_eq!(session.value("select pgfeed.prune('0')").await, "0");
    other.run("rollback").await;
    assert_eq!(session.value("select pgfeed.prune('0')").await, "1");
}

#[tokio::test]
async fn a_beat_goes_through_the_log() {
    let (_database, session) = Database::with_feed().await;
    let id = session.value("select pgfeed.beat()").await;
    let row = "select id, op, watch, rel, key, new, old from pgfeed.log";
    assert_eq!(session.rows(row).await, [format!("{id}|B|||||")]);
}
