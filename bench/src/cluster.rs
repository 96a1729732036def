//! A throwaway `PostgreSQL` for one run, with the settings a server has by default.
//!
//! Commits are flushed as in production: what a writer pays is one of the things measured.

use std::fmt::Write as _;
use std::fs;
use std::net::TcpListener;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::time::{Instant, sleep};
use tokio_postgres::{Client, NoTls};

use crate::process::{Launch, Process};

const READY_WITHIN: Duration = Duration::from_secs(30);
/// Used where this process is root, which `PostgreSQL` refuses to be.
const USER: &str = "postgres";

/// The folder's name, before the number of the process.
const FOLDER: &str = "pgfeed-bench-";

/// Owns the server and its data; both are gone when it is dropped.
pub(crate) struct Cluster {
    pub(crate) folder: PathBuf,
    pub(crate) bin: PathBuf,
    pub(crate) port: u16,
    /// Before the folder is removed; ended by taking it.
    server: Option<Process>,
}

impl Cluster {
    pub(crate) async fn start(bin: Option<PathBuf>) -> Result<Self> {
        let bin = bin.or_else(newest_bin).context("no PostgreSQL found: set PGFEED_PG_BIN")?;
        remove_left_behind();
        let folder = std::env::temp_dir().join(format!("{FOLDER}{}", std::process::id()));
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755))?;
        let port = free_port()?;
        let mut cluster = Self { folder, bin, port, server: None };
        let user = (fs::metadata("/proc/self")?.uid() == 0).then_some(USER);
        cluster.init(user)?;
        let mut postgres = Command::new(cluster.bin.join("postgres"));
        let data = cluster.folder.join("data");
        postgres.arg("-D").arg(&data).args(["-p", &port.to_string()]);
        postgres.arg("-k").arg(&data).current_dir(&data);
        for setting in ["max_connections=200", "shared_buffers=256MB", "max_wal_size=4GB"] {
            postgres.args(["-c", setting]);
        }
        let launch = Launch {
            name: "postgres",
            folder: &cluster.folder,
            user,
            end_signal: "INT",
            namespace: None,
        };
        let server = Process::start(&launch, &postgres)?;
        cluster.server = Some(server);
        cluster.ready().await?;
        Ok(cluster)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.server.as_ref().map_or(0, Process::pid)
    }

    pub(crate) fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// The same database by its socket, which other network namespaces reach too.
    pub(crate) fn socket_url(&self) -> String {
        let folder = self.folder.join("data");
        let mut encoded = String::new();
        for byte in folder.as_os_str().as_bytes() {
            write!(encoded, "%{byte:02X}").ok();
        }
        format!("postgres://postgres@{encoded}:{}/postgres", self.port)
    }

    pub(crate) async fn connect(&self) -> Result<Client> {
        let (client, connection) = tokio_postgres::connect(&self.url(), NoTls).await?;
        #[expect(clippy::disallowed_methods, reason = "ends with the client it serves")]
        drop(tokio::spawn(connection));
        Ok(client)
    }

    fn init(&self, user: Option<&str>) -> Result<()> {
        let data = self.folder.join("data");
        let mut make = Command::new("install");
        make.args(["-d", "-m", "700"]);
        if let Some(user) = user {
            make.args(["-o", user, "-g", user]);
        }
        ensure!(make.arg(&data).status()?.success(), "cannot make {}", data.display());
        let mut initdb = match user {
            Some(user) => {
                let mut command = Command::new("setpriv");
                command.args(["--reuid", user, "--regid", user, "--clear-groups"]);
                command.arg(self.bin.join("initdb"));
                command
            }
            None => Command::new(self.bin.join("initdb")),
        };
        initdb.arg("-D").arg(&data).args(["-U", "postgres", "-A", "trust", "--no-sync"]);
        initdb.args(["-E", "UTF8", "--locale=C.UTF-8"]).current_dir(&data);
        let output = initdb.output().context("initdb")?;
        let told = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "initdb: {told}");
        Ok(())
    }

    async fn ready(&mut self) -> Result<()> {
        let until = Instant::now() + READY_WITHIN;
        loop {
            match self.connect().await {
                Ok(_client) => return Ok(()),
                Err(e) if Instant::now() > until => return Err(e),
                Err(_not_yet) => sleep(Duration::from_millis(50)).await,
            }
            if let Some(server) = &mut self.server {
                let log = fs::read_to_string(self.folder.join("postgres.log"));
                server.check(&log.unwrap_or_default())?;
            }
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.server.take());
        fs::remove_dir_all(&self.folder).ok();
    }
}

/// Folders of runs that were killed; their servers have ended with them.
fn remove_left_behind() {
    for entry in fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix(FOLDER)?.parse::<u32>().ok());
        if pid.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            fs::remove_dir_all(entry.path()).ok();
        }
    }
}

/// Debian keeps versions side by side; the newest is taken.
fn newest_bin() -> Option<PathBuf> {
    let entries = fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut versions: Vec<PathBuf> = entries.flatten().map(|e| e.path().join("bin")).collect();
    versions.retain(|bin| bin.join("initdb").exists() && bin.join("pgbench").exists());
    versions.sort_by_key(|bin| version_of(bin));
    versions.pop().or_else(|| {
        let output = Command::new("pg_config").arg("--bindir").output().ok()?;
        Some(PathBuf::from(String::from_utf8(output.stdout).ok()?.trim()))
    })
}

fn version_of(bin: &Path) -> u32 {
    let folder = bin.parent().and_then(Path::file_name).and_then(|name| name.to_str());
    folder.and_then(|name| name.parse().ok()).unwrap_or(0)
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
