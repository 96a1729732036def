//! The keeper: a small shell that outlives us by a moment and cleans up.
//!
//! It reads our orders from a pipe. When the pipe ends, because we are done or because we were
//! killed, it ends the server and deletes the folder: so no server is ever left behind, without a
//! parent-death signal (Linux only, and `unsafe`). It also sends the signals that stop a server,
//! which the standard library can't. It stays under our own account, which made the folder: the
//! server's may not delete it everywhere.

use std::{path::Path, process::Stdio};

use tokio::{
    io::AsyncWriteExt,
    process::{Child, ChildStdin, Command},
};

use super::ClusterError;

/// An order is a signal and a process id. The server's pid file vanishes when it has ended, however
/// it ended; where it was killed outright, the wait has a limit.
const SCRIPT: &str = r#"
trap '' HUP INT TERM
pid=
while read -r signal pid; do kill "-$signal" "$pid" 2>/dev/null; done
if [ -n "$pid" ]; then
  kill -QUIT "$pid" 2>/dev/null
  tries=0
  while [ -e "$1/data/postmaster.pid" ] && kill -0 "$pid" 2>/dev/null && [ $tries -lt 100 ]; do
    sleep 0.05
    tries=$((tries + 1))
  done
fi
cd / && rm -rf "$1"
"#;

/// The keeper of one cluster's folder. Dropping it closes the pipe, which is its order to clean up.
#[derive(Debug)]
pub(super) struct Keeper {
    shell: Child,
    orders: ChildStdin,
}

impl Keeper {
    pub(super) fn start(folder: &Path) -> Result<Self, ClusterError> {
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(SCRIPT).arg("pgfeed-keeper").arg(folder);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        command.current_dir(folder).process_group(0);
        let mut shell = command.spawn().map_err(ClusterError::io("start the cluster's keeper"))?;
        let orders = shell.stdin.take().expect("the pipe was asked for");
        Ok(Self { shell, orders })
    }

    /// Makes the keeper responsible for this server.
    pub(super) async fn watch(&mut self, pid: u32) -> Result<(), ClusterError> {
        self.signal("0", pid).await
    }

    /// Sends a signal, by its name without `SIG`.
    pub(super) async fn signal(&mut self, name: &str, pid: u32) -> Result<(), ClusterError> {
        let order = format!("{name} {pid}\n");
        self.orders
            .write_all(order.as_bytes())
            .await
            .map_err(ClusterError::io("reach the cluster's keeper"))
    }

    /// Has everything cleaned up and waits for it.
    pub(super) async fn end(self) -> Result<(), ClusterError> {
        let Self { mut shell, orders } = self;
        drop(orders);
        shell.wait().await.map_err(ClusterError::io("wait for the cluster's keeper"))?;
        Ok(())
    }
}
