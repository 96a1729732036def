//! A piece of the feed: some log rows in order, and what they are to each topic.

use std::sync::Arc;

use super::{Topic, log::LogRow};
use crate::{
    change::{Position, Snapshot},
    wire::{Frames, reply::Resync},
};

/// A piece of the feed as the relay publishes it; never changed after.
#[derive(Debug)]
pub struct Chunk {
    /// Its number on this gateway; one higher than the one before.
    pub seq: u64,
    /// The log rows, in the order of the feed.
    pub rows: Vec<LogRow>,
    /// The place before its first row.
    pub start: Position,
    /// The place after its last row.
    pub position: Position,
    /// What the read that it came from saw at most.
    pub sees: Arc<Snapshot>,
    /// Whether it ends between transactions.
    pub is_whole: bool,
    /// The message that tells the position, where one may stand here.
    pub cursor: Option<CursorMark>,
    /// What it is to each topic that it matches.
    pub routes: Vec<Route>,
    /// What ends or restarts subscriptions after it.
    pub notices: Vec<Notice>,
    /// The topics that end after it, and why.
    pub ends: Vec<(u64, Notice)>,
}

/// A position as text and as the message about it.
#[derive(Clone, Debug)]
pub struct CursorMark {
    /// The cursor's text.
    pub text: Arc<str>,
    /// The `cursor` message.
    pub frames: Arc<Frames>,
}

/// A topic's messages of a chunk.
#[derive(Debug)]
pub struct Route {
    /// The topic.
    pub topic: u64,
    /// Its messages, and behind them the chunk's cursor where it has one.
    pub frames: Frames,
    /// How many of the messages are changes.
    pub changes: usize,
}

/// What ends or restarts the subscriptions of a table after a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The table's columns are others: start over with the new ones.
    TableChanged(u32),
    /// The table is not watched any more.
    TableGone(u32),
    /// A change was not captured: start over.
    Gap(u32),
    /// A change was too large to be logged, so this topic cannot be told what it means.
    Unjudged(u64),
    /// The log was pruned further than it had been read: every subscription starts over.
    Expired,
    /// The log is another one: every subscription starts over.
    HistoryChanged,
}

impl Notice {
    /// Whether the topics that it concerns are gone, for their table is another one.
    pub fn ends_for_good(self) -> bool {
        matches!(self, Self::TableChanged(_) | Self::TableGone(_))
    }

    /// Why rows held from before it are void.
    pub fn reason(self) -> Resync {
        match self {
            Self::TableChanged(_) | Self::TableGone(_) => Resync::TableChanged,
            Self::Gap(_) | Self::Unjudged(_) => Resync::CaptureGap,
            Self::Expired => Resync::CursorExpired,
            Self::HistoryChanged => Resync::HistoryChanged,
        }
    }

    /// Whether it concerns subscriptions of the table that follow the topic.
    pub fn concerns(self, table: u32, topic: u64) -> bool {
        match self {
            Self::Unjudged(id) => id == topic,
            Self::TableChanged(oid) | Self::TableGone(oid) | Self::Gap(oid) => oid == table,
            Self::Expired | Self::HistoryChanged => true,
        }
    }
}

impl Chunk {
    /// Whether subscriptions of the topic end or start over after it.
    pub fn ends_topic(&self, topic: &Topic) -> bool {
        self.notice_for(topic).is_some()
    }

    /// What ends subscriptions of the topic after it, or makes them start over.
    pub fn notice_for(&self, topic: &Topic) -> Option<Notice> {
        let concerns = |it: &&Notice| it.concerns(topic.spec.table.oid, topic.id);
        self.notices.iter().find(concerns).copied()
    }

    /// The topic's messages in it.
    pub fn route(&self, topic: u64) -> Option<u32> {
        let place = self.routes.binary_search_by_key(&topic, |route| route.topic).ok()?;
        u32::try_from(place).ok()
    }

    /// What it takes in memory, in bytes, routes included.
    pub fn bytes(&self) -> usize {
        let rows: usize = self.rows.iter().map(LogRow::bytes).sum();
        // A frame's text, and where it stands.
        let size = |route: &Route| route.frames.bytes() + route.frames.len() * 72 + 200;
        let routes: usize = self.routes.iter().map(size).sum();
        rows + routes + size_of::<Self>()
    }
}
