//! Latencies counted in buckets whose width is at most 1/64 of their value.
//!
//! Small enough to send between processes as a list of the buckets in use.

use serde::{Deserialize, Serialize};

const EXACT: u64 = 64;
const EXACT_BITS: u32 = EXACT.ilog2();

/// Counts by value in microseconds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
    max: u64,
}

impl Histogram {
    pub(crate) fn record(&mut self, value: u64) {
        let bucket = bucket(value);
        if bucket >= self.counts.len() {
            self.counts.resize(bucket + 1, 0);
        }
        self.counts[bucket] += 1;
        self.total += 1;
        self.max = self.max.max(value);
    }

    pub(crate) fn add(&mut self, other: &Self) {
        if other.counts.len() > self.counts.len() {
            self.counts.resize(other.counts.len(), 0);
        }
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
        self.total += other.total;
        self.max = self.max.max(other.max);
    }

    /// The value that `per_mille` thousandths of the recorded ones do not exceed.
    pub(crate) fn quantile(&self, per_mille: u64) -> u64 {
        let wanted = (self.total * per_mille).div_ceil(1000).max(1);
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return ceiling(index).min(self.max);
            }
        }
        self.max
    }

    pub(crate) fn max(&self) -> u64 {
        self.max
    }
}

fn bucket(value: u64) -> usize {
    if value < EXACT {
        return usize::try_from(value).unwrap_or(0);
    }
    let shift = value.ilog2() - EXACT_BITS;
    let within = (value >> shift) - EXACT;
    usize::try_from(u64::from(shift + 1) * EXACT + within).unwrap_or(usize::MAX)
}

fn ceiling(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < EXACT {
        return bucket;
    }
    let shift = bucket / EXACT - 1;
    ((bucket % EXACT + EXACT + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_a_sixty_fourth() {
        let mut histogram = Histogram::default();
        for value in 1..=100_000 {
            histogram.record(value);
        }
        for (per_mille, exact) in [(500, 50_000_u64), (990, 99_000), (1000, 100_000)] {
            let found = histogram.quantile(per_mille);
            assert!(found.abs_diff(exact) <= exact / 64, "{per_mille}: {found}");
        }
    }

    #[test]
    fn parts_add_up_to_the_whole() {
        let (mut left, mut right) = (Histogram::default(), Histogram::default());
        left.record(3);
        right.record(5000);
        left.add(&right);
        assert_eq!((left.quantile(500), left.max()), (3, 5000));
    }
}
