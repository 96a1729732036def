//! `pgfeed tail`: changes as JSON lines, for the owner at the terminal.

use std::{
    io::{self, IoSlice, Write},
    sync::Arc,
};

use super::{
    access::OwnerAccess,
    build::{Feed, reached},
};
use crate::{
    session::{Session, Transport},
    settings::Settings,
    source::Target,
    wire::{Encoding, Subscribe},
};

/// Writes lines to standard output; a reader that stops ends the command.
struct Lines;

impl Transport for Lines {
    fn encoding(&self) -> Encoding {
        Encoding::Lines
    }

    fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut out = io::stdout().lock();
        let written = out.write_vectored(slices)?;
        out.flush()?;
        Ok(written)
    }
}

/// Prints until a signal, or until nobody reads.
pub async fn run(settings: &Settings, target: Target, tables: Vec<String>) -> anyhow::Result<()> {
    let mut settings = settings.clone();
    // The owner is no stranger, and may have any number of tables on the feed.
    settings.limits.subscriptions_per_connection_max = usize::MAX;
    let feed = Feed::start(&settings, target, Arc::new(OwnerAccess), None);
    reached(&feed.context.hub).await;
    let tables = if tables.is_empty() {
        let catalog = feed.context.hub.catalog();
        catalog.tables().map(|table| table.name.to_string()).collect()
    } else {
        tables
    };
    if tables.is_empty() {
        anyhow::bail!("no table is on the feed: `pgfeed watch TABLE` puts one there");
    }
    let mut session = Session::open(&feed.context, Arc::new(Lines), None);
    for table in tables {
        let request = Subscribe { id: table.clone(), table: table.clone(), ..Subscribe::default() };
        if let Err(refusal) = session.try_subscribe(request) {
            anyhow::bail!("{table}: {}", refusal.message);
        }
    }
    let queue = Arc::clone(session.queue());
    loop {
        tokio::select! {
            ended = tokio::signal::ctrl_c() => {
                ended?;
                break;
            }
            () = queue.has_work() => {
                let work = queue.work();
                if work.is_closed {
                    break;
                }
                session.attend(&work.notices, work.lag);
            }
        }
    }
    session.end();
    feed.stop().await;
    Ok(())
}
