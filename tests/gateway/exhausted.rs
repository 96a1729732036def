//! Something is used up: the disk, descriptors, the database's connections. Who is served goes on
//! being served, and all is well again when there is room, without a restart of the gateway.

use std::{
    fs::{self, File},
    io::Write as _,
    path::PathBuf,
    process::{Command, Stdio},
};

use pgfeed::source::cluster::{Options, StopMode};
use tokio::{
    net::TcpStream,
    time::{Duration, Instant},
};
use tokio_postgres::error::SqlState;

use crate::support::{
    client::Client,
    database::{Database, try_connect, value},
    fault::{TOLD_MAX, Writer, endure, has_all},
    gateway::{Gateway, Settings},
    wait::{PATIENCE, eventually, within},
};

const PACE: Duration = Duration::from_millis(20);

const KILL: &str = "select count(pg_terminate_backend(pid)) from pg_stat_activity
                     where application_name like 'pgfeed%' and datname = current_database()";

/// A small file system in memory. Making one takes root.
struct Disk {
    folder: tempfile::TempDir,
}

impl Disk {
    fn of_size(size: &str) -> Option<Self> {
        let folder = tempfile::Builder::new().prefix("pgfeed-disk-").tempdir().expect("a folder");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size},mode=755"), "none"]);
        let done = mount.arg(folder.path()).stderr(Stdio::null()).status();
        done.is_ok_and(|it| it.success()).then_some(Self { folder })
    }

    fn ballast(&self) -> PathBuf {
        self.folder.path().join("ballast")
    }

    /// Leaves nothing free.
    fn fill(&self) {
        let mut file = File::create(self.ballast()).expect("a file");
        for piece in [1 << 20, 1 << 12, 1] {
            while file.write_all(&vec![0; piece]).is_ok() {}
        }
    }

    fn free(&self) {
        fs::remove_file(self.ballast()).expect("the ballast goes");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: the server on it ends by itself.
        Command::new("umount").arg("-l").arg(self.folder.path()).status().expect("`umount` runs");
    }
}

/// All rows that the database holds, and no others, came once and in order.
async fn has_what_is_there(client: &mut Client, database: &Database) {
    let held = database.value("select string_agg(id::text, ' ' order by id) from notes").await;
    let held: Vec<u64> = held.split(' ').map(|id| id.parse().expect("an id")).collect();
    client.until_applied("notes", held.len()).await;
    let keys = client.changes("notes").into_iter().map(|it| it.key["id"].as_u64());
    assert_eq!(keys.map(|it| it.expect("a key")).collect::<Vec<_>>(), held);
    assert!(client.sub("notes").resyncs.is_empty(), "{:?}", client.sub("notes").resyncs);
}

async fn small(disk: &Disk) -> Database {
    let mut options = Options::from_env().durable();
    options.base = disk.folder.path().to_owned();
    let options = options.with("max_wal_size", "48MB").with("min_wal_size", "32MB");
    Database::own(options.with("wal_recycle", "off").with("autovacuum", "off")).await
}

#[tokio::test]
async fn a_full_disk_fails_the_writers_and_the_feed_goes_on_when_there_is_room() {
    let Some(disk) = Disk::of_size("224m") else { return };
    let database = small(&disk).await;
    let settings = Settings::for_database(&database).with("SERVER__HEARTBEAT_MS", "500");
    let gateway = settings.start().await;
    gateway.ready().await;
    let mut client = Client::subscribed(&gateway.socket("changes/"), "notes").await;
    database.run("insert into notes (id) values (1)").await;
    client.until_applied("notes", 1).await;

    disk.fill();
    let writer = database.connect().await;
    let mut id = 1;
    let refused = loop {
        id += 1;
        let insert = format!(
            "insert into notes (id, body)
             select {id}, string_agg(md5(random()::text), '') from generate_series(1, 2000)"
        );
        if let Err(error) = writer.batch_execute(&insert).await {
            break error;
        }
    };
    assert_eq!(refused.code(), Some(&SqlState::DISK_FULL), "{refused:?}");
    // What was committed is told, and the way to the log is open.
    has_what_is_there(&mut client, &database).await;
    for _ in 0..20 {
        let heartbeat = client.expect("heartbeat").await;
        assert!(heartbeat["lag_ms"].as_u64() < Some(10_000), "{heartbeat}");
    }
    assert!(gateway.is_ready().await, "everything committed was told");

    disk.free();
    writer.batch_execute("insert into notes (id) values (1000000)").await.expect("there is room");
    has_what_is_there(&mut client, &database).await;
    gateway.ready().await;
}

