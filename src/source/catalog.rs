//! The watched tables, read from PostgreSQL's catalog.

use std::{collections::HashMap, sync::Arc};

use tokio_postgres::{Client, Error, Row};

use crate::{
    change::{Collation, Column, Folding, Table, TableName},
    feed::Catalog,
};

/// One number for a table's name, key and columns, as a lateral join over `c` (`pg_class`). The
/// labels of enums belong to it: a filter that asks for an order was read by those of then.
///
/// So does the transaction that last altered each column: a column may keep its type and get other
/// values in all rows (`alter … type … using`, `set expression`), and no trigger fires. The number
/// is stored with the column, so it stays through VACUUM and is the same for every gateway. A new
/// file of the table is no such sign: VACUUM FULL, CLUSTER and TRUNCATE make one too, and a virtual
/// column changes without.
macro_rules! shape_of {
    () => {
        "cross join lateral (
           select coalesce(array_agg(a.attname::text order by k.place), '{}') as key
             from pg_catalog.pg_index i
            cross join lateral unnest(i.indkey::int2[]) with ordinality k(attnum, place)
             join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
            where i.indrelid = c.oid and i.indisprimary and k.place <= i.indnkeyatts) keys
         cross join lateral (
           select hashtextextended(n.nspname || ' ' || c.relname || ' ' || keys.key::text || ' '
                    || coalesce(string_agg(concat_ws(' ', a.attname, a.attnum, a.atttypid,
                                                     a.atttypmod, a.attcollation, a.xmin,
                                                     labels.text), ','
                                           order by a.attnum), ''), 0) as shape
             from pg_catalog.pg_attribute a
             -- Types of PostgreSQL's own are no enums; domains over enums and arrays of both are.
             left join lateral (
               select string_agg(m.enumlabel, ' ' order by m.enumtypid, m.enumsortorder) as text
                 from pg_catalog.pg_type t
                 left join pg_catalog.pg_type b on b.oid = t.typbasetype
                 left join pg_catalog.pg_type e on e.oid = t.typelem
                 join pg_catalog.pg_enum m
                   on m.enumtypid = any (array[t.oid, t.typelem, t.typbasetype, b.typelem,
                                               b.typbasetype, e.typbasetype])
                where t.oid = a.atttypid) labels on a.atttypid >= 16384
            where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) shapes"
    };
}
pub(super) use shape_of;

/// Watched is what `pgfeed.watch()` put on the feed and still has all its triggers switched on,
/// and what has a trigger written by hand. Triggers that take rows as they are see null in a
/// virtual column that was added since, and what they log must not be served. Statement triggers
/// of a table that became a part of another one, or that replication writes since, miss what comes
/// that way.
const TABLES: &str = concat!(
    "select c.oid, n.nspname::text, c.relname::text, keys.key, shapes.shape
       from (select w.rel::oid as oid
               from pgfeed.watch_list w
              where (select count(*) from pg_catalog.pg_trigger t
                      where t.tgrelid = w.rel and t.tgenabled in ('A', 'O')
                        and t.tgname in ('00_pgfeed_insert', '00_pgfeed_update',
                                         '00_pgfeed_delete')
                        and (t.tgargs like '%careful%'::bytea
                             or not exists (select from pg_catalog.pg_attribute a
                                             where a.attrelid = w.rel and a.attgenerated = 'v'
                                               and not a.attisdropped))
                        and (t.tgtype & 1 = 1
                             or not exists (select from pg_catalog.pg_inherits i
                                             where i.inhrelid = w.rel)
                                and not exists (select from pg_catalog.pg_subscription_rel s
                                                 where s.srrelid = w.rel))) = 3
             union
             select t.tgrelid
               from pg_catalog.pg_proc p
               join pg_catalog.pg_trigger t on t.tgfoid = p.oid
              where p.proname = 'notify_table_change' and not t.tgisinternal
                and p.pronamespace in (select oid from pg_catalog.pg_namespace
                                        where nspname in ('public', 'pgfeed'))
                and t.tgparentid = 0 and t.tgenabled in ('A', 'O')) watched
       join pg_catalog.pg_class c on c.oid = watched.oid
       join pg_catalog.pg_namespace n on n.oid = c.relnamespace ",
    shape_of!()
);

