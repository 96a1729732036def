//! Sockets that do the same: their window, what they received, how they ended.
//!
//! Judges every message: what has a mark is a change and is checked, the rest is protocol.

use std::collections::BTreeMap;

use super::message::{Seen, Spec, Status, Window};
use super::socket::{Socket, UNSEEN};
use crate::mark::{LANES, Mark};

pub(super) struct Group {
    pub(super) spec: Spec,
    pub(super) members: Vec<usize>,
    /// Members that are not connecting yet, last first.
    pub(super) unopened: Vec<usize>,
    pub(super) connecting: usize,
    pub(super) ready: u32,
    pub(super) failed: u32,
    pub(super) started_us: u64,
    pub(super) told_connected: bool,
    pub(super) closed: BTreeMap<u16, u32>,
    window: Option<Open>,
    resyncs: u32,
    first_error: Option<String>,
    sample: Option<String>,
}

struct Open {
    window: Window,
    /// Sockets that have not got everything.
    missing: usize,
    seen: Seen,
}

/// What a message means for the socket that it came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    Change,
    /// The last delivery that the window waited for.
    WindowComplete,
    Subscribed,
    Other,
}

impl Group {
    pub(super) fn new(spec: Spec, started_us: u64) -> Self {
        Self {
            spec,
            members: Vec::new(),
            unopened: Vec::new(),
            connecting: 0,
            ready: 0,
            failed: 0,
            started_us,
            told_connected: false,
            closed: BTreeMap::new(),
            window: None,
            resyncs: 0,
            first_error: None,
            sample: None,
        }
    }

    /// Opens a window. What a socket should have received before it and has not is lost.
    pub(super) fn arm(&mut self, window: Window, sockets: &mut [Socket]) {
        let mut seen = Seen { receipts: empty_receipts(&window), ..Seen::default() };
        let mut missing = 0;
        for member in &self.members {
            let socket = &mut sockets[*member];
            if window.deliveries.is_none() {
                seen.lost += settle(&mut socket.next, &window);
            }
            missing += usize::from(!has_all(&socket.next, &window));
        }
        self.window = Some(Open { window, missing, seen });
    }

    /// Ends the window and says what it saw.
    pub(super) fn collect(&mut self) -> Seen {
        self.window.take().map(|open| open.seen).unwrap_or_default()
    }

    pub(super) fn status(&self) -> Status {
        Status {
            open: self.ready,
            closed: self.closed.clone(),
            resyncs: self.resyncs,
            first_error: self.first_error.clone(),
            sample: self.sample.clone(),
        }
    }

    pub(super) fn on_message(
        &mut self,
        socket: &mut Socket,
        message: &[u8],
        now_us: u64,
    ) -> Meaning {
        if let Some(mark) = Mark::find(message) {
            if self.sample.is_none() {
                self.sample = Some(String::from_utf8_lossy(message).into_owned());
            }
            return self.on_change(socket, mark, (message.len(), now_us));
        }
        self.on_protocol(socket, message)
    }

    fn on_change(&mut self, socket: &mut Socket, mark: Mark, came: (usize, u64)) -> Meaning {
        let (size, now_us) = came;
        let lane = usize::from(mark.lane);
        let expected = socket.next[lane];
        let Some(open) = &mut self.window else {
            socket.next[lane] = mark.number + 1;
            return Meaning::Change;
        };
        let checked = open.window.deliveries.is_none();
        let had_all = has_all(&socket.next, &open.window);
        if checked && expected != UNSEEN && mark.number < expected {
            open.seen.repeated += 1;
            return Meaning::Change;
        }
        if checked && expected != UNSEEN {
            open.seen.lost += u64::from(mark.number - expected);
        }
        socket.next[lane] = mark.number + 1;
        open.count(lane, mark, (size, now_us));
        let complete = match open.window.deliveries {
            Some(wanted) => open.seen.deliveries == wanted,
            None if !had_all && has_all(&socket.next, &open.window) => {
                open.missing -= 1;
                open.missing == 0
            }
            None => false,
        };
        open.seen.complete |= complete;
        if complete { Meaning::WindowComplete } else { Meaning::Change }
    }

    fn on_protocol(&mut self, socket: &mut Socket, message: &[u8]) -> Meaning {
        if self.spec.keep_cursors
            && let Some(cursor) = field(message, b"\"cursor\":\"")
        {
            socket.cursor.clear();
            socket.cursor.push_str(cursor);
        }
        let kind = field(message, b"\"type\":\"").unwrap_or_default();
        match kind {
            "subscribed" => return Meaning::Subscribed,
            "resync" => self.resyncs += 1,
            "error" if self.first_error.is_none() => {
                self.first_error = Some(String::from_utf8_lossy(message).into_owned());
            }
            _ => {}
        }
        Meaning::Other
    }

    pub(super) fn note_error(&mut self, text: &str) {
        self.first_error.get_or_insert_with(|| text.to_owned());
    }
}

impl Open {
    fn count(&mut self, lane: usize, mark: Mark, came: (usize, u64)) {
        let (size, now_us) = came;
        self.seen.deliveries += 1;
        self.seen.bytes += size as u64;
        self.seen.latency.record(now_us.saturating_sub(mark.sent_us));
        let offset = mark.number.wrapping_sub(self.window.first[lane]) as usize;
        if let Some(receipt) = self.seen.receipts[lane].get_mut(offset) {
            if receipt.0 == 0 {
                receipt.0 = now_us;
            }
            receipt.1 = now_us;
        }
    }
}

/// Brings a socket to the start of a window; says how many changes it never got.
fn settle(next: &mut [u32; LANES], window: &Window) -> u64 {
    let mut lost = 0;
    for (next, (first, count)) in next.iter_mut().zip(window.first.iter().zip(window.count)) {
        if count == 0 {
            continue;
        }
        if *next != UNSEEN && *next < *first {
            lost += u64::from(first - *next);
        }
        if *next == UNSEEN || *next < *first || *next > first + count {
            *next = *first;
        }
    }
    lost
}

fn has_all(next: &[u32; LANES], window: &Window) -> bool {
    (0..LANES).all(|lane| {
        let end = window.first[lane] + window.count[lane];
        window.count[lane] == 0 || (next[lane] != UNSEEN && next[lane] >= end)
    })
}

fn empty_receipts(window: &Window) -> Vec<Vec<(u64, u64)>> {
    window.count.iter().map(|count| vec![(0, 0); *count as usize]).collect()
}

/// The text value after a key, as far as the next quote.
fn field<'a>(message: &'a [u8], key: &[u8]) -> Option<&'a str> {
    let start = memchr::memmem::find(message, key)? + key.len();
    let rest = message.get(start..)?;
    let end = memchr::memchr(b'"', rest)?;
    std::str::from_utf8(&rest[..end]).ok()
}

#[cfg(test)]
mod tests;
