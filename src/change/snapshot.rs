//! A PostgreSQL snapshot: which transactions have been seen.

use std::{fmt, str::FromStr};

/// `pg_snapshot` as a value: which transactions are visible.
///
/// Text form `xmin:xmax:xip,…` as in PostgreSQL's documentation of `pg_snapshot`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Every transaction before it has ended.
    xmin: u64,
    /// No transaction from it on has been seen.
    xmax: u64,
    /// Those between that were still open, sorted.
    open: Vec<u64>,
}

impl Snapshot {
    /// Whether a committed transaction `xid` is visible.
    pub fn sees(&self, xid: u64) -> bool {
        xid < self.xmax && (xid < self.xmin || self.open.binary_search(&xid).is_err())
    }

    /// Whether everything that `other` sees is seen here too.
    pub fn covers(&self, other: &Self) -> bool {
        self.xmax >= other.xmax && self.open.iter().all(|xid| !other.sees(*xid))
    }

    /// Every transaction before this one has ended.
    pub fn xmin(&self) -> u64 {
        self.xmin
    }

    /// No transaction from this one on is seen.
    pub fn xmax(&self) -> u64 {
        self.xmax
    }

    /// The transactions before [`Snapshot::xmax`] that are not seen, in order.
    pub fn open(&self) -> &[u64] {
        &self.open
    }
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:", self.xmin, self.xmax)?;
        for (place, xid) in self.open.iter().enumerate() {
            write!(f, "{}{xid}", if place == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

/// Text that is not a snapshot.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a snapshot: {0:?}")]
pub struct NotASnapshot(String);

impl FromStr for Snapshot {
    type Err = NotASnapshot;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let mut parts = text.split(':');
            let xmin = parts.next()?.parse().ok()?;
            let xmax = parts.next()?.parse().ok()?;
            let list = parts.next()?;
            let mut open = match list {
                "" => Vec::new(),
                _ => list.split(',').map(|it| it.parse().ok()).collect::<Option<Vec<u64>>>()?,
            };
            open.sort_unstable();
            (parts.next().is_none() && xmin <= xmax).then_some(Self { xmin, xmax, open })
        };
        parse().ok_or_else(|| NotASnapshot(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::Snapshot;

    fn snapshot(text: &str) -> Snapshot {
        text.parse().expect("the test's snapshot is well formed")
    }

    #[test]
    fn open_and_future_transactions_are_not_seen() {
        let it = snapshot("10:20:12,15");
        let seen: Vec<u64> = (9..22).filter(|xid| it.sees(*xid)).collect();
        assert_eq!(seen, [9, 10, 11, 13, 14, 16, 17, 18, 19]);
        assert_eq!(it.to_string(), "10:20:12,15");
        assert_eq!(snapshot("7:7:").to_string(), "7:7:");
    }

    #[test]
    fn a_later_snapshot_covers_an_earlier_one_and_not_the_reverse() {
        assert!(snapshot("12:25:12").covers(&snapshot("10:20:12,15")));
        assert!(!snapshot("10:20:12,15").covers(&snapshot("12:25:12")));
        assert!(!snapshot("10:30:13").covers(&snapshot("10:20:12")));
        assert!(snapshot("10:30:13").covers(&snapshot("10:20:12,13")));
    }

    #[test]
    fn other_text_is_refused() {
        for text in ["", "1:2", "1:2:x", "3:2:", "1:2::", "a:2:", "1:2:1,"] {
            assert!(text.parse::<Snapshot>().is_err(), "{text}");
        }
    }
}
