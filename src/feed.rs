//! The change feed: from the log to subscriptions. Names neither a database nor a socket.
//!
//! Read in this order: [`log`] (the seam to the database), [`relay`] (reads the log and
//! publishes), [`chunk`] and [`tail`] (what is published, and kept), [`hub`] and [`shard`] (where
//! it meets subscriptions), [`topic`], [`grant`], [`filter`] and [`judge`] (what a change means to
//! whom), [`encode`] (as a message).

pub mod backoff;
pub mod catalog;
pub mod chunk;
pub mod cut;
pub mod encode;
pub mod filter;
pub mod grant;
pub mod hub;
pub mod image;
pub mod index;
pub mod judge;
pub mod log;
mod meter;
pub mod relay;
pub mod route;
#[cfg(test)]
mod sample;
#[cfg(test)]
mod script;
pub mod shard;
pub mod shared;
pub mod subscriber;
pub mod tail;
pub mod tally;
pub mod ticks;
pub mod topic;

pub use catalog::{Catalog, Difference};
pub use chunk::{Chunk, CursorMark, Notice, Route};
pub use grant::{Columns, Grant};
pub use hub::Hub;
pub use image::Image;
pub use log::{Body, ChangeLog, History, LogError, LogReader, LogRow};
pub use relay::Relay;
pub use subscriber::{Heartbeat, Subscriber};
pub use tail::Tail;
pub use tally::Tally;
pub use topic::{Events, Topic, TopicKey, TopicSpec};
