//! A throwaway PostgreSQL, for `pgfeed dev` and for the tests.
//!
//! A cluster lives in one private folder with its sockets, its data and its log, and is gone with
//! it: when it is dropped, when [`Cluster::destroy`] is called, and also when the program that
//! started it is killed. It is open to everybody on this machine (`trust` on 127.0.0.1) and, unless
//! it is durable, never waits for the disk: never a place for data that matters.

mod binaries;
mod folder;
mod keeper;
#[cfg(test)]
mod tests;

use std::{
    io,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use tokio::{
    process::{Child, Command},
    time::{self, Instant},
};

pub use self::binaries::Lookup;
use self::{
    folder::{Account, Folder},
    keeper::Keeper,
};

/// The name of the superuser of every throwaway cluster.
pub const SUPERUSER: &str = "postgres";

/// How long a server may take until it accepts connections; crash recovery is part of it.
const READY_MAX: Duration = Duration::from_mins(1);
/// How often the server's own word on its state is looked at while one waits for it.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How many ports are tried before giving up: each may be taken between the look and the use.
const PORT_TRIES: usize = 5;

/// What kind of cluster to start, and where to look for the programs.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whether commits survive a crash of the server. Costs a flush for each commit.
    pub durable: bool,
    /// Further settings for `postgresql.conf`, unquoted.
    pub conf: Vec<(String, String)>,
    /// Where PostgreSQL's programs may be.
    pub lookup: Lookup,
    /// The folder in which the cluster's own folder is made.
    pub base: PathBuf,
}

impl Options {
    /// Options that look for PostgreSQL where this process's environment says.
    pub fn from_env() -> Self {
        Self {
            durable: false,
            conf: Vec::new(),
            lookup: Lookup::from_env(),
            base: std::env::temp_dir(),
        }
    }

    /// The same with commits that survive a crash.
    #[must_use]
    pub fn durable(mut self) -> Self {
        self.durable = true;
        self
    }

    /// The same with one more setting.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.conf.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// How a server is asked to stop: `pg_ctl`'s words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopMode {
    /// Waits until all clients have gone.
    Smart,
    /// Ends all sessions, then writes a checkpoint.
    Fast,
    /// Ends at once, as in a crash: the next start recovers from the log.
    Immediate,
}

impl StopMode {
    fn signal(self) -> &'static str {
        match self {
            Self::Smart => "TERM",
            Self::Fast => "INT",
            Self::Immediate => "QUIT",
        }
    }
}

/// Why there is no cluster.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// No programs where they are usually kept.
    #[error("no PostgreSQL server programs found; {hint}")]
    NotFound {
        /// The one line to type.
        hint: String,
    },
    /// `PGFEED_PG_BIN` points to a folder without them.
    #[error("PGFEED_PG_BIN names {}, which holds no `initdb` and `postgres`", path.display())]
    WrongFolder {
        /// The folder named.
        path: PathBuf,
    },
    /// The operating system refused a step.
    #[error("could not {step}")]
    Io {
        /// What was tried.
        step: String,
        /// What the system said.
        source: io::Error,
    },
    /// `initdb` failed.
    #[error("`initdb` failed: {output}")]
    Initdb {
        /// What it printed.
        output: String,
    },
    /// The server ended before it was ready.
    #[error("the server ended while starting ({status}): {log}")]
    Ended {
        /// How it ended.
        status: ExitStatus,
        /// The end of its log.
        log: String,
    },
    /// The server neither ended nor became ready.
    #[error("the server was not ready in {} s: {log}", READY_MAX.as_secs())]
    NotReady {
        /// The end of its log.
        log: String,
    },
}

impl ClusterError {
    fn io(step: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let step = step.into();
        move |source| Self::Io { step, source }
    }
}

/// A running (or stopped) throwaway server. Owned by whoever started it; all of it goes with it.
#[derive(Debug)]
pub struct Cluster {
    bin: PathBuf,
    folder: Folder,
    account: Option<Account>,
    port: u16,
    server: Option<Child>,
    keeper: Keeper,
}

