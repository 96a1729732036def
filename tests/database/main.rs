//! The database side of the feed, against a real PostgreSQL: what triggers log, what writers pay and
//! may never notice, positions, installation. `PGFEED_PG_BIN` names the server's folder of programs.

mod support;

mod capture;
mod install;
mod nested;
mod parts;
mod safety;
mod schema;
mod schemas;
mod status;
mod strange;
mod ticks;
mod types;
mod wake;
mod watch;
