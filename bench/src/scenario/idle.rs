//! What a socket costs on which nothing happens, and what remains when all have left.

use std::time::Duration;

use anyhow::Result;
use tokio::time::sleep;

use super::{ALL, Bench, float, grouped};
use crate::process::resident_bytes;
use crate::target::{Kind, Target};

/// A process may open 20,000 files where the limit is low; a few are not sockets of clients.
const MOST: u32 = 19_500;
const SETTLE: Duration = Duration::from_secs(1);
/// Long enough for allocators that give memory back with a delay: jemalloc's is 10 s.
const GIVEN_BACK: Duration = Duration::from_secs(15);

pub(super) async fn run(bench: &mut Bench) -> Result<()> {
    let sizes: &[u32] = if bench.quick { &[5000] } else { &[500, 5000, MOST] };
    for clients in sizes {
        for target in bench.start(&ALL[1..], *clients).await? {
            measure(bench, target, *clients).await?;
        }
    }
    Ok(())
}

async fn measure(bench: &mut Bench, target: Target, clients: u32) -> Result<()> {
    // A first client makes the server allocate what it needs once.
    let first = bench.swarm.connect_all(&target.spec(), 1).await?;
    bench.swarm.close(first).await?;
    sleep(SETTLE).await;
    let empty = resident_bytes(target.pid());
    let group = bench.swarm.connect_all(&target.spec(), clients).await?;
    sleep(SETTLE).await;
    let full = resident_bytes(target.pid());
    bench.swarm.close(group).await?;
    sleep(GIVEN_BACK).await;
    let left = resident_bytes(target.pid());
    let name = Kind::name(target.kind);
    bench
        .report
        .entry("idle", &grouped(clients), name)
        .add("KiB per socket", float(full.saturating_sub(empty)) / 1024.0 / f64::from(clients))
        .add("MB in all", float(full) / 1e6)
        .add("MB empty", float(empty) / 1e6)
        .add("MB after they left", float(left) / 1e6);
    Ok(())
}
