//! Everybody connects at once, as after a restart of something in between.

use anyhow::Result;

use super::{ALL, Bench, float, grouped};
use crate::process::cpu_seconds;
use crate::swarm::message::Spec;

/// In one process of clients. More in all than the kernel's queue (4,096 by default) would measure
/// the time after which a refused SYN is sent again, not the server.
const AT_ONCE: usize = 1000;

pub(super) async fn run(bench: &mut Bench) -> Result<()> {
    let sizes: &[u32] = if bench.quick { &[1000, 3000] } else { &[1000, 10_000] };
    for clients in sizes {
        for _ in 0..if bench.quick { 1 } else { 3 } {
            for target in bench.start(ALL, *clients).await? {
                let spec = Spec { at_once: AT_ONCE, ..target.spec() };
                let before = cpu_seconds(target.pid());
                let (group, connected) = bench.swarm.connect(&spec, *clients).await?;
                let cpu = cpu_seconds(target.pid()) - before;
                let mut entry = bench.report.entry("storm", &grouped(*clients), target.kind.name());
                entry
                    .add("seconds", float(connected.elapsed_us) / 1e6)
                    .add("CPU µs per connection", cpu * 1e6 / f64::from(*clients))
                    .add("failed", f64::from(connected.failed));
                bench.swarm.close(group).await?;
            }
        }
    }
    Ok(())
}
