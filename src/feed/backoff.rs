//! How long to wait before another try.

use std::time::Duration;

/// Exponential, capped, jittered delays ("full jitter": Brooker, Exponential Backoff And
/// Jitter, AWS Architecture Blog 2015), so that gateways do not come back all at once.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    most: Duration,
    tries: u32,
}

impl Backoff {
    /// The first delay is at most `first`, each later one at most twice the one before and at
    /// most `most`.
    pub fn new(first: Duration, most: Duration) -> Self {
        Self { first, most, tries: 0 }
    }

    /// The next delay; `chance` is uniform in 0..1. At least a tenth of the range is waited.
    pub fn next(&mut self, chance: f64) -> Duration {
        let range = self.first.saturating_mul(1 << self.tries.min(16)).min(self.most);
        self.tries = self.tries.saturating_add(1);
        range.mul_f64(chance.clamp(0.1, 1.0))
    }

    /// It worked: start over.
    pub fn reset(&mut self) {
        self.tries = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Backoff;

    #[test]
    fn delays_double_up_to_a_limit_and_start_over() {
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(2));
        let delays: Vec<u128> = (0..8).map(|_| backoff.next(1.0).as_millis()).collect();
        assert_eq!(delays, [50, 100, 200, 400, 800, 1600, 2000, 2000]);
        assert_eq!(backoff.next(0.0).as_millis(), 200);
        backoff.reset();
        assert_eq!(backoff.next(0.5).as_millis(), 25);
    }
}
