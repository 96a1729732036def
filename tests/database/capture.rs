//! What triggers log.

use super::support::Database;

const LEVELS: [&str; 2] = ["auto", "row"];

#[tokio::test]
async fn each_operation_is_logged_with_its_images() {
    for level in LEVELS {
        let (_database, session) = Database::with_feed().await;
        session.run("create table t (id integer primary key, v text)").await;
        session.run(&format!("select pgfeed.watch('t', level => '{level}')")).await;
        session.run("insert into t values (1, 'a'), (2, 'b')").await;
        session.run("update t set v = 'c' where id = 1; delete from t where id = 2").await;
        session.run("truncate t").await;
        assert_eq!(
            session.log().await,
            [
                r#"I||{"id":1,"v":"a"}|"#,
                r#"I||{"id":2,"v":"b"}|"#,
                r#"U||{"id":1,"v":"c"}|{"id":1,"v":"a"}"#,
                r#"D|||{"id":2,"v":"b"}"#,
                "T|||",
            ],
            "level {level}"
        );
        let named = "select distinct watch, rel::regclass from pgfeed.log";
        assert_eq!(session.rows(named).await, ["1|t"]);
    }
}

#[tokio::test]
async fn what_changes_nothing_is_not_logged() {
    let (_database, session) = Database::with_feed().await;
    session.run("create table t (id integer primary key, v text, n numeric)").await;
    session.run("select pgfeed.watch('t'); insert into t values (1, 'a', 1.0)").await;
    session.forget().await;
    session
        .run("update t set v = v; update t set v = 'z' where id = 9; delete from t where false")
        .await;
    session.run("insert into t select 1, 'a', 1 where false").await;
    assert!(session.log().await.is_empty());
    session.run("update t set n = 1.00").await;
    assert_eq!(session.log().await.len(), 1, "equal, but another text");
}

