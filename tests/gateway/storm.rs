//! The storm: overlapping writers, gateway and database killed again and again, and the oracle's
//! word on what every client must have seen.

use pgfeed::source::cluster::StopMode;
use tokio::{
    task::JoinHandle,
    time::{self, Duration, Instant},
};

use crate::support::{
    client::{Client, Heard},
    database::Database,
    gateway::Gateway,
    oracle::{Oracle, Transaction},
    random::Random,
    record::Change,
    spawn, validators,
    wait::{PATIENCE, within},
    writers::{ROWS, TABLES, Writers},
};

const READERS: usize = 3;
const SHORT: Duration = Duration::from_secs(12);
const LONG: Duration = Duration::from_secs(40);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_repeated_while_gateway_and_database_are_killed() {
    // The long run is asked for by variables, so that no test is ever left out silently.
    let is_long = std::env::var_os("PGFEED_TEST_LONG").is_some();
    let seeds = std::env::var_os("PGFEED_TEST_SEEDS").and_then(|it| it.into_string().ok());
    for seed in seeds.as_deref().unwrap_or("1").split_whitespace() {
        let length = if is_long { LONG } else { SHORT };
        storm(seed.parse().expect("a seed is a number"), length).await;
    }
}

#[expect(clippy::print_stdout, reason = "the numbers of a storm are worth reading")]
async fn storm(seed: u64, length: Duration) {
    let mut random = Random::seeded(seed);
    let mut database = Database::durable().await;
    for table in TABLES {
        database.run(&format!("insert into {table} (id) select generate_series(1, {ROWS})")).await;
    }
    let oracle = Oracle::watch(&database, &TABLES.map(|it| format!("public.{it}"))).await;
    let mut gateway = Gateway::serving(&database).await;
    let mut readers = Vec::new();
    for _ in 0..READERS {
        readers.push(start_reader(&gateway.socket("changes/")).await);
    }
    let writers = Writers::start(&database.url(), &mut random);
    let kills = rage(&mut database, &mut gateway, &mut random, length).await;
    let written = writers.calm().await;
    for table in TABLES {
        database.run(&format!("insert into {table} (id) values ({})", ROWS + 1)).await;
    }
    let truth = oracle.transactions(&database).await;
    let mut resumes = 0;
    for reader in readers {
        resumes += check(reader, &truth).await;
    }
    println!(
        "seed {seed}: {written} writes in {length:?}, {} transactions committed, {kills} kills, \
         {resumes} resumes: nothing lost, repeated, torn or out of order",
        truth.len()
    );
}

/// Kills the gateway, the database or both, again and again; gives the number of blows.
async fn rage(
    database: &mut Database,
    gateway: &mut Gateway,
    random: &mut Random,
    length: Duration,
) -> usize {
    let end = Instant::now() + length;
    let mut kills = 0;
    while Instant::now() < end {
        // The storm needs time to write between two blows; how long is the seed's.
        time::sleep(Duration::from_millis(300) + random.pause(2500)).await;
        match random.below(3) {
            0 => database.restart(StopMode::Immediate).await,
            1 => {
                gateway.kill().await;
                gateway.restart().await;
            }
            _ => {
                gateway.kill().await;
                database.restart(StopMode::Immediate).await;
                gateway.restart().await;
            }
        }
        kills += 1;
    }
    kills
}

/// A client on a task of its own, that reads and resumes until the last row of all has come.
async fn start_reader(url: &str) -> JoinHandle<(Client, usize)> {
    let mut client = Client::connect(url).await;
    for table in TABLES {
        client.subscribe(table).await;
    }
    let url = url.to_owned();
    spawn(async move {
        let mut resumes = 0;
        while !TABLES.iter().all(|table| has_last(&client, table)) {
            if let Heard::Cut | Heard::Closed { .. } = client.next_within(PATIENCE * 3).await {
                resumes += 1;
                while client.resume(&url).await.is_err() {
                    time::sleep(Duration::from_millis(20)).await;
                }
            }
        }
        (client, resumes)
    })
}

fn has_last(client: &Client, table: &str) -> bool {
    let last = client.sub(table).applied.iter().rev();
    last.take(50).any(|it| it.operation == "INSERT" && it.key["id"] == ROWS + 1)
}

async fn check(reader: JoinHandle<(Client, usize)>, truth: &[Transaction]) -> usize {
    let work = within(PATIENCE * 3, "a reader to see the last change", reader).await;
    let (client, resumes) = work.expect("a reader ends well");
    for table in TABLES {
        assert!(client.sub(table).resyncs.is_empty(), "{:?}", client.sub(table).resyncs);
        validators::all_hold(&client, table, truth);
    }
    resumes
}

/// The log as a reader would take it, in the words of a `change`.
const LOG: &str = "
select json_build_object('schema', 'public', 'table', c.relname, 'id', l.id::text,
    'xid', l.xid::text, 'effect', '', 'data', coalesce(l.new, l.old),
    'operation', case l.op when 'I' then 'INSERT' when 'U' then 'UPDATE' else 'DELETE' end,
    'key', json_build_object('id', coalesce(l.new, l.old) -> 'id'),
    'old', (select json_object_agg(o.key, o.value) from json_each(l.old) o
             where o.value::text is distinct from (l.new -> o.key)::text))::text
  from (select *, max(id) over (partition by xid) as last from pgfeed.log) l
  join pg_class c on c.oid = l.rel
 order by l.last, l.id";

/// The gateway can be no better than the log: this tells a fault of the triggers from one of ours.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_holds_what_the_oracle_saw_of_a_storm_with_a_crash() {
    let mut random = Random::seeded(2);
    let mut database = Database::durable().await;
    let oracle = Oracle::watch(&database, &TABLES.map(|it| format!("public.{it}"))).await;
    let writers = Writers::start(&database.url(), &mut random);
    time::sleep(Duration::from_secs(2)).await;
    database.restart(StopMode::Immediate).await;
    time::sleep(Duration::from_secs(2)).await;
    writers.calm().await;
    let truth = oracle.transactions(&database).await;
    let session = database.connect().await;
    let rows = session.query(LOG, &[]).await.expect("the log can be read");
    for table in TABLES.map(|it| format!("public.{it}")) {
        let truth = validators::of_table(&truth, &table);
        let changes = rows.iter().map(|row| {
            Change::read("", &serde_json::from_str(row.get(0)).expect("the log holds JSON"))
        });
        let changes: Vec<_> = changes.filter(|change| change.table == table).collect();
        let changes: Vec<_> = changes.iter().collect();
        assert!(changes.len() > 100, "{} changes", changes.len());
        for faults in
            [validators::complete(&truth, &changes), validators::ordered(&truth, &changes)]
        {
            assert!(faults.is_empty(), "{} faults:{}", faults.len(), validators::shown(&faults));
        }
    }
}
