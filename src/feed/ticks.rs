//! Recent ticks, by which cursors are resolved without the database.

use std::{collections::BTreeMap, sync::Arc};

use crate::change::{Cursor, Tick};

/// How many ticks are kept: at two a second, more than the tail ever holds.
const TICKS_MAX: usize = 4_096;

/// Recent ticks of one history.
#[derive(Debug, Default)]
pub struct Ticks {
    by_id: BTreeMap<i64, Arc<Tick>>,
}

impl Ticks {
    /// Takes the ticks known at the start.
    pub fn new(ticks: impl IntoIterator<Item = Arc<Tick>>) -> Self {
        let mut it = Self::default();
        for tick in ticks {
            it.add(tick);
        }
        it
    }

    /// Adds a tick and forgets the oldest over the limit.
    pub fn add(&mut self, tick: Arc<Tick>) {
        self.by_id.insert(tick.id, tick);
        while self.by_id.len() > TICKS_MAX {
            self.by_id.pop_first();
        }
    }

    /// The tick that a cursor names.
    pub fn find(&self, cursor: &Cursor) -> Option<Arc<Tick>> {
        let tick = self.by_id.get(&cursor.tick)?;
        (tick.tag == cursor.tag && tick.history == cursor.history).then(|| Arc::clone(tick))
    }
}
