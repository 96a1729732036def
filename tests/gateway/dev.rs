//! `pgfeed dev`: one command from nothing to a change on a socket, and nothing left behind.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::Path,
};

use tempfile::TempDir;

use crate::support::{
    client::Client,
    database::{connect, try_connect},
    gateway::{Gateway, Settings},
    wait::{PATIENCE, eventually},
};

/// A folder for the throwaway cluster that an ordinary account may pass through.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let open = Permissions::from_mode(0o755);
    fs::set_permissions(folder.path(), open).expect("the folder's owner may open it");
    folder
}

/// The first address of a database that `dev` printed.
async fn database_url(gateway: &Gateway) -> String {
    let printed = async || gateway.output().contains("postgres://");
    eventually(PATIENCE, "the database's address to be printed", printed).await;
    let output = gateway.output();
    let (_, after) = output.split_once("postgres://").expect("it is printed");
    let end = after.find(|it: char| it.is_whitespace() || "'\"`".contains(it));
    format!("postgres://{}", &after[..end.unwrap_or(after.len())])
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).expect("the folder is there").next().is_none()
}

#[tokio::test]
async fn dev_shows_a_change_within_seconds_and_leaves_nothing_after_ctrl_c() {
    let folder = folder();
    let mut gateway = Gateway::start(Settings::dev(folder.path())).await;
    gateway.ready().await;
    let url = database_url(&gateway).await;
    let mut client = Client::subscribed(&gateway.socket("changes/"), "courses").await;
    let session = connect(&url).await;
    let insert = "insert into courses (title) values ('Seen at once')";
    session.batch_execute(insert).await.expect("the sample tables are there");
    assert_eq!(client.expect("change").await["data"]["title"], "Seen at once");
    // By hand, as the first look at NOTIFY goes: `dev` relays it.
    let by_hand =
        r#"notify db_changes, '{"table":"courses","operation":"INSERT","data":{"id":9}}'"#;
    session.batch_execute(by_hand).await.expect("is sent");
    assert_eq!(client.expect("change").await["durable"], false);
    gateway.signal("INT").await;
    assert_eq!(gateway.ended().await.code(), Some(0));
    assert!(is_empty(folder.path()), "the cluster is deleted");
    assert!(try_connect(&url).await.is_err(), "the server is gone");
}

#[tokio::test]
async fn dev_that_is_killed_leaves_no_server_and_no_files() {
    let folder = folder();
    let mut gateway = Gateway::start(Settings::dev(folder.path())).await;
    let url = database_url(&gateway).await;
    gateway.kill().await;
    eventually(PATIENCE, "the server to end", async || try_connect(&url).await.is_err()).await;
    eventually(PATIENCE, "the files to go", async || is_empty(folder.path())).await;
}
