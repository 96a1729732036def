//! Partitions and children are told under the table that was watched.

use super::support::{Database, Session};

const SEEN: &str = "select op::text || ' ' || watch || ' ' || rel::regclass || ' ' || \
                      coalesce(coalesce(new, old)->>'id', '') from pgfeed.log order by id";

const PARTITIONED: &str = "
    create table ev (id integer, k integer, v integer, primary key (id, k)) partition by list (k);
    create table ev_1 partition of ev for values in (1);
    create table ev_2 partition of ev for values in (2);
    select pgfeed.watch('ev');";

#[tokio::test]
async fn partitions_are_captured_however_they_are_written() {
    let (_database, session) = Database::with_feed().await;
    session.run(PARTITIONED).await;
    session.run("insert into ev values (1, 1, 0); insert into ev_1 values (2, 1, 0)").await;
    session.run("create table ev_3 partition of ev for values in (3); insert into ev_3 values (3, 3, 0)").await;
    session.run("create table ev_4 (id integer not null, k integer not null, v integer, primary key (id, k))").await;
    session.run("alter table ev attach partition ev_4 for values in (4); insert into ev_4 values (4, 4, 0)").await;
    session.run("update ev set k = 2 where id = 1; delete from ev_2").await;
    assert_eq!(
        session.rows(SEEN).await,
        [
            "I 1 ev_1 1",
            "I 1 ev_1 2",
            "I 1 ev_3 3",
            "I 1 ev_4 4",
            "D 1 ev_1 1",
            "I 1 ev_2 1",
            "D 1 ev_2 1"
        ]
    );
}

#[tokio::test]
async fn triggers_of_partitions_fire_for_replicated_writes() {
    let (database, session) = Database::with_feed().await;
    session.run(PARTITIONED).await;
    session.run("create table ev_3 partition of ev for values in (3)").await;
    let admin = database.session_of("postgres").await;
    admin.run("set session_replication_role = replica; insert into ev_1 values (1, 1, 0)").await;
    admin.run("insert into ev values (3, 3, 0)").await;
    assert_eq!(session.rows(SEEN).await, ["I 1 ev_1 1", "I 1 ev_3 3"]);
}

#[tokio::test]
async fn truncate_of_the_whole_clears_and_of_a_part_leaves_a_gap_mark() {
    let (_database, session) = Database::with_feed().await;
    session.run(PARTITIONED).await;
    session.run("truncate ev").await;
    assert_eq!(session.rows(SEEN).await, ["T 1 ev "]);
    session.forget().await;
    session.run("truncate ev_1").await;
    assert_eq!(session.rows(SEEN).await, ["G 1 ev_1 "]);
    session.forget().await;
    session.run("begin; truncate ev; insert into ev values (1, 1, 1); truncate ev_1; commit").await;
    assert_eq!(session.rows(SEEN).await, ["T 1 ev ", "I 1 ev_1 1", "G 1 ev_1 "]);
}

#[tokio::test]
async fn truncate_of_a_part_by_a_transaction_older_than_the_watch_leaves_a_gap_mark() {
    let (database, session) = Database::with_feed().await;
    let old = database.session().await;
    old.run("begin isolation level repeatable read; select count(*) from pgfeed.watch_list").await;
    session.run(PARTITIONED).await;
    old.run("truncate ev_1; commit").await;
    assert_eq!(session.rows(SEEN).await, ["G 1 ev_1 "]);
}

#[tokio::test]
async fn children_are_told_under_their_parent() {
    let (_database, session) = Database::with_feed().await;
    session
        .run(
            "create table par (id integer primary key, v integer); \
             create table kid (extra text) inherits (par); select pgfeed.watch('par'); \
             insert into kid values (1, 1, 'e'); insert into par values (2, 2); \
             update par set v = v + 1; truncate kid",
        )
        .await;
    assert_eq!(
        session.rows(SEEN).await,
        ["I 1 kid 1", "I 1 par 2", "U 1 par 2", "U 1 kid 1", "G 1 kid "]
    );
    session.forget().await;
    session.run("insert into kid values (1, 1, 'e'); truncate only par").await;
    let seen = session.rows(SEEN).await;
    assert_eq!(seen, ["I 1 kid 1", "G 1 par "], "rows of the child are still there");
}

