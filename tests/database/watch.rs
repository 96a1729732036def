//! Putting tables on the feed and taking them off.

use super::support::{Database, database, told};
use pgfeed::source::install::{self, InstallError};

const TRIGGERS: &str = "select tgrelid::regclass || ' ' || tgname || ' ' || tgenabled::text || ' ' || \
                          case when tgtype & 1 = 1 then 'row' else 'statement' end \
                        from pg_trigger where not tgisinternal order by 1";

#[tokio::test]
async fn a_plain_table_gets_statement_triggers_and_one_that_needs_it_row_triggers() {
    let (_database, session) = Database::with_feed().await;
    session.run("create table t (id integer primary key)").await;
    assert_eq!(session.value("select pgfeed.watch('t')").await, "statement");
    assert_eq!(
        session.rows(TRIGGERS).await,
        [
            "t 00_pgfeed_delete A statement",
            "t 00_pgfeed_insert A statement",
            "t 00_pgfeed_truncate A statement",
            "t 00_pgfeed_update A row",
        ]
    );
    assert_eq!(session.value("select pgfeed.watch('t', level => 'row')").await, "row");
    assert_eq!(session.rows(TRIGGERS).await[0], "t 00_pgfeed_delete A row");
    for (name, needs_rows) in [
        ("p", "create table p (id integer) partition by list (id)"),
        ("k", "create table up (id integer); create table k () inherits (up)"),
        ("s", "create table s (id integer primary key, up integer references s on delete cascade)"),
        (
            "o",
            "create table o (id integer); create function f() returns trigger language plpgsql \
               as $$ begin return null; end $$; \
             create trigger f after insert on o for each row execute function f()",
        ),
    ] {
        session.run(needs_rows).await;
        let level = session.value(&format!("select pgfeed.watch('{name}')")).await;
        assert_eq!(level, "row", "{needs_rows}");
    }
}

#[tokio::test]
async fn what_cannot_be_watched_is_refused_with_the_mend() {
    let (database, session) = Database::with_feed().await;
    let admin = database.session_of("postgres").await;
    admin
        .run(
            "create table of_postgres (id integer); create foreign data wrapper w; \
             create server s foreign data wrapper w; create foreign table far (id integer) server s",
        )
        .await;
    session
        .run(
            "create table t (id integer); create view v as select * from t; \
             create materialized view m as select * from t; create sequence seq; \
             create temp table tmp (id integer)",
        )
        .await;
    for (table, mend) in [
        ("v", "watch the tables behind it"),
        ("m", "watch the tables behind it"),
        ("seq", "Name a table"),
        ("tmp", "make it an ordinary table"),
        ("far", "in the database that stores them"),
        ("of_postgres", "alter table public.of_postgres owner to builder"),
        ("pg_catalog.pg_class", "tables of your own"),
        ("pgfeed.log", "tables of your own"),
    ] {
        let refused = session.refused(&format!("select pgfeed.watch('{table}')")).await;
        assert!(refused.contains(mend), "{table}: {refused}");
    }
    assert!(
        session.refused("select pgfeed.watch('t', 'loud')").await.contains("auto, always or never")
    );
    assert!(
        session.refused("select pgfeed.watch('t', level => 'cell')").await.contains("auto or row")
    );
    assert_eq!(session.value("select count(*) from pgfeed.watch_list").await, "0");
}

#[tokio::test]
async fn triggers_that_are_right_are_left_alone() {
    let (database, session) = Database::with_feed().await;
    session.run("create table t (id integer primary key); select pgfeed.watch('t')").await;
    let made = "select xmin, oid from pg_trigger where not tgisinternal order by oid";
    let before = session.rows(made).await;
    session.run("select pgfeed.watch('t')").await;
    database.install(None).await;
    assert_eq!(session.rows(made).await, before);
    session.run("select pgfeed.watch('t', 'always')").await;
    let arguments =
        "select distinct encode(tgargs, 'escape') from pg_trigger where not tgisinternal";
    assert_eq!(session.rows(arguments).await, [r"1\000always\000plain\000"]);
    assert!(session.log().await.is_empty(), "nothing went unseen");
}

#[tokio::test]
async fn a_watch_that_does_not_say_how_leaves_it_as_it_was() {
    let (database, mut session) = Database::with_feed().await;
    let asked = "select wake, level from pgfeed.watch_list";
    session.run("create table profiles (id integer primary key)").await;
    session.run("select pgfeed.watch('profiles')").await;
    assert_eq!(session.rows(asked).await, ["auto|auto"], "where nobody ever said");
    session.run("select pgfeed.watch('profiles', wake => 'never', level => 'row')").await;
    assert_eq!(session.value("select pgfeed.watch('profiles')").await, "row");
    let names = ["profiles".to_owned()];
    install::watch(&mut session.client, &names).await.expect("it is there");
    session.run(&install::stand_alone_script()).await;
    database.install(None).await;
    assert_eq!(session.rows(asked).await, ["never|row"]);
    session.run("begin; insert into profiles values (1); prepare transaction 'still'").await;
    session.run("commit prepared 'still'").await;
    session.run("select pgfeed.watch('profiles', wake => 'always')").await;
    assert_eq!(session.rows(asked).await, ["always|row"], "one of them");
    session.run("select pgfeed.watch('profiles', 'auto', 'auto')").await;
    assert_eq!(session.rows(asked).await, ["auto|auto"]);
}

