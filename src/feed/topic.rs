//! A topic: what subscriptions with the same table, events, filter, columns and grant share.

use std::{fmt::Write as _, sync::Arc};

use super::{Body, Columns, Grant, Image, LogRow, filter::CompiledFilter};
use crate::change::{Column, Operation, Table};

/// Which operations a subscription asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Events(u8);

impl Events {
    /// All of them.
    pub const ALL: Self = Self(0b1111);

    /// Those named; all where none are.
    pub fn new(operations: Option<&[Operation]>) -> Self {
        operations.map_or(Self::ALL, |named| {
            Self(named.iter().fold(0, |mask, operation| mask | 1 << *operation as u8))
        })
    }

    /// Whether the operation is among them.
    pub fn has(self, operation: Operation) -> bool {
        self.0 >> (operation as u8) & 1 == 1
    }
}

/// What a subscription follows; equal ones share a [`Topic`].
#[derive(Clone, Debug)]
pub struct TopicSpec {
    /// The table.
    pub table: Arc<Table>,
    /// Which operations.
    pub events: Events,
    /// The client's filter.
    pub filter: Option<CompiledFilter>,
    /// The columns that the client asked for.
    pub columns: Option<Columns>,
    /// What the reader may see.
    pub grant: Grant,
}

impl TopicSpec {
    /// Whether a subscription may go on with this instead of `other`: the same rows and columns
    /// come of it.
    pub fn is_same(&self, other: &Self) -> bool {
        let text = |it: &Self| it.filter.as_ref().map(ToString::to_string);
        self.grant == other.grant && self.columns == other.columns && text(self) == text(other)
    }

    /// A column and the values of it that a row must have one of to be in the set, by which an
    /// index finds it.
    pub fn equality(&self) -> Option<(usize, Vec<String>)> {
        let of_filter = self.filter.as_ref().and_then(CompiledFilter::equality);
        of_filter.or_else(|| self.grant.equality())
    }

    /// How many comparisons of the client's choice every change of the table costs. None where the
    /// index finds the changes that matter.
    pub fn scanned_terms(&self) -> usize {
        let terms = self.filter.as_ref().map_or(0, CompiledFilter::terms);
        if terms == 0 || self.equality().is_some() { 0 } else { terms }
    }

    /// How many values of the client's choice the index holds for it.
    pub fn indexed_values(&self) -> usize {
        self.filter.as_ref().map_or(0, CompiledFilter::indexed_values)
    }

    /// What tells topics apart.
    pub fn key(&self) -> TopicKey {
        TopicKey {
            table: self.table.oid,
            shape: self.table.shape,
            events: self.events,
            filter: self.filter.as_ref().map(ToString::to_string),
            columns: self.columns.clone(),
            grant: self.grant.clone(),
        }
    }

    /// Fingerprint of table, filter, columns and grant: rows held under another one are void.
    /// The same on every gateway and in every version of this program that computes it so.
    pub fn shape(&self) -> String {
        let mut text = format!("{:x}|", self.table.shape);
        if let Some(filter) = &self.filter {
            write!(text, "{filter}").expect("writing to a string does not fail");
        }
        write!(text, "|{:?}|{}", self.columns, self.grant)
            .expect("writing to a string does not fail");
        format!("{:016x}", fnv1a(text.as_bytes()))
    }
}

/// FNV-1a, 64 bits (Fowler, Noll, Vo; draft-eastlake-fnv).
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// What tells topics apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TopicKey {
    table: u32,
    shape: u64,
    events: Events,
    filter: Option<String>,
    columns: Option<Columns>,
    grant: Grant,
}

/// A topic, shared by its subscriptions on this gateway; it ends with the last of them.
#[derive(Debug)]
pub struct Topic {
    /// Its name on the wire.
    pub id: u64,
    /// What it is.
    pub spec: TopicSpec,
}

impl Topic {
    /// The columns of a row that its readers see, or `None` where it is not theirs.
    pub fn sees(&self, image: &Image<'_>) -> Option<Columns> {
        let granted = self.spec.grant.sees(image)?;
        if self.spec.filter.as_ref().is_some_and(|filter| !filter.matches(image)) {
            return None;
        }
        Some(match &self.spec.columns {
            Some(asked) => granted.and(asked),
            None => granted,
        })
    }

    /// Whether a row is not of the topic's table as it was or will be, of which no change can be
    /// judged.
    pub fn can_judge(&self, row: &LogRow) -> bool {
        let Body::Change(change) = &row.body else { return true };
        let table = &self.spec.table;
        change.table.oid != table.oid || change.table.shape == table.shape
    }

    /// Whether the reader's rows depend on more than the key, so that a row whose image was not
    /// logged cannot be judged.
    pub fn needs_image(&self) -> bool {
        self.spec.filter.is_some() || !self.spec.grant.is_whole_table()
    }

    /// The columns that `subscribed` tells.
    pub fn columns(&self) -> Vec<&Column> {
        let granted = self.spec.grant.columns();
        let shown = |place: &usize| {
            granted.has(*place) && self.spec.columns.as_ref().is_none_or(|it| it.has(*place))
        };
        let table = &self.spec.table;
        (0..table.columns.len()).filter(shown).map(|place| &table.columns[place]).collect()
    }
}
