//! Code that others wrote for their types is not run by the trigger functions, who may write the
//! log.

use super::support::{Database, Session};

/// Mallory owns a watched table and a type, and nothing else.
const MALLORY: &str = "
    do $$ begin create role mallory_cast login; exception when duplicate_object then null; end $$;
    create schema m authorization mallory_cast; grant usage on schema m to public;
    grant mallory_cast to builder;
    set role mallory_cast;
    create type m.e as enum ('a');
    create function m.g(m.e) returns json language plpgsql as $$ begin
      insert into pgfeed.log (watch, op, new) values (1, 'I', '{\"id\":666}');
      return '1'; end $$;
    create table m.notes (id integer primary key);
    reset role;";

const CAST: &str = "set role mallory_cast; create cast (m.e as json) with function m.g(m.e)";

async fn scene() -> (Database, Session, Session) {
    let (database, session) = Database::with_feed().await;
    let admin = database.session_of("postgres").await;
    admin.run(MALLORY).await;
    session.run("create table t (id integer primary key); select pgfeed.watch('t')").await;
    (database, session, admin)
}

#[tokio::test]
async fn code_of_others_keeps_a_table_off_the_feed() {
    for types in [
        "m.e",
        "m.e[]",
        "m.d; create domain m.d as m.e",
        "m.d[]; create domain m.d as m.e",
        "m.c; create type m.c as (x m.e[])",
    ] {
        let (_database, session, admin) = scene().await;
        admin.run(CAST).await;
        let (column, make) = types.split_once("; ").unwrap_or((types, "select 1"));
        admin.run(make).await;
        admin.run(&format!("alter table m.notes add x {column}")).await;
        let refused = session.refused("select pgfeed.watch('m.notes')").await;
        assert!(
            refused.contains("42501 m.notes: the cast to json of m.e calls m.g(m.e)"),
            "{refused}"
        );
        assert!(refused.contains("drop cast (m.e as json);"), "{refused}");
        assert_eq!(session.value("select count(*) from pgfeed.watched").await, "1");
        admin.run("reset role; alter function m.g(m.e) owner to builder").await;
        session.run("select pgfeed.watch('m.notes')").await;
    }
}

#[tokio::test]
async fn code_of_others_in_a_partition_or_in_a_key_keeps_a_table_off_the_feed() {
    let (_database, session, admin) = scene().await;
    admin.run(CAST).await;
    admin.run("create table m.kid (x m.e) inherits (m.notes)").await;
    let refused = session.refused("select pgfeed.watch('m.notes')").await;
    assert!(refused.contains("the cast to json of m.e"), "{refused}");
    admin
        .run(
            "drop table m.kid; create function m.h(integer) returns boolean language plpgsql \
               as $$ begin return true; end $$; \
             create domain m.n as integer constraint fine check (m.h(value)); \
             create type m.c as (x m.n); create table m.keyed (id m.c primary key, other m.n)",
        )
        .await;
    let refused = session.refused("select pgfeed.watch('m.keyed')").await;
    assert!(refused.contains("the check of m.n calls m.h(integer)"), "{refused}");
    assert!(refused.contains("alter domain m.n drop constraint fine;"), "{refused}");
    session.run("select pgfeed.watch('m.notes')").await;
}

#[tokio::test]
async fn code_of_others_made_after_the_watch_is_found() {
    let (database, session, admin) = scene().await;
    session.run("select pgfeed.watch('m.notes')").await;
    let failed = "select \"check\", status, detail from pgfeed.status() where status = 'fail'";
    admin.run("set role mallory_cast; alter table m.notes add x m.e").await;
    assert!(session.rows(failed).await.is_empty());
    admin.run(CAST).await;
    assert_eq!(
        session.rows(failed).await,
        [
            "privileges|fail|m.notes: the cast to json of m.e calls m.g(m.e) of mallory_cast, \
             as who may write the log",
            "triggers|fail|m.notes: trigger 00_pgfeed_delete on m.notes is outdated",
            "triggers|fail|m.notes: trigger 00_pgfeed_insert on m.notes is outdated",
            "triggers|fail|m.notes: trigger 00_pgfeed_truncate on m.notes is outdated",
            "triggers|fail|m.notes: trigger 00_pgfeed_update on m.notes is outdated",
        ]
    );
    session.refused("select pgfeed.watch('m.notes')").await;
    // It goes on being upgraded, and the finding stays.
    database.install(None).await;
    assert_eq!(session.rows(failed).await.len(), 5);
    admin.run("drop cast (m.e as json)").await;
    assert!(session.rows(failed).await.is_empty());
}

#[tokio::test]
async fn a_domain_is_not_checked_by_the_trigger_functions() {
    let (_database, session, admin) = scene().await;
    admin
        .run(
            "set role mallory_cast; \
             create function m.h(text) returns boolean language plpgsql as $$ begin \
               if current_user = 'pgfeed_owner' then raise exception 'checked'; end if; \
               return true; end $$; \
             create domain m.v as text check (m.h(value)); create domain m.k as m.v; \
             create table m.t (id m.k, \"a b\" char(3), v m.v, n integer, primary key (\"a b\", id)); \
             create function m.bump() returns trigger language plpgsql as $$ begin \
               if new.n < 2 then update m.t set n = n + 1 where id = new.id; end if; \
               return null; end $$; \
             create trigger \"00_bump\" after insert or update on m.t \
               for each row execute function m.bump(); reset role",
        )
        .await;
    session.run("select pgfeed.watch('m.t')").await;
    session.run("insert into m.t values ('x', 'y', 'z', 0)").await;
    let ops = "select op, new->>'n' from pgfeed.log order by id";
    let seen = session.rows(ops).await;
    assert!(seen.iter().all(|it| ["I|2", "U|2", "U|1"].contains(&&**it)), "{seen:?}");
    assert_eq!(seen.last().map(String::as_str), Some("I|2"), "as it is at the end: {seen:?}");
}