#[tokio::test]
async fn a_row_is_never_told_twice_through_parent_and_part() {
    let (_database, session) = Database::with_feed().await;
    session.run(PARTITIONED).await;
    let refused = session.refused("select pgfeed.watch('ev_1')").await;
    assert!(refused.contains("pgfeed.unwatch('public.ev')"), "{refused}");
    session.run("select pgfeed.unwatch('ev'); select pgfeed.watch('ev_1')").await;
    let refused = session.refused("select pgfeed.watch('ev')").await;
    assert!(refused.contains("pgfeed.unwatch('public.ev_1')"), "{refused}");
}

/// What gateways do when they look at the tables; gives the gap marks that it leaves.
async fn noted(session: &Session) -> usize {
    session.run("select pgfeed.note_shapes(array['ev'::regclass::oid], array[1::bigint])").await;
    let gaps = session.rows("select op from pgfeed.log where op = 'G'").await.len();
    session.run("delete from pgfeed.log").await;
    gaps
}

const ATTACH: &str = "alter table ev attach partition ev_9 for values in (9)";
const BESIDE: &str = "create table ev_9 (id integer not null, k integer not null, v integer)";

#[tokio::test]
async fn rows_that_come_or_go_with_a_partition_leave_a_gap_mark() {
    for (before, moved) in [
        ("insert into ev values (1, 1, 0)", "drop table ev_1".to_owned()),
        ("insert into ev values (1, 1, 0)", "alter table ev detach partition ev_1".to_owned()),
        (
            "insert into ev values (1, 1, 0)",
            "alter table ev detach partition ev_1; delete from ev_1; \
             alter table ev attach partition ev_1 for values in (1)"
                .to_owned(),
        ),
        (BESIDE, format!("insert into ev_9 values (1, 9, 0); {ATTACH}")),
        (
            "create table ev_9 (id integer not null, k integer not null, v integer) \
             partition by list (k); create table ev_9_9 partition of ev_9 for values in (9)",
            format!("insert into ev_9 values (1, 9, 0); {ATTACH}"),
        ),
        // In one transaction, as all that is run at once.
        ("select 1", format!("{BESIDE}; insert into ev_9 values (1, 9, 0); {ATTACH}")),
        (
            "select 1",
            format!(
                "create table ev_8 (like ev including all); insert into ev_8 values (1, 9, 0); \
                 alter table ev_8 rename to ev_9; {ATTACH}"
            ),
        ),
        (
            "select 1",
            format!(
                "create table ev_9 partition of ev for values in (9); \
                 alter table ev detach partition ev_9; insert into ev_9 values (1, 9, 0); {ATTACH}"
            ),
        ),
    ] {
        let (_database, session) = Database::with_feed().await;
        session.run(PARTITIONED).await;
        session.run(before).await;
        assert_eq!(noted(&session).await, 0, "{before}");
        session.run(&moved).await;
        assert_eq!(noted(&session).await, 1, "{moved}");
        assert_eq!(noted(&session).await, 0, "once is enough: {moved}");
    }
}

