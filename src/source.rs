//! PostgreSQL: reads the log, hears NOTIFY, installs the schema. Knows no client.

pub mod admin;
pub mod catalog;
pub mod cluster;
pub mod connect;
pub mod describe;
pub mod doctor;
mod error;
pub mod inspect;
pub mod install;
mod lease;
pub mod listener;
pub mod log;
pub mod look;
mod name;
pub mod payload;
mod places;
mod reader;
mod reading;
pub mod retention;
mod rhythm;
mod rows;
mod shapes;
pub mod size;
mod snapshot;
mod types;
pub mod wake;

pub use admin::Admin;
pub use connect::Target;
pub use listener::Listener;
pub use log::PgLog;
pub use reader::Reader;
pub use retention::Retention;
pub use wake::Wake;
