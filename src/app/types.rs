//! `pgfeed types`: TypeScript interfaces for the watched tables.

mod typescript;

use std::path::Path;

use anyhow::Context as _;

use crate::{
    change::TableName,
    source::{Admin, Target, describe::Described},
};

/// Prints the interfaces, or writes them to a file.
#[expect(clippy::print_stdout, reason = "the command's output")]
pub async fn run(
    target: &Target,
    tables: &[String],
    is_exact: bool,
    out: Option<&Path>,
) -> anyhow::Result<()> {
    let watched = Admin::connect(target).await?.describe().await;
    let watched = watched.context("the tables cannot be read: is the feed installed here?")?;
    let chosen = choose(watched, tables)?;
    let text = typescript::module(&chosen, is_exact);
    let Some(file) = out else {
        print!("{text}");
        return Ok(());
    };
    // A file that is right is left alone, so that whatever watches it has nothing to do.
    if std::fs::read_to_string(file).is_ok_and(|before| before == text) {
        println!("{} is up to date.", file.display());
        return Ok(());
    }
    std::fs::write(file, text).with_context(|| format!("{} cannot be written", file.display()))?;
    println!("{} has the types of {} tables.", file.display(), chosen.len());
    Ok(())
}

fn choose(watched: Vec<Described>, tables: &[String]) -> anyhow::Result<Vec<Described>> {
    if tables.is_empty() {
        anyhow::ensure!(
            !watched.is_empty(),
            "no table is on the feed: `pgfeed watch TABLE` puts one there"
        );
        return Ok(watched);
    }
    let wanted: Vec<TableName> = tables.iter().map(|it| TableName::parse(it)).collect();
    if let Some(missing) = wanted.iter().find(|it| watched.iter().all(|found| found.name != **it)) {
        anyhow::bail!("{missing} is not on the feed: `pgfeed watch {missing}` puts it there");
    }
    Ok(watched.into_iter().filter(|it| wanted.contains(&it.name)).collect())
}
