//! What the measuring process and the processes that hold sockets tell each other.
//!
//! One JSON object a line over the child's standard input and output.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::histogram::Histogram;
use crate::mark::LANES;

/// How the sockets of a group connect, and when one counts as ready.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Spec {
    pub(crate) address: SocketAddr,
    /// The /16 whose addresses clients connect from.
    pub(crate) sources: Ipv4Addr,
    pub(crate) path: String,
    /// Ready after so many `subscribed` messages; 0: after the upgrade.
    pub(crate) subscribed: u32,
    /// Subscriptions made by message instead of by path.
    pub(crate) subscribe: Option<Subscribe>,
    /// Whether each socket keeps its last cursor, to come back from it.
    pub(crate) keep_cursors: bool,
    /// How many sockets of one process may be connecting at a time.
    pub(crate) at_once: usize,
    /// A small one makes a client that does not read felt sooner.
    pub(crate) receive_buffer: Option<usize>,
}

/// `per_socket` messages; in the text, `{k}` is the number on the socket and `{v}` the number over
/// all sockets modulo `modulo`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Subscribe {
    pub(crate) text: String,
    pub(crate) per_socket: u32,
    pub(crate) modulo: u32,
}

/// The changes that every socket of a group is to receive, by lane.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Window {
    pub(crate) first: [u32; LANES],
    pub(crate) count: [u32; LANES],
    /// Where only some sockets get a change: complete after so many deliveries, order unchecked.
    pub(crate) deliveries: Option<u64>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Command {
    Connect {
        group: u32,
        spec: Spec,
        count: u32,
        base: u32,
    },
    Arm {
        group: u32,
        window: Window,
    },
    /// Report the window as it stands.
    Collect {
        group: u32,
    },
    /// Every socket of the group again, each from its own cursor.
    Reconnect {
        group: u32,
        address: SocketAddr,
    },
    /// Stop or go on reading.
    Reading {
        group: u32,
        on: bool,
    },
    Status {
        group: u32,
    },
    Close {
        group: u32,
    },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Report {
    Connected { group: u32, ready: u32, failed: u32, elapsed_us: u64 },
    Armed { group: u32 },
    Window { group: u32, seen: Seen },
    Status { group: u32, status: Status },
    Closed { group: u32 },
}

/// What arrived at the sockets of a group while a window was open.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Seen {
    pub(crate) complete: bool,
    pub(crate) deliveries: u64,
    pub(crate) bytes: u64,
    /// Numbers that a socket never got although a later one arrived.
    pub(crate) lost: u64,
    /// Numbers that came again or too late.
    pub(crate) repeated: u64,
    /// From the moment of sending to each receipt.
    pub(crate) latency: Histogram,
    /// By lane and number since the window's first: first and last receipt, 0 for never.
    pub(crate) receipts: Vec<Vec<(u64, u64)>>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Status {
    pub(crate) open: u32,
    /// Close codes that servers sent, 0 for an end without one.
    pub(crate) closed: BTreeMap<u16, u32>,
    pub(crate) resyncs: u32,
    pub(crate) first_error: Option<String>,
    /// The last change, as it came.
    pub(crate) sample: Option<String>,
}

impl Seen {
    pub(crate) fn add(&mut self, other: &Self) {
        self.complete &= other.complete;
        self.deliveries += other.deliveries;
        self.bytes += other.bytes;
        self.lost += other.lost;
        self.repeated += other.repeated;
        self.latency.add(&other.latency);
        for (mine, theirs) in self.receipts.iter_mut().zip(&other.receipts) {
            for (a, b) in mine.iter_mut().zip(theirs) {
                a.0 = if a.0 == 0 || (b.0 != 0 && b.0 < a.0) { b.0 } else { a.0 };
                a.1 = a.1.max(b.1);
            }
        }
    }
}

impl Status {
    pub(crate) fn add(&mut self, other: Self) {
        self.open += other.open;
        self.resyncs += other.resyncs;
        for (code, count) in other.closed {
            *self.closed.entry(code).or_default() += count;
        }
        self.first_error = self.first_error.take().or(other.first_error);
        self.sample = self.sample.take().or(other.sample);
    }
}
