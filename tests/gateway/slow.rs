//! One client stops reading in a flood: it costs little, the others do not notice, and it gets
//! everything later.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use serde_json::{Value, json};
use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
    time::{Duration, MissedTickBehavior, interval},
};

use crate::support::{
    client::Client,
    database::Database,
    gateway::{Gateway, Settings},
    lean::Lean,
    wait::{PATIENCE, eventually, within},
};

/// What a client that does not read may cost the gateway.
const GROWTH_KIB_MAX: u64 = 8 * 1024;

/// What is nothing to a reader, and within the noise of a machine that does something else too.
const NOTICED: Duration = Duration::from_millis(25);

/// How much is written, and for whom.
#[derive(Clone, Copy, Debug)]
struct Flood {
    clients: usize,
    per_second: u64,
    seconds: u64,
}

impl Flood {
    /// By variables: the long run, or a run of these numbers.
    fn asked_for() -> (Self, bool) {
        let numbers = std::env::var_os("PGFEED_TEST_FLOOD").and_then(|it| it.into_string().ok());
        if let Some(numbers) = numbers {
            let numbers = numbers.split_whitespace().map(|it| it.parse::<u32>().expect("a number"));
            let [clients, per_second, seconds] = numbers.collect::<Vec<_>>()[..] else {
                panic!("PGFEED_TEST_FLOOD is clients, changes a second and seconds")
            };
            let (per_second, seconds) = (per_second.into(), seconds.into());
            return (Self { clients: clients as usize, per_second, seconds }, true);
        }
        let is_long = std::env::var_os("PGFEED_TEST_LONG").is_some();
        let (clients, per_second, seconds) = if is_long { (200, 500, 20) } else { (20, 200, 8) };
        (Self { clients, per_second, seconds }, is_long)
    }

    fn count(self) -> u64 {
        self.per_second * self.seconds
    }

