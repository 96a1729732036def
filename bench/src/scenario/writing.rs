//! What a write costs the application: pgbench on three tables that differ in their trigger alone.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::Bench;
use crate::target::{Kind, Target};

/// Table, and how the report names its trigger.
const TABLES: [(&str, &str); 3] = [
    ("bench_writer_bare", "no trigger"),
    ("bench_writer_notify", "pg_notify of the row"),
    ("bench_writer_pgfeed", "pgfeed"),
];
const CLIENTS: [(u32, &str); 3] = [(1, "1 client"), (8, "8 clients"), (32, "32 clients")];

pub(super) async fn run(bench: &mut Bench) -> Result<()> {
    let mut tables = TABLES.to_vec();
    let gateway = if bench.measures(Kind::Gateway) {
        Some(Target::start(Kind::Gateway, &bench.setup).await?)
    } else {
        tables.pop();
        None
    };
    // Somebody listens, as in life.
    let listener = bench.cluster.connect().await?;
    listener.batch_execute("listen relay_writer").await?;
    for _ in 0..if bench.quick { 1 } else { 3 } {
        for (clients, case) in CLIENTS {
            for (table, name) in &tables {
                let tps = pgbench(bench, table, clients).await?;
                bench.report.entry("writer", case, name).add("tps", tps);
            }
        }
    }
    drop((gateway, listener));
    Ok(())
}

async fn pgbench(bench: &Bench, table: &str, clients: u32) -> Result<f64> {
    let script = bench.setup.folder.join(format!("{table}.sql"));
    let update = format!(
        "\\set id random(1, 10000)\nupdate public.{table} set turns = turns + 1 where id = :id;\n"
    );
    std::fs::write(&script, update)?;
    // Each starts on equal terms: no bloat of the one before, no checkpoint in the middle.
    bench.writer.execute(&format!("vacuum public.{table}")).await?;
    bench.writer.execute("checkpoint").await?;
    let seconds = if bench.quick { "3" } else { "8" };
    let mut command = Command::new(bench.cluster.bin.join("pgbench"));
    command.args(["-n", "-M", "prepared", "-j", "2", "-T", seconds, "-c"]);
    command.arg(clients.to_string()).arg("-f").arg(&script);
    command.args(["-h", "127.0.0.1", "-U", "postgres", "-p"]).arg(bench.cluster.port.to_string());
    let child = tokio::process::Command::from(command)
        .arg("postgres")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = child.await.context("pgbench")?;
    let told = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "pgbench: {}", String::from_utf8_lossy(&output.stderr));
    let tps = told.lines().find_map(|line| line.strip_prefix("tps = "));
    let tps = tps.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    tps.context("pgbench told no rate")
}
