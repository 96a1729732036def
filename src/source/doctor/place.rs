//! The server itself: is it one that a feed can come from, and is its clock ours.

use std::time::{SystemTime, UNIX_EPOCH};

use tokio_postgres::{Client, Error};

use crate::source::admin::Finding;

/// A token's times are judged by the gateway's clock: seconds apart go unnoticed.
const SKEW_MS_OK: i64 = 5_000;

/// Tokens live for minutes: this much apart, many are refused.
const SKEW_MS_BAD: i64 = 60_000;

const ASK: &str = "
    select pg_catalog.pg_is_in_recovery(), pg_catalog.current_setting('server_encoding'),
           pg_catalog.current_setting('server_version'),
           pg_catalog.current_setting('server_version_num')::integer,
           (extract(epoch from pg_catalog.clock_timestamp()) * 1000)::bigint,
           pg_catalog.current_setting('session_replication_role')";

pub(super) async fn examine(client: &Client) -> Result<Vec<Finding>, Error> {
    let before = now_ms();
    let row = client.query_one(ASK, &[]).await?;
    let between = i64::midpoint(before, now_ms());
    let mut found = vec![if row.try_get(0)? {
        let mend = "Connect to the primary: name all hosts, or target_session_attrs=primary.";
        Finding::fail("standby", "this server is a standby: no position can be taken there", mend)
    } else {
        Finding::ok("standby", "this server is a primary")
    }];
    let (version, number): (&str, i32) = (row.try_get(2)?, row.try_get(3)?);
    found.push(if number < 140_000 {
        let detail = format!("PostgreSQL {version} lacks what the feed needs");
        Finding::fail("version", detail, "Upgrade the server to 14 or newer.")
    } else {
        Finding::ok("version", format!("PostgreSQL {version}"))
    });
    if row.try_get::<_, &str>(1)? == "SQL_ASCII" {
        let detail = "the database is SQL_ASCII: any byte may come, and one ends the listener";
        let mend = "Make a database with encoding UTF8 and move the tables there.";
        found.push(Finding::fail("encoding", detail, mend));
    }
    if row.try_get::<_, &str>(5)? == "replica" {
        let detail = "session_replication_role is replica: ordinary triggers do not fire";
        let mend = "Take it out of postgresql.conf, `alter role` and `alter database`; \
                    pgfeed.watch() makes triggers that fire all the same.";
        found.push(Finding::fail("session_replication_role", detail, mend));
    }
    let theirs: i64 = row.try_get(4)?;
    found.push(clock("the database", theirs - between));
    Ok(found)
}

/// How far another clock is from this machine's, in ms: tokens are judged by this machine's.
pub fn clock(whose: &str, ahead_ms: i64) -> Finding {
    let check = format!("clock of {whose}");
    let apart = ahead_ms.abs();
    let word = if ahead_ms < 0 { "behind" } else { "ahead of" };
    let seconds = apart / 1_000;
    let detail = format!("{seconds} s {word} this machine's");
    let mend = "Let both machines keep time by NTP: tokens expire, or are not yet valid, by this \
                machine's clock.";
    match apart {
        _ if apart <= SKEW_MS_OK => Finding::ok(&check, "agrees with this machine's"),
        _ if apart < SKEW_MS_BAD => Finding::warn(&check, detail, mend),
        _ => Finding::fail(&check, detail, mend),
    }
}

fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::clock;

    #[test]
    fn a_clock_an_hour_off_fails_and_seconds_pass() {
        assert!(clock("x", 4_000).is_ok() && clock("x", -4_000).is_ok());
        let ahead = clock("x", 3_600_000);
        assert_eq!((&*ahead.status, &*ahead.detail), ("fail", "3600 s ahead of this machine's"));
        let behind = clock("x", -30_000);
        assert_eq!((&*behind.status, &*behind.detail), ("warn", "30 s behind this machine's"));
    }
}
