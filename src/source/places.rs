//! Where cursors lead, asked for many at once.

use std::{collections::HashMap, sync::Arc};

use futures::TryStreamExt as _;
use tokio_postgres::{Client, Error, Row, types::ToSql};

use super::{
    error::{failed, within},
    log::{STEP_LIMIT, history, tick},
    rows::bounds,
    types::{Micros, Xid8},
};
use crate::{
    change::{
        Cursor, Ids, Position, Tick,
        position::{Since, check},
    },
    feed::{LogError, log::Found},
};

const TICKS: &str = "
    select t.id, t.tag, t.snap::text, m.history::text, (select min(id) from pgfeed.tick)
      from pgfeed.meta m
     cross join unnest($1::bigint[], $2::integer[]) with ordinality a(id, tag, place)
      left join pgfeed.tick t on t.id = a.id and t.tag = a.tag
     order by a.place";

const ROWS: &str = "
    select l.id, l.xid, l.at from pgfeed.log l
     where (l.xid >= $1::text::xid8 or l.xid = any ($2::text[]::xid8[]))
       and l.id between $3 and $4";

/// A log row that some cursor names, and the sum of the checks up to it.
struct Named {
    id: i64,
    xid: u64,
    sum: u64,
}

/// Looks cursors up: two questions, however many they are.
pub(super) async fn find(client: &Client, cursors: &[Cursor]) -> Result<Vec<Found>, LogError> {
    let doing = "looking cursors up";
    let ids: Vec<i64> = cursors.iter().map(|it| it.tick).collect();
    let tags: Vec<i32> = cursors.iter().map(|it| it.tag).collect();
    let parameters: [&(dyn ToSql + Sync); 2] = [&ids, &tags];
    let rows = within(STEP_LIMIT, doing, client.query(TICKS, &parameters)).await?;
    let mut ticks = HashMap::new();
    let all = rows.iter().zip(cursors).map(|(row, cursor)| by_tick(row, cursor, &mut ticks));
    let mut all: Vec<Found> =
        all.collect::<Result<_, _>>().map_err(|error| failed(doing, &error))?;
    let here: Vec<&Position> = all.iter().filter_map(position).collect();
    let named = named(client, &here).await?;
    for found in &mut all {
        if let Found::Here { position, xids } = found {
            match transactions(&named, &position.since) {
                Some(they) => *xids = they,
                None => *found = Found::OtherHistory,
            }
        }
    }
    Ok(all)
}

/// What a cursor's tick says of it, before the rows since are looked at.
fn by_tick(
    row: &Row,
    cursor: &Cursor,
    ticks: &mut HashMap<i64, Arc<Tick>>,
) -> Result<Found, Error> {
    if history(row.try_get(3)?) != cursor.history {
        return Ok(Found::OtherHistory);
    }
    if row.try_get::<_, Option<i64>>(0)?.is_some() {
        let tick = match ticks.get(&cursor.tick) {
            Some(tick) => Arc::clone(tick),
            None => Arc::new(tick(row)?),
        };
        ticks.insert(cursor.tick, Arc::clone(&tick));
        let since = Since { ids: cursor.ids.clone(), sum: cursor.sum };
        let position = Position { tick, since: Arc::new(since) };
        return Ok(Found::Here { position, xids: Arc::default() });
    }
    // Pruning removes the oldest; a tick that is missing among the others was lost.
    let oldest: Option<i64> = row.try_get(4)?;
    Ok(match oldest {
        Some(oldest) if cursor.tick < oldest => Found::Expired,
        _ => Found::OtherHistory,
    })
}

fn position(found: &Found) -> Option<&Position> {
    match found {
        Found::Here { position, .. } => Some(position),
        Found::Expired | Found::OtherHistory => None,
    }
}

/// The rows that positions name, in the order of their ids.
async fn named(client: &Client, positions: &[&Position]) -> Result<Vec<Named>, LogError> {
    let doing = "looking up what cursors name";
    let is = |error: Error| failed(doing, &error);
    let open = positions.iter().filter(|it| !it.since.ids.is_empty());
    let mut ids = Ids::default();
    open.clone().for_each(|it| ids.extend(&it.since.ids));
    // The oldest tick has seen least: what it has not seen holds what the others have not.
    let base = open.map(|it| &it.tick).min_by_key(|it| it.id);
    let Some((base, (first, last))) = base.zip(ids.bounds()) else { return Ok(Vec::new()) };
    let (xmax, xids) = bounds(&base.snapshot);
    let parameters: [&(dyn ToSql + Sync); 4] = [&xmax, &xids, &first, &last];
    let rows = within(STEP_LIMIT, doing, client.query_raw(ROWS, parameters)).await?;
    let mut rows = std::pin::pin!(rows);
    let mut named = Vec::new();
    while let Some(row) = within(STEP_LIMIT, doing, rows.try_next()).await? {
        let id = row.try_get(0).map_err(is)?;
        if ids.contains(id) {
            let Xid8(xid) = row.try_get(1).map_err(is)?;
            let Micros(at) = row.try_get(2).map_err(is)?;
            named.push(Named { id, xid, sum: check(id, xid, at) });
        }
    }
    named.sort_unstable_by_key(|it| it.id);
    let mut sum = 0_u64;
    for it in &mut named {
        sum = sum.wrapping_add(it.sum);
        it.sum = sum;
    }
    Ok(named)
}

/// The transactions of the rows that a position names; none where they are not these.
fn transactions(named: &[Named], since: &Since) -> Option<Arc<[u64]>> {
    let (mut count, mut sum, mut xids) = (0, 0_u64, Vec::new());
    for run in since.ids.runs() {
        let from = named.partition_point(|it| it.id < *run.start());
        let to = named.partition_point(|it| it.id <= *run.end());
        let up_to = |end: usize| end.checked_sub(1).map_or(0, |it| named[it].sum);
        count += (to - from) as u64;
        sum = sum.wrapping_add(up_to(to).wrapping_sub(up_to(from)));
        for it in &named[from..to] {
            if xids.last() != Some(&it.xid) {
                xids.push(it.xid);
            }
        }
    }
    xids.sort_unstable();
    xids.dedup();
    (count == since.ids.count() && sum == since.sum).then(|| xids.into())
}

#[cfg(test)]
mod tests {
    use super::{Named, transactions};
    use crate::change::position::Since;

    /// Rows 1 to 9, three of each transaction, each with its id as its check.
    fn named() -> Vec<Named> {
        let sum = |id: i64| (1..=id.unsigned_abs()).sum();
        (1..=9).map(|id| Named { id, xid: id.unsigned_abs() / 3, sum: sum(id) }).collect()
    }

    fn since(ids: &[i64]) -> Since {
        let mut since = Since::default();
        for id in ids {
            assert!(since.add(*id, id.unsigned_abs()));
        }
        since
    }

    #[test]
    fn what_a_cursor_names_must_be_there_with_the_same_check() {
        let is = |since: &Since| transactions(&named(), since).map(|it| it.to_vec());
        assert_eq!(is(&since(&[])), Some(vec![]));
        assert_eq!(is(&since(&[1, 4, 5, 9])), Some(vec![0, 1, 3]));
        assert_eq!(is(&since(&[1, 10])), None, "a row that is not there");
        let mut other = since(&[2, 3]);
        other.sum += 1;
        assert_eq!(is(&other), None, "another row under the same id");
    }
}
