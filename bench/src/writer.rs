//! The application whose writes are the changes: a few connections, rows of about 300 bytes.

use anyhow::{Context, Result};
use futures::future::try_join_all;
use tokio::time::{Duration, Instant, sleep_until};
use tokio_postgres::Client;

use crate::cluster::Cluster;
use crate::mark::{LANES, Mark, now_us};
use crate::swarm::message::Window;

/// Rows that updates take turns on; each lane has its own, so that lanes never wait for each other.
const ROWS_PER_LANE: u32 = 100;
#[expect(clippy::cast_possible_truncation, reason = "eight")]
const LANES_COUNT: u32 = LANES as u32;
const BODY_BYTES: usize = 220;

/// One connection a lane.
pub(crate) struct Writer {
    lanes: Vec<Client>,
}

/// What a run at a fixed rate did.
pub(crate) struct Written {
    /// By lane, when each commit was acknowledged.
    pub(crate) acked_us: Vec<Vec<u64>>,
    pub(crate) seconds: f64,
}

impl Writer {
    pub(crate) async fn connect(cluster: &Cluster) -> Result<Self> {
        let lanes = try_join_all((0..LANES).map(|_| cluster.connect())).await?;
        Ok(Self { lanes })
    }

    fn first(&self) -> Result<&Client> {
        self.lanes.first().context("a writer without lanes")
    }

    pub(crate) async fn execute(&self, sql: &str) -> Result<()> {
        self.first()?.batch_execute(sql).await.with_context(|| sql.to_owned())
    }

    /// The tables of all peers, each with the trigger its way of working needs.
    pub(crate) async fn make_tables(&self) -> Result<()> {
        self.execute(include_str!("../sql/tables.sql")).await
    }

    /// Rows with these marks, in one transaction and in this order.
    pub(crate) async fn insert(&self, table: &str, marks: Vec<String>) -> Result<()> {
        self.insert_owned(table, 0, marks).await
    }

    pub(crate) async fn insert_owned(
        &self,
        table: &str,
        owner: i32,
        marks: Vec<String>,
    ) -> Result<()> {
        let sql = format!(
            "insert into public.{table} (owner, mark, body) \
             select {owner}, m.mark, '{}' from unnest($1::text[]) with ordinality as m (mark, place) \
             order by m.place",
            body()
        );
        let client = self.first()?;
        client.execute_typed(&sql, &[(&marks, tokio_postgres::types::Type::TEXT_ARRAY)]).await?;
        Ok(())
    }

    /// Updates of single rows on all lanes, `per_second` in all, as many as the window holds.
    pub(crate) async fn update_at_rate(
        &self,
        table: &str,
        window: &Window,
        per_second: u32,
    ) -> Result<Written> {
        let started = Instant::now();
        let lanes = self.lanes.iter().enumerate().map(|(lane, client)| {
            update_lane(client, table, (lane, window), per_second / LANES_COUNT)
        });
        let acked_us = try_join_all(lanes).await?;
        Ok(Written { acked_us, seconds: started.elapsed().as_secs_f64() })
    }
}

async fn update_lane(
    client: &Client,
    table: &str,
    (lane, window): (usize, &Window),
    per_second: u32,
) -> Result<Vec<u64>> {
    let sql = format!("update public.{table} set mark = $1 where id = $2");
    let update = client.prepare(&sql).await?;
    let (first, count) = (window.first[lane], window.count[lane]);
    let mut acked_us = Vec::with_capacity(count as usize);
    // Lanes start at different moments, so that their writes do not come in flocks.
    let between = Duration::from_secs(1) / per_second;
    let start = Instant::now() + between / LANES_COUNT * u32::try_from(lane)?;
    for turn in 0..count {
        sleep_until(start + between * turn).await;
        let lane_number = u32::try_from(lane)?;
        let row = i64::from(lane_number * ROWS_PER_LANE + turn % ROWS_PER_LANE + 1);
        let mark = Mark { lane: u8::try_from(lane)?, number: first + turn, sent_us: now_us() };
        client.execute(&update, &[&mark.text(), &row]).await?;
        acked_us.push(now_us());
    }
    Ok(acked_us)
}

/// Filling that makes a row's JSON about 300 bytes long.
pub(crate) fn body() -> String {
    "the quick brown fox jumps over the lazy dog ".chars().cycle().take(BODY_BYTES).collect()
}
