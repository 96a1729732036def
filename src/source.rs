//! PostgreSQL: where changes come from. Nothing here knows that clients exist.

pub mod connect;
