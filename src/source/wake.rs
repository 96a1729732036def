//! The wake: tells the reader that the log has grown.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use tokio::{sync::Notify, time::timeout};

/// Nobody waits longer, whatever `database.poll_ms` is: clients would hear that the log was not
/// read, and the beat and the look at the catalog would be late.
const LONGEST: Duration = Duration::from_secs(4);

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

    /// Returns at the next wake, or at once where one is kept; and when so long has gone by, which
    /// is as good as a wake: either way the log is read.
    pub async fn woken_within(&self, longest: Duration) {
        timeout(longest.min(LONGEST), self.grown.notified()).await.unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{Duration, Instant};

    use super::Wake;

    #[tokio::test(start_paused = true)]
    async fn the_log_is_read_every_few_seconds_whatever_the_settings_say() {
        let (wake, began) = (Wake::default(), Instant::now());
        wake.woken_within(Duration::from_mins(1)).await;
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        wake.woken_within(Duration::from_secs(1)).await;
        assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
        wake.wake();
        wake.woken_within(Duration::from_secs(1)).await;
        assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
    }
}
