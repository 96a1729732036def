//! A throwaway PostgreSQL, reached by a socket in its own folder.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;
use tokio_postgres::{Client, Config, NoTls};

/// A running server; ends and is removed when dropped.
pub(crate) struct Cluster {
    folder: TempDir,
    bin: PathBuf,
}

impl Cluster {
    /// Starts a server whose databases are UTF-8 under the locale C.UTF-8.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let cluster = Self { folder, bin: binaries() };
        let path = cluster.folder.path();
        if is_root() {
            run(Command::new("chown").arg("postgres").arg(path));
        }
        let data = path.join("data");
        run(cluster.command("initdb").args(["--no-sync", "-A", "trust", "-U", "postgres"]).args([
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
            "-D",
            text(&data),
        ]));
        let options = format!("-c fsync=off -c listen_addresses= -k {}", text(path));
        let log = path.join("log");
        run(cluster
            .command("pg_ctl")
            .args(["-w", "-s", "-D", text(&data), "-l", text(&log), "-o", &options, "start"]));
        cluster
    }

    /// Opens a connection with the settings under which rows are logged.
    pub(crate) async fn connect(&self) -> Client {
        let mut config = Config::new();
        config.host_path(self.folder.path()).user("postgres").dbname("postgres").options(
            "-c timezone=UTC -c datestyle=ISO -c bytea_output=hex -c extra_float_digits=1",
        );
        let (client, connection) = config.connect(NoTls).await.expect("a connection");
        let _running = tokio::task::spawn(connection);
        client
    }

    fn command(&self, program: &str) -> Command {
        let path = self.bin.join(program);
        if !is_root() {
            return Command::new(path);
        }
        // PostgreSQL refuses to run as root.
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--"]).arg(path).current_dir(self.folder.path());
        command
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let data = self.folder.path().join("data");
        let mut stop = self.command("pg_ctl");
        let stopped = stop.args(["-s", "-m", "immediate", "-D", text(&data), "stop"]).status();
        assert!(stopped.is_ok(), "the server can be stopped");
    }
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output().expect("id");
    output.stdout.trim_ascii() == b"0"
}

fn binaries() -> PathBuf {
    let output = Command::new("pg_config").arg("--bindir").output();
    let bindir = output.ok().filter(|output| output.status.success());
    if let Some(bindir) = bindir {
        let path = PathBuf::from(String::from_utf8_lossy(bindir.stdout.trim_ascii()).as_ref());
        if path.join("initdb").is_file() {
            return path;
        }
    }
    let versions = std::fs::read_dir("/usr/lib/postgresql").expect("PostgreSQL is installed");
    let bins = versions.flatten().map(|version| version.path().join("bin"));
    bins.filter(|bin| bin.join("initdb").is_file()).max().expect("PostgreSQL's initdb")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path that is text")
}

fn run(command: &mut Command) -> Output {
    let output = command.output().expect("a command that starts");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}
