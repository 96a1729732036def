//! PostgreSQL: reads the log, hears NOTIFY, installs the schema. Knows no client.

pub mod admin;
pub mod catalog;
pub mod cluster;
pub mod connect;
mod error;
pub mod inspect;
pub mod install;
pub mod listener;
pub mod log;
mod reader;
mod rhythm;
mod rows;
mod types;
pub mod wake;

pub use admin::Admin;
pub use connect::Target;
pub use listener::Listener;
pub use log::PgLog;
pub use reader::Reader;
pub use wake::Wake;
