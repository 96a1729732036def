//! Triggers that change the same rows again: the last thing logged of a row must be its last state.

use super::support::{Database, Session};

/// Applies the log by effect, as a client does, and compares with the table.
const REPLAY: &str = "
    create function replay(p_filter text default 'true') returns table (id integer, n integer)
    language plpgsql as $$
    declare
      v_change record;
      v_in     boolean;
    begin
      create temp table held (id integer primary key, n integer) on commit drop;
      for v_change in select * from pgfeed.log l where l.op in ('I', 'U', 'D') order by l.id loop
        if v_change.old is not null then
          execute format('select %s from json_populate_record(null::t, $1) t', p_filter)
            into v_in using v_change.old;
          if v_in then delete from held h where h.id = (v_change.old->>'id')::integer; end if;
        end if;
        if v_change.new is not null then
          execute format('select %s from json_populate_record(null::t, $1) t', p_filter)
            into v_in using v_change.new;
          if v_in then
            delete from held h where h.id = (v_change.new->>'id')::integer;
            insert into held values ((v_change.new->>'id')::integer, (v_change.new->>'n')::integer);
          end if;
        end if;
      end loop;
      return query select * from held h order by h.id;
    end $$;";

async fn with_table(more: &str, level: &str) -> (Database, Session) {
    let (database, session) = Database::with_feed().await;
    session.run(REPLAY).await;
    session.run("create table t (id integer primary key, n integer)").await;
    session.run(more).await;
    session.run(&format!("select pgfeed.watch('t', level => '{level}')")).await;
    (database, session)
}

async fn holds(session: &Session, context: &str) {
    for filter in ["true", "n % 2 = 0", "n < 3"] {
        let quoted = filter.replace('\'', "''");
        assert_eq!(
            session.rows(&format!("select * from replay('{quoted}')")).await,
            session.rows(&format!("select id, n from t where {filter} order by id")).await,
            "{context}, filter {filter}, log {:#?}",
            session.log().await
        );
    }
}

#[tokio::test]
async fn a_trigger_that_updates_the_row_again_keeps_the_order() {
    for name in ["aaa_bump", "00_a_bump", "zzz_bump"] {
        let bump = format!(
            "create function bump() returns trigger language plpgsql as $$ begin \
               if new.n < 5 then update t set n = n + 1 where id in (new.id, new.id + 1); end if; \
               return null; end $$; \
             create trigger \"{name}\" after insert or update on t \
               for each row execute function bump()"
        );
        let (_database, session) = with_table(&bump, "auto").await;
        session.run("insert into t values (1, 1), (2, 2), (3, 7)").await;
        holds(&session, name).await;
        session.run("update t set n = 0; update t set n = n + 1 where id = 2").await;
        holds(&session, name).await;
    }
}

#[tokio::test]
async fn a_trigger_that_deletes_rows_of_the_statement_keeps_the_order() {
    let sweep = "create function sweep() returns trigger language plpgsql as $$ begin \
                   delete from t where id = new.id + 1; return null; end $$; \
                 create trigger sweep after insert or update on t \
                   for each row execute function sweep()";
    let (_database, session) = with_table(sweep, "auto").await;
    session.run("insert into t values (1, 1), (3, 2), (4, 4), (6, 6)").await;
    holds(&session, "after insert").await;
    session.run("alter table t disable trigger sweep; insert into t values (2, 2), (4, 4)").await;
    session.run("alter table t enable trigger sweep; update t set n = n + 1").await;
    holds(&session, "after update").await;
}

#[tokio::test]
async fn a_trigger_that_brings_deleted_rows_back_keeps_the_order() {
    for level in ["auto", "row"] {
        let back = "create function back() returns trigger language plpgsql as $$ begin \
                      insert into t values (old.id + 1, 9) on conflict (id) do nothing; return null; \
                    end $$; \
                    create trigger back after delete on t for each row execute function back()";
        let (_database, session) = with_table(back, level).await;
        session.run("insert into t values (1, 1), (2, 2), (3, 3)").await;
        session.run("delete from t where id < 3").await;
        holds(&session, level).await;
    }
}

#[tokio::test]
async fn a_trigger_made_after_the_watch_leaves_gap_marks_until_the_next_watch() {
    let (_database, session) = with_table("create table other (id integer)", "auto").await;
    session
        .run(
            "create function bump() returns trigger language plpgsql as $$ begin \
               update t set n = n + 1 where id = new.id; return null; end $$; \
             create trigger bump after insert on t for each row execute function bump()",
        )
        .await;
    session.run("insert into t values (1, 1), (2, 2)").await;
    assert_eq!(session.log().await.last().map(String::as_str), Some("G|||"));
    session.run("delete from t; delete from pgfeed.log; select pgfeed.watch('t')").await;
    session.run("insert into t values (1, 1), (2, 2)").await;
    holds(&session, "watched again").await;
}

