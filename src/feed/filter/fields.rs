//! The values of one row image, found once and read by many filters.

use crate::change::row::name_is;
use crate::change::{Row, Table};

/// A row's raw JSON values by place in [`Table::columns`]. Lives as long as one change is
/// being judged.
#[derive(Clone, Debug)]
pub struct Fields<'r> {
    values: Vec<Option<&'r str>>,
}

impl<'r> Fields<'r> {
    /// Walks over the row once. Columns that the table lacks are left out.
    pub fn of(table: &Table, row: &'r Row) -> Self {
        let columns = &table.columns;
        let mut values = vec![None; columns.len()];
        // PostgreSQL writes the columns in the table's order, so the next name is known.
        let mut next = 0;
        row.for_each(|name, value| {
            let is_here =
                |place: usize| columns.get(place).is_some_and(|column| name_is(name, &column.name));
            let place = if is_here(next) {
                next
            } else {
                match (0..columns.len()).find(|place| is_here(*place)) {
                    Some(place) => place,
                    None => return,
                }
            };
            values[place] = Some(value);
            next = place + 1;
        });
        Self { values }
    }

    /// The raw JSON of the column at `place`; `None` where the row lacks it.
    pub fn get(&self, place: usize) -> Option<&'r str> {
        self.values.get(place).copied().flatten()
    }
}
