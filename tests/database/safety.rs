//! What a writer may never notice, and what nobody may do with the feed.

use super::support::{Database, database};

const SIZES: &str = "select op, key, length(new::text) > 1000, length(old::text) > 1000 \
                     from pgfeed.log order by id";

#[tokio::test]
async fn rows_of_kilobytes_and_megabytes_are_logged_whole() {
    for level in ["auto", "row"] {
        let (_database, session) = Database::with_feed().await;
        session.run("create table t (id integer primary key, n integer, body text)").await;
        session.run(&format!("select pgfeed.watch('t', level => '{level}')")).await;
        session.run("alter table t alter body set storage external").await;
        session
            .run("insert into t values (1, 0, repeat('x', 9000)), (2, 0, repeat('y', 5000000))")
            .await;
        session.run("update t set n = 1; delete from t").await;
        assert_eq!(
            session.rows(SIZES).await,
            ["I||t|", "I||t|", "U||t|t", "U||t|t", "D|||t", "D|||t"],
            "{level}"
        );
        let body = "select length(new->>'body') from pgfeed.log where op = 'I' order by id";
        assert_eq!(session.rows(body).await, ["9000", "5000000"]);
    }
}

#[tokio::test]
async fn a_row_too_large_for_json_is_told_by_its_key() {
    let (_database, session) = Database::with_feed().await;
    session
        .run("create table t (id integer, n integer, k text, b bytea, primary key (k, id))")
        .await;
    session.run("alter table t alter b set storage external; select pgfeed.watch('t')").await;
    session.run("insert into t select 1, 0, 'a', decode(repeat('00', 140000000), 'hex')").await;
    session.run("update t set n = 1; update t set k = 'b'; delete from t").await;
    assert_eq!(
        session.log().await,
        [
            r#"i|{"k" : "a", "id" : 1}||"#,
            r#"u|{"k" : "a", "id" : 1}||"#,
            r#"u|{"k" : "b", "id" : 1}||{"k" : "a", "id" : 1}"#,
            r#"d|{"k" : "b", "id" : 1}||"#,
        ]
    );
}