#[tokio::test]
async fn a_server_that_died_of_a_full_disk_is_told_and_loses_nothing_committed() {
    let Some(disk) = Disk::of_size("224m") else { return };
    let mut database = small(&disk).await;
    let settings = Settings::for_database(&database).with("SERVER__HEARTBEAT_MS", "500");
    let gateway = settings.start().await;
    gateway.ready().await;
    let mut client = Client::subscribed(&gateway.socket("changes/"), "notes").await;
    let writer = database.connect().await;
    let some = "insert into notes (id) select generate_series(1, 10)";
    writer.batch_execute(some).await.expect("there is room");
    disk.fill();
    // The next file of the server's own log has no room: it dies in the middle of a commit, and
    // again when it recovers.
    let died = loop {
        let write = "insert into notes (id) select max(id) + 1 from notes; select pg_switch_wal()";
        if let Err(error) = writer.batch_execute(write).await {
            break error;
        }
    };
    // Before PostgreSQL 15 it has no last word.
    let is_panic = died.as_db_error().is_some_and(|it| it.severity() == "PANIC");
    assert!(is_panic || died.is_closed(), "{died:?}");
    endure(&gateway, &mut client, Instant::now(), Duration::from_secs(12)).await;
    assert!(try_connect(&database.url()).await.is_err(), "it did not come back by itself");

    disk.free();
    // It could not recover without room, so it has ended; somebody starts it again.
    database.server().stop(StopMode::Immediate).await.expect("it has ended");
    database.server().start_again().await.expect("it recovers");
    database.run("insert into notes (id) values (1000000)").await;
    gateway.ready().await;
    has_what_is_there(&mut client, &database).await;
}

#[tokio::test]
async fn descriptors_that_are_used_up_shut_strangers_out_and_nobody_else() {
    let database = Database::fresh().await;
    let settings = Settings::for_database(&database)
        .with("SERVER__HEARTBEAT_MS", "500")
        .with("LIMITS__CONNECTIONS_PER_IP_MAX", "1000");
    let gateway = settings.under(&["prlimit", "--nofile=160:160"]).start().await;
    gateway.ready().await;
    let url = gateway.socket("changes/");
    let mut client = Client::subscribed(&url, "notes").await;
    let writer = Writer::start(&database, PACE).await;
    let mut crowd = Vec::new();
    while let Ok(member) = Client::try_connect(&url).await {
        crowd.push(member);
        assert!(crowd.len() < 160, "somebody is shut out");
    }
    let mut silent = Vec::new();
    for _ in 0..300 {
        silent.push(TcpStream::connect(gateway.address()).await.expect("the kernel accepts"));
    }
    // The database's connections are made anew in the middle of it.
    assert_ne!(database.value(KILL).await, "0");
    let seen = client.changes("notes").len();
    client.until_applied("notes", seen + 50).await;
    let told = async || gateway.get("/readyz").await.is_some_and(|it| it.status == 200);
    eventually(TOLD_MAX, "/readyz to answer", told).await;
    assert!(Client::try_connect(&url).await.is_err(), "there is no room yet");

    drop((crowd, silent));
    let is_in = async || Client::try_connect(&url).await.is_ok();
    eventually(PATIENCE, "room for clients", is_in).await;
    let written = writer.end().await;
    assert!(written.slowest < Duration::from_secs(2), "a write took {:?}", written.slowest);
    has_all(&mut client, written).await;
}

/// A server with few connections, all of which others hold.
async fn crowded() -> (Database, Vec<tokio_postgres::Client>) {
    let options = Options::from_env().with("max_connections", "14");
    (Database::own(options).await, Vec::new())
}

async fn take_all(database: &Database, held: &mut Vec<tokio_postgres::Client>) {
    while let Ok(one) = try_connect(&database.url()).await {
        held.push(one);
    }
}

#[tokio::test]
async fn used_up_connections_leave_live_clients_alone() {
    let (database, mut held) = crowded().await;
    let gateway = Gateway::serving(&database).await;
    let url = gateway.socket("changes/");
    let mut client = Client::subscribed(&url, "notes").await;
    let writer = Writer::start(&database, PACE).await;
    take_all(&database, &mut held).await;
    let seen = client.changes("notes").len();
    client.until_applied("notes", seen + 50).await;
    assert!(gateway.is_ready().await, "live clients are served exactly");
    drop(held);
    client.resume(&url).await.expect("the gateway is there");
    let written = writer.end().await;
    assert!(written.slowest < Duration::from_secs(2), "a write took {:?}", written.slowest);
    has_all(&mut client, written).await;
}

#[tokio::test]
async fn connections_used_up_while_the_gateway_has_none_are_told_and_waited_for() {
    let (database, mut held) = crowded().await;
    let settings = Settings::for_database(&database).with("SERVER__HEARTBEAT_MS", "500");
    let gateway = settings.start().await;
    gateway.ready().await;
    let mut client = Client::subscribed(&gateway.socket("changes/"), "notes").await;
    let writer = Writer::start(&database, PACE).await;
    client.until_applied("notes", 5).await;
    // Others are faster than the gateway, which needs a moment to try again.
    let admin = database.connect().await;
    let taken = async {
        loop {
            value(&admin, KILL).await;
            take_all(&database, &mut held).await;
            let all = "select count(*) || ' ' || count(*) filter (where application_name like
                         'pgfeed%') from pg_stat_activity where backend_type = 'client backend'";
            if value(&admin, all).await == "14 0" {
                return Instant::now();
            }
        }
    };
    let began = within(PATIENCE, "all connections", taken).await;
    endure(&gateway, &mut client, began, Duration::from_secs(12)).await;
    drop(held);
    gateway.ready().await;
    let written = writer.end().await;
    assert!(written.slowest < Duration::from_secs(2), "a write took {:?}", written.slowest);
    has_all(&mut client, written).await;
}
