//! A position as the text that a client keeps.
//!
//! Opaque, URL-safe, carries no authority. Inside: a version, the history, the tick's id and
//! tag, the runs of ids since, their check sum and a CRC-32 over it all, in base64url.

use data_encoding::BASE64URL_NOPAD;

use super::Ids;

/// The longest cursor text in bytes; PROTOCOL promises under 2 KiB.
pub const TEXT_BYTES_MAX: usize = 2000;

/// More runs than this do not surely fit [`TEXT_BYTES_MAX`]: it is time for a new tick.
///
/// A run takes two varints; 180 runs of 4 bytes each are 960 characters, and even at 8 bytes
/// each (gaps of a quarter of a billion ids) they are 1,920 with the rest still under 2,000.
pub const RUNS_MAX: usize = 180;

const VERSION: u8 = 1;

/// A position in the log as a client names it; valid on every gateway of the same database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Which life of the log.
    pub history: u64,
    /// The tick's id.
    pub tick: i64,
    /// The tick's tag.
    pub tag: i32,
    /// The log ids since the tick.
    pub ids: Ids,
    /// The check over them ([`super::position::Since::sum`]).
    pub sum: u64,
}

/// Text that no gateway gave out, or that was damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the cursor is not one of ours, or was damaged; take the one of the last cursor message")]
pub struct BadCursor;

impl Cursor {
    /// The text.
    pub fn to_text(&self) -> String {
        let mut bytes = vec![VERSION];
        bytes.extend(self.history.to_be_bytes());
        put(&mut bytes, self.tick.cast_unsigned());
        bytes.extend(self.tag.to_be_bytes());
        bytes.extend(self.sum.to_be_bytes());
        let mut at = 0_i64;
        for run in self.ids.runs() {
            put(&mut bytes, run.start().wrapping_sub(at).cast_unsigned());
            put(&mut bytes, run.end().wrapping_sub(*run.start()).cast_unsigned());
            at = *run.end();
        }
        let crc = crc32fast::hash(&bytes);
        bytes.extend(crc.to_be_bytes());
        BASE64URL_NOPAD.encode(&bytes)
    }

    /// Reads the text.
    pub fn parse(text: &str) -> Result<Self, BadCursor> {
        Self::read(text).ok_or(BadCursor)
    }

    fn read(text: &str) -> Option<Self> {
        if text.len() > TEXT_BYTES_MAX {
            return None;
        }
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
        let (body, crc) = bytes.split_last_chunk::<4>()?;
        if u32::from_be_bytes(*crc) != crc32fast::hash(body) {
            return None;
        }
        let (version, body) = body.split_first()?;
        let (history, mut body) = body.split_first_chunk::<8>()?;
        let tick = take(&mut body)?;
        let (tag, body) = body.split_first_chunk::<4>()?;
        let (sum, mut body) = body.split_first_chunk::<8>()?;
        let mut ids = Ids::default();
        let mut at = 0_i64;
        while !body.is_empty() {
            let first = at.checked_add_unsigned(take(&mut body)?)?;
            let last = first.checked_add_unsigned(take(&mut body)?)?;
            if !ids.push(first..=last) {
                return None;
            }
            at = last;
        }
        (*version == VERSION).then_some(Self {
            history: u64::from_be_bytes(*history),
            tick: i64::try_from(tick).ok()?,
            tag: i32::from_be_bytes(*tag),
            ids,
            sum: u64::from_be_bytes(*sum),
        })
    }
}

/// Appends a number, seven bits a byte, the lowest first (LEB128).
fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    bytes.push(number.to_le_bytes()[0]);
}

fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let part = u64::from(byte & 0x7f);
        if shift == 63 && part > 1 {
            return None;
        }
        number |= part << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Cursor, RUNS_MAX, TEXT_BYTES_MAX};
    use crate::change::Ids;

    fn cursor(tick: i64, steps: &[(u32, u32)]) -> Cursor {
        let mut ids = Ids::default();
        let mut at = 0_i64;
        for (gap, length) in steps {
            let first = at + 2 + i64::from(*gap);
            let last = first + i64::from(*length);
            assert!(ids.push(first..=last));
            at = last;
        }
        Cursor { history: 0x0123_4567_89ab_cdef, tick, tag: -5, ids, sum: u64::MAX }
    }

    proptest! {
        #[test]
        fn a_cursor_survives_its_text(
            tick in 0..i64::MAX,
            steps in prop::collection::vec((0..1_000_000_u32, 0..1_000_000_u32), 0..RUNS_MAX),
        ) {
            let it = cursor(tick, &steps);
            let text = it.to_text();
            prop_assert!(text.len() <= TEXT_BYTES_MAX);
            prop_assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
            prop_assert_eq!(Cursor::parse(&text), Ok(it));
        }

        #[test]
        fn damage_is_noticed(at in 0..60_usize, to in "[A-Za-z0-9_-]") {
            let text = cursor(77, &[(1, 2), (3, 4), (5, 600)]).to_text();
            let at = at % text.len();
            let damaged = format!("{}{to}{}", &text[..at], &text[at + 1..]);
            prop_assert_eq!(Cursor::parse(&damaged).is_ok(), damaged == text);
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,80}") {
            prop_assert!(Cursor::parse(&text).is_err());
        }
    }

    #[test]
    fn the_widest_cursor_fits() {
        let steps = vec![(1 << 27, 1 << 27); RUNS_MAX];
        assert!(cursor(i64::MAX, &steps).to_text().len() <= TEXT_BYTES_MAX);
    }
}
