//! Commands on the feed in a database: `install`, `watch`, `unwatch`, `status`.

#![expect(clippy::print_stdout, reason = "the commands' output")]

use crate::source::{Admin, Target};

/// `pgfeed install`.
pub async fn install(target: &Target, grant_to: Option<&str>) -> anyhow::Result<()> {
    let report = Admin::connect(target).await?.install(grant_to).await?;
    let done = if report.is_new { "installed" } else { "brought up to date" };
    println!("The feed is {done} (schema version {}, runs as {}).", report.version, report.runs_as);
    if let Some(role) = &report.granted_to {
        println!("Role {role} has what `pgfeed serve` needs, and no more.");
    }
    if report.watched.is_empty() {
        println!("No table is on the feed yet: `pgfeed watch TABLE` puts one there.");
    } else {
        println!("On the feed: {}.", report.watched.join(", "));
    }
    Ok(())
}

/// `pgfeed watch`.
pub async fn watch(target: &Target, tables: &[String]) -> anyhow::Result<()> {
    for watched in Admin::connect(target).await?.watch(tables).await? {
        println!("{} is on the feed ({} triggers).", watched.table, watched.level);
    }
    Ok(())
}

/// `pgfeed unwatch`.
pub async fn unwatch(target: &Target, tables: &[String]) -> anyhow::Result<()> {
    let dropped = Admin::connect(target).await?.unwatch(tables).await?;
    println!("{} taken off the feed ({dropped} triggers dropped).", tables.join(", "));
    Ok(())
}

/// `pgfeed status`; true where nothing is wrong.
pub async fn status(target: &Target) -> anyhow::Result<bool> {
    let findings = Admin::connect(target).await?.status().await?;
    super::doctor::print(&findings);
    Ok(findings.iter().all(|it| it.status != "fail"))
}
