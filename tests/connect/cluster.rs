//! A PostgreSQL of one's own, with TLS, for as long as a test runs.

use std::{
    env, fs,
    net::TcpListener,
    os::unix::{fs::chown, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;

/// Which connections are let in: by user, so that a test chooses by the user it names.
const HBA: &str = "\
local   all all             trust
hostssl all only_tls   all  scram-sha-256
hostnossl all only_plain all  scram-sha-256
host    all either     all  scram-sha-256
";

/// A running server; it ends with this value.
pub(crate) struct Cluster {
    folder: TempDir,
    programs: PathBuf,
    owner: Option<(u32, u32)>,
    port: u16,
}

impl Cluster {
    /// Makes and starts one.
    pub(crate) fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("pgfeed-connect-").tempdir().unwrap();
        let cluster = Self { folder, programs: programs(), owner: owner(), port: free_port() };
        cluster.give_away(cluster.folder.path());
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/connect/certificates.sh");
        run(Command::new("sh").arg(script).arg(cluster.folder.path()));
        for file in ["server.crt", "server.key"] {
            cluster.give_away(&cluster.path(file));
        }
        run(cluster
            .program("initdb")
            .args(["--no-sync", "-A", "trust", "-U", "postgres", "-D"])
            .arg(cluster.data()));
        fs::write(cluster.data().join("pg_hba.conf"), HBA).unwrap();
        let folder = cluster.folder.path().display();
        let options = format!(
            "-p {} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off -c ssl=on \
             -c ssl_cert_file={folder}/server.crt -c ssl_key_file={folder}/server.key",
            cluster.port,
        );
        run(cluster
            .program("pg_ctl")
            .args(["-w", "-s", "-l"])
            .arg(cluster.path("log"))
            .arg("-D")
            .arg(cluster.data())
            .args(["-o", &options, "start"]));
        cluster
    }

    /// A file in the cluster's folder: `authority.crt`, `stranger.crt`.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The port, over TCP and as the name of the socket.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The folder of the socket, where `postgres` is let in without a password.
    pub(crate) fn socket_url(&self) -> String {
        format!("host={} port={} user=postgres", self.folder.path().display(), self.port)
    }

    fn data(&self) -> PathBuf {
        self.path("data")
    }

    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        command.current_dir("/").stdin(Stdio::null()).env("LC_ALL", "C");
        if let Some((user, group)) = self.owner {
            command.uid(user).gid(group);
        }
        command
    }

    fn give_away(&self, path: &Path) {
        if let Some((user, group)) = self.owner {
            chown(path, Some(user), Some(group)).unwrap();
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        run(self
            .program("pg_ctl")
            .args(["-s", "-m", "immediate", "-D"])
            .arg(self.data())
            .arg("stop"));
    }
}

fn run(command: &mut Command) {
    // The server inherits the output, so a pipe would stay open for as long as it runs.
    let status = command.stdout(Stdio::null()).status().unwrap();
    assert!(status.success(), "{command:?}: {status}");
}

/// The newest PostgreSQL of this machine, unless one is named.
fn programs() -> PathBuf {
    if let Some(named) = env::var_os("PGFEED_PG_BIN") {
        return named.into();
    }
    let mut found: Vec<_> = fs::read_dir("/usr/lib/postgresql")
        .expect("PostgreSQL is installed, or PGFEED_PG_BIN names its programs")
        .map(|it| it.unwrap().path().join("bin"))
        .collect();
    found.sort();
    found.pop().expect("PostgreSQL is installed")
}

/// Whom the server runs as, where we are root: PostgreSQL refuses to be root.
fn owner() -> Option<(u32, u32)> {
    use std::os::unix::fs::MetadataExt as _;
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let user = |name: &str| {
        let line = users.lines().find(|it| it.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2).map(str::parse);
        Some((fields.next()?.ok()?, fields.next()?.ok()?))
    };
    user("postgres").or_else(|| user("nobody"))
}

fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}
