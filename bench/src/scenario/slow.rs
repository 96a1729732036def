//! One client does not read while others do: who notices, and what becomes of it.

use std::time::Duration;

use anyhow::Result;
use tokio::time::sleep;

use super::delivery::{Served, serve, steps, verdict_after_return};
use super::{ALL, Bench, float};
use crate::process::resident_bytes;
use crate::swarm::Group;
use crate::swarm::message::{Seen, Spec};
use crate::target::{Kind, Target};

const CLIENTS: u32 = 20;
const BURST: u32 = 100;
const KERNEL_BUFFER: usize = 16 * 1024;
const WITHIN: Duration = Duration::from_secs(30);

pub(super) async fn run(bench: &mut Bench) -> Result<()> {
    let kinds = &ALL[1..3];
    for target in bench.start(kinds, CLIENTS).await? {
        measure(bench, target).await?;
    }
    Ok(())
}

async fn measure(bench: &mut Bench, target: Target) -> Result<()> {
    let kind = target.kind;
    // Some 30 MB pass the client that does not read, more than any kernel buffer holds.
    let turns = if bench.quick { 400 } else { 800 };
    let mut all = serve(bench, vec![target], CLIENTS).await?;
    let Some(mut served) = all.pop() else { return Ok(()) };
    let alone = steps(bench, &mut served, turns / 4, BURST).await?;
    let keep_cursors = kind == Kind::Gateway;
    let receive_buffer = Some(KERNEL_BUFFER);
    let spec = Spec { keep_cursors, receive_buffer, ..served.target.spec() };
    let sleeper = bench.swarm.connect_all(&spec, 1).await?;
    bench.swarm.set_reading(&sleeper, false).await?;
    bench.swarm.arm(&sleeper, &served.target.window(turns * BURST)).await?;
    let before = resident_bytes(served.target.pid());
    let beside = steps(bench, &mut served, turns, BURST).await?;
    let grown = resident_bytes(served.target.pid()).saturating_sub(before);
    bench.swarm.set_reading(&sleeper, true).await?;
    let (seen, became) = awake(bench, &served, &sleeper).await?;
    let wanted = u64::from(turns * BURST);
    let lost = seen.lost.max(wanted.saturating_sub(seen.deliveries));
    bench
        .report
        .entry("slow", "1 of 21 does not read", kind.name())
        .add("deliveries/s to the others", beside.deliveries_per_second())
        .add("the same without it", alone.deliveries_per_second())
        .add("MB grown", float(grown) / 1e6)
        .say("others", beside.verdict())
        .say("it, afterwards", format!("{became}, {}", verdict_after_return(lost, seen.repeated)));
    bench.swarm.close(sleeper).await?;
    bench.swarm.close(served.group).await
}

/// Lets the sleeper read again, and come back from its cursor where it was closed.
async fn awake(bench: &mut Bench, served: &Served, sleeper: &Group) -> Result<(Seen, String)> {
    // It finds out soon whether it was closed; then nothing more will come.
    sleep(Duration::from_secs(2)).await;
    let status = bench.swarm.status(sleeper).await?;
    let within = if status.closed.is_empty() { WITHIN } else { Duration::ZERO };
    let mut seen = bench.swarm.window(sleeper, within).await?;
    let Some(code) = status.closed.keys().next() else {
        let became = if seen.complete { "caught up" } else { "**did not catch up**" };
        return Ok((seen, became.to_owned()));
    };
    if served.target.kind != Kind::Gateway {
        return Ok((seen, format!("closed {code}")));
    }
    let rest = served.target.window(0);
    bench.swarm.arm(sleeper, &rest).await?;
    bench.swarm.reconnect(sleeper, served.target.address).await?;
    let after = bench.swarm.window(sleeper, WITHIN / 3).await?;
    seen.deliveries += after.deliveries;
    seen.lost += after.lost;
    seen.repeated += after.repeated;
    Ok((seen, format!("closed {code}, came back")))
}
