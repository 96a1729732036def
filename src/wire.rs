//! What crosses a socket: requests, replies, codes and frames. Knows nobody's state.

pub mod code;
pub mod frame;
pub mod reply;
pub mod request;

pub use code::{Close, Code};
pub use frame::{Encoding, Frames};
pub use request::{Request, Subscribe};
