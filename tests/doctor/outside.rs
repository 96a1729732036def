//! What stands between the parts: a pooler, a standby, nginx. Those that are not installed here are
//! passed over; the project's own checks install them.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use pgfeed::source::cluster::{Cluster, Options, StopMode};

use super::support::{Database, Said, pgfeed, server};

/// A process that ends with the test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // nginx must end its workers: SIGTERM. One that has ended already cannot be told to.
        let told = Command::new("kill").arg(self.0.id().to_string()).status();
        assert!(told.is_ok() && self.0.wait().is_ok());
    }
}

/// A copy of a cluster that follows nobody, and is a standby all the same.
pub(crate) struct Standby(Cluster);

impl Standby {
    pub(crate) async fn new() -> Self {
        let mut primary = Cluster::start(Options::from_env()).await.unwrap();
        let mut copy = Cluster::start(Options::from_env()).await.unwrap();
        primary.stop(StopMode::Fast).await.unwrap();
        copy.stop(StopMode::Fast).await.unwrap();
        let (from, to) = (primary.data_dir(), copy.data_dir());
        let owner = fs::metadata(&to).unwrap();
        fs::remove_dir_all(&to).unwrap();
        let copied = Command::new("cp").arg("-a").args([&from, &to]).status().unwrap();
        assert!(copied.success());
        let signal = to.join("standby.signal");
        fs::write(&signal, "").unwrap();
        std::os::unix::fs::chown(&signal, Some(owner.uid()), Some(owner.gid())).unwrap();
        copy.start_again().await.unwrap();
        Self(copy)
    }

    pub(crate) fn url(&self) -> String {
        self.0.url("postgres")
    }
}

fn installed(program: &str) -> Option<PathBuf> {
    ["/usr/sbin", "/usr/bin", "/usr/local/bin", "/opt/homebrew/bin"]
        .iter()
        .map(|folder| Path::new(folder).join(program))
        .find(|path| path.exists())
}

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

fn wait_for(port: u16) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        assert!(Instant::now() < deadline, "nobody listens on {port}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn wait_until_ready(port: u16) {
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut answer = String::new();
    while !answer.starts_with("HTTP/1.1 200") {
        assert!(Instant::now() < deadline, "not ready: {answer}");
        let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        socket.write_all(b"GET /readyz HTTP/1.0\r\n\r\n").unwrap();
        answer.clear();
        socket.read_to_string(&mut answer).unwrap();
        answer = answer.replace("HTTP/1.0", "HTTP/1.1");
    }
}

#[tokio::test]
async fn pgbouncer_in_transaction_mode() {
    let Some(program) = installed("pgbouncer") else { return };
    let database = Database::well().await;
    for (mode, pool_size, words) in [
        ("transaction", 5, "hands sessions around"),
        ("transaction", 1, "two sessions wait for each other"),
        ("session", 5, ""),
    ] {
        let folder = tempfile::Builder::new().prefix("pgfeed-pooler-").tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let port = free_port();
        let ini = format!(
            "[databases]\n{0} = user=postgres host=127.0.0.1 port={1}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nauth_type = any\npool_mode = {mode}\nunix_socket_dir =\n\
             default_pool_size = {pool_size}\nignore_startup_parameters = options\n\
             [users]\n",
            database.name,
            server().port(),
        );
        let file = folder.path().join("pgbouncer.ini");
        fs::write(&file, ini).unwrap();
        let mut command = Command::new(&program);
        command.arg("-q").arg("-u").arg("nobody").arg(&file).stderr(Stdio::null());
        let _pooler = Process(command.spawn().unwrap());
        wait_for(port);
        let url = format!("postgres://postgres@127.0.0.1:{port}/{}", database.name);
        let said = pgfeed(&["doctor"], &url, &[]);
        if words.is_empty() {
            assert!(said.text.contains("ok    pooler"), "{}", said.text);
        } else {
            said.tells(&["fail  pooler", words, "pool_mode=session"]);
        }
    }
}

#[tokio::test]
async fn a_standby() {
    let standby = Standby::new().await;
    let said = pgfeed(&["doctor"], &standby.url(), &[]);
    said.tells(&["fail  standby", "target_session_attrs=primary"]);
}

