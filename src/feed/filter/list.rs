//! The values of an `in`, looked up by halves: a long list costs a change little more than a
//! single value.

use std::cmp::Ordering;

use super::value::Value;

/// Values of one type.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct List {
    /// As written: the text of a filter tells topics and cursors apart.
    values: Vec<Value>,
    /// The places of the values in their order, each value once. `None` where they have none.
    order: Option<Box<[usize]>>,
}

impl List {
    pub(super) fn new(values: Vec<Value>) -> Self {
        let compare = |a: &usize, b: &usize| values[*a].order(&values[*b]);
        let is_ordered = values.iter().all(|value| value.order(value).is_some());
        let order = is_ordered.then(|| {
            let mut places: Vec<usize> = (0..values.len()).collect();
            places.sort_by(|a, b| compare(a, b).unwrap_or(Ordering::Equal));
            places.dedup_by(|a, b| compare(a, b) == Some(Ordering::Equal));
            places.into()
        });
        Self { values, order }
    }

    /// The values as written.
    pub(super) fn values(&self) -> &[Value] {
        &self.values
    }

    /// How many comparisons a look costs, but for a factor that hardly grows.
    pub(super) fn weight(&self) -> usize {
        if self.order.is_some() { 1 } else { self.values.len().max(1) }
    }

    /// Whether a row's value is among them; `compare` says how it stands to one of them, or that
    /// it can't be said. A value that can't be read stands so to all of them alike.
    pub(super) fn has(&self, compare: impl Fn(&Value) -> Option<Ordering>) -> Option<bool> {
        let Some(order) = &self.order else { return any(&self.values, compare) };
        let mut left = &order[..];
        while !left.is_empty() {
            let middle = left.len() / 2;
            left = match compare(&self.values[left[middle]])? {
                Ordering::Equal => return Some(true),
                Ordering::Less => &left[..middle],
                Ordering::Greater => &left[middle + 1..],
            };
        }
        Some(false)
    }
}

fn any(values: &[Value], compare: impl Fn(&Value) -> Option<Ordering>) -> Option<bool> {
    let mut found = Some(false);
    for value in values {
        match compare(value) {
            Some(Ordering::Equal) => return Some(true),
            Some(_) => {}
            None => found = None,
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        change::{Collation, Column, Folding},
        feed::filter::kind::Kind,
    };

    /// A type, literals of it, and raw values of rows.
    type Case = (u32, &'static [&'static str], &'static [&'static str]);

    const CASES: &[Case] = &[
        (16, &["true", "t"], &["true", "false", "7"]),
        (20, &["7", "-3", "007", "9223372036854775807"], &["7", "-3", "8", "x", "-4"]),
        (
            1700,
            &["1.50", "-2e2", "NaN", "1.5", "Infinity", "0", "-Infinity", "0.001", "1e100"],
            &["1.5", "-200", "\"NaN\"", "\"Infinity\"", "0.00", "0.0010", "2", "-1.5", "true"],
        ),
        (700, &["0.1", "NaN", "-0", "7"], &["0.1", "0.1000001", "\"NaN\"", "0", "-7", "\"\""]),
        (701, &["1e300", "NaN", "-0", "0", "7", "-Infinity"], &["0", "7.0", "\"NaN\"", "8"]),
        (25, &["b", "", "B", "é", "b", "ba"], &["\"b\"", "\"\"", "\"\\u00e9\"", "\"c\"", "7"]),
        (1042, &["b  ", "a", "b"], &["\"b   \"", "\"a\"", "\"c\""]),
        (17, &["\\xdead", "\\x", "\\x00"], &["\"\\\\xdead\"", "\"\\\\x\"", "\"\\\\x01\"", "1"]),
        (
            1184,
            &["2026-01-31T09:30:00Z", "-infinity", "2026-01-31T10:30:00+01", "infinity"],
            &["\"2026-01-31T09:30:00+00:00\"", "\"infinity\"", "\"2026-01-31T09:30:01Z\"", "1"],
        ),
        (1007, &["{1,2}", "{}", "{NULL}"], &["[1,2]", "[]", "[null]", "[1]"]),
    ];

    #[test]
    fn a_look_into_a_list_says_what_each_of_its_values_says() {
        for (type_oid, literals, rows) in CASES {
            let column = Column {
                name: "c".to_owned(),
                type_name: "c".to_owned(),
                type_oid: *type_oid,
                is_domain: false,
                element_oid: if *type_oid == 1007 { 23 } else { 0 },
                collation: Collation::Bytes,
                folding: Folding::Unknown,
                labels: Vec::new(),
            };
            let read = |text: &&str| Kind::of(&column).literal(&column, text).expect(text);
            let values: Vec<Value> = literals.iter().map(read).collect();
            let list = List::new(values.clone());
            let texts = |values: &[Value]| values.iter().map(Value::sql).collect::<Vec<_>>();
            assert_eq!(texts(list.values()), texts(&values), "the text of a filter stays");
            let mut answers = [0; 3];
            for raw in *rows {
                let each = any(&values, |value| value.compare(raw));
                assert_eq!(list.has(|value| value.compare(raw)), each, "{type_oid}: {raw}");
                answers[each.map_or(2, usize::from)] += 1;
            }
            assert!(answers[0] > 0 && answers[1] > 0, "{type_oid}: both answers are asked for");
        }
    }
}
