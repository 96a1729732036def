//! Filtered subscriptions, few and very many; a change matches ten of them.

use std::time::Duration;

use anyhow::Result;

use super::{Bench, float, grouped, ms};
use crate::mark::{Mark, now_us};
use crate::process::{cpu_seconds, resident_bytes};
use crate::swarm::message::{Spec, Subscribe, Window};
use crate::target::{Kind, Target};

const SOCKETS: u32 = 1000;
const MATCHING: u32 = 10;
const WITHIN: Duration = Duration::from_secs(20);

pub(super) async fn run(bench: &mut Bench) -> Result<()> {
    if !bench.measures(Kind::Gateway) {
        return Ok(());
    }
    let sizes: &[u32] = if bench.quick { &[1000, 100_000] } else { &[1000, 1_000_000] };
    for subscriptions in sizes {
        measure(bench, *subscriptions).await?;
    }
    Ok(())
}

async fn measure(bench: &mut Bench, subscriptions: u32) -> Result<()> {
    let target = Target::start(Kind::Gateway, &bench.setup).await?;
    let per_socket = subscriptions / SOCKETS;
    let text = format!(
        "{{\"type\":\"subscribe\",\"id\":\"s{{k}}\",\"table\":\"{}\",\"filter\":\"owner=eq.{{v}}\"}}",
        target.kind.table()
    );
    let modulo = subscriptions / MATCHING;
    let spec = Spec {
        path: "/ws/changes/".to_owned(),
        subscribed: per_socket,
        subscribe: Some(Subscribe { text, per_socket, modulo }),
        at_once: 64,
        ..target.spec()
    };
    let empty = resident_bytes(target.pid());
    let case = grouped(subscriptions);
    let Ok(group) = bench.swarm.connect_all(&spec, SOCKETS).await else {
        let mut entry = bench.report.entry("routing", &case, "pgfeed");
        entry.say("CPU µs per change", "subscriptions refused");
        return Ok(());
    };
    let full = resident_bytes(target.pid());
    for _ in 0..if bench.quick { 3 } else { 5 } {
        // CPU time is told in steps of 10 ms: half a microsecond a change.
        let changes = 20_000;
        let before = cpu_seconds(target.pid());
        let window =
            Window { deliveries: Some(u64::from(changes * MATCHING)), ..Window::default() };
        bench.swarm.arm(&group, &window).await?;
        for number in 0..changes / MATCHING {
            let mark = |turn| Mark { lane: 0, number: number * MATCHING + turn, sent_us: now_us() };
            let marks = (0..MATCHING).map(|turn| mark(turn).text()).collect();
            let owner = i32::try_from(number * 7919 % modulo)?;
            bench.writer.insert_owned(target.kind.table(), owner, marks).await?;
        }
        let seen = bench.swarm.window(&group, WITHIN).await?;
        let cpu = cpu_seconds(target.pid()) - before;
        bench
            .report
            .entry("routing", &case, "pgfeed")
            .add("CPU µs per change", cpu * 1e6 / f64::from(changes))
            .add("sent → any p50 ms", ms(seen.latency.quantile(500)))
            .add("bytes a subscription", float(full - empty) / f64::from(subscriptions))
            .say("deliveries", if seen.complete { "all" } else { "**some missing**" });
    }
    bench.swarm.close(group).await
}
