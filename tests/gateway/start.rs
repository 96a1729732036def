//! The start, and what comes after it: settings that do not fit the database stop the one and fail
//! the readiness of the other.

use std::{ffi::OsString, os::unix::ffi::OsStringExt as _, process::Stdio};

use serde_json::{Value, json};
use tokio::{process::Command, time::Duration};

use crate::support::{
    client::Client,
    database::Database,
    gateway::{Gateway, Settings},
    http,
    wait::{PATIENCE, eventually, within},
};

/// Runs a gateway that is expected to refuse; its exit code and what it said.
async fn refused(variables: &[(&str, &str)], toml: &str) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("own.toml");
    std::fs::write(&file, toml).expect("a file");
    let mut command = Command::new(env!("CARGO_BIN_EXE_pgfeed"));
    command.arg("serve").arg("--config").arg(&file).kill_on_drop(true);
    command.env("PGFEED__SERVER__LISTEN", "127.0.0.1:0").envs(variables.iter().copied());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = within(PATIENCE, "the end of the start", command.output()).await;
    let output = output.expect("the gateway runs");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[tokio::test]
async fn settings_that_do_not_fit_the_database_stop_the_start() {
    let database = Database::fresh().await;
    let notes = "[tables.\"public.notes\"]\nread = \"anyone\"\n";
    let feed = "[feeds.x]\ntables = [{ table = \"notes\", ";
    for (toml, says) in [
        (
            "[tables.\"public.nope\"]\nread = \"anyone\"\n".to_owned(),
            "there is no table public.nope",
        ),
        ("[tables.\"Notes\"]\nread = \"anyone\"\n".to_owned(), "there is no table public.Notes"),
        (format!("{notes}rows = \"nope=eq.1\"\n"), "tables.\"public.notes\".rows"),
        (format!("{notes}rows = \"n=eq.word\"\n"), "tables.\"public.notes\".rows"),
        (format!("{notes}columns = [\"id\", \"nope\"]\n"), "the table has no column nope"),
        (format!("{notes}columns = [\"title\"]\n"), "the primary key's column id is missing"),
        (
            format!(
                "{notes}[[tables.\"public.notes\".grants]]\nread = [\"a\"]\nrows = \"nope=is.null\"\n"
            ),
            "tables.\"public.notes\".grants[0].rows",
        ),
        (format!("{feed}filter = \"nope=eq.1\" }}]\n"), "feeds.x.tables: notes: the filter"),
        (
            format!("{feed}columns = [\"nope\"] }}]\n"),
            "feeds.x.tables: notes: the table has no column",
        ),
        (
            "[feeds.x]\ntables = [{ table = \"nope\" }]\n".to_owned(),
            "feeds.x.tables: there is no table",
        ),
    ] {
        let url = database.url();
        let (code, said) = refused(&[("PGFEED__DATABASE__URL", url.as_str())], &toml).await;
        assert_eq!(code, Some(78), "{toml}: {said}");
        let last = said.lines().last().unwrap_or_default();
        assert!(last.contains(says) && last.contains("own.toml"), "{toml}: {said}");
    }
    let variable = "PGFEED__TABLES__notes__ROWS";
    let (_, said) =
        refused(&[("PGFEED__DATABASE__URL", &database.url()), (variable, "nope=eq.1")], "").await;
    let says = format!("environment variable {variable}: tables.\"notes\".rows: ");
    assert!(said.contains(&says), "{said}");
}

#[tokio::test]
async fn a_variable_of_another_program_may_hold_any_bytes() {
    let odd = OsString::from_vec(b"\xff\xfe".to_vec());
    let database = Database::fresh().await;
    for (name, code) in [("OTHER", Some(0)), ("PGFEED__ACCESS__DEFAULT", Some(78))] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pgfeed"));
        command.arg("status").env("DATABASE_URL", database.url()).env(name, &odd);
        let output = within(PATIENCE, "the command", command.output()).await.expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), code, "{name}: {said}");
        assert_eq!(said.contains("PGFEED__ACCESS__DEFAULT: is not text"), code == Some(78));
    }
}

#[tokio::test]
async fn without_a_key_other_machines_are_served_only_by_an_explicit_switch() {
    let listen = ("PGFEED__SERVER__LISTEN", "0.0.0.0:0");
    let (code, said) = refused(&[listen], "").await;
    assert_eq!(code, Some(78), "{said}");
    assert!(said.contains("auth.allow_unset"), "{said}");
}

#[tokio::test]
async fn a_table_that_is_not_on_the_feed_yet_is_told_and_waited_for() {
    let database = Database::fresh().await;
    let toml = "[tables.\"public.other\"]\nread = \"anyone\"\n";
    let gateway = Settings::for_database(&database).with_file(toml).start().await;
    gateway.ready().await;
    assert!(gateway.output().contains("`pgfeed watch` puts it there"), "{}", gateway.output());
}

async fn reason(gateway: &Gateway) -> String {
    let answer = gateway.get("/readyz").await.expect("an answer");
    let body: Value = serde_json::from_str(&answer.body).expect("JSON");
    if answer.status == 200 { String::new() } else { body["reason"].to_string() }
}

