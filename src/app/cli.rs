//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Turns changes in PostgreSQL tables into live updates in browsers, exactly.
#[derive(Debug, Parser)]
#[command(name = "pgfeed", version, about, after_help = AFTER)]
pub struct Cli {
    /// Settings in TOML. Every key is also a variable: `PGFEED__SECTION__KEY`.
    #[arg(long, short, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const AFTER: &str = "\
Try it without a database:
  pgfeed dev

On your own database:
  export DATABASE_URL=postgres://owner@localhost/app
  pgfeed install                 put the feed into the database (no superuser needed)
  pgfeed watch courses           put a table on the feed
  PGFEED__ACCESS__DEFAULT=anyone pgfeed serve";

const TOKEN: &str = "\
Examples:
  pgfeed token --sub 3 --role student
  pgfeed token --sub 3 --role student --role mentor --ttl 60 --claim team=7

Issuer and audience are set as the settings ask. Where tokens are checked by a public key or a key
set, only the issuer can make them.";

const EXPLAIN: &str = "\
Examples:
  pgfeed explain courses                                     what a reader without a token sees
  pgfeed explain registrations --token \"$TOKEN\" --key id=5   why this row, or why not

It reads the row as it is now. It is for the owner: it tells of filters and columns that readers do
not see.";

const TYPES: &str = "\
Examples:
  pgfeed types --out src/tables.ts             every table on the feed
  pgfeed types --table courses --table roles   two of them, to standard output
  pgfeed types | diff src/tables.ts -          whether the file is as the database is

One interface a table, and their registration with the client package, after which
client.table('courses') and useTable('courses') know their rows and a misspelt table does not
compile. Put the file where your project's TypeScript sees it; nothing has to import it. The text
depends on the tables alone, so a diff of it shows what a migration changed.

Types are those of the whole table: a reader whose grant or `columns` names fewer gets fewer. As
usually wanted, bigint and numeric are `number` and arrays hold no null; with --exact the types
have all that PostgreSQL may send.";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the feed to clients.
    Serve,
    /// Start a throwaway PostgreSQL with sample tables, and serve it. Ctrl-C removes it again.
    Dev,
    /// Put the feed into the database; safe to repeat.
    Install {
        /// Give this role what `serve` needs, and no more.
        #[arg(long, value_name = "ROLE")]
        grant_to: Option<String>,
    },
    /// Put tables on the feed, or bring the triggers of those that are on it up to date: `wake` and
    /// `level`, which `pgfeed.watch()` takes in SQL, stay as they were asked for.
    Watch {
        /// Tables: `courses`, or `schema.courses`.
        #[arg(required = true, value_name = "TABLE")]
        tables: Vec<String>,
    },
    /// Take tables off the feed.
    Unwatch {
        /// Tables: `courses`, or `schema.courses`.
        #[arg(required = true, value_name = "TABLE")]
        tables: Vec<String>,
    },
    /// Tell how the feed in the database is, and what mends what is wrong.
    Status,
    /// Tell whether the gateway that runs here is ready, for health checks. Ends with 1 if not.
    Ready,
    /// Look for everything that can be wrong, and tell what mends it. Ends with 1 if something is.
    Doctor {
        /// Where browsers reach the gateway, as `https://app.example`: look at the proxy too.
        #[arg(long, value_name = "URL")]
        url: Option<String>,
    },
    /// Print changes as JSON lines until Ctrl-C.
    Tail {
        /// Tables; all that are watched where none is named.
        #[arg(value_name = "TABLE")]
        tables: Vec<String>,
    },
    /// Print TypeScript interfaces for the tables on the feed.
    #[command(after_help = TYPES)]
    Types {
        /// A table: `courses`, or `schema.courses`. May be repeated; all where none is named.
        #[arg(long, value_name = "TABLE")]
        table: Vec<String>,
        /// Say in the types what is rare: integers beyond 2^53 as strings, nulls in arrays.
        #[arg(long)]
        exact: bool,
        /// Write to this file instead, if that changes it.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Print the settings in force, secrets left out.
    Config,
    /// Make a token for development, signed with `auth.jwt_secret`.
    #[command(after_help = TOKEN)]
    Token {
        /// Who it is: the claim `sub`.
        #[arg(long, value_name = "TEXT")]
        sub: Option<String>,
        /// A role, in the claim that `auth.role_claim` names. May be repeated.
        #[arg(long, value_name = "ROLE")]
        role: Vec<String>,
        /// How long it is good, in seconds.
        #[arg(long, value_name = "SECONDS", default_value_t = 3600,
              value_parser = clap::value_parser!(u32).range(1..))]
        ttl: u32,
        /// Another claim; a value that is JSON is that, any other is text. May be repeated.
        #[arg(long, value_name = "NAME=VALUE")]
        claim: Vec<String>,
    },
    /// Tell why a reader may see a table, or one row of it, or why not; step by step.
    #[command(after_help = EXPLAIN)]
    Explain {
        /// The table: `courses`, or `schema.courses`.
        table: String,
        /// The reader's token; without it, a reader who has none.
        #[arg(long, value_name = "JWT")]
        token: Option<String>,
        /// The row: a key column and its value. Repeat it where the key has several columns.
        #[arg(long, value_name = "COLUMN=VALUE")]
        key: Vec<String>,
    },
}

impl Command {
    /// Whether it speaks with the database alone: where a gateway listens does not matter to it.
    pub fn is_for_database(&self) -> bool {
        matches!(
            self,
            Self::Install { .. } | Self::Watch { .. } | Self::Unwatch { .. } | Self::Status
        )
    }
}
