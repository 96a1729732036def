//! One measured step: arm the clients, make the changes, wait for the last receipt.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::{Bench, float, ms};
use crate::process::cpu_seconds;
use crate::swarm::Group;
use crate::swarm::message::Seen;
use crate::target::{Kind, Sent, Target};

const WITHIN: Duration = Duration::from_secs(30);

/// A server with the clients that it serves in one scenario.
pub(super) struct Served {
    pub(super) target: Target,
    pub(super) group: Group,
    /// It has lost a change: what it does now is no longer worth a figure.
    pub(super) has_lost: bool,
}

/// Several steps added up.
#[derive(Default)]
pub(super) struct Steps {
    pub(super) cpu_s: f64,
    /// What the database spent in the same time, the writers' part included.
    pub(super) database_cpu_s: f64,
    pub(super) changes: u32,
    pub(super) deliveries: u64,
    pub(super) bytes: u64,
    pub(super) lost: u64,
    pub(super) repeated: u64,
    /// Time in which deliveries were under way.
    pub(super) busy_us: u64,
    /// By step: from sending to the last receipt of the last change.
    pub(super) to_last_ms: Vec<f64>,
    /// By step: from the first receipt to the last.
    pub(super) spread_ms: Vec<f64>,
}

impl Steps {
    pub(super) fn cpu_us(&self) -> f64 {
        self.cpu_s * 1e6 / float(self.deliveries)
    }

    pub(super) fn database_cpu_us(&self) -> f64 {
        self.database_cpu_s * 1e6 / f64::from(self.changes)
    }

    pub(super) fn deliveries_per_second(&self) -> f64 {
        float(self.deliveries) * 1e6 / float(self.busy_us)
    }

    pub(super) fn bytes_each(&self) -> f64 {
        (float(self.bytes) / float(self.deliveries)).round()
    }

    /// What a reader must know first: nothing is worth measuring that loses.
    pub(super) fn verdict(&self) -> String {
        verdict(self.lost, self.repeated)
    }

    fn add(&mut self, sent: Sent, seen: &Seen) {
        self.deliveries += seen.deliveries;
        self.bytes += seen.bytes;
        self.lost += seen.lost;
        self.repeated += seen.repeated;
        let first = seen.receipts.iter().flatten().map(|r| r.0).filter(|us| *us > 0).min();
        let last = seen.receipts.iter().flatten().map(|r| r.1).max().unwrap_or(0);
        self.busy_us += last.saturating_sub(sent.sent_us).max(1);
        self.to_last_ms.push(ms(last.saturating_sub(sent.sent_us)));
        self.spread_ms.push(ms(last.saturating_sub(first.unwrap_or(last))));
    }
}

/// The same for clients that came back: what they had may come again (at least once).
pub(super) fn verdict_after_return(lost: u64, repeated: u64) -> String {
    match (lost, repeated) {
        (0, 0) => "exact".to_owned(),
        (0, again) => format!("none lost, {again} again"),
        (lost, _) => format!("**{lost} lost**"),
    }
}

pub(super) fn verdict(lost: u64, repeated: u64) -> String {
    match (lost, repeated) {
        (0, 0) => "exact".to_owned(),
        _ => format!("**{lost} lost, {repeated} again or late**"),
    }
}

/// Connects `clients` to each server and lets it tell a change, so that all code has run once.
pub(super) async fn serve(
    bench: &mut Bench,
    targets: Vec<Target>,
    clients: u32,
) -> Result<Vec<Served>> {
    let mut all = Vec::new();
    for target in targets {
        let group = bench.swarm.connect_all(&target.spec(), clients).await?;
        all.push(Served { target, group, has_lost: false });
    }
    for served in &mut all {
        for _ in 0..2 {
            steps(bench, served, 1, 1).await?;
        }
    }
    imitate(bench, &mut all).await?;
    Ok(all)
}

/// Gives the write loop the message that the gateway sent.
async fn imitate(bench: &mut Bench, all: &mut [Served]) -> Result<()> {
    let gateway = all.iter().find(|served| served.target.kind == Kind::Gateway);
    let Some(gateway) = gateway else { return Ok(()) };
    let sample = bench.swarm.status(&gateway.group).await?.sample;
    for served in all.iter_mut().filter(|served| served.target.kind == Kind::Bare) {
        if let Some(sample) = &sample {
            served.target.imitate(sample);
        }
    }
    Ok(())
}

/// `turns` times `changes` in one transaction, each turn after the last receipt of the one before.
pub(super) async fn steps(
    bench: &mut Bench,
    served: &mut Served,
    turns: u32,
    changes: u32,
) -> Result<Steps> {
    let mut total = Steps::default();
    let before = cpu_seconds(served.target.pid());
    let database_before = cpu_seconds(bench.cluster.pid());
    for turn in 1..=turns {
        let window = served.target.window(changes);
        bench.swarm.arm(&served.group, &window).await?;
        let sent = served.target.change(&bench.writer, changes).await?;
        let mut seen = bench.swarm.window(&served.group, WITHIN).await?;
        let complete = seen.complete;
        if !complete {
            let wanted = u64::from(changes) * u64::from(served.group.count);
            ensure!(seen.deliveries > 0, "{} told nothing", served.target.kind.name());
            seen.lost = seen.lost.max(wanted.saturating_sub(seen.deliveries));
        }
        total.add(sent, &seen);
        total.changes = turn * changes;
        // What is lost will not come; waiting for more of it would take hours.
        if !complete {
            served.has_lost = true;
            break;
        }
    }
    total.cpu_s = cpu_seconds(served.target.pid()) - before;
    total.database_cpu_s = cpu_seconds(bench.cluster.pid()) - database_before;
    Ok(total)
}

pub(super) async fn leave(bench: &mut Bench, all: Vec<Served>) -> Result<()> {
    for served in all {
        bench.swarm.close(served.group).await?;
    }
    Ok(())
}
