//! Many come back at once: the database is asked a few times, however many they are.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use tokio::{
    sync::Semaphore,
    task::JoinSet,
    time::{Duration, Instant},
};

use crate::support::{
    database::Database,
    follower::{Follower, WAYS, Way},
    gateway::{Gateway, Settings},
    lean::Lean,
    tally::{Statements, Tally},
    wait::{PATIENCE, eventually, within},
};

/// What a storm may cost the database in statements, beside what the gateway asks anyway.
const STATEMENTS_MAX: u64 = 50;

/// How many of the herd connect at the same time.
const AT_ONCE: usize = 1_000;

/// The changes that the herd follows.
const ALL: u64 = 100;

/// A row that is written last.
const LAST: u64 = 9_999_999;

async fn insert(database: &Database, id: u64) {
    database.run(&format!("insert into notes (id, n) values ({id}, 100)")).await;
}

/// A gateway with a small tail, and the wire on which its statements are counted.
async fn gateway_with_tally(database: &Database) -> (Gateway, Tally) {
    let tally = Tally::to(database.port()).await;
    let settings = Settings::for_url(&database.url_through(tally.port()))
        .with("LOG__TAIL_BYTES_MAX", "1MB")
        .with("LIMITS__CONNECTIONS_PER_IP_MAX", "20000");
    let gateway = settings.start().await;
    gateway.ready().await;
    (gateway, tally)
}

async fn begun(gateway: &Gateway) -> Follower {
    let mut it = Follower::of("table=notes");
    let has_begun = |it: &Follower| it.cursor.is_some();
    assert!(it.follow(gateway.address(), Way::Poll, PATIENCE, has_begun).await);
    it
}

/// So many old clients come back by all transports; gives the statements that it took.
#[expect(clippy::print_stdout, reason = "the numbers of a storm are worth reading")]
async fn storm(clients: usize) -> u64 {
    let database = Database::fresh().await;
    let (gateway, tally) = gateway_with_tally(&database).await;
    let mut followers = Vec::new();
    for at in 0..clients {
        // They begin by poll, which holds no connection, at many positions.
        followers.push(begun(&gateway).await);
        if at % 10 == 0 {
            insert(&database, 100_000 + at as u64).await;
        }
    }
    let write = "insert into notes (id, body) select g, repeat('x', 3000) \
                 from generate_series(1, 1000) g";
    database.run(write).await;
    insert(&database, LAST).await;
    let mut last = Follower::of("table=notes&snapshot=true");
    let has_all = |it: &Follower| it.rows.contains_key(&LAST.to_string());
    assert!(last.follow(gateway.address(), Way::Socket, PATIENCE, has_all).await);
    let idle = idle(&tally).await;
    let mut storm = JoinSet::new();
    for (at, mut it) in followers.into_iter().enumerate() {
        let (address, way) = (gateway.address(), WAYS[at % 3]);
        storm.spawn(async move {
            // A poll asks again and again, as it is meant to.
            let is_back = it.follow(address, way, Duration::from_mins(1), has_all).await;
            assert!(is_back && it.resyncs.is_empty(), "{way:?} {:?}", it.resyncs);
            assert!(it.keys.len() > 1_000, "{way:?}: {}", it.keys.len());
        });
    }
    while let Some(done) = storm.join_next().await {
        done.expect("a client comes back");
    }
    let took = tally.take().beside(&idle);
    println!("{clients} clients: {} statements in {:?}\n{took}", took.count(), took.lasted);
    took.count()
}

