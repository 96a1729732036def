//! A row's values by the place of their column.

use crate::change::{Row, Table, row::name_is};

/// The raw JSON values of one row image; one pass over the text serves every topic.
#[derive(Clone, Debug)]
pub struct Image<'a> {
    row: &'a Row,
    values: Vec<Option<&'a str>>,
    is_exact: bool,
}

impl<'a> Image<'a> {
    /// Finds the table's columns in the row's text.
    pub fn of(table: &Table, row: &'a Row) -> Self {
        let columns = &table.columns;
        let mut values = vec![None; columns.len()];
        // PostgreSQL writes columns in the table's order: the next one is nearly always it.
        let mut next = 0;
        let mut fields = 0;
        row.for_each(|name, value| {
            fields += 1;
            let place = match columns.get(next) {
                Some(column) if name_is(name, &column.name) => Some(next),
                _ => columns.iter().position(|column| name_is(name, &column.name)),
            };
            if let Some(place) = place {
                values[place] = Some(value);
                next = place + 1;
            }
        });
        let is_exact = fields == columns.len() && values.iter().all(Option::is_some);
        Self { row, values, is_exact }
    }

    /// The raw JSON value of a column; `None` where the row lacks it.
    pub fn value(&self, place: usize) -> Option<&'a str> {
        self.values.get(place).copied().flatten()
    }

    /// Whether the row has the table's columns, all of them and no other.
    pub fn is_exact(&self) -> bool {
        self.is_exact
    }

    /// The whole row's text.
    pub fn text(&self) -> &'a str {
        self.row.text()
    }
}
