//! Builds everything once, runs it, and ends it.

pub mod access;
pub mod build;
pub mod cli;
pub mod console;
pub mod database;
pub mod dev;
pub mod doctor;
pub mod faults;
pub mod fitness;
pub mod ready;
pub mod serve;
pub mod tail;
pub mod token;
pub mod types;
