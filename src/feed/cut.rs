//! Where the feed may be cut into pieces.

use super::{Body, LogRow, judge::Images};

/// A piece is cut where it passes this many bytes of rows: large enough to be written at once,
/// small enough that a client's queue holds several.
const PIECE_BYTES: usize = 128 * 1024;

/// A run of changes of keys is cut only where it passes this: its `leave`s go before its `enter`s
/// ([`super::route::RouteBuilder`]), or a key that is passed on would be lost.
const RUN_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Inside a transaction of more changes than this, a cursor may stand.
const PARTIAL_AFTER: usize = 10_000;

/// What a cut goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// It lies between transactions.
    pub is_whole: bool,
    /// It lies inside a transaction so large that a position may be told all the same.
    pub is_partial: bool,
}

impl Cut {
    /// A cut between transactions.
    pub const WHOLE: Self = Self { is_whole: true, is_partial: false };

    /// Whether a client may be told the position.
    pub fn may_tell(self) -> bool {
        self.is_whole || self.is_partial
    }
}

/// Cuts rows into pieces as they come.
#[derive(Debug, Default)]
pub struct Cutter {
    bytes: usize,
    in_transaction: usize,
    xid: Option<u64>,
}

impl Cutter {
    /// Takes the next row; gives the cut that goes before it where one is due.
    pub fn next(&mut self, row: &LogRow) -> Option<Cut> {
        let is_whole = self.xid != Some(row.xid);
        let is_partial = !is_whole && self.in_transaction > PARTIAL_AFTER;
        self.in_transaction = if is_whole { 1 } else { self.in_transaction + 1 };
        self.xid = Some(row.xid);
        let is_due = self.bytes >= PIECE_BYTES
            && (is_whole || self.bytes >= RUN_BYTES_MAX || !changes_key(row));
        self.bytes = row.bytes() + if is_due { 0 } else { self.bytes };
        is_due.then_some(Cut { is_whole, is_partial })
    }
}

fn changes_key(row: &LogRow) -> bool {
    matches!(&row.body, Body::Change(change) if Images::of(change).moves)
}

#[cfg(test)]
mod tests {
    use super::{Cut, Cutter, PARTIAL_AFTER};
    use crate::feed::{Body, LogRow};

    #[test]
    fn a_large_transaction_is_cut_inside_and_told_so() {
        let mut cutter = Cutter::default();
        let mut cuts = Vec::new();
        for id in 0..20_000 {
            let row = LogRow { id, xid: 7, at: 0, body: Body::Other };
            cuts.extend(cutter.next(&row).map(|cut| (id, cut)));
        }
        assert!(!cuts.is_empty());
        for (id, Cut { is_whole, is_partial }) in cuts {
            assert!(!is_whole);
            assert_eq!(is_partial, usize::try_from(id).expect("positive") > PARTIAL_AFTER, "{id}");
        }
    }
}
