//! Whether positions are part of the log, asked for many at once.

use std::collections::HashSet;

use futures::TryStreamExt as _;
use tokio_postgres::{Client, Error, types::ToSql};

use super::{
    error::{failed, within},
    log::{STEP_LIMIT, history},
    rows::bounds,
    types::{Micros, Xid8},
};
use crate::{
    change::{Position, position::check},
    feed::LogError,
};

const TICKS: &str = "
    select t.id, t.tag, m.history::text
      from pgfeed.meta m
     cross join pgfeed.tick t
     where t.id = any ($1::bigint[])";

const ROWS: &str = "
    select l.id, l.xid, l.at from pgfeed.log l
     where (l.xid >= $1::text::xid8 or l.xid = any ($2::text[]::xid8[]))
       and l.id between $3 and $4";

/// Whether each position's tick is there, and the rows since.
pub(super) async fn are_parts(
    client: &Client,
    positions: &[Position],
) -> Result<Vec<bool>, LogError> {
    let doing = "checking positions";
    let is = |error: Error| failed(doing, &error);
    let ids: Vec<i64> = positions.iter().map(|it| it.tick.id).collect();
    let rows = within(STEP_LIMIT, doing, client.query(TICKS, &[&ids])).await?;
    let mut ticks = HashSet::new();
    for row in &rows {
        let (id, tag): (i64, i32) = (row.try_get(0).map_err(is)?, row.try_get(1).map_err(is)?);
        ticks.insert((id, tag, history(row.try_get(2).map_err(is)?)));
    }
    let has_tick = |it: &Position| ticks.contains(&(it.tick.id, it.tick.tag, it.tick.history));
    let mut sums = vec![(0_u64, 0_u64); positions.len()];
    let open: Vec<usize> = (0..positions.len())
        .filter(|at| has_tick(&positions[*at]) && !positions[*at].since.ids.is_empty())
        .collect();
    // The oldest tick has seen least: what it has not seen holds what the others have not.
    if let Some(base) = open.iter().map(|at| &positions[*at].tick).min_by_key(|it| it.id) {
        let ends = open.iter().filter_map(|at| positions[*at].since.ids.bounds());
        let (first, last) =
            ends.fold((i64::MAX, i64::MIN), |all, it| (all.0.min(it.0), all.1.max(it.1)));
        let (xmax, xids) = bounds(&base.snapshot);
        let parameters: [&(dyn ToSql + Sync); 4] = [&xmax, &xids, &first, &last];
        let rows = within(STEP_LIMIT, doing, client.query_raw(ROWS, parameters)).await?;
        let mut rows = std::pin::pin!(rows);
        while let Some(row) = within(STEP_LIMIT, doing, rows.try_next()).await? {
            let id = row.try_get(0).map_err(is)?;
            let Xid8(xid) = row.try_get(1).map_err(is)?;
            let Micros(at) = row.try_get(2).map_err(is)?;
            let check = check(id, xid, at);
            for place in open.iter().filter(|it| positions[**it].since.ids.contains(id)) {
                let (count, sum) = &mut sums[*place];
                *count += 1;
                *sum = sum.wrapping_add(check);
            }
        }
    }
    let judge = |(it, (count, sum)): (&Position, &(u64, u64))| {
        has_tick(it) && *count == it.since.ids.count() && *sum == it.since.sum
    };
    Ok(positions.iter().zip(&sums).map(judge).collect())
}
