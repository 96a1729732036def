//! A server with TLS and with rules about who may come how.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, chown},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use pgfeed::source::{
    cluster::{Cluster, Options, StopMode},
    connect::Target,
};

/// Users are told apart by how they must come.
const HBA: &str = "\
local     all all        trust
host      all postgres   all trust
hostssl   all only_tls   all scram-sha-256
hostnossl all only_plain all scram-sha-256
host      all either     all scram-sha-256
";

/// What a fresh cluster lacks, told to it as its superuser.
const SET_UP: &str = "\
create role only_tls login password 'right';
create role only_plain login password 'right';
create role either login password 'right';
alter system set ssl = on;
";

/// A running server; it ends with this value.
pub(crate) struct Server {
    cluster: Cluster,
}

impl Server {
    /// Starts one whose certificate is for `localhost`.
    pub(crate) async fn start() -> Self {
        let mut server = Self { cluster: Cluster::start(Options::from_env()).await.unwrap() };
        server.make_certificates();
        fs::write(server.path("pg_hba.conf"), HBA).unwrap();
        let target = Target::parse(&server.cluster.url("postgres"), &|_| None).unwrap();
        let client = target.pool(1, &[]).get().await.unwrap();
        for step in SET_UP.lines() {
            client.batch_execute(step).await.unwrap();
        }
        // A reload would be heard at some moment; a restart is over when it is over.
        server.cluster.stop(StopMode::Fast).await.unwrap();
        server.cluster.start_again().await.unwrap();
        server
    }

    /// Starts it again as a standby that waits for a primary.
    pub(crate) async fn become_standby(&mut self) {
        self.cluster.stop(StopMode::Fast).await.unwrap();
        fs::write(self.path("standby.signal"), "").unwrap();
        self.cluster.start_again().await.unwrap();
    }

    /// A file in the data folder: `authority.crt`, `stranger.crt`, `server.crt`.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.cluster.data_dir().join(name)
    }

    pub(crate) fn port(&self) -> u16 {
        self.cluster.port()
    }

    fn make_certificates(&self) {
        let folder = self.cluster.data_dir();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/connect/certificates.sh");
        let status = Command::new("sh")
            .args([script, folder.clone()])
            .stdin(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success(), "certificates.sh needs openssl: {status}");
        let owner = fs::metadata(&folder).unwrap();
        for file in ["server.crt", "server.key"] {
            chown(folder.join(file), Some(owner.uid()), Some(owner.gid())).unwrap();
        }
    }
}
