//! The folder of a throwaway cluster: made private, handed to the account that runs the server,
//! read to learn how the server is doing.

use std::{
    fs::{self, File, OpenOptions},
    hash::{BuildHasher, RandomState},
    io::Write,
    net::TcpListener,
    os::unix::fs::{DirBuilderExt, MetadataExt, chown},
    path::{Path, PathBuf},
};

use super::{ClusterError, Options};

/// A Unix socket's path may have 107 bytes; `/.s.PGSQL.12345` is 16 of them.
const PATH_BYTES_MAX: usize = 90;
/// How much of the server's log is worth showing.
const LOG_LINES_SHOWN: usize = 8;
/// Ports below those that the system hands out by itself: a stopped server finds its own again.
const PORTS: std::ops::Range<u16> = 20_000..32_000;
const PORT_TRIES: usize = 100;

/// The operating system's account under which the server runs where we are root.
#[derive(Clone, Copy, Debug)]
pub(super) struct Account {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

/// The folder. It is deleted by the keeper, not by this value's end: see `keeper.rs`.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
}

impl Folder {
    pub(super) fn make(base: &Path) -> Result<Self, ClusterError> {
        let base =
            if base.as_os_str().len() > PATH_BYTES_MAX - 24 { Path::new("/tmp") } else { base };
        let path = base.join(format!("pgfeed-{:016x}", random()));
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .map_err(ClusterError::io(format!("make {}", path.display())))?;
        Ok(Self { path })
    }

    /// PostgreSQL refuses to run as root: gives the folder to an ordinary account, where we are.
    pub(super) fn drop_root(&self) -> Result<Option<Account>, ClusterError> {
        // Whoever made the folder owns it: this asks for the effective user without libc.
        let owner = fs::metadata(&self.path).map_err(ClusterError::io("look at the folder"))?.uid();
        if owner != 0 {
            return Ok(None);
        }
        let accounts = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let account = ["postgres", "nobody"]
            .iter()
            .find_map(|name| account(&accounts, name))
            .unwrap_or(Account { uid: 65_534, gid: 65_534 });
        chown(&self.path, Some(account.uid), Some(account.gid))
            .map_err(ClusterError::io("give the folder to an ordinary user"))?;
        Ok(Some(account))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn data(&self) -> PathBuf {
        self.path.join("data")
    }

    pub(super) fn configure(&self, options: &Options) -> Result<(), ClusterError> {
        let sockets = self.path.display().to_string();
        let mut conf = vec![
            ("listen_addresses", "127.0.0.1"),
            ("unix_socket_directories", sockets.as_str()),
            ("max_connections", "200"),
        ];
        if !options.durable {
            conf.extend([("fsync", "off"), ("full_page_writes", "off")]);
        }
        conf.extend(options.conf.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let lines = conf.iter().map(|(name, value)| {
            let quoted = value.replace('\'', "''");
            format!("{name} = '{quoted}'\n")
        });
        let text: String = std::iter::once("\n".to_owned()).chain(lines).collect();
        OpenOptions::new()
            .append(true)
            .open(self.data().join("postgresql.conf"))
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(ClusterError::io("write postgresql.conf"))
    }

    pub(super) fn open_log(&self) -> Result<File, ClusterError> {
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.log())
            .map_err(ClusterError::io("open the server's log"))
    }

    pub(super) fn log_tail(&self) -> String {
        let log = fs::read(self.log()).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("\n")
    }

    /// Whether the server with this process id says that it accepts connections: the first and the
    /// last line of its pid file, as `pg_ctl` reads them.
    pub(super) fn is_ready(&self, pid: u32) -> bool {
        let text = fs::read_to_string(self.data().join("postmaster.pid")).unwrap_or_default();
        let mut lines = text.lines();
        lines.next().is_some_and(|first| first.trim() == pid.to_string())
            && lines.last().is_some_and(|last| matches!(last.trim(), "ready" | "standby"))
    }

    fn log(&self) -> PathBuf {
        self.path.join("server.log")
    }
}

/// A port that nobody listens on at this moment.
pub(super) fn free_port() -> Result<u16, ClusterError> {
    let span = u64::from(PORTS.end - PORTS.start);
    for _ in 0..PORT_TRIES {
        let above = u16::try_from(random() % span).expect("the span of ports fits");
        if is_free(PORTS.start + above) {
            return Ok(PORTS.start + above);
        }
    }
    Err(ClusterError::io("find a free port")(std::io::ErrorKind::AddrInUse.into()))
}

/// Whether a server could listen on this port now.
pub(super) fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}

/// Random enough for a name and a port: the standard library seeds each state by itself.
fn random() -> u64 {
    RandomState::new().hash_one(std::process::id())
}

fn account(passwd: &str, name: &str) -> Option<Account> {
    let line = passwd.lines().find(|line| line.split(':').next() == Some(name))?;
    let mut fields = line.split(':').skip(2);
    let uid = fields.next()?.parse().ok()?;
    let gid = fields.next()?.parse().ok()?;
    Some(Account { uid, gid })
}
