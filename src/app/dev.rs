//! `pgfeed dev`: a database for everybody.
//!
//! Starts a throwaway PostgreSQL, loads the sample tables, puts them on the feed and serves.

use anyhow::Context as _;

use super::{build, serve};
use crate::{
    change::TableName,
    settings::{
        Settings,
        access::{Readers, TablePolicy},
        values::Secret,
    },
    source::{
        Admin,
        cluster::{Cluster, Options},
        install::SAMPLE_TABLES,
    },
};

/// Starts, serves until a signal, and removes everything again.
pub async fn run(mut settings: Settings) -> anyhow::Result<()> {
    let cluster = Cluster::start(Options::from_env()).await?;
    let served = serve(&mut settings, &cluster).await;
    cluster.destroy().await.context("the throwaway database could not be removed")?;
    served
}

async fn serve(settings: &mut Settings, cluster: &Cluster) -> anyhow::Result<()> {
    let url = cluster.url("postgres");
    settings.database.url = Secret::new(url.clone());
    settings.access.default = Readers::Anyone;
    settings.server.console = true;
    let target = build::target(settings)?;
    Admin::connect(&target).await?.prepare_samples().await?;
    for table in SAMPLE_TABLES {
        // It may have an entry already, written with its schema or without.
        let is_it = |key: &&String| TableName::parse(key) == TableName::parse(table);
        let key = settings.tables.keys().find(is_it).cloned();
        let policy = settings
            .tables
            .entry(key.unwrap_or_else(|| (*table).to_owned()))
            .or_insert_with(|| TablePolicy { read: Readers::Anyone, ..TablePolicy::default() });
        policy.undurable = true;
    }
    serve::run(settings.clone(), target, |address, _| greet(address, &url)).await
}

#[expect(clippy::print_stdout, reason = "the command's output")]
fn greet(address: std::net::SocketAddr, url: &str) {
    println!("pgfeed is ready on http://{address}/");
    println!();
    println!("  database   psql {url}");
    println!("  tables     {}", SAMPLE_TABLES.join(", "));
    println!("  console    http://{address}/console/");
    println!("  listen     websocat ws://{address}/ws/changes/?table=courses");
    println!("  change     psql {url} -c \"update courses set title = title || '!'\"");
    println!();
    println!("  or paste into a browser's console on http://{address}/healthz :");
    println!("    new WebSocket('ws://{address}/ws/changes/?table=courses').onmessage =");
    println!("      (message) => console.log(JSON.parse(message.data))");
    println!();
    println!("Ctrl-C stops it and removes the database.");
}
