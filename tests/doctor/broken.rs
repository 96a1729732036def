//! The database side.

use super::support::{Database, connect, pgfeed};

#[tokio::test]
async fn a_good_set_up_is_a_clean_table_and_code_0() {
    let database = Database::well().await;
    let said = database.doctor(&[
        ("PGFEED__TABLES__notes__READ", "anyone"),
        ("PGFEED__TABLES__notes__COLUMNS", "id,title"),
        ("PGFEED__TABLES__notes__ROWS", "title=eq.{claims.sub}"),
    ]);
    assert_eq!(said.code, Some(0), "{}", said.text);
    let (table, last) = said.text.trim_end().split_once("\n\n").unwrap();
    for line in table.lines() {
        assert!(line.starts_with("ok "), "{line}");
        assert!(!line.ends_with("nothing found"), "it says what is well: {line}");
    }
    assert_eq!(last, format!("All is well: {} checks.", table.lines().count()));
    for check in ["connection", "pooler", "rights", "triggers", "channel", "settings", "clock"] {
        assert!(said.text.contains(check), "{check}\n{}", said.text);
    }
}

#[tokio::test]
async fn a_server_that_is_not_there() {
    let said = pgfeed(&["doctor"], "postgres://nobody@127.0.0.1:1/none", &[]);
    said.tells(&["fail  connection", "database.url"]);
}

#[tokio::test]
async fn a_database_where_the_feed_was_never_installed() {
    let database = Database::empty("UTF8").await;
    database.finds(&[], &["fail  installed", "-> pgfeed install"]);
}

/// As `docker compose run --rm install …` does: the image listens everywhere, for the gateway.
#[tokio::test]
async fn what_listens_nowhere_needs_no_key() {
    let database = Database::empty("UTF8").await;
    database.run("create table notes (id bigint primary key)").await;
    let image = [("PGFEED__SERVER__LISTEN", "0.0.0.0:8080")];
    for words in [&["install"][..], &["watch", "notes"], &["status"], &["unwatch", "notes"]] {
        let said = pgfeed(words, &database.url(), &image);
        assert_eq!(said.code, Some(0), "{words:?}: {}", said.text);
    }
    assert_eq!(pgfeed(&["serve"], &database.url(), &image).code, Some(78));
}

#[tokio::test]
async fn a_table_that_nobody_may_read() {
    let database = Database::well().await;
    let closed = [("PGFEED__ACCESS__DEFAULT", "nobody")];
    let told = ["warn  readers", "nobody may read public.notes", "0 to mend, 1 to look at"];
    database.finds(&closed, &told);
    // Without a key there is no good token.
    let named = [closed[0], ("PGFEED__TABLES__notes__READ", "authenticated")];
    database.finds(&named, &[told[0], "[auth] jwt_secret", "[tables.\"public.notes\"] read = "]);
    let key = ("PGFEED__AUTH__JWT_SECRET", "a secret of thirty-two bytes and more");
    assert_eq!(database.doctor(&[named[0], named[1], key]).code, Some(0));
}

#[tokio::test]
async fn a_database_without_triggers() {
    let database = Database::well().await;
    database.run("select pgfeed.unwatch('notes')").await;
    database.finds(&[], &["fail  on the feed", "-> pgfeed watch TABLE"]);
}

#[tokio::test]
async fn a_trigger_that_is_switched_off() {
    let database = Database::well().await;
    database.run("alter table notes disable trigger all").await;
    database.finds(
        &[],
        &[
            "not every write to notes is captured",
            "00_pgfeed_update on public.notes is off",
            "-> select pgfeed.watch('public.notes'",
        ],
    );
}

#[tokio::test]
async fn a_trigger_function_that_notifies_another_channel() {
    let database = Database::well().await;
    database
        .run(
            "create function tell() returns trigger language plpgsql as $$ begin \
               perform pg_notify('table_changes', row_to_json(new)::text); return new; end $$; \
             create table grades (id bigint primary key); \
             create trigger tell_all after insert on grades for each row execute function tell()",
        )
        .await;
    database.finds(
        &[],
        &[
            "trigger tell_all on grades calls tell(), which notifies channel table_changes, and \
              pgfeed hears db_changes",
            "-> pgfeed watch grades, then: drop trigger tell_all on grades;",
        ],
    );
}