/// What the gateway asks where nobody comes.
async fn idle(tally: &Tally) -> Statements {
    // It rests before it is idle.
    tokio::time::sleep(Duration::from_secs(1)).await;
    tally.take();
    tokio::time::sleep(Duration::from_secs(6)).await;
    tally.take()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_old_cursors_is_served_from_the_log_by_a_few_reads() {
    for clients in [30, 150] {
        let took = within(Duration::from_mins(2), "the storm's end", storm(clients)).await;
        assert!(took < STATEMENTS_MAX, "{clients} clients took {took} statements");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_clients_of_a_gateway_that_was_killed_are_live_again_in_seconds() {
    // The long run is asked for by a variable, so that no test is ever left out silently.
    let is_long = std::env::var_os("PGFEED_TEST_LONG").is_some();
    let clients = if is_long { 10_000 } else { 400 };
    let (took, lasted) = within(Duration::from_mins(5), "all to be back", herd(clients)).await;
    assert!(took < STATEMENTS_MAX, "{clients} clients took {took} statements");
    if is_long {
        assert!(lasted < Duration::from_secs(15), "{clients} clients were live after {lasted:?}");
    }
}

/// Half of the clients are there when the gateway is killed, the others went away earlier, each
/// with a cursor that the tail of the next gateway does not reach. Gives the statements that it
/// took to serve them all, and how long the last one had to wait.
#[expect(clippy::print_stdout, reason = "the numbers of a storm are worth reading")]
async fn herd(clients: u64) -> (u64, Duration) {
    let database = Database::fresh().await;
    let (mut gateway, tally) = gateway_with_tally(&database).await;
    // What a start costs without clients.
    gateway.kill().await;
    tally.take();
    gateway.restart().await;
    tokio::time::sleep(Duration::from_secs(6)).await;
    let idle = tally.take();
    gateway.ready().await;

    let all = leave(&database, &mut gateway, clients).await;
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let address = gateway.address();
    let (mut back, began) = (JoinSet::new(), Instant::now());
    tally.take();
    gateway.restart().await;
    for mut client in all {
        let places = Arc::clone(&places);
        back.spawn(async move {
            let is_back = |it: &Lean| it.is_live && it.kept >= ALL;
            let was_there = client.kept == 51;
            while !client.follow(address, &places, is_back).await {}
            (client.resyncs, was_there, began.elapsed())
        });
    }
    let told = back.join_all().await;
    assert!(told.iter().all(|(resyncs, ..)| *resyncs == 0));
    let (lasted, took) = (began.elapsed(), tally.take().beside(&idle));
    let last_of = |was_there| {
        told.iter().filter(|it| it.1 == was_there).map(|it| it.2).max().unwrap_or_default()
    };
    println!(
        "{clients} clients live after {lasted:?}, those that had been there after {:?}, the others \
         after {:?}: {} statements\n{took}",
        last_of(true),
        last_of(false),
        took.count()
    );
    (took.count(), lasted)
}

/// So many clients, half of which go away at some change, the others when the gateway is killed,
/// behind change 51. Then come the rest.
async fn leave(database: &Database, gateway: &mut Gateway, clients: u64) -> Vec<Lean> {
    let (address, here, reached) = (gateway.address(), Arc::default(), Arc::default());
    let (here, reached): (Arc<AtomicU64>, Arc<AtomicU64>) = (here, reached);
    let (mut gone, mut there) = (JoinSet::new(), JoinSet::new());
    let places = Arc::new(Semaphore::new(AT_ONCE));
    for at in 0..clients {
        let mut client = Lean::new(Arc::clone(&here));
        let (places, reached) = (Arc::clone(&places), Arc::clone(&reached));
        // The positions of those that leave lie between the first fifty changes.
        let leaves_at = (at % 2 == 0).then_some(at / 2 % 50);
        let tasks = if leaves_at.is_some() { &mut gone } else { &mut there };
        tasks.spawn(async move {
            let has_all = AtomicBool::new(false);
            let has_left = |it: &Lean| {
                if it.kept == 51 && !has_all.swap(true, Ordering::Relaxed) {
                    reached.fetch_add(1, Ordering::Relaxed);
                }
                leaves_at.is_some_and(|at| it.is_live && it.kept >= at)
            };
            client.follow(address, &places, has_left).await;
            client
        });
    }
    eventually(PATIENCE * 5, "all to be live", async || here.load(Ordering::Relaxed) >= clients)
        .await;
    for id in 1..=50 {
        insert(database, id).await;
    }
    let mut all: Vec<Lean> = gone.join_all().await;
    // The next gateway's tail holds the last of these.
    for batch in 0..10 {
        let rows = "insert into items (id, body) select g, repeat('x', 1000) from generate_series";
        database.run(&format!("{rows}({batch} * 400 + 1, {batch} * 400 + 400) g")).await;
    }
    insert(database, 51).await;
    let left = clients - all.len() as u64;
    let have_all = async || reached.load(Ordering::Relaxed) >= left;
    eventually(PATIENCE, "those that are there to have all", have_all).await;
    gateway.kill().await;
    all.extend(there.join_all().await);
    for id in 52..=ALL {
        insert(database, id).await;
    }
    let kept: BTreeSet<u64> = all.iter().map(|it| it.kept).collect();
    assert!(kept.len() >= 5, "{kept:?}");
    all
}
