//! A set of log ids, kept as ranges.

use std::ops::RangeInclusive;

/// A set of ids that mostly come in runs: sorted ranges that neither touch nor overlap.
///
/// Ids are drawn from one sequence, so what one reader has seen is a handful of runs with the
/// holes of transactions that were still open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ids {
    ranges: Vec<(i64, i64)>,
}

impl Ids {
    /// Adds `id`; false if it was there.
    pub fn insert(&mut self, id: i64) -> bool {
        // Ids mostly arrive in rising order, so look at the end first.
        if let Some(last) = self.ranges.last_mut() {
            if last.1.checked_add(1) == Some(id) {
                last.1 = id;
                return true;
            }
            if id > last.1 {
                self.ranges.push((id, id));
                return true;
            }
        }
        let next = self.ranges.partition_point(|range| range.0 <= id);
        let before = next.checked_sub(1);
        if before.is_some_and(|it| self.ranges[it].1 >= id) {
            return false;
        }
        let joins_before = before.filter(|it| self.ranges[*it].1 + 1 == id);
        let joins_next = self.ranges.get(next).is_some_and(|range| id + 1 == range.0);
        match (joins_before, joins_next) {
            (Some(it), true) => {
                self.ranges[it].1 = self.ranges[next].1;
                self.ranges.remove(next);
            }
            (Some(it), false) => self.ranges[it].1 = id,
            (None, true) => self.ranges[next].0 = id,
            (None, false) => self.ranges.insert(next, (id, id)),
        }
        true
    }

    /// Adds a run that lies wholly after everything in the set; false if it does not.
    pub fn push(&mut self, run: RangeInclusive<i64>) -> bool {
        let (first, last) = run.into_inner();
        if first > last || self.ranges.last().is_some_and(|it| it.1 >= first) {
            return false;
        }
        match self.ranges.last_mut() {
            Some(it) if it.1 + 1 == first => it.1 = last,
            _ => self.ranges.push((first, last)),
        }
        true
    }

    /// Whether `id` is in the set.
    pub fn contains(&self, id: i64) -> bool {
        let next = self.ranges.partition_point(|range| range.0 <= id);
        next.checked_sub(1).is_some_and(|it| self.ranges[it].1 >= id)
    }

    /// The runs, in order.
    pub fn runs(&self) -> impl ExactSizeIterator<Item = RangeInclusive<i64>> + '_ {
        self.ranges.iter().map(|range| range.0..=range.1)
    }

    /// How many ids there are.
    pub fn count(&self) -> u64 {
        self.runs().map(|run| run.end().abs_diff(*run.start()) + 1).sum()
    }

    /// The lowest and the highest.
    pub fn bounds(&self) -> Option<(i64, i64)> {
        Some((self.ranges.first()?.0, self.ranges.last()?.1))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Adds every id of `other`.
    pub fn extend(&mut self, other: &Self) {
        for run in other.runs() {
            if !self.push(run.clone()) {
                self.merge(*run.start(), *run.end());
            }
        }
    }

    fn merge(&mut self, mut first: i64, mut last: i64) {
        let from = self.ranges.partition_point(|range| range.1.saturating_add(1) < first);
        let to = self.ranges.partition_point(|range| range.0 <= last.saturating_add(1));
        if from < to {
            first = first.min(self.ranges[from].0);
            last = last.max(self.ranges[to - 1].1);
        }
        self.ranges.splice(from..to, [(first, last)]);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::Ids;

    proptest! {
        #[test]
        fn a_set_of_ranges_is_a_set(
            ids in prop::collection::vec(0_i64..60, 0..80),
            more in prop::collection::vec(0_i64..60, 0..40),
        ) {
            let mut model = BTreeSet::new();
            let mut set = Ids::default();
            for id in &ids {
                prop_assert_eq!(set.insert(*id), model.insert(*id));
            }
            let mut other = Ids::default();
            for id in &more {
                other.insert(*id);
                model.insert(*id);
            }
            set.extend(&other);
            for id in -1..62 {
                prop_assert_eq!(set.contains(id), model.contains(&id));
            }
            prop_assert_eq!(set.count(), model.len() as u64);
            let runs: Vec<_> = set.runs().collect();
            for pair in runs.windows(2) {
                prop_assert!(pair[0].end() + 1 < *pair[1].start(), "runs touch");
            }
        }
    }
}
