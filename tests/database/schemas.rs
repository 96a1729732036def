//! Tables outside `public`: their schema is shared with who needs it, and who may not use it costs a
//! writer nothing.

use super::support::{Database, Session};

const LARGE: &str = "select 1, string_agg(md5(g::text), '') from generate_series(1, 20000) g";

/// Tables of a schema that nobody else may use. A write to `a` writes to `b` by a trigger, so that
/// the rest of its transaction is captured with care.
async fn scene() -> (Database, Session) {
    let (database, session) = Database::with_feed().await;
    session
        .run(
            "create schema sales; create table sales.a (id integer primary key, v text); \
             create table sales.b (id integer primary key); \
             select pgfeed.watch('sales.a'), pgfeed.watch('sales.b'); \
             create function sales.f() returns trigger language plpgsql as $$ begin \
               insert into sales.b values (new.id); return null; end $$; \
             create trigger f after insert on sales.a for each row execute function sales.f()",
        )
        .await;
    (database, session)
}

const SEEN: &str = "select op::text || ' ' || coalesce(rel::regclass::text, '') || ' ' || \
                      coalesce(coalesce(new, old)->>'id', '') from pgfeed.log order by id";

#[tokio::test]
async fn rows_that_need_care_are_logged_whole() {
    let (_database, session) = scene().await;
    session.run(&format!("insert into sales.a {LARGE}")).await;
    session.run("begin; insert into sales.a values (2, 'x'); delete from sales.b; commit").await;
    let seen = session.rows(SEEN).await;
    assert!(seen.iter().any(|it| it == "I sales.a 1"), "{seen:?}");
    assert_eq!(seen[seen.len() - 2..], ["D sales.b 1", "D sales.b 2"], "{seen:?}");
}

#[tokio::test]
async fn a_row_that_a_trigger_writes_again_is_looked_up() {
    let (_database, session) = Database::with_feed().await;
    session
        .run(
            "create schema sales; create table sales.t (id integer primary key, n integer); \
             create function sales.bump() returns trigger language plpgsql as $$ begin \
               update sales.t set n = n + 1 where id = new.id; return null; end $$; \
             create trigger \"000_bump\" after insert on sales.t \
               for each row execute function sales.bump(); select pgfeed.watch('sales.t')",
        )
        .await;
    session.run("insert into sales.t values (1, 1)").await;
    assert_eq!(
        session.log().await.last().map(String::as_str),
        Some(r#"I||{"id":1,"n":2}|"#),
        "as it stands at the end"
    );
}

#[tokio::test]
async fn without_the_schema_the_write_goes_on_and_leaves_a_gap() {
    let (_database, session) = scene().await;
    session.run("revoke usage on schema sales from pgfeed_owner").await;
    session.run(&format!("insert into sales.a {LARGE}")).await;
    session.run("begin; insert into sales.a values (2, 'x'); delete from sales.b; commit").await;
    let seen = session.rows(SEEN).await;
    assert_eq!(seen.iter().filter(|it| *it == "G sales.b ").count(), 1, "{seen:?}");
    assert!(seen.contains(&"G sales.a ".to_owned()), "{seen:?}");
    assert_eq!(session.value("select count(*) from sales.a").await, "2");
    let told = "select detail, mend from pgfeed.status() where \"check\" = 'privileges' order by 1";
    assert_eq!(
        session.rows(told).await[0],
        "pgfeed_owner may not use schema sales, where sales.a is: large rows leave a gap\
         |grant usage on schema sales to pgfeed_owner;"
    );
}

#[tokio::test]
async fn a_gateway_may_read_them() {
    let (database, session) = scene().await;
    session.run("create role gw_schemas login; select pgfeed.grant_to('gw_schemas')").await;
    let gateway = database.session_of("gw_schemas").await;
    gateway.run("select * from sales.a").await;
    session.run("create schema later; create table later.t (id integer primary key)").await;
    session.run("select pgfeed.watch('later.t')").await;
    gateway.run("select * from later.t").await;
    session.run("revoke usage on schema later from gw_schemas").await;
    let told = "select status, detail from pgfeed.status() where \"check\" = 'privileges'";
    let lost = "fail|gw_schemas may not use schema later, where later.t is";
    assert_eq!(session.rows(told).await, [lost]);
    session.run("select pgfeed.watch('later.t')").await;
    gateway.run("select * from later.t").await;
}