/// A gateway on a free port.
fn gateway(database: &Database, variables: &[(&str, &str)]) -> (Process, u16) {
    let port = free_port();
    let mut command = Command::new(env!("CARGO_BIN_EXE_pgfeed"));
    command
        .arg("serve")
        .envs(variables.iter().copied())
        .env("PGFEED__DATABASE__URL", database.url())
        .env("PGFEED__ACCESS__DEFAULT", "anyone")
        .env("PGFEED__SERVER__LISTEN", format!("127.0.0.1:{port}"))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let process = Process(command.spawn().unwrap());
    wait_for(port);
    wait_until_ready(port);
    (process, port)
}

/// nginx with the project's configuration, changed by `edit`.
fn nginx(gateway: u16, edit: impl Fn(String) -> String) -> Option<(Process, String)> {
    let program = installed("nginx")?;
    let folder = tempfile::Builder::new().prefix("pgfeed-nginx-").tempdir().unwrap().keep();
    let port = free_port();
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("nginx.conf"));
    let text = text
        .unwrap()
        .replace("/tmp/", &format!("{}/", folder.display()))
        .replace("worker_processes auto;", "worker_processes 1; daemon off;")
        .replace("worker_rlimit_nofile 65536;", "")
        .replace("worker_connections 32768", "worker_connections 512")
        .replace("listen 80;", &format!("listen 127.0.0.1:{port};"))
        .replace("gateway:8080", &format!("127.0.0.1:{gateway}"))
        .replace("frontend:3002", "127.0.0.1:9")
        .replace("/dev/stdout", &format!("{}/access.log", folder.display()));
    let file = folder.join("nginx.conf");
    fs::write(&file, edit(text)).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
    let mut command = Command::new(program);
    command.arg("-c").arg(&file).arg("-e").arg(folder.join("error.log")).stderr(Stdio::null());
    let process = Process(command.spawn().unwrap());
    wait_for(port);
    Some((process, format!("http://127.0.0.1:{port}")))
}

fn look(database: &Database, url: &str) -> Said {
    pgfeed(&["doctor", "--url", url], &database.url(), &[])
}

#[tokio::test]
async fn nginx_that_drops_the_upgrade_or_does_not_reach_the_gateway() {
    let database = Database::well().await;
    let (_gateway, port) = gateway(&database, &[]);
    let direct = look(&database, &format!("http://127.0.0.1:{port}"));
    assert_eq!(direct.code, Some(0), "{}", direct.text);

    let Some((_nginx, url)) = nginx(port, |text| text) else { return };
    let said = look(&database, &url);
    assert_eq!(said.code, Some(0), "{}", said.text);
    assert!(said.text.contains("ok    clock of the address"), "{}", said.text);

    let drop = |text: String| text.replace("proxy_set_header Upgrade $http_upgrade;", "");
    let (_nginx, url) = nginx(port, drop).unwrap();
    look(&database, &url).tells(&["without upgrade headers", "proxy_set_header Upgrade"]);

    let (_nginx, url) = nginx(free_port(), |text| text).unwrap();
    look(&database, &url).tells(&["answered with 502", "compare its proxy_pass"]);

    look(&database, "http://127.0.0.1:1").tells(&["fail  url", "no answer"]);
}

/// Variables under which a program's clock is wrong, where there is libfaketime.
fn wrong_clock(by: &'static str) -> Option<[(&'static str, &'static str); 3]> {
    let library = [
        "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
        "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
    ];
    let library = library.into_iter().find(|path| Path::new(path).exists())?;
    let measures = ("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    Some([("LD_PRELOAD", library), ("FAKETIME", by), measures])
}

#[tokio::test]
async fn clocks_that_differ() {
    let database = Database::well().await;
    let Some(ahead) = wrong_clock("+3600") else { return };
    let said = pgfeed(&["doctor"], &database.url(), &ahead);
    said.tells(&["fail  clock of the database", " s behind this machine's", "NTP"]);
    // Tokens are judged by the gateway's clock, and made by another machine's.
    let (_gateway, port) = gateway(&database, &wrong_clock("-3600").unwrap());
    let said = look(&database, &format!("http://127.0.0.1:{port}"));
    said.tells(&["fail  clock of the address", " s behind this machine's", "tokens"]);
}
