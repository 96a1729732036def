//! Waiting for a signal, always with a limit. Nothing in the harness waits for time to pass.

use std::future::Future;

use tokio::time::{self, Duration, Instant};

/// Long enough for a busy machine, short enough to be a failure and not a hang.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The result of `work`, or a failed test that says what was waited for.
pub(crate) async fn within<T>(limit: Duration, what: &str, work: impl Future<Output = T>) -> T {
    let done = time::timeout(limit, work).await.ok();
    done.unwrap_or_else(|| panic!("waited {limit:?} for {what}"))
}

/// Looks again and again until `check` holds.
pub(crate) async fn eventually(limit: Duration, what: &str, mut check: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + limit;
    while !check().await {
        assert!(Instant::now() < deadline, "waited {limit:?} for {what}");
        time::sleep(Duration::from_millis(10)).await;
    }
}