impl Cluster {
    /// Makes a cluster and waits until it accepts connections.
    pub async fn start(options: Options) -> Result<Self, ClusterError> {
        let bin = binaries::find(&options.lookup).await?;
        let folder = Folder::make(&options.base)?;
        let account = folder.drop_root()?;
        let keeper = Keeper::start(folder.path())?;
        let mut cluster = Self { bin, folder, account, port: 0, server: None, keeper };
        cluster.initdb().await?;
        cluster.folder.configure(&options)?;
        let mut tries = 0;
        loop {
            tries += 1;
            cluster.port = folder::free_port()?;
            match cluster.start_again().await {
                Err(ClusterError::Ended { .. })
                    if tries < PORT_TRIES && !folder::is_free(cluster.port) => {}
                started => return started.map(|()| cluster),
            }
        }
    }

    /// Starts the server that was stopped, on the same port and data.
    pub async fn start_again(&mut self) -> Result<(), ClusterError> {
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.data_dir()).args(["-p", &self.port.to_string()]);
        let log = self.folder.open_log()?;
        let errors = log.try_clone().map_err(ClusterError::io("open the server's log"))?;
        command.stdout(log).stderr(errors);
        let mut server = command.spawn().map_err(ClusterError::io("start `postgres`"))?;
        let pid = server.id().expect("a child that was not waited for has an id");
        self.keeper.watch(pid).await?;
        let ready = self.wait_ready(&mut server, pid).await;
        self.server = Some(server);
        if let Err(error) = ready {
            self.stop(StopMode::Immediate).await?;
            return Err(error);
        }
        Ok(())
    }

    /// Stops the server and waits until it has ended. Nothing happens where it is stopped already.
    pub async fn stop(&mut self, mode: StopMode) -> Result<(), ClusterError> {
        let Some(mut server) = self.server.take() else { return Ok(()) };
        if let Some(pid) = server.id() {
            self.keeper.signal(mode.signal(), pid).await?;
        }
        server.wait().await.map_err(ClusterError::io("wait for the server's end"))?;
        Ok(())
    }

    /// Stops the server, deletes everything, and waits for both.
    pub async fn destroy(mut self) -> Result<(), ClusterError> {
        self.stop(StopMode::Immediate).await?;
        self.keeper.end().await
    }

    /// The address of a database in this cluster, for the superuser.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{SUPERUSER}@127.0.0.1:{}/{database}", self.port)
    }

    /// The TCP port on 127.0.0.1; the same over restarts.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process id of the server while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.server.as_ref().and_then(Child::id)
    }

    /// The data folder, as `initdb` made it.
    pub fn data_dir(&self) -> PathBuf {
        self.folder.data()
    }

    /// The folder with the server's Unix socket.
    pub fn socket_dir(&self) -> &Path {
        self.folder.path()
    }

    /// The folder of the programs in use.
    pub fn bin_dir(&self) -> &Path {
        &self.bin
    }

    /// The end of the server's log, for a message to a person.
    pub fn log_tail(&self) -> String {
        self.folder.log_tail()
    }

    async fn initdb(&self) -> Result<(), ClusterError> {
        let mut output = String::new();
        // C.UTF-8 is missing on macOS and on some small systems.
        for locale in ["C.UTF-8", "C"] {
            let done = self
                .command("initdb")
                .arg("-D")
                .arg(self.data_dir())
                .args(["--no-sync", "-A", "trust", "-E", "UTF8", "-U", SUPERUSER])
                .arg(format!("--locale={locale}"))
                .stderr(Stdio::piped())
                .output()
                .await
                .map_err(ClusterError::io("start `initdb`"))?;
            if done.status.success() {
                return Ok(());
            }
            String::from_utf8_lossy(&done.stderr).trim().clone_into(&mut output);
        }
        Err(ClusterError::Initdb { output })
    }

    /// A program of PostgreSQL's, under the right account, out of reach of the terminal's Ctrl-C:
    /// the server must outlive the gateway's drain.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.bin.join(program));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.current_dir(self.folder.path()).process_group(0);
        if let Some(account) = self.account {
            command.uid(account.uid).gid(account.gid);
        }
        command
    }

    async fn wait_ready(&self, server: &mut Child, pid: u32) -> Result<(), ClusterError> {
        let deadline = Instant::now() + READY_MAX;
        loop {
            if self.folder.is_ready(pid) {
                return Ok(());
            }
            match time::timeout(LOOK_EVERY, server.wait()).await {
                Ok(ended) => {
                    let status = ended.map_err(ClusterError::io("wait for the server"))?;
                    return Err(ClusterError::Ended { status, log: self.folder.log_tail() });
                }
                Err(_elapsed) if Instant::now() < deadline => {}
                Err(_elapsed) => {
                    return Err(ClusterError::NotReady { log: self.folder.log_tail() });
                }
            }
        }
    }
}
