//! What a reader may see of a table: rows and columns.
//!
//! A grant is the outcome of the owner's policy for one reader's claims (`auth` makes it); here
//! it is judged, on the images in a change and on nothing else.

use std::fmt;

use super::{Image, filter::CompiledFilter};
use crate::change::Table;

/// Columns of a table, by their place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Columns(Vec<u64>);

impl Columns {
    /// The columns at `places`.
    pub fn new(places: impl IntoIterator<Item = usize>) -> Self {
        let mut columns = Self::default();
        for place in places {
            if columns.0.len() <= place / 64 {
                columns.0.resize(place / 64 + 1, 0);
            }
            columns.0[place / 64] |= 1 << (place % 64);
        }
        columns
    }

    /// Every column of a table of `count`.
    pub fn all(count: usize) -> Self {
        Self::new(0..count)
    }

    /// Whether the column is among them.
    pub fn has(&self, place: usize) -> bool {
        self.0.get(place / 64).is_some_and(|word| word >> (place % 64) & 1 == 1)
    }

    /// Those that are in both.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let words: Vec<u64> = self.0.iter().zip(&other.0).map(|(a, b)| a & b).collect();
        Self(words).trimmed()
    }

    /// Those that are in either.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        let (longer, shorter) =
            if self.0.len() >= other.0.len() { (self, other) } else { (other, self) };
        let mut words = longer.0.clone();
        for (word, more) in words.iter_mut().zip(&shorter.0) {
            *word |= more;
        }
        Self(words).trimmed()
    }

    /// The places, in order.
    pub fn places(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().enumerate().flat_map(|(index, word)| {
            (0..64).filter(move |bit| word >> bit & 1 == 1).map(move |bit| index * 64 + bit)
        })
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Equal sets are equal words.
    fn trimmed(mut self) -> Self {
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
        self
    }
}

/// One part of a grant: these columns of these rows.
#[derive(Clone, Debug)]
pub struct Part {
    /// Which rows; all where there is none.
    pub rows: Option<CompiledFilter>,
    /// Which columns.
    pub columns: Columns,
}

/// What one reader may see of one table: the union of its parts.
#[derive(Clone, Debug)]
pub struct Grant {
    parts: Vec<Part>,
    /// What tells grants apart, and the same for equal ones.
    text: String,
}

impl Grant {
    /// The union of `parts`; a grant without parts shows nothing.
    pub fn new(parts: Vec<Part>) -> Self {
        let mut texts: Vec<String> = parts.iter().map(Part::text).collect();
        texts.sort();
        texts.dedup();
        Self { parts, text: texts.join(";") }
    }

    /// Every row and column.
    pub fn whole(table: &Table) -> Self {
        Self::new(vec![Part { rows: None, columns: Columns::all(table.columns.len()) }])
    }

    /// The parts.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The columns of a row that the reader sees, or `None` where the row is not theirs.
    pub fn sees(&self, image: &Image<'_>) -> Option<Columns> {
        let mut seen: Option<Columns> = None;
        for part in &self.parts {
            if part.rows.as_ref().is_none_or(|rows| rows.matches(image)) {
                seen = Some(match seen {
                    Some(columns) => columns.or(&part.columns),
                    None => part.columns.clone(),
                });
            }
        }
        seen
    }

    /// The columns that the reader sees of some row.
    pub fn columns(&self) -> Columns {
        self.parts.iter().fold(Columns::default(), |all, part| all.or(&part.columns))
    }

    /// Whether a client may filter on a column: only where no row hides it.
    pub fn is_filterable(&self, place: usize) -> bool {
        !self.parts.is_empty() && self.parts.iter().all(|part| part.columns.has(place))
    }

    /// A column and the union of the parts' values of it, where every part demands that column.
    pub fn equality(&self) -> Option<(usize, Vec<String>)> {
        let mut all: Option<(usize, Vec<String>)> = None;
        for part in &self.parts {
            let (column, values) = part.rows.as_ref()?.equality()?;
            match &mut all {
                None => all = Some((column, values)),
                Some((same, more)) if *same == column => more.extend(values),
                Some(_) => return None,
            }
        }
        all.map(|(column, mut values)| {
            values.sort();
            values.dedup();
            (column, values)
        })
    }

    /// Whether no row is hidden.
    pub fn is_whole_table(&self) -> bool {
        self.parts.iter().any(|part| part.rows.is_none())
    }
}

impl Part {
    fn text(&self) -> String {
        match &self.rows {
            Some(rows) => format!("{:?}:{rows}", self.columns),
            None => format!("{:?}:", self.columns),
        }
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for Grant {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Grant {}

impl std::hash::Hash for Grant {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::Columns;

    #[test]
    fn sets_are_equal_when_their_columns_are() {
        let wide = Columns::new([1, 70]);
        assert!(wide.has(1) && wide.has(70) && !wide.has(2) && !wide.has(700));
        assert_eq!(wide.and(&Columns::new([1, 2])), Columns::new([1]));
        assert_eq!(Columns::new([1]).or(&Columns::new([70])), wide);
        assert_eq!(Columns::all(3).count(), 3);
    }
}
