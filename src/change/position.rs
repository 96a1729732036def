//! A place in the log: a durable tick and what came since.

use std::{collections::BTreeMap, sync::Arc};

use super::{Cursor, Ids, Snapshot};

/// A durable, named snapshot: a row of `pgfeed.tick`.
///
/// The commit that made it flushed the log past everything the snapshot sees, so what it calls
/// seen can neither be lost nor be written by another transaction under the same number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tick {
    /// Which life of the log it belongs to.
    pub history: u64,
    /// Ticks are totally ordered by it.
    pub id: i64,
    /// Random; tells it from a tick with the same id in a history that was lost.
    pub tag: i32,
    /// What it sees.
    pub snapshot: Snapshot,
}

/// A place in the log: everything that `tick` sees, and `ids` since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The tick it is told from.
    pub tick: Arc<Tick>,
    /// What came since.
    pub since: Arc<Since>,
}

/// The log rows since a tick: which ids, and a check over what they held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Since {
    /// Their ids.
    pub ids: Ids,
    /// The sum of [`check`] over them: tells them from other rows under the same ids, which a
    /// server that lost its last transactions hands out again.
    pub sum: u64,
}

impl Since {
    /// Adds a log row; false if it was there.
    pub fn add(&mut self, id: i64, check: u64) -> bool {
        let is_new = self.ids.insert(id);
        if is_new {
            self.sum = self.sum.wrapping_add(check);
        }
        is_new
    }
}

impl Position {
    /// The place right at a tick.
    pub fn at(tick: Arc<Tick>) -> Self {
        Self { tick, since: Arc::default() }
    }

    /// Whether the log row lies at or before this place.
    pub fn has(&self, id: i64, xid: u64) -> bool {
        self.tick.snapshot.sees(xid) || self.since.ids.contains(id)
    }

    /// As the text's value.
    pub fn cursor(&self) -> Cursor {
        Cursor {
            history: self.tick.history,
            tick: self.tick.id,
            tag: self.tick.tag,
            ids: self.since.ids.clone(),
            sum: self.since.sum,
        }
    }
}

/// A check over one log row's identity, to be added up in [`Since::sum`].
///
/// The mixing is the finalizer of splitmix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom
/// Number Generators, OOPSLA 2014), over each of the three numbers.
pub fn check(id: i64, xid: u64, at: i64) -> u64 {
    let mix = |word: u64| {
        let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    };
    let step = |state: u64, word: u64| mix(state.wrapping_add(0x9e37_79b9_7f4a_7c15) ^ word);
    step(step(step(0, id.cast_unsigned()), xid), at.cast_unsigned())
}

/// A reader's own place in the log, moved forward row by row and from tick to tick.
///
/// It holds what came since the tick by transaction, so that a newer tick can take over: a row
/// that the new tick sees need not be named any more.
#[derive(Clone, Debug)]
pub struct Progress {
    tick: Arc<Tick>,
    by_xid: BTreeMap<u64, Since>,
    since: Arc<Since>,
}

impl Progress {
    /// Starts at a tick.
    pub fn at(tick: Arc<Tick>) -> Self {
        Self { tick, by_xid: BTreeMap::new(), since: Arc::default() }
    }

    /// Goes on from a position, told from its tick to the end.
    pub fn from(position: Position) -> Self {
        Self { tick: position.tick, by_xid: BTreeMap::new(), since: position.since }
    }

    /// Passes a log row; false if it had been passed before.
    pub fn pass(&mut self, id: i64, xid: u64, at: i64) -> bool {
        let check = check(id, xid, at);
        if self.tick.snapshot.sees(xid) || !Arc::make_mut(&mut self.since).add(id, check) {
            return false;
        }
        self.by_xid.entry(xid).or_default().add(id, check);
        true
    }

    /// Tells the same place from a newer tick, all of whose rows have been passed.
    pub fn rebase(&mut self, tick: Arc<Tick>) {
        self.by_xid.retain(|xid, _| !tick.snapshot.sees(*xid));
        let mut since = Since::default();
        for part in self.by_xid.values() {
            since.ids.extend(&part.ids);
            since.sum = since.sum.wrapping_add(part.sum);
        }
        self.tick = tick;
        self.since = Arc::new(since);
    }

    /// The tick that the place is told from.
    pub fn tick(&self) -> &Arc<Tick> {
        &self.tick
    }

    /// How many runs of ids its cursor must name.
    pub fn runs(&self) -> usize {
        self.since.ids.runs().len()
    }

    /// The place as a value.
    pub fn position(&self) -> Position {
        Position { tick: Arc::clone(&self.tick), since: Arc::clone(&self.since) }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Progress, Tick};

    fn tick(id: i64, snapshot: &str) -> Arc<Tick> {
        let snapshot = snapshot.parse().expect("well formed");
        Arc::new(Tick { history: 1, id, tag: 0, snapshot })
    }

    #[test]
    fn a_newer_tick_takes_over_what_it_sees() {
        let mut progress = Progress::at(tick(1, "10:10:"));
        assert!(!progress.pass(1, 9, 0), "the tick sees it");
        assert!(progress.pass(2, 11, 0));
        assert!(!progress.pass(2, 11, 0), "passed before");
        assert!(progress.pass(3, 10, 0));
        assert!(progress.pass(4, 12, 0));
        progress.rebase(tick(2, "10:13:10"));
        let position = progress.position();
        let ids: Vec<_> = position.since.ids.runs().collect();
        assert_eq!(ids, [3..=3]);
        assert_eq!(position.since.sum, super::check(3, 10, 0));
        assert!(position.has(2, 11) && position.has(3, 10) && !position.has(5, 10));
    }
}
