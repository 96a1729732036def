//! What the console is told of the database: it cannot ask itself.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{task::JoinHandle, time::sleep};
use tokio_util::sync::CancellationToken;

use super::build::{Feed, reached};
use crate::{
    feed::Hub,
    http::console::{self, Size},
    settings::Settings,
    source::{PgLog, size::Estimate},
    tasks,
};

/// PostgreSQL's own estimates do not change faster.
const EVERY: Duration = Duration::from_secs(5);

/// The sizes of the watched tables, looked at now and then. One for a gateway with a console.
#[derive(Debug, Default)]
struct Sizes(Mutex<HashMap<u32, Size>>);

/// Where the console is on: what gives it the sizes, and the task that keeps them until `end`.
pub fn measure(
    settings: &Settings,
    feed: &Feed,
    end: &CancellationToken,
) -> Option<(console::Sizes, JoinHandle<()>)> {
    if !settings.server.console {
        return None;
    }
    let sizes = Arc::<Sizes>::default();
    let (log, hub, end) = (Arc::clone(&feed.log), Arc::clone(&feed.context.hub), end.clone());
    let measuring = tasks::spawn("sizes", Arc::clone(&sizes).run(log, hub, end));
    let told = move |oid| sizes.0.lock().expect("no holder of sizes panics").get(&oid).copied();
    Some((Box::new(told), measuring))
}

impl Sizes {
    async fn run(self: Arc<Self>, log: Arc<PgLog>, hub: Arc<Hub>, end: CancellationToken) {
        let work = async {
            reached(&hub).await;
            loop {
                self.look(&log, &hub).await;
                sleep(EVERY).await;
            }
        };
        tokio::select! {
            () = end.cancelled() => {}
            () = work => {}
        }
    }

    async fn look(&self, log: &PgLog, hub: &Hub) {
        let oids: Vec<u32> = hub.catalog().tables().map(|table| table.oid).collect();
        // A database that is away is told by readiness; the sizes from before stay.
        let Ok(found) = log.estimate(&oids).await else { return };
        let size = |it: Estimate| (it.oid, Size { rows: it.rows, bytes: it.bytes });
        let found = found.into_iter().map(size).collect();
        *self.0.lock().expect("no holder of sizes panics") = found;
    }
}
