//! The mark that every written row carries: who wrote it, its number, and when.
//!
//! It has a fixed width and a sign that occurs nowhere else, so a client finds it in the bytes of
//! any server's message without parsing the JSON around it. It never allocates.

use std::time::{SystemTime, UNIX_EPOCH};

/// Writers whose changes are numbered apart; within one lane the order is known.
pub(crate) const LANES: usize = 8;
const WIDTH: usize = 32;

/// One written row, as its mark tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) lane: u8,
    pub(crate) number: u32,
    /// The wall clock, which all processes of one machine share, just before the write was sent.
    pub(crate) sent_us: u64,
}

impl Mark {
    pub(crate) fn text(self) -> String {
        format!("@{:02}:{:010}:{:016}@", self.lane, self.number, self.sent_us)
    }

    /// The first mark in a message.
    pub(crate) fn find(message: &[u8]) -> Option<Self> {
        memchr::memchr_iter(b'@', message).find_map(|start| Self::at(message.get(start..)?))
    }

    fn at(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..WIDTH)?;
        if bytes[3] != b':' || bytes[14] != b':' || bytes[WIDTH - 1] != b'@' {
            return None;
        }
        let lane = u8::try_from(digits(&bytes[1..3])?).ok()?;
        let number = u32::try_from(digits(&bytes[4..14])?).ok()?;
        let sent_us = digits(&bytes[15..31])?;
        (usize::from(lane) < LANES).then_some(Self { lane, number, sent_us })
    }
}

fn digits(bytes: &[u8]) -> Option<u64> {
    bytes.iter().try_fold(0_u64, |value, byte| {
        byte.is_ascii_digit().then(|| value * 10 + u64::from(byte - b'0'))
    })
}

/// The wall clock in microseconds.
pub(crate) fn now_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_found_inside_any_message() {
        let mark = Mark { lane: 7, number: 42, sent_us: 1_795_000_000_123_456 };
        let message = format!("{{\"mail\":\"a@b\",\"mark\":\"{}\"}}", mark.text());
        assert_eq!(Mark::find(message.as_bytes()), Some(mark));
        assert_eq!(Mark::find(b"a@b and nothing else"), None);
    }
}
