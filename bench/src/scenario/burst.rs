//! Many changes of one transaction: what joining frames is worth.

use anyhow::Result;

use super::delivery::{Served, leave, serve, steps};
use super::{ALL, Bench, grouped};
use crate::target::Kind;

pub(super) async fn run(bench: &mut Bench) -> Result<()> {
    // Channels take part in the first alone: the others would take it minutes.
    let cases: &[(u32, u32)] = if bench.quick {
        &[(100, 100), (1000, 100)]
    } else {
        &[(100, 100), (1000, 100), (10_000, 20)]
    };
    for (clients, changes) in cases {
        let limit = if *clients > 100 { u32::MAX } else { *clients };
        let targets = bench.start(ALL, limit).await?;
        let mut all = serve(bench, targets, *clients).await?;
        let case = format!("{} × {changes}", grouped(*clients));
        for _ in 0..if bench.quick { 3 } else { 5 } {
            for served in all.iter_mut().filter(|served| !served.has_lost) {
                round(bench, served, &case, *changes).await?;
            }
        }
        leave(bench, all).await?;
    }
    Ok(())
}

async fn round(bench: &mut Bench, served: &mut Served, case: &str, changes: u32) -> Result<()> {
    let kind = served.target.kind;
    let deliveries = match kind {
        Kind::Channels => 10_000,
        Kind::Node => 200_000,
        Kind::Bare | Kind::Gateway if bench.quick => 1_000_000,
        Kind::Bare | Kind::Gateway => 3_000_000,
    };
    let turns = (deliveries / (served.group.count * changes)).clamp(1, 300);
    let total = steps(bench, served, turns, changes).await?;
    bench
        .report
        .entry("burst", case, kind.name())
        .add("CPU µs per delivery", total.cpu_us())
        .add("deliveries/s", total.deliveries_per_second())
        .add("database CPU µs per change", total.database_cpu_us())
        .add("bytes", total.bytes_each())
        .say("deliveries", total.verdict());
    Ok(())
}
