//! The servers under measurement: how each is started, reached and made to tell a change.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::cluster::Cluster;
use crate::link::{self, Link};
use crate::mark::{LANES, Mark, now_us};
use crate::process::{Launch, Process};
use crate::swarm::message::{Spec, Window};
use crate::swarm::server_text;
use crate::writer::Writer;

/// The /16 of clients on this machine's own network.
const LOOPBACK: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 0);

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    /// The write loop in C, without a database.
    Bare,
    /// pgfeed itself.
    #[value(name = "pgfeed")]
    Gateway,
    /// Node `ws` and `pg`.
    Node,
    /// Django Channels and daphne.
    Channels,
}

/// What is needed to start any of them.
pub(crate) struct Setup {
    pub(crate) gateway: Option<PathBuf>,
    pub(crate) peers: PathBuf,
    pub(crate) database_url: String,
    /// For servers that are not in the database's network namespace.
    pub(crate) database_socket_url: String,
    /// What lies between servers and clients; loopback where it is none.
    pub(crate) link: Option<Link>,
    pub(crate) folder: PathBuf,
}

/// A running server; ended when dropped.
pub(crate) struct Target {
    pub(crate) kind: Kind,
    pub(crate) address: SocketAddr,
    /// From where its clients come.
    sources: Ipv4Addr,
    process: Process,
    /// By lane, the number of the next change.
    next: [u32; LANES],
    /// What the write loop sends, with a mark to be replaced.
    sample: String,
}

/// A write as its sender saw it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    pub(crate) sent_us: u64,
    /// When the commit was acknowledged.
    pub(crate) acked_us: u64,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Gateway => "pgfeed",
            Self::Node => "node",
            Self::Channels => "channels",
        }
    }

    pub(crate) fn table(self) -> &'static str {
        match self {
            Self::Bare => "none",
            Self::Gateway => "bench_gateway",
            Self::Node => "bench_node",
            Self::Channels => "bench_channels",
        }
    }

    /// Most clients that it is asked to serve; more would only measure its patience.
    pub(crate) fn clients_max(self) -> u32 {
        match self {
            Self::Channels => 1000,
            Self::Bare | Self::Gateway | Self::Node => u32::MAX,
        }
    }
}

impl Target {
    pub(crate) async fn start(kind: Kind, setup: &Setup) -> Result<Self> {
        let command = command(kind, setup)?;
        let launch = Launch {
            name: kind.name(),
            folder: &setup.folder,
            user: None,
            end_signal: "TERM",
            namespace: setup.link.as_ref().map(Link::servers),
        };
        let mut process = Process::start(&launch, &command)?;
        let address = process.address().await?;
        let sources = if setup.link.is_some() { link::CLIENTS } else { LOOPBACK };
        let sample = default_sample();
        Ok(Self { kind, address, sources, process, next: [0; LANES], sample })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Ends it as a crash would and starts another, which goes on with the same numbers.
    pub(crate) async fn crash_and_restart(
        &mut self,
        setup: &Setup,
        while_down: impl AsyncFnOnce(&mut Self) -> Result<()>,
    ) -> Result<()> {
        self.process.kill()?;
        while_down(self).await?;
        let next = self.next;
        let fresh = Self::start(self.kind, setup).await?;
        *self = Self { next, ..fresh };
        Ok(())
    }

    /// How clients that want every change connect.
    pub(crate) fn spec(&self) -> Spec {
        let (path, subscribed) = match self.kind {
            Kind::Gateway => (format!("/ws/changes/?table={}", self.kind.table()), 1),
            Kind::Bare | Kind::Node | Kind::Channels => {
                (format!("/?table={}", self.kind.table()), 0)
            }
        };
        Spec {
            address: self.address,
            sources: self.sources,
            path,
            subscribed,
            subscribe: None,
            keep_cursors: false,
            at_once: 512,
            receive_buffer: None,
        }
    }

    /// The write loop sends what another server sends, so that bytes are equal.
    pub(crate) fn imitate(&mut self, sample: &str) {
        sample.clone_into(&mut self.sample);
    }

    /// The window of the next `count` changes of lane 0.
    pub(crate) fn window(&self, count: u32) -> Window {
        let mut window = Window::default();
        window.first[0] = self.next[0];
        window.count[0] = count;
        window
    }

    /// The window of the next `count` changes of every lane.
    pub(crate) fn window_of_lanes(&self, count: u32) -> Window {
        Window { first: self.next, count: [count; LANES], deliveries: None }
    }

    /// Counts changes as made, for those that write by themselves.
    pub(crate) fn advance(&mut self, window: &Window) {
        for lane in 0..LANES {
            self.next[lane] = window.first[lane] + window.count[lane];
        }
    }

    /// Makes `count` changes in one transaction.
    pub(crate) async fn change(&mut self, writer: &Writer, count: u32) -> Result<Sent> {
        let first = self.next[0];
        self.next[0] += count;
        let sent_us = now_us();
        let marks = (first..first + count).map(|number| Mark { lane: 0, number, sent_us }.text());
        if self.kind == Kind::Bare {
            self.tell_write_loop(marks)?;
        } else {
            writer.insert(self.kind.table(), marks.collect()).await?;
        }
        Ok(Sent { sent_us, acked_us: now_us() })
    }

    fn tell_write_loop(&mut self, marks: impl Iterator<Item = String>) -> Result<()> {
        let at = self.sample.find('@').context("a sample without a mark")?;
        let mut bytes = Vec::new();
        for mark in marks {
            self.sample.replace_range(at..at + mark.len(), &mark);
            bytes.extend(server_text(self.sample.as_bytes()));
        }
        let stdin = self.process.stdin()?;
        stdin.write_all(&u32::try_from(bytes.len())?.to_le_bytes())?;
        stdin.write_all(&bytes)?;
        stdin.flush().context("write loop")
    }
}

fn command(kind: Kind, setup: &Setup) -> Result<Command> {
    let (host, database_url) = match setup.link {
        None => (Ipv4Addr::LOCALHOST, &setup.database_url),
        Some(_) => (link::SERVER, &setup.database_socket_url),
    };
    let mut command = match kind {
        Kind::Bare => Command::new(setup.folder.join("bare")),
        Kind::Node => {
            let mut command = Command::new("node");
            command.arg(setup.peers.join("node/relay.js"));
            command
        }
        Kind::Channels => {
            let mut command = Command::new(setup.peers.join("channels/.venv/bin/python"));
            command.arg(setup.peers.join("channels/relay.py"));
            command
        }
        Kind::Gateway => {
            let mut command = Command::new(setup.gateway.as_ref().context("no gateway")?);
            command.arg("serve").envs(gateway_settings(host));
            command
        }
    };
    command.env("DATABASE_URL", database_url).env("LISTEN_ADDRESS", host.to_string());
    Ok(command)
}

/// The limits per address and client would measure themselves here: all clients are one machine.
fn gateway_settings(host: Ipv4Addr) -> impl Iterator<Item = (String, String)> {
    let listen = format!("{host}:0");
    [
        ("SERVER__LISTEN", listen.as_str()),
        // Without a key it would listen on loopback alone.
        ("AUTH__ALLOW_UNSET", "true"),
        ("ACCESS__DEFAULT", "anyone"),
        ("LIMITS__CONNECTIONS_MAX", "1000000"),
        ("LIMITS__CONNECTIONS_PER_IP_MAX", "1000000"),
        ("LIMITS__SUBSCRIPTIONS_PER_CONNECTION_MAX", "2000"),
        ("LIMITS__MESSAGES_PER_SECOND_MAX", "1000000"),
    ]
    .map(|(key, value)| (format!("PGFEED__{key}"), value.to_owned()))
    .into_iter()
}

/// Puts the gateway's table on the feed.
pub(crate) fn install_gateway(setup: &Setup) -> Result<()> {
    for arguments in [&["install"][..], &["watch", "bench_gateway"]] {
        let mut command = Command::new(setup.gateway.as_ref().context("no gateway")?);
        command.args(arguments).env("DATABASE_URL", &setup.database_url);
        let output = command.output().context("pgfeed")?;
        let told = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "pgfeed {arguments:?}: {told}");
    }
    Ok(())
}