const COLUMNS: &str = "
    with recursive base(declared, oid, typtype, typbasetype, typelem, typcategory) as (
      select t.oid, t.oid, t.typtype, t.typbasetype, t.typelem, t.typcategory
        from pg_catalog.pg_type t
       where t.oid in (select atttypid from pg_catalog.pg_attribute where attrelid = any ($1))
          or t.oid in (select e.typelem from pg_catalog.pg_attribute a
                         join pg_catalog.pg_type e on e.oid = a.atttypid
                        where a.attrelid = any ($1))
      union all
      select b.declared, t.oid, t.typtype, t.typbasetype, t.typelem, t.typcategory
        from base b join pg_catalog.pg_type t on t.oid = b.typbasetype
       where b.typtype = 'd'),
    basic as (select declared, oid, typelem, typcategory from base where typtype <> 'd')
    select a.attrelid, a.attname::text, pg_catalog.format_type(a.atttypid, a.atttypmod),
           b.oid, case when b.typcategory = 'A' then coalesce(e.oid, b.typelem) else 0::oid end,
           case
             when l.oid is null then 'none'
             when not l.collisdeterministic then 'nondeterministic'
             when rules.provider in ('b', 'c')
              and rules.sorts_by in ('C', 'POSIX', 'C.UTF-8', 'C.utf8', 'PG_UNICODE_FAST')
              -- There bytes are in the order of their characters, and so in ours.
              and pg_catalog.getdatabaseencoding() in ('UTF8', 'LATIN1')
             then 'bytes'
             else 'language'
           end,
           case
             when l.oid is null then 'unknown'
             when rules.folds_by ~* '^(az|crh|lt|tr)' then 'unknown'
             when rules.provider = 'i' or rules.folds_by = 'PG_UNICODE_FAST' then 'full'
             when rules.folds_by in ('C', 'POSIX') then 'ascii'
             when rules.folds_by ~* '\\.utf-?8$' then 'simple'
             else 'unknown'
           end,
           array(select m.enumlabel::text from pg_catalog.pg_enum m
                  where m.enumtypid in (b.oid, coalesce(e.oid, b.typelem))
                  order by m.enumsortorder),
           a.atttypid <> b.oid
      from pg_catalog.pg_attribute a
      join basic b on b.declared = a.atttypid
      left join basic e on e.declared = b.typelem and b.typelem <> 0
      join pg_catalog.pg_database d on d.datname = pg_catalog.current_database()
      -- What is taken out of JSON as text has the database's collation.
      left join pg_catalog.pg_collation l
        on l.oid = case when b.oid in (114, 3802) then 100 else a.attcollation end
     cross join lateral (
       select to_jsonb(d) ->> 'datlocprovider' as provider, d.datcollate::text as collate,
              d.datctype::text as ctype,
              coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale') as locale
        where l.collname = 'default'
       union all
       select l.collprovider::text, to_jsonb(l) ->> 'collcollate', to_jsonb(l) ->> 'collctype',
              coalesce(to_jsonb(l) ->> 'colllocale', to_jsonb(l) ->> 'colliculocale')
        where l.collname is distinct from 'default') said
     cross join lateral (
       select coalesce(said.provider, 'c') as provider,
              case when coalesce(said.provider, 'c') = 'c' then said.collate else said.locale end
                as sorts_by,
              case when coalesce(said.provider, 'c') = 'c' then said.ctype
                   else coalesce(said.locale, said.collate) end as folds_by) rules
     where a.attrelid = any ($1) and a.attnum > 0 and not a.attisdropped
     order by a.attrelid, a.attnum";

/// Reads the watched tables as the connection's transaction sees them.
pub async fn read(client: &Client) -> Result<Catalog, Error> {
    let tables = client.query(TABLES, &[]).await?;
    let oids: Vec<u32> = tables.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
    let columns = columns(client, &oids).await?;
    let table = |row: &Row| -> Result<Arc<Table>, Error> {
        let oid = row.try_get(0)?;
        let name = TableName { schema: row.try_get(1)?, name: row.try_get(2)? };
        let shape = row.try_get::<_, i64>(4)?.cast_unsigned();
        let columns = columns.get(&oid).cloned().unwrap_or_default();
        Ok(Arc::new(Table { oid, name, key: row.try_get(3)?, columns, shape }))
    };
    Ok(Catalog::new(tables.iter().map(table).collect::<Result<Vec<_>, _>>()?))
}

/// The columns of these tables, by the table's oid.
pub async fn columns(client: &Client, tables: &[u32]) -> Result<HashMap<u32, Vec<Column>>, Error> {
    let mut columns: HashMap<u32, Vec<Column>> = HashMap::new();
    for row in client.query(COLUMNS, &[&tables]).await? {
        columns.entry(row.try_get(0)?).or_default().push(column(&row)?);
    }
    Ok(columns)
}

fn column(row: &Row) -> Result<Column, Error> {
    Ok(Column {
        name: row.try_get(1)?,
        type_name: row.try_get(2)?,
        type_oid: row.try_get(3)?,
        element_oid: row.try_get(4)?,
        collation: match row.try_get(5)? {
            "none" => Collation::None,
            "bytes" => Collation::Bytes,
            "nondeterministic" => Collation::Nondeterministic,
            _ => Collation::Language,
        },
        folding: match row.try_get(6)? {
            "ascii" => Folding::Ascii,
            "simple" => Folding::Simple,
            "full" => Folding::Full,
            _ => Folding::Unknown,
        },
        labels: row.try_get(7)?,
        is_domain: row.try_get(8)?,
    })
}
