//! HTTP: routes, the WebSocket upgrade, health. Holds no state of the feed.
//!
//! Routes are warp filters; they are served by our own accept loop ([`server`]), because
//! `warp::serve` knows no time limit for headers, no limit on connections and no drain that ends
//! sockets politely.

pub mod answer;
pub mod body;
pub mod console;
pub mod door;
pub mod opening;
mod patient;
mod pipe;
pub mod poll;
pub mod probe;
pub mod query;
pub mod ready;
pub mod routes;
pub mod server;
pub mod socket;
pub mod sse;
pub mod upgrade;
mod visit;

pub use door::Door;
pub use server::Server;
