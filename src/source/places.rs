//! Where cursors lead, asked for many at once.

use std::{collections::HashMap, sync::Arc};

use futures::TryStreamExt as _;
use tokio_postgres::{Client, Error, Row, types::ToSql};

use super::{
    error::{failed, within},
    log::{STEP_LIMIT, history, tick},
    reading::bounds,
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

/// A cursor may name so many rows, and twice as many are looked up at a time at most: what a
/// transaction of millions leads to, and no more than a gateway can hold. Whoever makes a cursor up
/// may name all.
pub(super) const NAMED_MAX: usize = 2_000_000;

/// To so many runs of ids it is quick to add more.
const GROUP_RUNS: usize = 4_096;

/// Looks cursors up: one question for their ticks and one for the rows behind each of those,
/// however many cursors there are. One that names over `named_max` rows is not looked up.
pub(super) async fn find(
    client: &Client,
    cursors: &[Cursor],
    named_max: usize,
) -> Result<Vec<Found>, LogError> {
    let doing = "looking cursors up";
    let ids: Vec<i64> = cursors.iter().map(|it| it.tick).collect();
    let tags: Vec<i32> = cursors.iter().map(|it| it.tag).collect();
    let parameters: [&(dyn ToSql + Sync); 2] = [&ids, &tags];
    let rows = within(STEP_LIMIT, doing, client.query(TICKS, &parameters)).await?;
    let mut ticks = HashMap::new();
    let all = rows.iter().zip(cursors).map(|(row, cursor)| by_tick(row, cursor, &mut ticks));
    let mut all: Vec<Found> =
        all.collect::<Result<_, _>>().map_err(|error| failed(doing, &error))?;
    for group in groups(&mut all, named_max as u64) {
        let named = named(client, &group).await?;
        for (place, position) in group.cursors {
            all[place] = match transactions(&named, &position.since) {
                Some(xids) => Found::Here { position, xids },
                None => Found::OtherHistory,
            };
        }
    }
    Ok(all)
}

/// Cursors of one tick, which are looked up together.
struct Group {
    tick: Arc<Tick>,
    /// What they name.
    ids: Ids,
    /// Their places among all.
    cursors: Vec<(usize, Position)>,
}

/// Puts those together that have a tick in common: the rows since an old one are many. Of those
/// that name too much nothing is known. A group that is large enough gets no more.
fn groups(all: &mut [Found], named_max: u64) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    // The group of each tick that may get more.
    let mut open: HashMap<i64, usize> = HashMap::new();
    for (place, found) in all.iter_mut().enumerate() {
        let Found::Here { position, .. } = found else { continue };
        let (tick, its) = (&position.tick, &position.since.ids);
        if its.count() > named_max {
            *found = Found::Expired;
            continue;
        }
        let at = *open.entry(tick.id).or_insert_with(|| {
            groups.push(Group { tick: Arc::clone(tick), ids: Ids::default(), cursors: vec![] });
            groups.len() - 1
        });
        let group = &mut groups[at];
        group.ids.extend(its);
        group.cursors.push((place, position.clone()));
        if group.ids.runs().len() >= GROUP_RUNS || group.ids.count() >= named_max {
            open.remove(&tick.id);
        }
    }
    groups
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

/// The rows that cursors of one tick name, in the order of their ids.
async fn named(client: &Client, group: &Group) -> Result<Vec<Named>, LogError> {
    let doing = "looking up what cursors name";
    let is = |error: Error| failed(doing, &error);
    let Some((first, last)) = group.ids.bounds() else { return Ok(Vec::new()) };
    let (xmax, xids) = bounds(&group.tick.snapshot);
    let parameters: [&(dyn ToSql + Sync); 4] = [&xmax, &xids, &first, &last];
    let rows = within(STEP_LIMIT, doing, client.query_raw(ROWS, parameters)).await?;
    let mut rows = std::pin::pin!(rows);
    let mut named = Vec::new();
    while let Some(row) = within(STEP_LIMIT, doing, rows.try_next()).await? {
        let id = row.try_get(0).map_err(is)?;
        if group.ids.contains(id) {
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
    use std::sync::Arc;

    use super::{Group, Named, groups, transactions};
    use crate::{
        change::{Position, Tick, position::Since},
        feed::log::Found,
    };

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
    fn cursors_are_looked_up_by_their_tick_and_never_with_more_than_a_gateway_holds() {
        let here = |tick: i64, ids: &[std::ops::RangeInclusive<i64>]| {
            let snapshot = "10:10:".parse().expect("well formed");
            let tick = Arc::new(Tick { history: 1, id: tick, tag: 0, snapshot });
            let mut since = Since::default();
            assert!(ids.iter().all(|run| since.ids.push(run.clone())));
            Found::Here { position: Position { tick, since: Arc::new(since) }, xids: [].into() }
        };
        let old = here(1, &[1..=2, 1_000_000..=1_000_001]);
        let forged = here(2, &[0..=i64::MAX]);
        let mut all = vec![here(2, &[5..=9]), old, forged, here(2, &[7..=12]), here(2, &[])];
        let found = groups(&mut all, 10);
        let of = |group: &Group| {
            let places: Vec<usize> = group.cursors.iter().map(|it| it.0).collect();
            (group.tick.id, group.ids.bounds(), places)
        };
        let found: Vec<_> = found.iter().map(of).collect();
        assert_eq!(found, [(2, Some((5, 12)), vec![0, 3, 4]), (1, Some((1, 1_000_001)), vec![1])]);
        assert_eq!(all[2], Found::Expired);
        let mut large: Vec<Found> = (0..9).map(|it| here(3, &[it * 10..=it * 10 + 5])).collect();
        let counts: Vec<u64> = groups(&mut large, 10).iter().map(|it| it.ids.count()).collect();
        assert_eq!(counts, [12, 12, 12, 12, 6]);
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
