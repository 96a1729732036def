//! When the reader reads: asleep until a NOTIFY, or awake on its own rhythm.
//!
//! A commit that notifies takes one lock for the whole cluster and holds it while it is flushed,
//! so under load a NOTIFY at each commit costs the writers nine tenths of their speed (DESIGN
//! §4). While there is traffic a gateway is therefore awake: it holds an advisory lock, which
//! tells the triggers to stay silent, and reads on its own. Before it sleeps it drops the lock
//! and reads on until every transaction that may have seen the lock has ended.

use std::time::Duration;

use tokio::time::Instant;

use crate::change::Snapshot;

/// Takes the lock if it is not ours and nobody has it; tells whether it is ours, and how many
/// gateways there are. Taken twice it would have to be dropped twice.
pub(super) const TAKE_LOCK: &str = "
    select $1 or pg_catalog.pg_try_advisory_lock(1128678482, 1),
           (select count(*) from pg_catalog.pg_locks
             where locktype = 'advisory' and classid = 1128678482 and objid = 4
               and database = (select oid from pg_catalog.pg_database
                                where datname = pg_catalog.current_database()))";

/// Drops the lock, then draws a transaction number: who saw the lock has a lower one.
pub(super) const DROP_LOCK: &str = "
    select pg_catalog.pg_current_xact_id()
      from (select pg_catalog.pg_advisory_unlock(1128678482, 1) offset 0) dropped";

/// Tells other gateways that this one is here; held as long as the connection lives.
pub(super) const PRESENT: &str = "select pg_catalog.pg_advisory_lock_shared(1128678482, 4)";

/// Whether a commit waits to notify: for a lock that the one before it holds until it is flushed.
/// With a slow disk such commits come one by one, and no faster than the disk flushes: how fast
/// they come would not tell that many want to.
pub(super) const WRITERS_WAIT: &str = "
    select exists (select from pg_catalog.pg_locks
                    where locktype = 'object' and database = 0 and objid = 0
                      and classid = 'pg_catalog.pg_database'::pg_catalog.regclass and not granted)";

/// Reads with rows that begin this soon after the one before are traffic: 500 commits a second are
/// as many as there are reads while awake. Where fewer come, and do not wait for each other, a
/// NOTIFY for each costs less than looking for them, and each is read at once.
const TRAFFIC: Duration = Duration::from_millis(2);

/// Reads that begin this soon after the one before may be of commits that wait for each other's
/// flush, which is looked for: a disk that turns takes some ten milliseconds for one.
const NEAR: Duration = Duration::from_millis(100);

/// So many in a row make the gateway rise.
const RISE_AFTER: u32 = 8;

/// It settles when nothing came for this long: longer than a slow disk takes for a flush, behind
/// which the commits of many writers come together.
const SETTLE_AFTER: Duration = Duration::from_millis(100);

/// And when over so long...
const WINDOW: Duration = Duration::from_millis(250);

/// ...fewer transactions than this came, 200 a second. Not where it rose because writers waited:
/// they would wait again.
const FEW: usize = 50;

/// The pause between reads while awake: at 500 reads a second a read's own cost is some percent
/// of a core, and a change waits 1 ms for it on average.
const PACE: Duration = Duration::from_millis(2);

/// While awake it asks again who has the lock and who else is there: a gateway that starts
/// meanwhile waits to be told, and the one that had the lock may end.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// What to do before the next read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Take the lock and read.
    Rise,
    /// Read again after a pause.
    Rest(Duration),
    /// Read again after a pause, or at a wake.
    Doze(Duration),
    /// Drop the lock and read.
    Settle,
    /// Wait for a wake.
    Sleep,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Asleep,
    Awake {
        holds_lock: bool,
    },
    /// The lock is dropped; transactions up to the barrier may have seen it.
    Settling {
        since: Instant,
        barrier: u64,
    },
}

/// Whether it is worth staying awake.
#[derive(Debug)]
struct Traffic {
    /// It rose because writers waited, or is about to.
    have_waited: bool,
    /// When the window under way began, and the transactions since.
    began: Instant,
    transactions: usize,
    /// The last window had few.
    is_slow: bool,
}