#[tokio::test]
async fn a_policy_that_no_longer_fits_lets_nothing_through_and_fails_readiness() {
    let database = Database::fresh().await;
    let toml = "[tables.\"public.notes\"]\nread = \"anyone\"\nrows = \"n=gt.0\"\n";
    let gateway = Settings::for_database(&database).with_file(toml).start().await;
    gateway.ready().await;
    let mut client = Client::subscribed(&gateway.socket("changes/"), "notes").await;
    database.run("alter table notes rename n to m").await;
    let ended = client.expect("unsubscribed").await;
    assert_eq!((&ended["id"], &ended["reason"]), (&json!("notes"), &json!("access_revoked")));
    let is_told = async || reason(&gateway).await.contains("tables.\\\"public.notes\\\".rows");
    eventually(PATIENCE, "the reason", is_told).await;
    client.ask(&json!({"type": "subscribe", "id": "again", "table": "notes"})).await;
    assert_eq!(client.expect("error").await["code"], "unauthorized");
    database.run("alter table notes rename m to n").await;
    gateway.ready().await;
    client.subs.clear();
    client.ask(&json!({"type": "subscribe", "id": "notes", "table": "notes"})).await;
    client.expect("subscribed").await;
}

#[tokio::test]
async fn a_trigger_that_is_switched_off_fails_readiness() {
    let database = Database::fresh().await;
    let gateway = Gateway::serving(&database).await;
    database.run("alter table notes disable trigger \"00_pgfeed_update\"").await;
    let is_told = async || reason(&gateway).await.contains("00_pgfeed_update");
    eventually(PATIENCE, "the reason", is_told).await;
    database.run("alter table notes enable always trigger \"00_pgfeed_update\"").await;
    gateway.ready().await;
}

#[tokio::test]
async fn what_is_for_the_operator_is_served_apart_where_asked_for() {
    let database = Database::fresh().await;
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let admin = free.local_addr().expect("an address");
    drop(free);
    let settings = Settings::for_database(&database);
    let gateway = settings.with("SERVER__ADMIN_LISTEN", &admin.to_string()).start().await;
    let is_ready = async || http::get(admin, "/readyz").await.is_some_and(|it| it.status == 200);
    eventually(PATIENCE, "/readyz to say 200", is_ready).await;
    for (path, here, there) in [
        ("/healthz", 200, 200),
        ("/readyz", 404, 200),
        ("/metrics", 404, 200),
        ("/console/", 404, 404),
        ("/ws/changes/", 400, 404),
    ] {
        let status = gateway.get(path).await.map(|it| it.status);
        assert_eq!((status, path), (Some(here), path), "where clients come in");
        let status = http::get(admin, path).await.map(|it| it.status);
        assert_eq!((status, path), (Some(there), path), "where the operator does");
    }
}

#[tokio::test]
async fn token_and_explain_tell_what_a_reader_gets() {
    let database = Database::fresh().await;
    database.run("insert into notes (id, title, body) values (1, 'ann', 'x')").await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("own.toml");
    let toml = "[tables.\"public.notes\"]\nread = [\"reader\"]\nrows = \"title=eq.{claims.sub}\"\n\
                columns = [\"id\", \"title\"]\n";
    std::fs::write(&file, toml).expect("a file");
    let url = database.url();
    let run = async |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pgfeed"));
        command.arg("--config").arg(&file).args(arguments).kill_on_drop(true);
        command.env("PGFEED__DATABASE__URL", &url);
        command.env("PGFEED__AUTH__JWT_SECRET", crate::support::tokens::SECRET);
        let output = within(Duration::from_secs(20), "the command", command.output()).await;
        let output = output.expect("the command runs");
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (code, token) = run(&["token", "--sub", "ann", "--role", "reader"]).await;
    assert_eq!(code, Some(0));
    let (code, told) = run(&["explain", "notes", "--token", token.trim(), "--key", "id=1"]).await;
    assert_eq!(code, Some(0));
    assert!(told.ends_with("So the reader gets id, title of this row.\n"), "{told}");
    let (_, told) = run(&["explain", "notes"]).await;
    assert!(told.ends_with("So the reader may not read public.notes.\n"), "{told}");
    assert_eq!(run(&["explain", "notes", "--key", "title=ann"]).await.0, Some(1));
    assert_eq!(run(&["explain", "nope"]).await.0, Some(1));
}

#[tokio::test]
async fn defaults_of_the_database_do_not_keep_it_from_being_served() {
    for default in [
        "default_transaction_isolation = 'repeatable read'",
        "default_transaction_isolation = 'serializable'",
        "default_transaction_read_only = on",
    ] {
        let database = Database::fresh().await;
        let alter = format!(
            "format('alter database %I set {}', current_database())",
            default.replace('\'', "''")
        );
        database.run(&format!("do $$ begin execute {alter}; end $$")).await;
        let gateway = Gateway::serving(&database).await;
        let mut client = Client::subscribed(&gateway.socket("changes/"), "notes").await;
        let write = "begin read write; insert into notes (id) values (1); commit";
        database.run(write).await;
        client.until_applied("notes", 1).await;
    }
}
