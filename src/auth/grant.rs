//! What one reader may see of one table: judged on an image of a row, never by looking it up.
//!
//! A grant is a union of parts. A part lets some columns of some rows be seen; of one row are
//! seen the columns of all parts whose rows it is among. A row of no part is hidden, whole.

use std::borrow::Cow;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::columns::Columns;
use crate::feed::filter::{CompiledFilter, Fields};

/// Some columns of some rows.
#[derive(Clone, Debug)]
pub struct Part {
    /// The rows; all if there is no filter.
    pub rows: Option<CompiledFilter>,
    /// The columns, the table's key among them.
    pub columns: Columns,
}

/// The parts of one reader. Equal grants let the same be seen, so their readers share topics.
///
/// Belongs to a subscription; made anew when its table or its reader's token changes.
#[derive(Clone, Debug)]
pub struct Grant(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    parts: Vec<Part>,
    /// Each part in words that are equal when the parts are.
    identity: Vec<Identity>,
}

/// The rows as SQL with its parameters, and the columns.
type Identity = (Option<(String, Vec<String>)>, Columns);

impl Grant {
    /// The union of `parts`. What adds nothing is left out, and their order does not count, so
    /// that the same rights are the same grant whichever rules gave them.
    pub fn new(parts: Vec<Part>) -> Self {
        let mut named: Vec<(Identity, Part)> = Vec::new();
        for part in parts {
            let rows = part.rows.as_ref().map(|rows| rows.to_sql(1));
            match named.iter_mut().find(|(identity, _)| identity.0 == rows) {
                Some((identity, same)) => {
                    same.columns.add(&part.columns);
                    identity.1 = same.columns.clone();
                }
                None => named.push(((rows, part.columns.clone()), part)),
            }
        }
        let whole = named.iter().find(|(identity, _)| identity.0.is_none());
        if let Some(whole) = whole.map(|(_, part)| part.columns.clone()) {
            named.retain(|((rows, columns), _)| rows.is_none() || !whole.holds_all(columns));
        }
        named.sort_by(|(one, _), (other, _)| one.0.cmp(&other.0));
        let (identity, parts) = named.into_iter().unzip();
        Self(Arc::new(Inner { parts, identity }))
    }

    /// The parts. A routing index needs each: a row may be seen through any one of them.
    pub fn parts(&self) -> &[Part] {
        &self.0.parts
    }

    /// The rows that may be seen at all, as one filter: for snapshots and for routing.
    pub fn rows(&self) -> CompiledFilter {
        let everything = CompiledFilter::everything;
        let rows = self.parts().iter().map(|it| it.rows.clone().unwrap_or_else(everything));
        CompiledFilter::any(rows.collect())
    }

    /// The columns of `row` that may be seen; `None` if the row may not be seen at all.
    pub fn visible(&self, row: &Fields<'_>) -> Option<Cow<'_, Columns>> {
        let mut seen: Option<Cow<'_, Columns>> = None;
        for part in self.parts().iter().filter(|part| part.holds(row)) {
            match &mut seen {
                None => seen = Some(Cow::Borrowed(&part.columns)),
                Some(columns) if columns.holds_all(&part.columns) => {}
                Some(columns) => columns.to_mut().add(&part.columns),
            }
        }
        seen
    }

    /// The columns that may be seen of one row or another.
    pub fn columns(&self) -> Columns {
        let mut all = Columns::default();
        for part in self.parts() {
            all.add(&part.columns);
        }
        all
    }

    /// Whether the client may filter on the column at `place`: only if it is seen of every row
    /// that is seen at all. Else whether a row comes would tell what the column holds.
    pub fn filterable(&self, place: usize) -> bool {
        self.parts().iter().all(|part| part.columns.holds(place))
    }
}

impl Part {
    /// Whether `row` is among the rows.
    pub fn holds(&self, row: &Fields<'_>) -> bool {
        self.rows.as_ref().is_none_or(|rows| rows.matches(row))
    }
}

impl PartialEq for Grant {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.identity == other.0.identity
    }
}

impl Eq for Grant {}

impl Hash for Grant {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.identity.hash(state);
    }
}