/// The reader's rhythm.
#[derive(Debug)]
pub(super) struct Rhythm {
    state: State,
    last_rows: Instant,
    /// When the last read ended, and whether the one under way began soon after.
    ended: Instant,
    is_soon: bool,
    is_near: bool,
    close_reads: u32,
    near_reads: u32,
    traffic: Traffic,
    has_peers: bool,
    asked: Instant,
}

impl Traffic {
    /// It is awake from now on.
    fn begin(&mut self) {
        (self.began, self.transactions, self.is_slow) = (Instant::now(), 0, false);
    }

    fn count(&mut self, transactions: usize) {
        self.transactions += transactions;
        if self.began.elapsed() >= WINDOW {
            let is_slow = self.transactions < FEW && !self.have_waited;
            self.begin();
            self.is_slow = is_slow;
        }
    }
}

impl Rhythm {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self {
            state: State::Asleep,
            last_rows: now,
            ended: now,
            is_soon: false,
            is_near: false,
            close_reads: 0,
            near_reads: 0,
            traffic: Traffic { have_waited: false, began: now, transactions: 0, is_slow: false },
            has_peers: false,
            asked: now,
        }
    }

    /// A read begins. How long reads take does not count: a busy server is slow.
    pub(super) fn begins(&mut self) {
        self.is_soon = self.ended.elapsed() < TRAFFIC;
        self.is_near = self.ended.elapsed() < NEAR;
    }

    /// Whether it is worth asking if writers wait to notify.
    pub(super) fn minds_waiting(&self) -> bool {
        self.near_reads >= RISE_AFTER
            && self.close_reads < RISE_AFTER
            && !matches!(self.state, State::Awake { .. })
    }

    /// Whether writers wait to notify: that is traffic too.
    pub(super) fn writers_wait(&mut self, they_do: bool) {
        self.near_reads = 0;
        if they_do {
            self.close_reads = RISE_AFTER;
            self.traffic.have_waited = true;
        }
    }

    /// A read is done, and had the rows of so many transactions.
    pub(super) fn has_read(&mut self, transactions: usize, snapshot: &Snapshot) {
        self.traffic.count(transactions);
        if transactions > 0 {
            self.close_reads = if self.is_soon { self.close_reads + 1 } else { 0 };
            self.near_reads = if self.is_near { self.near_reads + 1 } else { 0 };
            self.last_rows = Instant::now();
        }
        self.ended = Instant::now();
        if let State::Settling { barrier, .. } = self.state
            && snapshot.xmin() > barrier
        {
            self.state = State::Asleep;
        }
    }

    /// Whether other gateways depend on us to be woken.
    pub(super) fn must_tell_others(&self) -> bool {
        self.has_peers && !matches!(self.state, State::Asleep | State::Awake { holds_lock: false })
    }

    /// What to do before the next read.
    pub(super) fn next(&self) -> Next {
        match self.state {
            State::Asleep | State::Settling { .. } if self.close_reads >= RISE_AFTER => Next::Rise,
            State::Asleep => Next::Sleep,
            State::Awake { .. } if self.traffic.is_slow || self.quiet() >= SETTLE_AFTER => {
                Next::Settle
            }
            State::Awake { .. } => Next::Rest(PACE),
            // A transaction that stays open is looked for ever less often: its change waits at
            // most a quarter of the time that it was open.
            State::Settling { since, .. } => Next::Doze((since.elapsed() / 4).max(PACE)),
        }
    }

    /// Whether the lock is ours.
    pub(super) fn holds_lock(&self) -> bool {
        self.state == State::Awake { holds_lock: true }
    }

    /// Whether to ask again, with the next read, who has the lock and who else is there.
    pub(super) fn is_to_ask(&self) -> bool {
        matches!(self.state, State::Awake { .. }) && self.asked.elapsed() >= ASK_EVERY
    }

    /// It is awake, and has asked.
    pub(super) fn has_risen(&mut self, holds_lock: bool, has_peers: bool) {
        if !matches!(self.state, State::Awake { .. }) {
            self.traffic.begin();
        }
        self.state = State::Awake { holds_lock };
        self.has_peers = has_peers;
        self.asked = Instant::now();
    }

    pub(super) fn has_settled(&mut self, barrier: u64) {
        self.close_reads = 0;
        self.traffic.have_waited = false;
        self.state = State::Settling { since: Instant::now(), barrier };
    }

    /// How long no row has come.
    pub(super) fn quiet(&self) -> Duration {
        self.last_rows.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads with a row each, so far apart; whether the gateway rises.
    async fn rises(apart: Duration, writers_wait: bool) -> bool {
        let snapshot: Snapshot = "10:10:".parse().expect("a snapshot");
        let mut rhythm = Rhythm::new();
        for _ in 0..20 {
            tokio::time::advance(apart).await;
            rhythm.begins();
            rhythm.has_read(1, &snapshot);
            if rhythm.minds_waiting() {
                rhythm.writers_wait(writers_wait);
            }
            if rhythm.next() == Next::Rise {
                return true;
            }
        }
        false
    }

    #[tokio::test(start_paused = true)]
    async fn it_rises_for_quick_commits_and_for_slow_ones_that_wait_for_each_other() {
        assert!(rises(Duration::from_millis(1), false).await);
        assert!(!rises(Duration::from_millis(4), false).await);
        assert!(!rises(Duration::from_millis(10), false).await);
        assert!(rises(Duration::from_millis(10), true).await);
        assert!(rises(Duration::from_millis(4), true).await);
        assert!(rises(Duration::from_millis(50), true).await);
    }

    #[tokio::test(start_paused = true)]
    async fn while_awake_it_asks_every_second_for_the_lock_and_for_others() {
        let mut rhythm = Rhythm::new();
        tokio::time::advance(ASK_EVERY).await;
        assert!(!rhythm.is_to_ask(), "asleep, writers tell all");
        rhythm.has_risen(false, false);
        assert!(!rhythm.is_to_ask() && !rhythm.holds_lock() && !rhythm.must_tell_others());
        tokio::time::advance(ASK_EVERY).await;
        assert!(rhythm.is_to_ask());
        rhythm.has_risen(true, true);
        assert!(!rhythm.is_to_ask() && rhythm.holds_lock() && rhythm.must_tell_others());
    }

    #[tokio::test(start_paused = true)]
    async fn it_stays_awake_between_the_flushes_of_a_slow_disk() {
        let snapshot: Snapshot = "10:10:".parse().expect("a snapshot");
        // One that writers waited on, and one that many commits share the flushes of.
        for (writers_wait, transactions) in [(true, 1), (false, 16)] {
            let mut rhythm = Rhythm::new();
            rhythm.writers_wait(writers_wait);
            rhythm.has_risen(true, false);
            for _ in 0..10 {
                rhythm.has_read(transactions, &snapshot);
                tokio::time::advance(Duration::from_millis(40)).await;
                assert_eq!(rhythm.next(), Next::Rest(PACE));
            }
            tokio::time::advance(SETTLE_AFTER).await;
            assert_eq!(rhythm.next(), Next::Settle);
        }
    }

    /// Whether it settles within a second of so many transactions at each of its reads.
    async fn settles(apart: Duration, transactions: usize, writers_wait: bool) -> bool {
        let snapshot: Snapshot = "10:10:".parse().expect("a snapshot");
        let mut rhythm = Rhythm::new();
        rhythm.writers_wait(writers_wait);
        rhythm.has_risen(true, false);
        let until = Instant::now() + Duration::from_secs(1);
        while Instant::now() < until {
            tokio::time::advance(apart).await;
            rhythm.has_read(transactions, &snapshot);
            if rhythm.next() == Next::Settle {
                return true;
            }
        }
        false
    }

    #[tokio::test(start_paused = true)]
    async fn it_settles_when_few_commits_come_unless_they_waited_for_each_other() {
        assert!(settles(Duration::from_millis(10), 1, false).await);
        assert!(!settles(Duration::from_millis(10), 1, true).await);
        assert!(!settles(Duration::from_millis(4), 1, false).await);
        assert!(!settles(Duration::from_millis(20), 8, false).await);
    }
}
