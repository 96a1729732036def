//! Limits on what one client may ask for.

use std::time::Duration;

use tokio::time::Instant;

use super::refusal::Refusal;
use crate::{feed::filter, wire::Code};

/// Limits on what one client may ask for.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Subscriptions at a time.
    pub subscriptions_max: usize,
    /// Comparisons of all its filters that no index answers: each change costs all of them.
    pub scanned_terms_max: usize,
    /// Values of all its filters that the index holds: each takes memory.
    pub indexed_values_max: usize,
    /// A message's size.
    pub message_bytes_max: usize,
    /// Messages a second, pings too.
    pub messages_per_second_max: u32,
    /// Bad messages before the connection is closed.
    pub client_errors_max: u32,
    /// What may wait for the client, in bytes.
    pub queue_bytes_max: usize,
    /// How long a client may read nothing while something waits for it.
    pub stall: Duration,
    /// What a client's filter may be.
    pub filter: filter::Limits,
}

impl Limits {
    /// Refuses filters that make so many comparisons for every change of their tables.
    pub fn check_scan(&self, terms: usize) -> Result<(), Refusal> {
        let max = self.scanned_terms_max;
        if terms <= max {
            return Ok(());
        }
        let message = format!(
            "the filters of a connection make at most {max} comparisons that no eq or in narrows"
        );
        Err(Refusal::new(Code::TooManySubscriptions, message))
    }

    /// Refuses filters that name so many values to find their changes by. A poll has no place in
    /// the index.
    pub fn check_index(&self, values: usize) -> Result<(), Refusal> {
        let max = self.indexed_values_max;
        if values <= max {
            return Ok(());
        }
        let message = format!("the filters of a connection narrow by at most {max} values");
        Err(Refusal::new(Code::TooManySubscriptions, message))
    }
}

/// Counts messages against a rate: a token bucket that holds one second's worth.
#[derive(Debug)]
pub struct Rate {
    per_second: f64,
    left: f64,
    at: Instant,
}

impl Rate {
    /// A full bucket.
    pub fn new(per_second: u32) -> Self {
        let per_second = f64::from(per_second.max(1));
        Self { per_second, left: per_second, at: Instant::now() }
    }

    /// Takes one; false where the rate is passed.
    pub fn take(&mut self) -> bool {
        let now = Instant::now();
        let since = now.duration_since(self.at).as_secs_f64();
        self.at = now;
        self.left = (self.left + since * self.per_second).min(self.per_second);
        let has_room = self.left >= 1.0;
        if has_room {
            self.left -= 1.0;
        }
        has_room
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Rate;

    #[tokio::test(start_paused = true)]
    async fn a_second_refills_what_a_second_may_take() {
        let mut rate = Rate::new(3);
        assert_eq!([rate.take(), rate.take(), rate.take(), rate.take()], [true, true, true, false]);
        tokio::time::advance(Duration::from_millis(334)).await;
        assert_eq!([rate.take(), rate.take()], [true, false]);
        tokio::time::advance(Duration::from_mins(1)).await;
        assert_eq!((0..9).filter(|_| rate.take()).count(), 3);
    }
}
