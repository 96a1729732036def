//! The wake: tells the reader that the log has grown.

use tokio::sync::Notify;

/// A wake that is kept until it is taken; several become one.
#[derive(Debug, Default)]
pub struct Wake(Notify);

impl Wake {
    /// The log has grown, or may have.
    pub fn wake(&self) {
        self.0.notify_one();
    }

    /// Returns at the next wake, or at once where one is kept.
    pub async fn woken(&self) {
        self.0.notified().await;
    }
}