#[tokio::test]
async fn a_key_that_is_taken_over_keeps_the_order() {
    let takeover = "create function takeover() returns trigger language plpgsql as $$ begin \
                      if new.id <> old.id then insert into t values (old.id, 4); end if; \
                      return null; end $$; \
                    create trigger takeover after update on t \
                      for each row execute function takeover()";
    let (_database, session) = with_table(takeover, "auto").await;
    session.run("insert into t values (1, 1), (2, 2)").await;
    session.run("update t set id = id + 10, n = n + 1").await;
    holds(&session, "keys").await;
}

#[tokio::test]
async fn cascades_within_the_table_keep_the_order() {
    let (_database, session) = with_table(
        "alter table t add up integer references t on delete cascade on update cascade",
        "auto",
    )
    .await;
    session.run("insert into t values (1, 1, null), (2, 2, 1), (3, 3, 2), (4, 4, null)").await;
    session.run("update t set id = id + 10 where id in (1, 2)").await;
    holds(&session, "update").await;
    session.run("delete from t where id = 11").await;
    holds(&session, "delete").await;
}

/// What cannot be seen of a row that was changed again is told by a gap mark behind it.
async fn ends_in_a_gap(session: &Session, statement: &str) {
    session.run("delete from pgfeed.log").await;
    session.run(statement).await;
    assert_eq!(session.log().await.last().map(String::as_str), Some("G|||"), "{statement}");
}

#[tokio::test]
async fn a_row_that_a_trigger_before_the_write_changes_again_leaves_a_gap_mark() {
    // The rows of a statement are captured after all of them are written.
    let only_one = "create function only_one() returns trigger language plpgsql as $$ begin \
                      update t set n = 0 where id <> new.id; return new; end $$; \
                    create trigger only_one before insert on t \
                      for each row execute function only_one()";
    for level in ["auto", "row"] {
        let (_database, session) = with_table(only_one, level).await;
        ends_in_a_gap(&session, "insert into t values (1, 1), (2, 2)").await;
    }
}

#[tokio::test]
async fn a_row_that_a_trigger_of_another_table_changes_again_leaves_a_gap_mark() {
    let total = "create table item (id integer primary key, of_t integer, amount integer); \
                 create function total() returns trigger language plpgsql as $$ begin \
                   update t set n = n + new.amount where id = new.of_t; return null; end $$; \
                 create trigger total after insert on item for each row execute function total()";
    let (_database, session) = with_table(total, "auto").await;
    session.run("insert into t values (1, 1), (2, 2)").await;
    let with = "with i as (insert into item values (1, 1, 10) returning of_t)";
    ends_in_a_gap(&session, &format!("{with} update t set n = n + 1 from i where id = of_t")).await;
    // One after the other nothing is hidden: the row is as the later statement made it.
    session.run("delete from pgfeed.log; begin").await;
    session.run("insert into item values (2, 2, 10)").await;
    session.run("update t set n = n + 1 where id = 2").await;
    session.run("commit").await;
    assert!(!session.log().await.iter().any(|row| row.starts_with('G')));
}

#[tokio::test]
async fn a_table_that_no_trigger_changed_gets_no_gap_mark_for_another() {
    let rooms = "create table room (id integer primary key, n integer); \
                 insert into room values (1, 0); select pgfeed.watch('room'); \
                 create function count_up() returns trigger language plpgsql as $$ begin \
                   update room set n = n + 1; return null; end $$; \
                 create trigger count_up after insert on t for each row execute function count_up()";
    let (_database, session) = with_table(rooms, "auto").await;
    session.run("alter table t enable row level security").await;
    session.run("insert into t values (1, 1), (2, 2)").await;
    assert!(!session.log().await.iter().any(|row| row.starts_with('G')));
}

#[tokio::test]
async fn a_key_that_a_statement_gives_to_another_row_is_told_in_order_by_row() {
    let (_database, session) = with_table("", "row").await;
    session.run("insert into t values (1, 1), (2, 2)").await;
    session
        .run(
            "with d as (delete from t where id = 1 returning id) \
             update t set id = d.id from d where t.id = 2",
        )
        .await;
    holds(&session, "update").await;
    session
        .run("with d as (delete from t returning id) insert into t select id, 9 from d limit 1")
        .await;
    holds(&session, "insert").await;
}