/// Installs the peers by package name and compiles the write loop, where that is not done.
pub(crate) fn prepare_peers(peers: &Path, folder: &Path, kinds: &[Kind]) -> Result<()> {
    let run = |command: &mut Command| -> Result<()> {
        let output = command.output().with_context(|| format!("{command:?}"))?;
        let told = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{command:?}: {told}");
        Ok(())
    };
    for kind in kinds {
        match kind {
            Kind::Bare => {
                let mut cc = Command::new("cc");
                cc.args(["-O2", "-Wall", "-Wextra", "-o"]).arg(folder.join("bare"));
                run(cc.arg(peers.join("bare.c")))?;
            }
            Kind::Node if !peers.join("node/node_modules/ws").exists() => {
                let mut npm = Command::new("npm");
                npm.args(["install", "--no-audit", "--no-fund"]);
                run(npm.current_dir(peers.join("node")))?;
            }
            Kind::Channels if !peers.join("channels/.venv/bin/daphne").exists() => {
                let folder = peers.join("channels");
                run(Command::new("python3").args(["-m", "venv", ".venv"]).current_dir(&folder))?;
                let mut pip = Command::new(folder.join(".venv/bin/pip"));
                pip.args(["install", "--quiet", "-r", "requirements.txt"]);
                run(pip.current_dir(&folder))?;
            }
            Kind::Gateway | Kind::Node | Kind::Channels => {}
        }
    }
    Ok(())
}

/// A change as the protocol shows it, until a gateway has shown a real one.
fn default_sample() -> String {
    let mark = Mark { lane: 0, number: 0, sent_us: 0 }.text();
    let body = crate::writer::body();
    format!(
        "{{\"type\":\"change\",\"topic\":\"1\",\"schema\":\"public\",\"table\":\"bench_gateway\",\
         \"operation\":\"INSERT\",\"effect\":\"enter\",\"key\":{{\"id\":100001}},\
         \"data\":{{\"id\":100001,\"owner\":0,\"mark\":\"{mark}\",\"body\":\"{body}\"}},\
         \"id\":\"100001\",\"xid\":\"100001\",\"at\":\"2026-01-01T00:00:00.000000Z\"}}"
    )
}

/// Everything but the gateway's binary comes from the run itself.
impl Setup {
    pub(crate) fn new(gateway: Option<PathBuf>, peers: PathBuf, cluster: &Cluster) -> Self {
        Self {
            gateway,
            peers,
            database_url: cluster.url(),
            database_socket_url: cluster.socket_url(),
            link: None,
            folder: cluster.folder.clone(),
        }
    }
}