#[tokio::test]
async fn a_seeds_own_notify_table_change_before_and_beside_the_feed() {
    const SEED: &str = "
        create function notify_table_change() returns trigger language plpgsql as $$ begin
          perform pg_notify('db_changes', json_build_object('table', tg_table_name, 'operation',
            tg_op, 'data', row_to_json(new))::text); return new; end $$;
        create table profiles (id bigint primary key);
        create trigger profiles_notify after insert or update on profiles
          for each row execute function notify_table_change()";
    let database = Database::empty("UTF8").await;
    database.run(SEED).await;
    let told = "trigger profiles_notify on profiles calls notify_table_change(), which notifies \
                without the log: changes are lost while nobody listens";
    database.finds(&[], &["fail  installed", told, "-> pgfeed watch profiles"]);

    let database = Database::well().await;
    database.run(&SEED.replace("notify_table_change", "relay")).await;
    database.run("select pgfeed.watch('profiles')").await;
    database.finds(&[], &["calls relay(), which sends whole rows by NOTIFY", "over 8000 bytes"]);
}

#[tokio::test]
async fn a_role_without_grants() {
    let database = Database::well().await;
    let role = format!("{}_gateway", database.name);
    database.run(&format!("create role {role} login")).await;
    let said = pgfeed(&["doctor"], &database.url_of(&role), &[]);
    said.tells(&[
        &format!("role {role} lacks USAGE on schema pgfeed, SELECT on pgfeed."),
        &format!("-> As the owner of the database: pgfeed install --grant-to {role}"),
    ]);
    pgfeed(&["install", "--grant-to", &role], &database.url(), &[]);
    let said = pgfeed(&["doctor"], &database.url_of(&role), &[]);
    assert_eq!(said.code, Some(0), "{}", said.text);
    database.run(&format!("revoke select on notes from {role}")).await;
    let said = pgfeed(&["doctor"], &database.url_of(&role), &[]);
    said.tells(&[&format!("{role} may not read public.notes")]);
    said.tells(&[&format!("role {role} lacks SELECT on public.notes")]);
    database.run("create schema sales; create table sales.t (id integer primary key)").await;
    database.run("select pgfeed.watch('sales.t')").await;
    database.run(&format!("revoke usage on schema sales from {role}")).await;
    let said = pgfeed(&["doctor"], &database.url_of(&role), &[]);
    said.tells(&[
        &format!("role {role} lacks USAGE on schema sales"),
        &format!("{role} may not use schema sales, where sales.t is"),
    ]);
}

#[tokio::test]
async fn session_replication_role() {
    let database = Database::well().await;
    let setting =
        format!("alter database {} set session_replication_role = replica", database.name);
    database.run(&setting).await;
    database.finds(&[], &["fail  session_replication_role", "do not fire"]);
}

#[tokio::test]
async fn a_partition_without_trigger() {
    let database = Database::well().await;
    database.run("create table late () inherits (notes)").await;
    database.finds(&[], &["fail  partitions", "on public.late is missing", "select pgfeed.watch("]);
}

#[tokio::test]
async fn sql_ascii() {
    let database = Database::empty("SQL_ASCII").await;
    database.finds(&[], &["fail  encoding", "encoding UTF8"]);
}

#[tokio::test]
async fn a_retention_that_is_too_short() {
    let database = Database::well().await;
    let short = [("PGFEED__LOG__RETENTION", "30s")];
    database.finds(&short, &["warn  retention", "log.retention is 30 s"]);
}

#[tokio::test]
async fn a_log_that_nobody_prunes_and_one_that_is_too_large() {
    let database = Database::well().await;
    database
        .run(
            "insert into pgfeed.tick (at, last) values (now() - interval '9 days', 0); \
             insert into notes select n, repeat('x', 1000) from generate_series(1, 3000) n",
        )
        .await;
    let small = [("PGFEED__LOG__SIZE_MAX", "1MB")];
    database
        .finds(&small, &["warn  pruning", "216.0 h old", "fail  log.size_max", "pgfeed.prune("]);
}

