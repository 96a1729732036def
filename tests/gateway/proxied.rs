//! Behind the project's own nginx.conf: idle connections live, reloads and rolling restarts of two
//! gateways lose nothing. Passed over where there is no nginx; the project's own checks install it.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::Stdio,
};

use tokio::{
    process::{Child, Command},
    sync::watch,
    time::{Duration, Instant, sleep},
};

use crate::support::{
    client::{Client, Heard},
    database::Database,
    gateway::{Gateway, Settings},
    spawn,
    wait::{PATIENCE, eventually, within},
};

const NGINX: &str = "/usr/sbin/nginx";

/// nginx with the project's configuration on a port of its own.
struct Nginx {
    process: Child,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Nginx {
    async fn before(gateways: &[SocketAddr], edits: &[(&str, &str)]) -> Option<Self> {
        if !Path::new(NGINX).exists() {
            return None;
        }
        let folder = tempfile::Builder::new().prefix("pgfeed-nginx-").tempdir().expect("a folder");
        let open = fs::Permissions::from_mode(0o777);
        fs::set_permissions(folder.path(), open).expect("workers may write there");
        let place = folder.path().display();
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port").local_addr();
        let address = port.expect("it has one");
        let servers = gateways.iter().map(|it| format!("server {it} max_fails=1 fail_timeout=1s;"));
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/nginx.conf");
        let mut text = fs::read_to_string(path).expect("the project's configuration");
        for (from, to) in [
            ("/tmp/", &*format!("{place}/")),
            ("/dev/stdout plain", &*format!("{place}/access.log plain")),
            ("worker_processes auto;", "worker_processes 2; daemon off;"),
            ("worker_rlimit_nofile 65536;", ""),
            ("listen 80;", &format!("listen {address};")),
            (
                "server gateway:8080 max_fails=1 fail_timeout=2s;",
                &servers.collect::<Vec<_>>().join(" "),
            ),
            ("frontend:3002", "127.0.0.1:9"),
            // One machine stands for thousands of readers here.
            ("rate=20r/s", "rate=10000r/s"),
            ("burst=100", "burst=10000"),
            ("limit_conn sockets 200", "limit_conn sockets 10000"),
        ]
        .iter()
        .chain(edits)
        {
            assert!(text.contains(from), "{from} stands in nginx.conf");
            text = text.replace(from, to);
        }
        let file = folder.path().join("nginx.conf");
        fs::write(&file, text).expect("the configuration is written");
        let log = folder.path().join("error.log");
        let mut command = Command::new(NGINX);
        command.arg("-c").arg(&file).arg("-e").arg(log).stderr(Stdio::null());
        let process = command.spawn().expect("nginx starts");
        let is_up = async || tokio::net::TcpStream::connect(address).await.is_ok();
        eventually(PATIENCE, "nginx", is_up).await;
        Some(Self { process, address, _folder: folder })
    }

    async fn signal(&self, name: &str) {
        let pid = self.process.id().expect("nginx runs").to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status().await;
        assert!(sent.expect("`kill` runs").success());
    }

    /// Ends it with its workers.
    async fn stop(mut self) {
        self.signal("TERM").await;
        within(PATIENCE, "nginx's end", self.process.wait()).await.expect("it ends");
    }

    fn socket(&self) -> String {
        crate::support::gateway::socket(self.address, "changes/")
    }
}

async fn gateway(database: &Database) -> Gateway {
    let settings = Settings::for_database(database)
        .with("LIMITS__CONNECTIONS_PER_IP_MAX", "10000")
        .with("SERVER__HEARTBEAT_MS", "1000")
        .with("SERVER__RETRY_SPREAD_MS", "1000");
    let gateway = settings.start().await;
    gateway.ready().await;
    gateway
}

#[tokio::test]
async fn an_idle_connection_lives_by_heartbeats_and_a_reload_loses_nothing() {
    let database = Database::fresh().await;
    let gateway = gateway(&database).await;
    let edits = [("proxy_read_timeout 75s", "proxy_read_timeout 3s")];
    let Some(nginx) = Nginx::before(&[gateway.address()], &edits).await else { return };
    let mut client = Client::subscribed(&nginx.socket(), "notes").await;
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(5) {
        assert!(matches!(client.next().await, Heard::Message(_)), "nothing is cut");
    }
    database.run("insert into notes (id) values (1)").await;
    nginx.signal("HUP").await;
    database.run("insert into notes (id) values (2)").await;
    client.until_applied("notes", 2).await;
    let mut later = Client::subscribed(&nginx.socket(), "notes").await;
    database.run("insert into notes (id) values (3)").await;
    client.until_applied("notes", 3).await;
    later.until_applied("notes", 1).await;
    nginx.stop().await;
}

/// Reads to the last change, coming back whenever it is sent away; gives how often it was.
async fn follow(url: String, total: u64, mut has_ended_rx: watch::Receiver<bool>) -> u32 {
    let mut client = Client::subscribed(&url, "notes").await;
    let mut returns = 0;
    let seen = |client: &Client| client.changes("notes").len() as u64;
    while seen(&client) < total || !*has_ended_rx.borrow_and_update() {
        let heard = tokio::select! {
            heard = client.next_within(Duration::from_mins(1)) => heard,
            changed = has_ended_rx.changed() => {
                changed.expect("the test goes on");
                continue;
            }
        };
        match heard {
            Heard::Message(message) => assert_ne!(message["type"], "resync", "{message}"),
            Heard::Closed { code, reason } => {
                assert_eq!(code, 1001, "{reason}");
                let retry_ms = reason.strip_prefix("retry_ms=").and_then(|it| it.parse().ok());
                sleep(Duration::from_millis(retry_ms.expect("when to come back"))).await;
                returns += 1;
                while client.resume(&url).await.is_err() {
                    sleep(Duration::from_millis(50)).await;
                }
            }
            Heard::Cut => panic!("cut without a close"),
        }
    }
    let ids: Vec<u64> =
        client.changes("notes").iter().filter_map(|it| it.key["id"].as_u64()).collect();
    assert_eq!(ids, (1..=total).collect::<Vec<_>>(), "each once and in order");
    returns
}

#[tokio::test]
async fn a_rolling_restart_of_two_gateways_loses_and_repeats_nothing() {
    let is_long = std::env::var_os("PGFEED_TEST_LONG").is_some();
    // The readers' own work is what takes long: each change is read by each of them.
    let (readers, total, pause_ms) = if is_long { (2_000, 200, 60) } else { (100, 2_000, 4) };
    let database = Database::fresh().await;
    let mut gateways = [gateway(&database).await, gateway(&database).await];
    let addresses = [gateways[0].address(), gateways[1].address()];
    let Some(nginx) = Nginx::before(&addresses, &[]).await else { return };
    let (ended_tx, ended_rx) = watch::channel(false);
    let mut following = Vec::new();
    for _ in 0..readers {
        following.push(spawn(follow(nginx.socket(), total, ended_rx.clone())));
    }
    let is_full = async || {
        let mut all = 0.0;
        for gateway in &gateways {
            let text = gateway.get("/metrics").await.expect("an answer").body;
            let line = text.lines().find(|line| line.starts_with("pgfeed_subscriptions "));
            let count =
                line.and_then(|line| line.rsplit(' ').next()).and_then(|it| it.parse().ok());
            all += count.unwrap_or(0.0);
        }
        all >= f64::from(readers)
    };
    eventually(Duration::from_mins(1), "all readers", is_full).await;

    let writer = database.connect().await;
    let writing = spawn(async move {
        for id in 1..=total {
            let insert = format!("insert into notes (id) values ({id})");
            writer.batch_execute(&insert).await.expect("the writer never notices");
            sleep(Duration::from_millis(pause_ms)).await;
        }
    });
    for gateway in &mut gateways {
        sleep(Duration::from_millis(1_500)).await;
        let began = Instant::now();
        assert_eq!(gateway.stop().await.code(), Some(0));
        assert!(began.elapsed() < Duration::from_secs(10), "took {:?}", began.elapsed());
        gateway.restart().await;
        gateway.ready().await;
    }
    writing.await.expect("the writer ends");
    ended_tx.send_replace(true);
    let mut returns = 0;
    for reader in following {
        let reader = within(Duration::from_mins(2), "a reader's end", reader);
        returns += reader.await.expect("a reader misses nothing");
    }
    assert!(returns >= readers, "everybody was sent away at least once: {returns}");
    nginx.stop().await;
}