#[tokio::test]
async fn a_partition_that_moves_no_rows_leaves_none() {
    let (_database, session) = Database::with_feed().await;
    session.run(PARTITIONED).await;
    session.run("insert into ev values (1, 1, 0)").await;
    assert_eq!(noted(&session).await, 0);
    for harmless in [
        "begin; create table ev_5 partition of ev for values in (5); \
         insert into ev values (5, 5, 0); commit",
        "begin; create table ev_6 partition of ev (v default 6, check (v > 0)) for values in (6) \
         partition by list (id); create table ev_66 partition of ev_6 for values in (6); \
         insert into ev values (6, 6); commit",
        "create table ev_3 partition of ev for values in (3); insert into ev values (3, 3, 0)",
        &format!("{BESIDE}; {ATTACH}"),
        "insert into ev values (9, 9, 0); alter table ev_9 rename to ev_nine",
        "alter table ev_1 rename to ev_one; create role ev_owner; \
         grant ev_owner to builder; grant create on schema public to ev_owner; \
         alter table ev_one owner to ev_owner; alter table ev_one owner to builder",
        "vacuum full ev_one; analyze ev",
    ] {
        for command in harmless.split("; ") {
            session.run(command).await;
        }
        assert_eq!(noted(&session).await, 0, "{harmless}");
    }
}

const INSERT: &str = "insert into ev_1 values (1, 1, 0)";

#[tokio::test]
async fn triggers_of_a_partition_that_were_off_leave_a_gap_mark() {
    let always = "alter table ev_1 enable always trigger \"00_pgfeed_insert\"";
    for passed in [
        format!(
            "alter table ev_1 disable trigger user; {INSERT}; alter table ev_1 enable trigger user"
        ),
        format!("alter table ev_1 disable trigger user; {INSERT}; {always}"),
        format!("alter table ev_1 disable trigger \"00_pgfeed_insert\"; {INSERT}; {always}"),
        "create table ev_3 partition of ev for values in (3); \
         alter table ev_3 disable trigger user; insert into ev values (1, 3, 0); \
         alter table ev_3 enable trigger user"
            .to_owned(),
    ] {
        let (_database, session) = Database::with_feed().await;
        session.run(PARTITIONED).await;
        assert_eq!(noted(&session).await, 0);
        session.run(&passed).await;
        assert_eq!(noted(&session).await, 1, "{passed}");
        assert_eq!(noted(&session).await, 0, "once is enough: {passed}");
        session.run("create table ev_5 partition of ev for values in (5)").await;
        assert_eq!(noted(&session).await, 0, "{passed}");
    }
}

#[tokio::test]
async fn triggers_by_hand_of_a_partition_that_were_off_leave_a_gap_mark() {
    let (_database, session) = Database::with_feed().await;
    session
        .run(
            "create table ev (id integer, k integer, v integer, primary key (id, k)) \
               partition by list (k); \
             create trigger by_hand after insert or update or delete on ev \
               for each row execute function notify_table_change(); \
             create table ev_1 partition of ev for values in (1)",
        )
        .await;
    assert_eq!(noted(&session).await, 0);
    session.run("create table ev_2 partition of ev for values in (2)").await;
    session.run("insert into ev values (1, 2, 0)").await;
    assert_eq!(noted(&session).await, 0, "one that is made is as its parent");
    session
        .run(&format!(
            "alter table ev_1 disable trigger user; {INSERT}; alter table ev_1 enable trigger user"
        ))
        .await;
    assert_eq!(noted(&session).await, 1);
}

#[tokio::test]
async fn an_expression_set_in_a_partition_alone_leaves_a_gap_mark() {
    let (_database, session) = Database::with_feed().await;
    let version = session.value("show server_version_num").await;
    if version.parse::<u32>().expect("a number") < 170_000 {
        return;
    }
    session
        .run(
            "create table ev (id integer, k integer, v integer generated always as (id) stored, \
                              primary key (id, k)) partition by list (k); \
             create table ev_1 partition of ev for values in (1); select pgfeed.watch('ev')",
        )
        .await;
    session.run("insert into ev values (1, 1)").await;
    assert_eq!(noted(&session).await, 0);
    session.run("create table ev_2 partition of ev for values in (2)").await;
    assert_eq!(noted(&session).await, 0);
    session.run("alter table ev_1 alter v set expression as (id * 2)").await;
    assert_eq!(noted(&session).await, 1);
}