    /// Writes rows of a kilobyte behind this id, one transaction each.
    async fn write(self, database: &Database, behind: u64) {
        const PACE_MS: u64 = 10;
        let session = database.connect().await;
        let sql = "insert into notes (id, body) values ($1, repeat('x', 1000))";
        let insert = session.prepare(sql).await.expect("a statement");
        let mut pace = interval(Duration::from_millis(PACE_MS));
        pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let (mut written, mut ticks) = (0, 0);
        while written < self.count() {
            pace.tick().await;
            ticks += 1;
            let due = (ticks * PACE_MS * self.per_second / 1_000).min(self.count());
            let ids: Vec<i64> = (written + 1..=due).map(|it| (behind + it).cast_signed()).collect();
            // In one round trip, which commits each on its own.
            let rows = ids.iter().map(|id| session.execute_raw(&insert, [id]));
            futures::future::try_join_all(rows).await.expect("rows are written");
            written = due;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_stops_reading_in_a_flood_costs_little_and_nobody_notices() {
    let (flood, is_strict) = Flood::asked_for();
    let database = Database::fresh().await;
    let settings = Settings::for_database(&database);
    let gateway = settings.with("LIMITS__CONNECTIONS_PER_IP_MAX", "20000").start().await;
    gateway.ready().await;
    let places = Arc::new(Semaphore::new(100));
    let (count, limit) = (flood.count(), Duration::from_secs(60 + flood.seconds * 3));
    let mut crowd = Crowd::of(&gateway, flood, &places).await;

    // Alone: the tail fills, and whatever else the flood itself takes.
    gateway.forget_peak();
    flood.write(&database, 0).await;
    within(limit, "the others to have all", crowd.have(count)).await;
    let (_, alone) = gateway.memory_kib();

    let (sleeps_tx, sleeps) = watch::channel(true);
    let mut sleeper = Lean::behind(count);
    sleeper.sleeps = Some(sleeps);
    let address = gateway.address();
    let asleep = crate::support::spawn(async move {
        let mut connections = 1;
        while !sleeper.follow(address, &places, |it| it.kept >= 2 * count).await {
            connections += 1;
        }
        connections
    });
    // It is there when its connection has begun.
    let connections = async || gateway.descriptors() > crowd.descriptors;
    eventually(limit, "the sleeper to be there", connections).await;
    gateway.forget_peak();
    flood.write(&database, count).await;
    within(limit, "the others to have all", crowd.have(2 * count)).await;
    let (_, beside) = gateway.memory_kib();

    sleeps_tx.send_replace(false);
    let connections = within(limit, "the sleeper to have all", asleep).await.expect("ends well");
    let delays = crowd.delays().await;
    let [quiet, noisy] = [p99(&delays, 1, count), p99(&delays, count + 1, 2 * count)];
    tell(flood, [alone, beside], [quiet, noisy], connections);
    assert!(beside < alone + GROWTH_KIB_MAX, "memory grew from {alone} to {beside} KiB");
    if is_strict {
        assert!(noisy <= 2 * quiet.max(NOTICED), "p99 went from {quiet:?} to {noisy:?}");
    }
}

#[expect(clippy::print_stdout, reason = "the numbers are worth reading")]
fn tell(flood: Flood, kib: [u64; 2], p99: [Duration; 2], connections: u32) {
    println!(
        "{flood:?}: peak {} KiB alone, {} KiB beside one that sleeps; p99 {:?}, then {:?}; the \
         sleeper got all on {connections} connections",
        kib[0], kib[1], p99[0], p99[1]
    );
}

fn p99(delays: &[(u64, Duration)], from: u64, to: u64) -> Duration {
    let among = delays.iter().filter(|(id, _)| (from..=to).contains(id));
    let mut among: Vec<Duration> = among.map(|(_, delay)| *delay).collect();
    among.sort_unstable();
    among[among.len() * 99 / 100]
}

/// Those who read.
struct Crowd {
    tasks: JoinSet<Lean>,
    /// How many have half, and how many have all.
    half: Arc<AtomicU64>,
    all: Arc<AtomicU64>,
    count: u64,
    size: u64,
    /// What the gateway had open when all were there.
    descriptors: usize,
}

impl Crowd {
    async fn of(gateway: &Gateway, flood: Flood, places: &Arc<Semaphore>) -> Self {
        let (count, address, here) = (flood.count(), gateway.address(), Arc::default());
        let (half, all): (Arc<AtomicU64>, Arc<AtomicU64>) = Default::default();
        let mut tasks = JoinSet::new();
        for at in 0..flood.clients {
            let (half, all) = (Arc::clone(&half), Arc::clone(&all));
            let (here, places) = (Arc::<AtomicU64>::clone(&here), Arc::clone(places));
            tasks.spawn(async move {
                // A few tell for all.
                let delays = (at % 10 == 0).then(Vec::new);
                let mut client = Lean::new(here);
                client.delays = delays;
                let has_half = AtomicBool::new(false);
                let is_so = |it: &Lean| {
                    if it.kept >= count && !has_half.swap(true, Ordering::Relaxed) {
                        half.fetch_add(1, Ordering::Relaxed);
                    }
                    it.kept >= 2 * count
                };
                while !client.follow(address, &places, is_so).await {}
                all.fetch_add(1, Ordering::Relaxed);
                client
            });
        }
        let size = flood.clients as u64;
        let are_here = async || here.load(Ordering::Relaxed) >= size;
        eventually(Duration::from_mins(1), "the others to be there", are_here).await;
        Self { tasks, half, all, count, size, descriptors: gateway.descriptors() }
    }

    async fn have(&self, id: u64) {
        let so_many = if id > self.count { &self.all } else { &self.half };
        let have = async || so_many.load(Ordering::Relaxed) >= self.size;
        eventually(Duration::from_mins(10), "the others", have).await;
    }

    async fn delays(&mut self) -> Vec<(u64, Duration)> {
        let mut delays = Vec::new();
        while let Some(client) = self.tasks.join_next().await {
            delays.extend(client.expect("a client ends well").delays.unwrap_or_default());
        }
        delays
    }
}

#[tokio::test]
async fn who_joins_while_behind_is_not_told_what_was_before() {
    const FLOOD: &str = "insert into notes (id, body) select n, repeat('x', 10000) \
                         from generate_series((select count(*) + 1 from notes), \
                                              (select count(*) + 1000 from notes)) n";
    let database = Database::fresh().await;
    let settings = Settings::for_database(&database).with("LOG__TAIL_BYTES_MAX", "1MB");
    let gateway = settings.with("LIMITS__QUEUE_BYTES_MAX", "65536").start().await;
    gateway.ready().await;
    let mut client = Client::subscribed(&gateway.socket("changes/"), "notes").await;
    // It does not read from here on, and what it lacks leaves the tail.
    database.run(FLOOD).await;
    database.run("insert into items (id) values (1)").await;
    let behind = async || gateway.metric("pgfeed_changes_total").await >= 1_001.0;
    eventually(PATIENCE, "the gateway to have read it", behind).await;
    client.ask(&json!({"type": "subscribe", "id": "items", "table": "items"})).await;
    let joined = async || gateway.metric("pgfeed_subscriptions").await >= 2.0;
    eventually(PATIENCE, "the second subscription", joined).await;
    database.run(FLOOD).await;
    database.run("insert into items (id) values (2)").await;
    client.until_applied("notes", 2_000).await;
    client.until("the row after", |it| !it.changes("items").is_empty()).await;
    let told: Vec<&Value> = client.changes("items").iter().map(|it| &it.key["id"]).collect();
    assert_eq!(told, [&json!(2)]);
}

#[tokio::test]
async fn a_second_subscription_of_a_table_is_not_told_what_only_the_first_lacks() {
    let database = Database::fresh().await;
    let settings = Settings::for_database(&database);
    let gateway = settings.with("LIMITS__QUEUE_BYTES_MAX", "65536").start().await;
    gateway.ready().await;
    let mut client = Client::subscribed(&gateway.socket("changes/"), "notes").await;
    // It does not read from here on.
    let flood = "select n, repeat('x', 10000) from generate_series(1, 1000) n";
    database.run(&format!("insert into notes (id, body) {flood}")).await;
    let behind = async || gateway.metric("pgfeed_changes_total").await >= 1_000.0;
    eventually(PATIENCE, "the gateway to have read it", behind).await;
    client.ask(&json!({"type": "subscribe", "id": "second", "table": "notes"})).await;
    let joined = async || gateway.metric("pgfeed_subscriptions").await >= 2.0;
    eventually(PATIENCE, "the second subscription", joined).await;
    database.run("insert into notes (id) values (1001)").await;
    client.until_applied("notes", 1_001).await;
    client.until_applied("second", 1).await;
    database.run("insert into notes (id) values (1002)").await;
    client.until_applied("second", 2).await;
    let told: Vec<&Value> = client.changes("second").iter().map(|it| &it.key["id"]).collect();
    assert_eq!(told, [&json!(1_001), &json!(1_002)]);
}
