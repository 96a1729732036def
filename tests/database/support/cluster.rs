//! One PostgreSQL cluster for the whole binary, started by the first test that needs it.
//!
//! The server is the child of a shell that waits for the end of its standard input: however this
//! process ends, the pipe closes, the shell stops the server and deletes its folder.

use std::{
    fs,
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use pgfeed::source::install::{Report, install};
use tokio::{
    sync::OnceCell,
    time::{Instant, sleep},
};

use super::Session;

/// Keeps the server's shell, and with it the server, until the process ends.
struct Cluster {
    folder: PathBuf,
    _shell: Child,
}

static CLUSTER: OnceLock<Cluster> = OnceLock::new();
static DATABASES: AtomicU32 = AtomicU32::new(0);

/// Databases whose tests have ended: all at once they would take more than a gigabyte.
static ENDED: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// A database of its own for one test.
pub(crate) struct Database {
    pub(crate) name: String,
    pub(crate) owner: &'static str,
}

/// Makes a database. Its owner is `builder`, who may create roles, or `plain`, who may not.
pub(crate) async fn database(owner: &'static str) -> Database {
    let name = format!("test_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
    ready().await;
    let admin = Session::open("postgres", "postgres").await;
    let ended = std::mem::take(&mut *ENDED.lock().expect("no holder panics"));
    for name in ended {
        // One that cannot be dropped stays for the server's end.
        drop(admin.try_run(&format!("drop database {name} with (force)")).await);
    }
    admin.run(&format!("create database {name} owner {owner}")).await;
    Database { name, owner }
}

impl Drop for Database {
    fn drop(&mut self) {
        ENDED.lock().expect("no holder panics").push(std::mem::take(&mut self.name));
    }
}

impl Database {
    /// A database with the feed installed.
    pub(crate) async fn with_feed() -> (Self, Session) {
        let database = database("builder").await;
        database.install(None).await;
        let session = database.session().await;
        (database, session)
    }

    pub(crate) async fn install(&self, grant_to: Option<&str>) -> Report {
        let mut session = self.session().await;
        install(&mut session.client, grant_to).await.expect("the feed can be installed")
    }

    /// A session of the owner.
    pub(crate) async fn session(&self) -> Session {
        self.session_of(self.owner).await
    }

    pub(crate) async fn session_of(&self, role: &str) -> Session {
        Session::open(&self.name, role).await
    }
}

/// The folder of the server's socket. Starts the server.
pub(crate) fn socket_folder() -> &'static Path {
    &CLUSTER.get_or_init(start).folder
}

const SCRIPT: &str = r#"
"$1/initdb" -D "$2/data" -A trust -U postgres -E UTF8 --locale=C --no-sync >"$2/initdb.log" 2>&1 || exit 1
"$1/postgres" -D "$2/data" -k "$2" -h '' -c fsync=off -c max_prepared_transactions=20 \
  -c max_connections=100 -c shared_buffers=64MB -c log_min_messages=fatal $3 >"$2/log" 2>&1 </dev/null &
read -r end
kill -QUIT $!
wait $!
rm -rf "$2"
"#;

fn start() -> Cluster {
    let bin = bin_folder();
    let folder = tempfile::Builder::new()
        .prefix("pgfeed-test-")
        .tempdir()
        .expect("there is room for temporary files")
        .keep();
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(SCRIPT).arg("sh").arg(&bin).arg(&folder).arg(extra_settings(&bin));
    shell.current_dir("/").stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    if let Some((uid, gid)) = ordinary_user() {
        chown(&folder, Some(uid), Some(gid)).expect("root may give files away");
        shell.uid(uid).gid(gid);
    }
    let shell = shell.spawn().expect("there is a shell");
    Cluster { folder, _shell: shell }
}

/// A small NOTIFY queue where the server can have one, so that it can be filled.
fn extra_settings(bin: &Path) -> &'static str {
    if major_version(bin) >= 17 { "-c max_notify_queue_pages=64" } else { "" }
}

fn major_version(bin: &Path) -> u32 {
    let output =
        Command::new(bin.join("postgres")).arg("--version").output().expect("postgres runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let number =
        text.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()));
    let major = number.and_then(|word| word.split(['.', 'd', 'r', 'b']).next());
    major.and_then(|word| word.parse().ok()).expect("postgres says its version")
}

fn bin_folder() -> PathBuf {
    if let Some(folder) = std::env::var_os("PGFEED_PG_BIN") {
        return PathBuf::from(folder);
    }
    let mut found: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .map(|entries| entries.flatten().map(|entry| entry.path().join("bin")).collect())
        .unwrap_or_default();
    found.sort();
    found.pop().expect("PostgreSQL is installed, or PGFEED_PG_BIN names it")
}

/// Who runs the server if we are root, which PostgreSQL refuses to be.
fn ordinary_user() -> Option<(u32, u32)> {
    let id = Command::new("id").arg("-u").output().expect("there is an id command");
    if id.stdout != b"0\n" {
        return None;
    }
    let passwd = fs::read_to_string("/etc/passwd").expect("there is a list of users");
    let find = |name: &str| {
        let line = passwd.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    find("postgres").or_else(|| find("nobody"))
}

/// Waits until the server answers, then makes the roles that all tests share, once.
pub(crate) async fn ready() {
    static ROLES: OnceCell<()> = OnceCell::const_new();
    ROLES.get_or_init(make_roles).await;
}

async fn make_roles() {
    let deadline = Instant::now() + Duration::from_mins(1);
    let admin = loop {
        match Session::try_open("postgres", "postgres").await {
            Ok(session) => break session,
            Err(error) => assert!(Instant::now() < deadline, "no server: {error}"),
        }
        sleep(Duration::from_millis(20)).await;
    };
    admin.run("create role builder login createrole; create role plain login").await;
}
