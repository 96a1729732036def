//! From commit to receipt, with a hundred clients: on an idle system and at fixed rates.

use std::time::Duration;

use anyhow::Result;
use tokio::time::sleep;

use super::delivery::{Served, leave, serve, verdict};
use super::{ALL, Bench, float, ms};
use crate::histogram::Histogram;
use crate::mark::LANES;
use crate::process::cpu_seconds;
use crate::swarm::message::Seen;
use crate::target::Kind;

const CLIENTS: u32 = 100;
const WITHIN: Duration = Duration::from_secs(30);
const RATES: [(u32, &str); 3] = [(200, "200/s"), (1000, "1,000/s"), (2000, "2,000/s")];

pub(super) async fn run(bench: &mut Bench) -> Result<()> {
    let targets = bench.start(&ALL[1..], CLIENTS).await?;
    let mut all = serve(bench, targets, CLIENTS).await?;
    for _ in 0..if bench.quick { 1 } else { 3 } {
        for served in &mut all {
            idle(bench, served).await?;
        }
        for (per_second, case) in RATES {
            // Channels deliver some 2,000 messages a second here; this would be twenty thousand.
            let able = all.iter_mut().filter(|served| served.target.kind != Kind::Channels);
            for served in able {
                at_rate(bench, served, per_second, case).await?;
            }
        }
    }
    leave(bench, all).await
}

async fn idle(bench: &mut Bench, served: &mut Served) -> Result<()> {
    let mut first = Histogram::default();
    let mut any = Histogram::default();
    let turns = if bench.quick { 30 } else { 60 };
    let (mut lost, mut repeated) = (0, 0);
    for turn in 0..turns {
        // Uneven pauses, so that no timer of a server falls in step.
        sleep(Duration::from_millis(50 + turn * 37 % 100)).await;
        let window = served.target.window(1);
        bench.swarm.arm(&served.group, &window).await?;
        let sent = served.target.change(&bench.writer, 1).await?;
        let seen = bench.swarm.window(&served.group, WITHIN).await?;
        record_first(&seen, &[vec![sent.acked_us]], &mut first);
        any.add(&seen.latency);
        lost += seen.lost;
        repeated += seen.repeated;
    }
    let name = served.target.kind.name();
    let mut entry = bench.report.entry("latency", "idle", name);
    entry
        .add("commit → first p50 ms", ms(first.quantile(500)))
        .add("commit → first p99 ms", ms(first.quantile(990)))
        .add("max ms", ms(first.max()))
        .add("sent → any p50 ms", ms(any.quantile(500)))
        .add("sent → any p99 ms", ms(any.quantile(990)))
        .say("deliveries", verdict(lost, repeated));
    Ok(())
}

async fn at_rate(
    bench: &mut Bench,
    served: &mut Served,
    per_second: u32,
    case: &str,
) -> Result<()> {
    let seconds = if bench.quick { 3 } else { 6 };
    let each = per_second * seconds / u32::try_from(LANES)?;
    let window = served.target.window_of_lanes(each);
    bench.swarm.arm(&served.group, &window).await?;
    let before = cpu_seconds(served.target.pid());
    let table = served.target.kind.table();
    let written = bench.writer.update_at_rate(table, &window, per_second).await?;
    let seen = bench.swarm.window(&served.group, WITHIN).await?;
    let cpu = cpu_seconds(served.target.pid()) - before;
    served.target.advance(&window);
    let mut first = Histogram::default();
    record_first(&seen, &written.acked_us, &mut first);
    let wanted = u64::from(each * u32::try_from(LANES)? * CLIENTS);
    let lost = seen.lost.max(wanted.saturating_sub(seen.deliveries));
    let mut entry = bench.report.entry("latency", case, served.target.kind.name());
    entry
        .add("commit → first p50 ms", ms(first.quantile(500)))
        .add("commit → first p99 ms", ms(first.quantile(990)))
        .add("max ms", ms(first.max()))
        .add("sent → any p50 ms", ms(seen.latency.quantile(500)))
        .add("sent → any p99 ms", ms(seen.latency.quantile(990)))
        .add("writes/s", f64::from(each * u32::try_from(LANES)?) / written.seconds)
        .add("CPU µs per delivery", cpu * 1e6 / float(seen.deliveries))
        .say("deliveries", verdict(lost, seen.repeated));
    Ok(())
}

/// From each acknowledged commit to its first receipt; a receipt may be the earlier one.
fn record_first(seen: &Seen, acked_us: &[Vec<u64>], into: &mut Histogram) {
    for (receipts, acked) in seen.receipts.iter().zip(acked_us) {
        for (receipt, acked) in receipts.iter().zip(acked) {
            if receipt.0 > 0 {
                into.record(receipt.0.saturating_sub(*acked));
            }
        }
    }
}
