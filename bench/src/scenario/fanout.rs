//! One change, many clients: what is left to pay when the write loop is the limit.

use anyhow::Result;

use super::delivery::{Served, leave, serve, steps};
use super::{ALL, Bench, grouped};
use crate::report::median;
use crate::target::Kind;

pub(super) async fn run(bench: &mut Bench) -> Result<()> {
    run_as("fanout", bench, ALL).await
}

/// The same by some of the servers, told under another name.
pub(super) async fn run_as(name: &'static str, bench: &mut Bench, kinds: &[Kind]) -> Result<()> {
    let sizes = match bench.quick {
        _ if !bench.clients.is_empty() => bench.clients.clone(),
        true => vec![100, 1000],
        false => vec![100, 1000, 10_000],
    };
    for clients in sizes {
        measure(name, bench, kinds, clients).await?;
    }
    Ok(())
}

async fn measure(
    name: &'static str,
    bench: &mut Bench,
    kinds: &[Kind],
    clients: u32,
) -> Result<()> {
    let targets = bench.start(kinds, clients).await?;
    let mut all = serve(bench, targets, clients).await?;
    let case = format!("{} × 1", grouped(clients));
    let rounds = match (bench.quick, clients) {
        (true, _) => 3,
        // What the bars are about: one round differs from the next by a tenth.
        (false, 1000) => 15,
        (false, _) => 5,
    };
    let rounds = rounds * if bench.clients.is_empty() { 1 } else { 4 };
    for _ in 0..rounds {
        for served in all.iter_mut().filter(|served| !served.has_lost) {
            round(name, bench, served, &case).await?;
        }
    }
    leave(bench, all).await
}

async fn round(
    name: &'static str,
    bench: &mut Bench,
    served: &mut Served,
    case: &str,
) -> Result<()> {
    let kind = served.target.kind;
    let deliveries = match kind {
        Kind::Channels => 1500,
        _ if bench.quick => 50_000,
        _ => 200_000,
    };
    let turns = (deliveries / served.group.count).clamp(2, 600);
    let total = steps(bench, served, turns, 1).await?;
    bench
        .report
        .entry(name, case, kind.name())
        .add("CPU µs per delivery", total.cpu_us())
        .add("sent → last client ms", median(&total.to_last_ms))
        .add("first → last client ms", median(&total.spread_ms))
        .add("database CPU µs per change", total.database_cpu_us())
        .add("bytes", total.bytes_each())
        .say("deliveries", total.verdict());
    Ok(())
}
