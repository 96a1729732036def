//! The shapes that a cursor carries behind `~`, so that it is position and shape in one.
//!
//! A client of server-sent events or of a long poll keeps one text. It tells the position and a
//! short hash of what each subscription showed: rows held under another filter, other columns or
//! another grant are void, and only the gateway can know.

use crate::change::{BadCursor, Cursor};

/// More subscriptions than this are told by one hash, so that the text stays under 2 KiB.
const EACH_MAX: usize = 4;

/// The digits of a shape that are told.
const DIGITS: usize = 8;

/// A cursor with the shapes it came with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Since {
    /// The position.
    pub cursor: Cursor,
    /// The shapes; none where the text has none.
    pub shapes: Vec<String>,
}

impl Since {
    /// Reads `<cursor>[~<shape>…]`.
    pub fn parse(text: &str) -> Result<Self, BadCursor> {
        let mut parts = text.split('~');
        let cursor = Cursor::parse(parts.next().unwrap_or_default())?;
        let shapes: Vec<String> = parts.map(str::to_owned).collect();
        let is_hash = |it: &String| it.len() == DIGITS && it.bytes().all(|b| b.is_ascii_hexdigit());
        if shapes.len() <= EACH_MAX && shapes.iter().all(is_hash) {
            Ok(Self { cursor, shapes })
        } else {
            Err(BadCursor)
        }
    }

    /// Whether a subscription of this shape may go on from it.
    pub fn admits(&self, shape: &str) -> bool {
        self.shapes.is_empty() || self.shapes.iter().any(|it| shape.starts_with(&**it))
    }

    /// The text as a connection with subscriptions of these shapes is to read it: the one hash
    /// that stands for many is unfolded where it is theirs.
    pub fn unfolded(text: &str, shapes: &[String]) -> Result<String, BadCursor> {
        let since = Self::parse(text)?;
        let is_ours = shapes.len() > EACH_MAX && suffix(shapes) == suffix_of(&since.shapes);
        Ok(if is_ours { since.cursor.to_text() } else { text.to_owned() })
    }
}

/// What stands behind a cursor for subscriptions of these shapes.
pub fn suffix(shapes: &[String]) -> String {
    let mut short: Vec<&str> = shapes.iter().map(|it| it.get(..DIGITS).unwrap_or(it)).collect();
    short.sort_unstable();
    if short.len() > EACH_MAX {
        let all = crc32fast::hash(short.concat().as_bytes());
        return format!("~{all:08x}");
    }
    short.dedup();
    suffix_of(&short)
}

fn suffix_of(shapes: &[impl AsRef<str>]) -> String {
    shapes.iter().fold(String::new(), |text, shape| text + "~" + shape.as_ref())
}

#[cfg(test)]
mod tests {
    use super::{Since, suffix};
    use crate::change::{Cursor, Ids};

    fn cursor() -> String {
        let mut ids = Ids::default();
        assert!(ids.push(3..=9));
        Cursor { history: 7, tick: 1, tag: 2, ids, sum: 5 }.to_text()
    }

    fn shapes(count: u64) -> Vec<String> {
        (0..count).map(|it| format!("{:016x}", it << 40 | it)).collect()
    }

    #[test]
    fn a_cursor_is_read_with_shapes_and_without() {
        let plain = Since::parse(&cursor()).expect("well formed");
        assert!(plain.admits("anything"));
        let text = cursor() + &suffix(&shapes(2));
        let both = Since::parse(&text).expect("well formed");
        assert_eq!(both.cursor, plain.cursor);
        assert!(both.admits(&shapes(2)[1]) && !both.admits(&shapes(3)[2]));
        for bad in ["~", "~1234567", "~1234567g", "~~12345678"] {
            assert!(Since::parse(&(cursor() + bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn many_shapes_are_one_hash_that_only_the_same_many_unfold() {
        let text = cursor() + &suffix(&shapes(9));
        assert_eq!(text.len(), cursor().len() + 9);
        let same: Vec<String> = shapes(9).into_iter().rev().collect();
        let unfolded = Since::unfolded(&text, &same).expect("well formed");
        assert!(Since::parse(&unfolded).expect("well formed").admits(&same[0]));
        let other = Since::unfolded(&text, &shapes(8)).expect("well formed");
        assert!(!Since::parse(&other).expect("well formed").admits(&same[0]));
    }
}
