//! What the console is told of the database: it cannot ask itself.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::{
    feed::Hub,
    http::console::{self, Size},
    source::PgLog,
};

/// PostgreSQL's own estimates do not change faster.
const EVERY: Duration = Duration::from_secs(5);

/// The sizes of the watched tables, looked at now and then. One for a gateway with a console.
#[derive(Debug, Default)]
pub struct Sizes(Mutex<HashMap<u32, Size>>);

impl Sizes {
    /// Gives them to the console.
    pub fn told(self: &Arc<Self>) -> console::Sizes {
        let sizes = Arc::clone(self);
        Box::new(move |oid| sizes.0.lock().expect("no holder of sizes panics").get(&oid).copied())
    }

    /// Looks again and again until `end`.
    pub async fn run(self: Arc<Self>, log: Arc<PgLog>, hub: Arc<Hub>, end: CancellationToken) {
        let work = async {
            super::build::reached(&hub).await;
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
        let size =
            |it: crate::source::size::Estimate| (it.oid, Size { rows: it.rows, bytes: it.bytes });
        let found = found.into_iter().map(size).collect();
        *self.0.lock().expect("no holder of sizes panics") = found;
    }
}