#[tokio::test]
async fn settings_that_name_what_is_not_there() {
    let database = Database::well().await;
    let settings = [
        ("PGFEED__TABLES__nots__READ", "anyone"),
        ("PGFEED__TABLES__notes__READ", "anyone"),
        ("PGFEED__TABLES__notes__COLUMNS", "titel"),
        ("PGFEED__TABLES__notes__ROWS", "n=eq.1"),
    ];
    database.finds(
        &settings,
        &[
            "tables.public.nots: no table public.nots is on the feed",
            "tables.\"notes\".columns: the table has no column titel; it has id, title",
            "tables.\"notes\".columns: the primary key's column id is missing",
            "tables.\"notes\".rows: ",
        ],
    );
}

/// What `serve` would end for.
#[tokio::test]
async fn settings_that_do_not_fit_what_is_there() {
    let database = Database::well().await;
    let feed = |tables: &str| {
        let variables = [
            ("PGFEED__FEEDS__x__PATH", "x/{part}"),
            ("PGFEED__FEEDS__x__TABLES", &format!("[{{ table = \"notes\", {tables} }}]")),
        ];
        (database.doctor(&variables), pgfeed(&["serve"], &database.url(), &variables))
    };
    for (tables, told) in [
        ("filter = \"id=eq.{part}&nope=eq.1\"", "feeds.x.tables: notes: the filter"),
        (
            "filter = \"id=eq.{part}\", columns = [\"nope\"]",
            "feeds.x.tables: notes: the table has no column",
        ),
    ] {
        let (doctor, serve) = feed(tables);
        doctor.tells(&["fail  settings", told]);
        assert!(serve.code == Some(78) && serve.text.contains(told), "{}", serve.text);
    }
    for (name, value) in [
        ("PGFEED__AUTH__JWT_PUBLIC_KEY_FILE", "/nowhere/key.pem"),
        ("PGFEED__TABLES__notes__ROWS", "id=eq."),
    ] {
        let serve = pgfeed(&["serve"], &database.url(), &[(name, value)]);
        assert_eq!(serve.code, Some(78), "{name}: {}", serve.text);
        database.finds(&[(name, value)], &["fail  settings"]);
    }
}

#[tokio::test]
async fn a_key_set_that_cannot_be_read() {
    let database = Database::well().await;
    let set = tempfile::NamedTempFile::new().unwrap();
    let path = [("PGFEED__AUTH__JWKS_FILE", set.path().to_str().unwrap())];
    database.finds(&path, &["fail  keys", "was not read: the answer is not a JSON Web Key Set"]);
    std::fs::write(set.path(), "{\"keys\":[]}").unwrap();
    assert_eq!(database.doctor(&path).code, Some(0));
}

#[tokio::test]
async fn a_notify_queue_that_fills() {
    // Only a server with a small queue can be filled in a test: it is on from PostgreSQL 17 on.
    let database = Database::well().await;
    let row = database.client.query_one("show server_version_num", &[]).await.unwrap();
    let version: i32 = row.get::<_, &str>(0).parse().unwrap();
    if version < 170_000 {
        return;
    }
    let options = pgfeed::source::cluster::Options::from_env().with("max_notify_queue_pages", "64");
    let own = pgfeed::source::cluster::Cluster::start(options).await.unwrap();
    let client = connect(&own.url("postgres")).await;
    pgfeed(&["install"], &own.url("postgres"), &[]);
    // Two steps: in one, the transaction would hold the LISTEN back.
    client.batch_execute("listen x").await.unwrap();
    client.batch_execute("begin").await.unwrap();
    let other = connect(&own.url("postgres")).await;
    let fill = "select pg_notify('x', n || repeat('x', 7000)) from generate_series(1, 20) n";
    for status in ["warn", "fail"] {
        other.batch_execute(fill).await.unwrap();
        let said = pgfeed(&["doctor"], &own.url("postgres"), &[]);
        said.tells(&[&format!("{status}  notify queue"), "find it in pg_stat_activity"]);
    }
    client.batch_execute("commit").await.unwrap();
    own.destroy().await.unwrap();
}
