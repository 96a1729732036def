//! The watched tables as a developer needs them: what each column looks like in a row's JSON,
//! and what the owner says of it. For a command at the terminal.

use std::collections::HashMap;

use tokio_postgres::{Error, Row};

use super::{admin::Admin, catalog};
use crate::change::TableName;

/// What PostgreSQL's JSON makes of a type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `integer`, `smallint`: a number that every reader of JSON can hold.
    Int,
    /// `bigint`: a number with more digits than a double has.
    BigInt,
    /// `numeric`, `real`, `double precision`: a number, or text such as `NaN`.
    Number,
    /// `true` or `false`.
    Bool,
    /// Text, and all that has no JSON of its own: times, uuid, bytea, ranges.
    Text,
    /// One of these texts.
    Enum(Vec<String>),
    /// `json`, `jsonb`, and types with a cast of their own to `json`.
    Any,
    /// A composite type: an object.
    Object,
    /// An array, of one dimension as far as anybody can know.
    Array(Box<Self>),
}

/// One column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name, as in the row's JSON.
    pub name: String,
    /// Its type as `format_type` prints it.
    pub type_name: String,
    /// What it looks like; domains are what they stand on.
    pub shape: Shape,
    /// Whether it may be null.
    pub is_nullable: bool,
    /// What `comment on column` says.
    pub comment: Option<String>,
}

/// One watched table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// Its name.
    pub name: TableName,
    /// The primary key's columns.
    pub key: Vec<String>,
    /// Its columns, in the table's order.
    pub columns: Vec<Column>,
    /// What `comment on table` says.
    pub comment: Option<String>,
}

/// The conditions are those of `to_json`: what it knows no better it prints as text. A virtual
/// column has no value yet where a trigger looks.
const COLUMNS: &str = "
    with recursive base(declared, oid, is_filled) as (
      select t.oid, t.oid, false from pg_catalog.pg_type t
      union all
      select b.declared, t.typbasetype, b.is_filled or t.typnotnull
        from base b join pg_catalog.pg_type t on t.oid = b.oid
       where t.typtype = 'd'),
    kinds as (
      select b.declared, b.is_filled, t.typelem,
             case
               when t.oid in (21, 23) then 'int'
               when t.oid = 20 then 'bigint'
               when t.oid in (700, 701, 1700) then 'number'
               when t.oid = 16 then 'bool'
               when t.oid in (114, 3802) then 'any'
               when t.typcategory = 'A' and t.typelem <> 0 then 'array'
               when t.typtype = 'e' then 'enum'
               when t.typtype = 'c' then 'object'
               when t.oid >= 16384 and exists (
                      select from pg_catalog.pg_cast c
                       where c.castsource = t.oid and c.casttarget = 114 and c.castfunc <> 0)
               then 'any'
               else 'text'
             end as kind,
             array(select e.enumlabel::text from pg_catalog.pg_enum e
                    where e.enumtypid = t.oid order by e.enumsortorder) as labels
        from base b join pg_catalog.pg_type t on t.oid = b.oid and t.typtype <> 'd')
    select a.attrelid, a.attname::text, pg_catalog.format_type(a.atttypid, a.atttypmod),
           not ((a.attnotnull or k.is_filled) and a.attgenerated <> 'v'),
           pg_catalog.col_description(a.attrelid, a.attnum),
           k.kind, k.labels, coalesce(e.kind, ''), coalesce(e.labels, '{}')
      from pg_catalog.pg_attribute a
      join kinds k on k.declared = a.atttypid
      left join kinds e on e.declared = k.typelem and k.kind = 'array'
     where a.attrelid = any ($1) and a.attnum > 0 and not a.attisdropped
     order by a.attrelid, a.attnum";

const COMMENTS: &str = "
    select oid, pg_catalog.obj_description(oid, 'pg_class') from unnest($1::oid[]) oid";

impl Admin {
    /// Every watched table, by schema and name.
    pub async fn describe(&self) -> Result<Vec<Described>, Error> {
        let client = self.client();
        let catalog = catalog::read(client).await?;
        let oids: Vec<u32> = catalog.tables().map(|table| table.oid).collect();
        let mut columns: HashMap<u32, Vec<Column>> = HashMap::new();
        for row in client.query(COLUMNS, &[&oids]).await? {
            columns.entry(row.try_get(0)?).or_default().push(column(&row)?);
        }
        let mut comments: HashMap<u32, Option<String>> = HashMap::new();
        for row in client.query(COMMENTS, &[&oids]).await? {
            comments.insert(row.try_get(0)?, row.try_get(1)?);
        }
        let mut all: Vec<Described> = catalog
            .tables()
            .map(|table| Described {
                name: table.name.clone(),
                key: table.key.clone(),
                columns: columns.remove(&table.oid).unwrap_or_default(),
                comment: comments.remove(&table.oid).flatten(),
            })
            .collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }
}

fn column(row: &Row) -> Result<Column, Error> {
    let element = shape(row.try_get(7)?, row.try_get(8)?);
    let shape = match row.try_get(5)? {
        "array" => Shape::Array(Box::new(element)),
        kind => shape(kind, row.try_get(6)?),
    };
    Ok(Column {
        name: row.try_get(1)?,
        type_name: row.try_get(2)?,
        shape,
        is_nullable: row.try_get(3)?,
        comment: row.try_get(4)?,
    })
}

fn shape(kind: &str, labels: Vec<String>) -> Shape {
    match kind {
        "int" => Shape::Int,
        "bigint" => Shape::BigInt,
        "number" => Shape::Number,
        "bool" => Shape::Bool,
        "enum" => Shape::Enum(labels),
        "object" => Shape::Object,
        // An array of a domain over arrays: nobody types that.
        "any" | "array" => Shape::Any,
        _ => Shape::Text,
    }
}