#[tokio::test]
async fn a_watch_after_triggers_were_off_leaves_a_gap_mark() {
    let (_database, session) = Database::with_feed().await;
    session.run("create table t (id integer primary key); select pgfeed.watch('t')").await;
    for damage in ["alter table t disable trigger all", "drop trigger \"00_pgfeed_update\" on t"] {
        session.run(damage).await;
        session.forget().await;
        session.run("select pgfeed.watch('t')").await;
        assert_eq!(
            session.rows("select watch, rel::regclass, op from pgfeed.log").await,
            ["1|t|G"]
        );
    }
}

#[tokio::test]
async fn unwatch_leaves_nothing_behind() {
    let (_database, session) = Database::with_feed().await;
    session
        .run(
            "create table ev (id integer) partition by list (id); \
             create table ev_1 partition of ev for values in (1); \
             create table par (id integer); create table kid () inherits (par); \
             select pgfeed.watch('ev'), pgfeed.watch('par'); \
             alter table kid no inherit par",
        )
        .await;
    assert_eq!(session.value("select pgfeed.unwatch('ev')").await, "5");
    assert_eq!(session.value("select pgfeed.unwatch('par')").await, "8");
    assert_eq!(session.value("select pgfeed.unwatch('par')").await, "0");
    assert!(session.rows(TRIGGERS).await.is_empty());
    assert_eq!(session.value("select count(*) from pgfeed.watched").await, "0");
    session.run("insert into ev values (1); insert into kid values (1)").await;
    assert!(session.log().await.is_empty());
}

#[tokio::test]
async fn a_trigger_by_hand_gives_way_to_a_watch() {
    let (_database, session) = Database::with_feed().await;
    session
        .run(
            "create table t (id integer primary key); create trigger by_hand after insert on t \
               for each row execute function notify_table_change(); select pgfeed.watch('t')",
        )
        .await;
    session.run("insert into t values (1)").await;
    assert_eq!(session.log().await, [r#"I||{"id":1}|"#]);
}

#[tokio::test]
async fn a_dropped_table_leaves_the_registry_with_the_next_watch() {
    let (_database, session) = Database::with_feed().await;
    session.run("create table t (id integer); create table u (id integer)").await;
    session.run("select pgfeed.watch('t'); drop table t").await;
    assert!(session.rows("select * from pgfeed.watched").await.is_empty());
    session.run("select pgfeed.watch('u')").await;
    assert_eq!(session.rows("select rel from pgfeed.watch_list").await, ["u"]);
}

#[tokio::test]
async fn tables_are_named_by_text_without_quoting_or_folding() {
    let (_database, mut session) = Database::with_feed().await;
    session
        .run(
            "create schema \"My.S\"; create schema s; create table s.\"T.x\" (id integer); \
             create table \"Upper\" (id integer)",
        )
        .await;
    let names = ["s.T.x".to_owned(), "Upper".to_owned()];
    let watched = install::watch(&mut session.client, &names).await.expect("both are there");
    assert_eq!(watched[1].table, "Upper");
    assert_eq!(watched[1].level, "statement");
    let missing = ["Upper".to_owned(), "upper".to_owned()];
    let error = install::unwatch(&mut session.client, &missing).await.expect_err("folding");
    assert!(matches!(error, InstallError::NoTable { .. }), "{error}");
    assert_eq!(session.value("select count(*) from pgfeed.watched").await, "2", "all or none");
    assert_eq!(install::unwatch(&mut session.client, &names).await.expect("both"), 8);
}

#[tokio::test]
async fn errors_of_watch_carry_the_mend() {
    let (_database, mut session) = Database::with_feed().await;
    session.run("create table t (id integer); create view v as select * from t").await;
    let names = ["v".to_owned()];
    let error = install::watch(&mut session.client, &names).await.expect_err("a view");
    assert!(told(&error).contains("watch the tables behind it"), "{}", told(&error));
    let database = database("plain").await;
    let mut session = database.session().await;
    let error = install::watch(&mut session.client, &names).await.expect_err("no feed");
    assert!(told(&error).contains("pgfeed install"), "{}", told(&error));
}

#[tokio::test]
async fn a_member_of_the_owner_watches_and_the_owner_alone_does_not() {
    let (database, session) = Database::with_feed().await;
    let admin = database.session_of("postgres").await;
    admin
        .run(
            "create role shop_owner login; create schema shop authorization shop_owner; \
             set role shop_owner; create table shop.t (id integer primary key)",
        )
        .await;
    let refused = session
        .refused(
            "select pgfeed.watch((select oid from pg_class \
         where relname = 't' and relnamespace = 'shop'::regnamespace)::regclass)",
        )
        .await;
    assert!(refused.contains("grant shop_owner to builder;"), "{refused}");
    let owner = database.session_of("shop_owner").await;
    assert!(owner.refused("select pgfeed.watch('shop.t')").await.starts_with("42501"));
    admin.run("reset role; grant shop_owner to builder").await;
    session.run("select pgfeed.watch('shop.t')").await;
    owner.run("insert into shop.t values (1)").await;
    assert_eq!(session.log().await, [r#"I||{"id":1}|"#]);
}
