//! The scenarios: each starts its own servers, measures them in turns and writes into the report.

mod burst;
mod delivery;
mod fanout;
mod idle;
mod latency;
mod link;
mod resume;
mod routing;
mod slow;
mod storm;
mod writing;

use anyhow::Result;
use clap::ValueEnum;

use crate::cluster::Cluster;
use crate::report::Report;
use crate::swarm::Swarm;
use crate::target::{Kind, Setup, Target};
use crate::writer::Writer;

/// What every scenario works with.
pub(crate) struct Bench {
    pub(crate) cluster: Cluster,
    pub(crate) setup: Setup,
    pub(crate) writer: Writer,
    pub(crate) swarm: Swarm,
    pub(crate) report: Report,
    pub(crate) quick: bool,
    /// How many clients a fan-out has, where that was asked for.
    pub(crate) clients: Vec<u32>,
    /// The servers to be measured, the reference first.
    pub(crate) kinds: Vec<Kind>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// One change to many clients.
    Fanout,
    /// The same across a link, as between machines.
    Link,
    /// Many changes of one transaction to many clients.
    Burst,
    /// Memory of sockets on which nothing happens, and after they leave.
    Idle,
    /// From commit to receipt, idle and at fixed rates.
    Latency,
    /// Everybody connects at once.
    Storm,
    /// Everybody comes back with a cursor after the gateway was killed.
    Resume,
    /// A change among few and among very many filtered subscriptions.
    Routing,
    /// One client does not read.
    Slow,
    /// What a write costs the application.
    Writer,
}

impl Scenario {
    pub(crate) async fn run(self, bench: &mut Bench) -> Result<()> {
        match self {
            Self::Fanout => fanout::run(bench).await,
            Self::Link => link::run(bench).await,
            Self::Burst => burst::run(bench).await,
            Self::Idle => idle::run(bench).await,
            Self::Latency => latency::run(bench).await,
            Self::Storm => storm::run(bench).await,
            Self::Resume => resume::run(bench).await,
            Self::Routing => routing::run(bench).await,
            Self::Slow => slow::run(bench).await,
            Self::Writer => writing::run(bench).await,
        }
    }
}

impl Bench {
    pub(crate) fn measures(&self, kind: Kind) -> bool {
        self.kinds.contains(&kind)
    }

    /// Starts those of the servers that serve so many clients.
    async fn start(&self, kinds: &[Kind], clients: u32) -> Result<Vec<Target>> {
        let mut targets = Vec::new();
        for kind in &self.kinds {
            if kinds.contains(kind) && clients <= kind.clients_max() {
                targets.push(Target::start(*kind, &self.setup).await?);
            }
        }
        Ok(targets)
    }
}

const ALL: &[Kind] = &[Kind::Bare, Kind::Gateway, Kind::Node, Kind::Channels];

/// `10000` as `10,000`.
fn grouped(value: u32) -> String {
    let digits = value.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[expect(clippy::cast_precision_loss, reason = "counts and microseconds stay below 2^52")]
fn float(value: u64) -> f64 {
    value as f64
}

fn ms(us: u64) -> f64 {
    float(us) / 1000.0
}
