//! The wake: tells the reader that the log has grown.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// A wake that is kept until it is taken; several become one.
#[derive(Debug, Default)]
pub struct Wake {
    grown: Notify,
    catalog: AtomicBool,
}

impl Wake {
    /// The log has grown, or may have.
    pub fn wake(&self) {
        self.grown.notify_one();
    }

    /// A table was put on the feed or taken off it.
    pub fn wake_for_catalog(&self) {
        self.catalog.store(true, Ordering::Release);
        self.wake();
    }

    /// Whether the watched tables changed since this was last asked.
    pub fn take_catalog(&self) -> bool {
        self.catalog.swap(false, Ordering::AcqRel)
    }

    /// Returns at the next wake, or at once where one is kept.
    pub async fn woken(&self) {
        self.grown.notified().await;
    }
}
