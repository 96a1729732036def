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
    fault::{Writer, is_long},
    follower::{Follower, WAYS, Way},
    gateway::{Gateway, Settings},
    spawn,
    wait::{PATIENCE, eventually, within},
    witness::Witness,
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
        let servers = gateways.iter().map(|it| format!("server {it} max_fails=0;"));
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/nginx.conf");
        let mut text = fs::read_to_string(path).expect("the project's configuration");
        for (from, to) in [
            ("/tmp/", &*format!("{place}/")),
            ("/dev/stdout plain", &*format!("{place}/access.log plain")),
            ("worker_processes auto;", "worker_processes 2; daemon off;"),
            ("worker_rlimit_nofile 65536;", ""),
            ("listen 80;", &format!("listen {address};")),
            ("server gateway:8080 max_fails=0;", &servers.collect::<Vec<_>>().join(" ")),
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
        command.arg("-c").arg(&file).arg("-e").arg(log).stderr(Stdio::null()).kill_on_drop(true);
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
async fn a_client_cannot_choose_its_address_though_its_network_is_trusted() {
    let database = Database::fresh().await;
    let settings = Settings::for_database(&database)
        .with("LIMITS__CONNECTIONS_PER_IP_MAX", "1")
        .with("SERVER__TRUSTED_PROXIES", "127.0.0.0/8");
    let gateway = settings.start().await;
    gateway.ready().await;
    let Some(nginx) = Nginx::before(&[gateway.address()], &[]).await else { return };
    let connect = async |claimed: &'static str| {
        let headers = [("x-forwarded-for", claimed)];
        Witness::connect(nginx.address, "changes/", &headers).await
    };
    let _held = connect("203.0.113.7").await.expect("opens");
    assert_eq!(connect("203.0.113.8").await.map(drop), Err(429), "the same client");
    nginx.stop().await;
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
async fn follow(url: String, mut last_rx: watch::Receiver<Option<u64>>) -> u32 {
    let mut client = Client::subscribed(&url, "notes").await;
    let mut returns = 0;
    let seen = |client: &Client| Some(client.changes("notes").len() as u64);
    let last = loop {
        let last = *last_rx.borrow_and_update();
        if last.is_some() && seen(&client) >= last {
            break last;
        }
        let heard = tokio::select! {
            heard = client.next_within(Duration::from_mins(1)) => heard,
            changed = last_rx.changed() => {
                changed.expect("the test goes on");
                continue;
            }
        };
        match heard {
            Heard::Message(message) => assert_ne!(message["type"], "resync", "{message}"),
            Heard::Closed { code, reason } => {
                assert_eq!(code, 1001, "{reason}");
                let retry_ms = reason.strip_prefix("retry_ms=").and_then(|it| it.parse().ok());
                returns += 1;
                // As a client does: not all at once, and ever later where nobody is there yet. A
                // thousand that knock twenty times a second would keep the door shut by that.
                let mut pause = Duration::from_millis(retry_ms.expect("when to come back"));
                let mut longest_ms = 100;
                loop {
                    sleep(pause).await;
                    if client.resume(&url).await.is_ok() {
                        break;
                    }
                    longest_ms = (longest_ms * 2).min(5_000);
                    pause = Duration::from_millis(fastrand::u64(0..=longest_ms));
                }
            }
            Heard::Cut => panic!("cut without a close"),
        }
    };
    let ids: Vec<u64> =
        client.changes("notes").iter().filter_map(|it| it.key["id"].as_u64()).collect();
    assert_eq!(ids, (1..=last.unwrap_or(0)).collect::<Vec<_>>(), "each once and in order");
    returns
}

async fn subscriptions(gateways: &[Gateway]) -> f64 {
    let mut all = 0.0;
    for gateway in gateways {
        all += gateway.metric("pgfeed_subscriptions").await;
    }
    all
}

#[tokio::test]
async fn a_rolling_restart_of_two_gateways_loses_and_repeats_nothing() {
    // The readers' own work is what takes long: each change is read by each of them.
    let (readers, pace) = if is_long() {
        (2_000, Duration::from_millis(250))
    } else {
        (100, Duration::from_millis(4))
    };
    let database = Database::fresh().await;
    let mut gateways = [gateway(&database).await, gateway(&database).await];
    let addresses = [gateways[0].address(), gateways[1].address()];
    let Some(nginx) = Nginx::before(&addresses, &[]).await else { return };
    let (last_tx, last_rx) = watch::channel(None);
    let mut following = Vec::new();
    for _ in 0..readers {
        following.push(spawn(follow(nginx.socket(), last_rx.clone())));
    }
    let is_full = async |gateways: &[Gateway]| {
        let all = async || subscriptions(gateways).await >= f64::from(readers);
        eventually(Duration::from_mins(3), "all readers", all).await;
    };
    is_full(&gateways).await;

    let writer = Writer::start(&database, pace).await;
    for index in 0..gateways.len() {
        let began = Instant::now();
        assert_eq!(gateways[index].stop().await.code(), Some(0));
        assert!(began.elapsed() < Duration::from_secs(10), "took {:?}", began.elapsed());
        gateways[index].restart().await;
        gateways[index].ready().await;
        is_full(&gateways).await;
    }
    let written = writer.end().await;
    // Thousands of readers share the machine with the database.
    assert!(written.slowest < Duration::from_secs(10), "a write took {:?}", written.slowest);
    last_tx.send_replace(Some(written.count as u64));
    let mut returns = 0;
    for reader in following {
        let reader = within(Duration::from_mins(2), "a reader's end", reader);
        returns += reader.await.expect("a reader misses nothing");
    }
    assert!(returns >= readers, "everybody was sent away at least once: {returns}");
    nginx.stop().await;
}

/// Begins now, so that everything from here on is to come.
async fn begun(address: SocketAddr, way: Way) -> Follower {
    let mut it = Follower::of("table=notes");
    let has_begun = it.follow(address, way, PATIENCE, |it| it.cursor.is_some()).await;
    assert!(has_begun, "{way:?} begins");
    it
}

/// Follows to that many changes over whatever befalls the connection.
async fn follow_by(mut it: Follower, address: SocketAddr, way: Way, count: usize) -> Follower {
    let limit = Duration::from_mins(3);
    within(limit, "the changes", async {
        while !it.follow(address, way, limit, |it| it.keys.len() >= count).await {}
    })
    .await;
    it
}

#[tokio::test]
async fn idle_streams_and_polls_live_and_nginx_reloads_lose_nothing() {
    // As it is run, or all in a tenth of the time.
    let (heartbeat_ms, wait_s, idle) = if is_long() {
        ("15000", 60, Duration::from_secs(70))
    } else {
        ("1000", 3, Duration::from_secs(7))
    };
    let short = [("proxy_read_timeout 75s", "proxy_read_timeout 4s")];
    let reload = ("worker_shutdown_timeout 10m", "worker_shutdown_timeout 2s");
    let edits = if is_long() { vec![reload] } else { vec![short[0], reload] };
    let database = Database::fresh().await;
    let settings = Settings::for_database(&database);
    let gateway = settings.with("SERVER__HEARTBEAT_MS", heartbeat_ms).start().await;
    gateway.ready().await;
    let Some(nginx) = Nginx::before(&[gateway.address()], &edits).await else { return };
    let mut following = Vec::new();
    for way in WAYS {
        let mut it = begun(nginx.address, way).await;
        it.wait_s = wait_s;
        following.push((way, spawn(follow_by(it, nginx.address, way, 4))));
    }

    // Heartbeats are all that passes.
    let mut client = Client::subscribed(&nginx.socket(), "notes").await;
    let began = Instant::now();
    while began.elapsed() < idle {
        assert!(matches!(client.next().await, Heard::Message(_)), "nothing is cut");
    }
    database.run("insert into notes (id) values (1)").await;
    nginx.signal("HUP").await;
    database.run("insert into notes (id) values (2)").await;
    client.until_applied("notes", 2).await;
    // The workers of before let go of their clients, which come back to the new ones.
    let cut = client.ended().await;
    assert!(matches!(cut, Heard::Cut | Heard::Closed { .. }), "{cut:?}");
    database.run("insert into notes (id) values (3)").await;
    client.resume(&nginx.socket()).await.expect("nginx is there");
    database.run("insert into notes (id) values (4)").await;
    client.until_applied("notes", 4).await;
    for (way, following) in following {
        let it = following.await.expect("nothing is missed");
        assert_eq!(it.keys, [1, 2, 3, 4], "{way:?}: each once and in order");
        assert!(it.resyncs.is_empty(), "{way:?}");
        // To begin, to stay, and after the reload.
        assert!(it.connections <= 3, "{way:?} was cut {} times", it.connections);
    }
    nginx.stop().await;
}