#[tokio::test]
async fn a_rolled_back_change_is_not_logged() {
    let (_database, session) = Database::with_feed().await;
    session.run("create table t (id integer primary key); select pgfeed.watch('t')").await;
    session.run("begin; insert into t values (1); rollback").await;
    session
        .run(
            "begin; insert into t values (2); savepoint s; insert into t values (3); \
             rollback to s; insert into t values (4); commit",
        )
        .await;
    assert_eq!(session.log().await, [r#"I||{"id":2}|"#, r#"I||{"id":4}|"#]);
    assert_eq!(session.value("select count(distinct xid) from pgfeed.log").await, "1");
}

#[tokio::test]
async fn tables_and_columns_may_have_any_name() {
    for level in LEVELS {
        let (_database, session) = Database::with_feed().await;
        session
            .run(
                r#"create table "We""ird Tab'le\" (n integer primary key, o integer, x integer,
                   r integer, t integer, v_row integer, v_depth integer, tg_op text, tg_argv text,
                   new_rows integer, old_rows integer, watch integer, rel text, op text, key text,
                   new text, old text, id text, xid text, "Ünï ""q" text, "select" integer)"#,
            )
            .await;
        session
            .run(&format!(r#"select pgfeed.watch('"We""ird Tab''le\"', level => '{level}')"#))
            .await;
        let table = r#""We""ird Tab'le\""#;
        session
            .run(&format!(
                r#"insert into {table} (n, o, "Ünï ""q") values (1, 2, '€'), (2, 3, 'x')"#
            ))
            .await;
        session
            .run(&format!("update {table} set o = o + 1; delete from {table} where n = 2"))
            .await;
        let seen = session
            .rows(r#"select op, new->>'o', old->>'o', coalesce(new, old)->>'Ünï "q' from pgfeed.log order by id"#)
            .await;
        assert_eq!(seen, ["I|2||€", "I|3||x", "U|3|2|€", "U|4|3|x", "D||4|x"], "level {level}");
    }
}

const KINDS: &str = "
    create type pair as (a integer, b text);
    create type mood as enum ('sad', 'ok');
    create domain pos as integer check (value > 0);
    create table kinds (id bigint primary key, num numeric, f8 float8, f4 float4, ts timestamptz,
      tsn timestamp, d date, iv interval, tm time, tmz timetz, by bytea, r tstzrange, ia integer[],
      ta text[], ia2 integer[][], c pair, ca pair[], m mood, p pos, js json, jb jsonb, u uuid, ip inet,
      mac macaddr, bt bit(3), mn money, pt point, tv tsvector, ch char(5), rc regclass, ls pg_lsn,
      xi xid8, bo boolean, jp jsonpath, tsa timestamptz[], fa float8[]);
    select pgfeed.watch('kinds');";

const ONE_OF_EACH: &str = r#"insert into kinds values (9223372036854775807,
    123456789012345678901234567890.000000000000000000001, 0.1, 'Infinity',
    '2026-03-29 01:30:00.123456+00', '-infinity', '0044-03-15 BC', '1 year 2 mons 3 days 04:05:06.789',
    '24:00', '12:00+05:30', '\xdeadbeef00', '[2026-01-01 00:00+00,2026-02-01 00:00+00)', '{1,NULL,3}',
    '{"a,b","q\"u",NULL}', '{{1,2},{3,4}}', row(1, 'x"y,'), array[row(2, null)::pair], 'ok', 5,
    '{"a": 1, "a": 2}', '{"z":1.50,"b":12345678901234567890.123}',
    'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '10.0.0.1/24', '08:00:2b:01:02:03', B'101', '12.34',
    '(1.5,-2)', 'a fat cat', 'ab', 'kinds', '16/B374D848', '18446744073709551615', true, '$.a[*]',
    array['2026-01-01 00:00+00'::timestamptz], array[0.1, 1e300]::float8[])"#;

#[tokio::test]
async fn the_text_of_a_row_does_not_depend_on_the_session() {
    let (_database, session) = Database::with_feed().await;
    session.run(KINDS).await;
    session.run(ONE_OF_EACH).await;
    session
        .run(
            "set timezone = 'Asia/Kolkata'; set datestyle = 'SQL, DMY'; \
             set intervalstyle = 'iso_8601'; set bytea_output = 'escape'; \
             set extra_float_digits = 0; set search_path = pg_catalog; \
             delete from public.kinds",
        )
        .await;
    session.run(&format!("set search_path = public; {ONE_OF_EACH}")).await;
    let texts = "select count(distinct coalesce(new, old)::text), count(*) from pgfeed.log";
    assert_eq!(session.value(texts).await, "1|3");
    let back = "select count(*) filter (where k.* *= p.*), count(*) from pgfeed.log l, public.kinds k, \
                json_populate_record(null::public.kinds, l.new) p where l.op = 'I'";
    session.run("reset all").await;
    assert_eq!(session.value(back).await, "2|2");
    session.run("set timezone = 'UTC'").await;
    let plain =
        "select count(*) from pgfeed.log l, kinds k where l.new::text = row_to_json(k.*)::text";
    session.run("set search_path = pg_catalog; set search_path = pg_catalog, pg_temp").await;
    let plain = plain.replace("kinds", "public.kinds");
    assert_eq!(session.value(&plain).await, "2", "PostgreSQL's own text");
}

#[tokio::test]
async fn a_table_may_change_under_a_session() {
    let (_database, session) = Database::with_feed().await;
    session
        .run("create table t (id integer primary key, v integer); select pgfeed.watch('t')")
        .await;
    session.run("insert into t values (1, 1)").await;
    session.run("alter table t add w text default 'w'; insert into t values (2, 2)").await;
    session.run("alter table t drop v; insert into t values (3, 'z')").await;
    session.run("alter table t alter id type bigint; insert into t values (3000000000, 'q')").await;
    session.run("alter table t rename to s; insert into s values (4, 'r')").await;
    session.run("update s set w = 'x' where id = 1").await;
    assert_eq!(
        session.log().await,
        [
            r#"I||{"id":1,"v":1}|"#,
            r#"I||{"id":2,"v":2,"w":"w"}|"#,
            r#"I||{"id":3,"w":"z"}|"#,
            r#"I||{"id":3000000000,"w":"q"}|"#,
            r#"I||{"id":4,"w":"r"}|"#,
            r#"U||{"id":1,"w":"x"}|{"id":1,"w":"w"}"#,
        ]
    );
    assert_eq!(session.value("select distinct watch from pgfeed.log").await, "1");
}

#[tokio::test]
async fn generated_columns_have_their_values() {
    let (_database, session) = Database::with_feed().await;
    let server = session.value("select current_setting('server_version_num')::integer").await;
    let kinds = if server.as_str() >= "180000" { &["stored", "virtual"][..] } else { &["stored"] };
    for kind in kinds {
        session
            .run(&format!(
                "create table {kind}_t (id integer primary key, a integer, \
                   \"b c\" integer generated always as (a * 2) {kind}); \
                 select pgfeed.watch('{kind}_t'); insert into {kind}_t values (1, 5); \
                 update {kind}_t set a = 6; delete from {kind}_t"
            ))
            .await;
        assert_eq!(
            session.log().await,
            [
                r#"I||{"id":1,"a":5,"b c":10}|"#,
                r#"U||{"id":1,"a":6,"b c":12}|{"id":1,"a":5,"b c":10}"#,
                r#"D|||{"id":1,"a":6,"b c":12}"#,
            ],
            "{kind}"
        );
        session.forget().await;
    }
}

#[tokio::test]
async fn triggers_written_by_hand_write_the_same_log() {
    let (_database, session) = Database::with_feed().await;
    session
        .run(
            "create table t (id integer primary key, v text); \
             create trigger by_hand after insert or update or delete on t \
               for each row execute function notify_table_change(); \
             create trigger emptied after truncate on t \
               for each statement execute function notify_table_change()",
        )
        .await;
    session
        .run("insert into t values (1, 'a'); update t set v = 'b'; delete from t; truncate t")
        .await;
    assert_eq!(
        session.log().await,
        [
            r#"I||{"id":1,"v":"a"}|"#,
            r#"U||{"id":1,"v":"b"}|{"id":1,"v":"a"}"#,
            r#"D|||{"id":1,"v":"b"}"#,
            "T|||",
        ]
    );
    assert_eq!(session.value("select distinct watch, rel::regclass from pgfeed.log").await, "|t");
}

#[tokio::test]
async fn a_trigger_by_hand_that_cannot_see_rows_leaves_a_gap_mark() {
    let (_database, session) = Database::with_feed().await;
    session
        .run(
            "create table t (id integer primary key); \
             create trigger by_hand after insert on t execute function notify_table_change(); \
             create table b (id integer primary key); \
             create trigger before_it before insert or delete on b \
               for each row execute function notify_table_change()",
        )
        .await;
    session.run("insert into t values (1)").await;
    assert_eq!(session.log().await, ["G|||"]);
    session.run("insert into b values (1), (2); delete from b where id = 1").await;
    assert_eq!(
        session.value("select count(*) from b").await,
        "1",
        "a BEFORE trigger lets rows pass"
    );
}

#[tokio::test]
async fn every_kind_of_write_is_seen() {
    let (_database, session) = Database::with_feed().await;
    session
        .run(
            "create table mother (id integer primary key, v integer); \
             create table child (id integer primary key, \
               m integer references mother on delete cascade on update cascade); \
             select pgfeed.watch('mother'), pgfeed.watch('child'); \
             insert into mother values (1, 1), (2, 2); insert into child values (10, 1), (20, 2)",
        )
        .await;
    session.forget().await;
    session
        .run("insert into mother values (1, 7), (3, 3) on conflict (id) do update set v = excluded.v")
        .await;
    session.run("insert into mother values (1, 9) on conflict do nothing").await;
    assert_eq!(session.rows(OPS).await, ["U mother 1", "I mother 3"]);
    session.forget().await;
    session.run("update mother set id = 102 where id = 2; delete from mother where id = 1").await;
    assert_eq!(session.rows(OPS).await, ["U mother 102", "U child 20", "D mother 1", "D child 10"]);
    session.forget().await;
    session
        .run(
            "create view v as select * from mother where v < 50; update v set v = v + 1 where id = 3; \
             with x as (delete from mother where id = 3 returning *), \
                  y as (insert into mother select 60, v from x returning *) select count(*) from y; \
             truncate mother cascade",
        )
        .await;
    assert_eq!(
        session.rows(OPS).await,
        ["U mother 3", "D mother 3", "I mother 60", "T mother ", "T child "]
    );
}

const OPS: &str = "select op::text || ' ' || rel::regclass || ' ' || coalesce(coalesce(new, old)->>'id', '') \
                   from pgfeed.log order by id";

#[tokio::test]
async fn merge_and_copy_are_seen() {
    let (_database, session) = Database::with_feed().await;
    session
        .run("create table t (id integer primary key, v integer); select pgfeed.watch('t')")
        .await;
    let sink = session.client.copy_in::<_, bytes::Bytes>("copy t from stdin").await.expect("copy");
    {
        use futures::SinkExt;
        let mut sink = std::pin::pin!(sink);
        sink.send(bytes::Bytes::from_static(b"1\t1\n2\t2\n")).await.expect("rows go");
        assert_eq!(sink.finish().await.expect("copy ends"), 2);
    }
    assert_eq!(session.rows(OPS).await, ["I t 1", "I t 2"]);
    if session.value("select current_setting('server_version_num')::integer").await.as_str()
        >= "150000"
    {
        session.forget().await;
        session
            .run(
                "merge into t using (values (1, 0), (2, 5), (9, 9)) s (id, v) on t.id = s.id \
                 when matched and s.v = 0 then delete when matched then update set v = s.v \
                 when not matched then insert values (s.id, s.v)",
            )
            .await;
        let mut seen = session.rows(OPS).await;
        seen.sort();
        assert_eq!(seen, ["D t 1", "I t 9", "U t 2"]);
    }
}

#[tokio::test]
async fn replicated_writes_are_seen() {
    let (database, session) = Database::with_feed().await;
    session.run("create table t (id integer primary key); select pgfeed.watch('t')").await;
    let admin = database.session_of("postgres").await;
    admin.run("set session_replication_role = replica; insert into t values (1)").await;
    assert_eq!(session.log().await, [r#"I||{"id":1}|"#]);
}
