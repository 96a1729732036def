//! One client: requests in, frames out. Does not know its transport.
//!
//! Read in this order: [`queue`] (what waits for the client, and how a slow one is served),
//! [`limits`], [`subscription`], [`catch_up`] (from a cursor to live), [`client`] (requests).

pub mod catch_up;
pub mod client;
pub mod context;
pub mod lag;
pub mod limits;
pub mod log_walk;
mod news;
pub mod poll;
pub mod queue;
pub mod refusal;
pub mod resume;
pub mod shapes;
pub mod snapshot;
pub mod spec;
pub mod stream;
pub mod subscription;
pub mod telling;

pub use client::Session;
pub use context::{Access, Context};
pub use limits::Limits;
pub use queue::{Queue, Transport};
