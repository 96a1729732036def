//! What a write costs the application, as `writer/run.sh` measures it: pgbench on clusters of its own,
//! on this machine's disk and on one that takes as long for a flush as disks do.

use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use tokio::process::Command;

use super::Bench;
use crate::target::Kind;

/// The variants of the program, and how the report names them.
const VARIANTS: [(&str, &str); 4] = [
    ("bare", "no trigger"),
    ("seed", "pg_notify of the row"),
    ("feed", "pgfeed, nobody reads"),
    ("gateway", "pgfeed"),
];

/// The disks of the program, and what the report calls them.
const DISKS: [(&str, &str); 2] = [("slow", "a disk of 2 ms a flush"), ("own", "this disk")];

pub(super) async fn run(bench: &mut Bench) -> Result<()> {
    let variants =
        if bench.measures(Kind::Gateway) { "bare seed feed gateway" } else { "bare seed" };
    let (seconds, rounds) = if bench.quick { ("2", "1") } else { ("4", "3") };
    let mut command = Command::new(bench.setup.peers.join("../writer/run.sh"));
    command.env("EACH", "1").env("VARIANTS", variants);
    command.env("SECONDS_EACH", seconds).env("ROUNDS", rounds).env("CLIENTS", "1 8 32");
    command.env("PGFEED_PG_BIN", &bench.cluster.bin);
    if let Some(gateway) = &bench.setup.gateway {
        command.env("GATEWAY", gateway);
    }
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await;
    let output = output.context("bench/writer/run.sh")?;
    let told = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "run.sh: {}", String::from_utf8_lossy(&output.stderr));
    for (disk, disk_name) in DISKS {
        for (clients, clients_name) in [("1", "1 client"), ("8", "8 clients"), ("32", "32 clients")]
        {
            for (variant, name) in VARIANTS {
                for line in told.lines() {
                    let words: Vec<&str> = line.split_whitespace().collect();
                    let [of_disk, of_clients, of_variant, tps, cpu] = words[..] else { continue };
                    if (of_disk, of_clients, of_variant) != (disk, clients, variant) {
                        continue;
                    }
                    let case = format!("{clients_name}, {disk_name}");
                    let mut entry = bench.report.entry("writer", &case, name);
                    entry.add("tps", tps.parse().context("a rate")?);
                    entry.add("database CPU µs", cpu.parse().context("a time")?);
                }
            }
        }
    }
    Ok(())
}
