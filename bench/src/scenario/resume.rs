//! The gateway is killed, changes go on, everybody comes back with a cursor.

use std::time::Duration;

use anyhow::Result;
use tokio::time::sleep;

use super::delivery::verdict_after_return;
use super::{Bench, float, grouped};
use crate::mark::now_us;
use crate::process::cpu_seconds;
use crate::swarm::message::Spec;
use crate::target::{Kind, Target};

const MISSED: u32 = 100;
const WITHIN: Duration = Duration::from_mins(2);

pub(super) async fn run(bench: &mut Bench) -> Result<()> {
    if !bench.measures(Kind::Gateway) {
        return Ok(());
    }
    let clients = if bench.quick { 2000 } else { 10_000 };
    let mut target = Target::start(Kind::Gateway, &bench.setup).await?;
    let spec = Spec { keep_cursors: true, ..target.spec() };
    let group = bench.swarm.connect_all(&spec, clients).await?;
    let window = target.window(1);
    bench.swarm.arm(&group, &window).await?;
    target.change(&bench.writer, 1).await?;
    bench.swarm.window(&group, WITHIN).await?;
    // The cursor of a change follows it.
    sleep(Duration::from_secs(1)).await;
    let writer = &bench.writer;
    let window = target.window(MISSED);
    bench.swarm.arm(&group, &window).await?;
    target
        .crash_and_restart(&bench.setup, async |target: &mut Target| {
            target.change(writer, MISSED).await.map(|_sent| ())
        })
        .await?;
    let before = cpu_seconds(target.pid());
    let started = now_us();
    let connected = bench.swarm.reconnect(&group, target.address).await?;
    let seen = bench.swarm.window(&group, WITHIN).await?;
    let last = seen.receipts.iter().flatten().map(|receipt| receipt.1).max().unwrap_or(0);
    let status = bench.swarm.status(&group).await?;
    let wanted = u64::from(clients * MISSED);
    let lost = seen.lost.max(wanted.saturating_sub(seen.deliveries));
    let mut entry =
        bench.report.entry("resume", &format!("{} × {MISSED}", grouped(clients)), "pgfeed");
    entry
        .add("seconds to the last change", float(last.saturating_sub(started)) / 1e6)
        .add("seconds to connect", float(connected.elapsed_us) / 1e6)
        .add("CPU s", cpu_seconds(target.pid()) - before)
        .add("resyncs", f64::from(status.resyncs))
        .add("refused", f64::from(connected.failed))
        .say("deliveries", verdict_after_return(lost, seen.repeated));
    bench.swarm.close(group).await
}
