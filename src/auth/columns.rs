//! A set of a table's columns, by their places.

use crate::change::Table;

/// Columns of one table as it is at the moment: places in [`Table::columns`].
///
/// Two sets of one table are equal when they hold the same columns, so that grants which let
/// the same be seen share a topic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Columns(Vec<u64>);

impl Columns {
    /// Every column of `table`.
    pub fn all(table: &Table) -> Self {
        (0..table.columns.len()).collect()
    }

    /// The columns of these names, or the first name that `table` lacks.
    pub fn named<'a>(
        table: &Table,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, &'a str> {
        names.into_iter().map(|name| table.column(name).ok_or(name)).collect()
    }

    /// Whether the column at `place` is in the set.
    pub fn holds(&self, place: usize) -> bool {
        self.0.get(place / 64).is_some_and(|word| word >> (place % 64) & 1 == 1)
    }

    /// Whether every column of `other` is in the set.
    pub fn holds_all(&self, other: &Self) -> bool {
        other.0.iter().enumerate().all(|(at, word)| word & !self.word(at) == 0)
    }

    /// Adds the columns of `other`.
    pub fn add(&mut self, other: &Self) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        for (word, more) in self.0.iter_mut().zip(&other.0) {
            *word |= more;
        }
    }

    /// The places, in order.
    pub fn places(&self) -> impl Iterator<Item = usize> {
        let bits = |(at, word): (usize, &u64)| {
            let word = *word;
            (0..64).filter(move |bit| word >> bit & 1 == 1).map(move |bit| at * 64 + bit)
        };
        self.0.iter().enumerate().flat_map(bits)
    }

    /// The names, in the table's order.
    pub fn names<'a>(&self, table: &'a Table) -> Vec<&'a str> {
        let columns = self.places().filter_map(|place| table.columns.get(place));
        columns.map(|column| column.name.as_str()).collect()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn word(&self, at: usize) -> u64 {
        self.0.get(at).copied().unwrap_or(0)
    }
}

impl FromIterator<usize> for Columns {
    /// The last word is never zero, so that equal sets are equal values.
    fn from_iter<I: IntoIterator<Item = usize>>(places: I) -> Self {
        let mut words = Vec::new();
        for place in places {
            if words.len() <= place / 64 {
                words.resize(place / 64 + 1, 0);
            }
            words[place / 64] |= 1 << (place % 64);
        }
        Self(words)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::Columns;

    proptest! {
        #[test]
        fn a_set_of_places_is_a_set(
            one in prop::collection::btree_set(0_usize..200, 0..20),
            two in prop::collection::btree_set(0_usize..200, 0..20),
        ) {
            let mut columns: Columns = one.iter().copied().collect();
            let other: Columns = two.iter().rev().copied().collect();
            prop_assert_eq!(columns.holds_all(&other), one.is_superset(&two));
            prop_assert_eq!(columns == other, one == two);
            prop_assert_eq!(columns.is_empty(), one.is_empty());
            columns.add(&other);
            let union: BTreeSet<_> = one.union(&two).copied().collect();
            prop_assert_eq!(columns.places().collect::<BTreeSet<_>>(), union.clone());
            prop_assert_eq!(&columns, &union.iter().copied().collect::<Columns>());
            for place in 0..210 {
                prop_assert_eq!(columns.holds(place), union.contains(&place));
            }
        }
    }
}