#[tokio::test]
async fn a_small_row_that_swells_in_json_is_told_by_its_key() {
    let (_database, session) = Database::with_feed().await;
    session
        .run("create table t (id integer primary key, body text); select pgfeed.watch('t')")
        .await;
    session.run("insert into t values (1, repeat(E'\\x01', 20000000)), (2, 'small')").await;
    assert_eq!(session.log().await, [r#"I||{"id":2,"body":"small"}|"#, r#"i|{"id" : 1}||"#]);
}

const TOUCHY: &str = "
    create type touchy as enum ('thirteen', 'fine');
    create function touchy_json(touchy) returns json language plpgsql as $$ begin
      if $1 = 'thirteen' then raise exception 'not that one'; end if;
      return to_json('made by ' || current_user); end $$;
    create cast (touchy as json) with function touchy_json(touchy);";

#[tokio::test]
async fn a_cast_that_fails_does_not_fail_the_write() {
    let (_database, session) = Database::with_feed().await;
    session.run(TOUCHY).await;
    session.run("create table t (id integer primary key, v touchy[])").await;
    session.run("select pgfeed.watch('t')").await;
    session.run("insert into t values (1, '{thirteen}'), (2, '{fine}')").await;
    session.run("update t set v = null where id = 1").await;
    assert_eq!(
        session.log().await,
        [r#"i|{"id" : 1}||"#, r#"I||{"id":2,"v":["made by pgfeed_owner"]}|"#, r#"u|{"id" : 1}||"#,]
    );
}

#[tokio::test]
async fn what_cannot_even_be_told_by_key_leaves_a_gap_mark() {
    let (_database, session) = Database::with_feed().await;
    session.run(TOUCHY).await;
    session.run("create table t (v touchy primary key); select pgfeed.watch('t')").await;
    session.run("insert into t values ('thirteen'), ('fine')").await;
    assert_eq!(session.log().await, ["G|||", r#"I||{"v":"made by pgfeed_owner"}|"#]);
    assert_eq!(session.value("select count(*) from t").await, "2");
}

#[tokio::test]
async fn the_owner_of_the_trigger_functions_can_do_nothing_else() {
    let (_database, session) = Database::with_feed().await;
    session.run("create table t (id integer primary key); select pgfeed.watch('t')").await;
    session.run("insert into t values (1); set role pgfeed_owner").await;
    for denied in [
        "select * from t",
        "select new from pgfeed.log",
        "delete from pgfeed.log",
        "select pgfeed.prune()",
        "create table pgfeed.x ()",
    ] {
        assert!(session.refused(denied).await.starts_with("42501"), "{denied}");
    }
}

#[tokio::test]
async fn a_writer_needs_no_right_but_on_its_table() {
    let (database, session) = Database::with_feed().await;
    session.run("create table t (id integer primary key, v text); select pgfeed.watch('t')").await;
    session.run("create role lowly_writer login; grant select, insert, update, delete, truncate on t to lowly_writer").await;
    let lowly = database.session_of("lowly_writer").await;
    lowly
        .run("insert into t values (1, 'a'); update t set v = 'b'; delete from t; truncate t")
        .await;
    assert_eq!(session.log().await.len(), 4);
    for denied in [
        "select * from pgfeed.log",
        "insert into pgfeed.log (op) values ('I')",
        "select pgfeed.make_tick()",
        "select pgfeed.wake(1, 1, 'x')",
        "select pgfeed.beat()",
        "select * from pgfeed.watched",
    ] {
        assert!(lowly.refused(denied).await.starts_with("42501"), "{denied}");
    }
}

#[tokio::test]
async fn a_hostile_search_path_gets_nothing() {
    let (database, session) = Database::with_feed().await;
    session
        .run(
            "create role mallory_path login; create schema evil; \
             grant create, usage on schema evil to mallory_path; \
             create table t (id integer primary key, v text); grant all on t to mallory_path; \
             select pgfeed.watch('t')",
        )
        .await;
    let mallory = database.session_of("mallory_path").await;
    mallory
        .run(
            "create function evil.eq(text, text) returns boolean language plpgsql \
               as $$ begin raise exception 'ran as %', current_user; end $$; \
             create operator evil.= (leftarg = text, rightarg = text, function = evil.eq); \
             create function evil.row_to_json(record) returns json language plpgsql \
               as $$ begin raise exception 'ran as %', current_user; end $$; \
             create function evil.pg_notify(text, text) returns void language plpgsql \
               as $$ begin raise exception 'ran as %', current_user; end $$; \
             create temp table log (id integer); create temp table pg_class (oid oid); \
             set search_path = evil, pg_temp, public, pg_catalog; \
             insert into t values (1, 'a'); update t set v = 'b'; delete from t",
        )
        .await;
    assert_eq!(session.log().await.len(), 3);
}

#[tokio::test]
async fn a_look_alike_cannot_write_the_log() {
    let (database, session) = Database::with_feed().await;
    session
        .run(
            "create role mallory login; create schema mallory authorization builder; \
             grant all on schema mallory to mallory; create table profiles (id integer primary key); \
             grant select, insert, trigger on profiles to mallory; select pgfeed.watch('profiles')",
        )
        .await;
    let mallory = database.session_of("mallory").await;
    mallory.run("create table mallory.profiles (id integer primary key)").await;
    for forge in [
        "create trigger x after insert on mallory.profiles for each row \
           execute function pgfeed.capture('1', 'auto', 'plain')",
        "create trigger x after insert on mallory.profiles for each row \
           execute function public.notify_table_change()",
        "create trigger x after insert on public.profiles for each row \
           execute function public.notify_table_change()",
        "create table mallory.child () inherits (public.profiles)",
        "select pgfeed.watch('mallory.profiles')",
    ] {
        assert!(mallory.refused(forge).await.starts_with("42501"), "{forge}");
    }
    mallory.run("insert into mallory.profiles values (666)").await;
    assert!(session.log().await.is_empty());
}

#[tokio::test]
async fn odd_settings_of_a_session_do_not_fail_the_write() {
    let (_database, session) = Database::with_feed().await;
    session.run("create table t (id integer primary key); select pgfeed.watch('t')").await;
    session
        .run(
            "set pgfeed.depth = 'x y'; set pgfeed.rung = ''''; set pgfeed.large = 'what'; \
             insert into t values (1)",
        )
        .await;
    session.run("set pgfeed.large = '1'; insert into t values (2)").await;
    let ids = "select new->>'id' from pgfeed.log order by id";
    assert_eq!(session.rows(ids).await, ["1", "2"]);
}

#[tokio::test]
async fn a_table_that_never_wakes_can_be_prepared() {
    let (_database, session) = Database::with_feed().await;
    session.run("create table t (id integer primary key); select pgfeed.watch('t', 'never')").await;
    session.run("begin; insert into t values (1); prepare transaction 'never_wakes'").await;
    assert!(session.log().await.is_empty());
    session.run("commit prepared 'never_wakes'").await;
    assert_eq!(session.log().await, [r#"I||{"id":1}|"#]);
}

#[tokio::test]
async fn a_writer_waits_for_nobody_who_reads_prunes_or_installs_again() {
    let (database, session) = Database::with_feed().await;
    session.run("create table t (id integer primary key); select pgfeed.watch('t')").await;
    let reader = database.session().await;
    reader.run("begin isolation level repeatable read; select count(*) from pgfeed.log").await;
    let pruner = database.session().await;
    pruner.run("begin; select pgfeed.prune('0')").await;
    session.run("set lock_timeout = '2s'; begin; insert into t values (1)").await;
    database.install(None).await;
    session.run("commit; insert into t values (2)").await;
}

#[tokio::test]
async fn without_createrole_everything_works() {
    let database = database("plain").await;
    let report = database.install(None).await;
    assert_eq!(report.runs_as, "plain");
    let session = database.session().await;
    session.run("create table t (id integer primary key); select pgfeed.watch('t')").await;
    session.run("insert into t values (1)").await;
    session.run("select pgfeed.make_tick()").await;
    assert_eq!(session.log().await, [r#"I||{"id":1}|"#]);
    assert_eq!(session.rows("select * from pgfeed.status() where status = 'fail'").await.len(), 0);
}
