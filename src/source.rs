//! PostgreSQL: everything that talks to the database. Never knows that clients exist.

pub mod install;
