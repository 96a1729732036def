//! What the console tells besides changes: readiness, the watched tables, the numbers of
//! `/metrics`.
//!
//! On the operator's own listener it tells of every watched table. Where clients come in it tells
//! each what the policy grants by the token in `Authorization`: tables and columns that may be
//! read, and how much happens in them only where nothing of the table is hidden, for a count of
//! changes tells of hidden ones too.

use std::{collections::BTreeMap, sync::Arc};

use serde::Serialize;
use serde_json::Value;

use super::{Size, Sizes};
use crate::{
    auth::claims::Claims,
    change::Table,
    feed::{Grant, Tally},
    http::{
        door::Refused,
        routes::{Request, Side, Site},
    },
};

#[derive(Serialize)]
struct State<'a> {
    server: &'static str,
    ready: bool,
    reason: Option<String>,
    lag_ms: Option<u64>,
    /// Whether all watched tables are told, or those that the reader may read.
    scope: &'static str,
    reader: Option<Reader<'a>>,
    tables: Vec<Told<'a>>,
    metrics: BTreeMap<&'a str, f64>,
}

/// Who looks, by the token.
#[derive(Serialize)]
struct Reader<'a> {
    sub: Option<&'a Value>,
    roles: &'a [String],
    expires_at: i64,
}

/// A watched table, as this reader may know it.
#[derive(Serialize)]
struct Told<'a> {
    schema: &'a str,
    table: &'a str,
    key: &'a [String],
    columns: Vec<Column<'a>>,
    /// Which rows the reader gets: `all`, `some` or `none`.
    reads: &'static str,
    #[serde(flatten)]
    numbers: Option<Numbers>,
}

#[derive(Serialize)]
struct Column<'a> {
    name: &'a str,
    r#type: &'a str,
    readable: bool,
}

#[derive(Serialize)]
struct Numbers {
    changes: u64,
    /// When the newest change was written, in ms since 1970.
    last_at: Option<i64>,
    rows: Option<f64>,
    bytes: Option<f64>,
}

/// What a reader who may not see all tables is told where clients cannot be served exactly.
const UNREADY: &str = "not ready; /readyz says why";

impl Site {
    /// The state as JSON; an error where the token is not accepted.
    pub(super) async fn state(
        &self,
        request: &Request,
        sizes: &Sizes,
        side: Side,
    ) -> Result<String, Refused> {
        self.check_headers(&request.headers)?;
        let claims = self.claims(request).await?;
        let claims = claims.as_deref();
        let is_operator = side == Side::Admin;
        let (lag_ms, reason) = self.readiness();
        let text = (self.metrics)();
        let hub = &self.context.hub;
        let catalog = hub.catalog();
        let mut watched: Vec<&Arc<Table>> = catalog.tables().collect();
        watched.sort_by_key(|table| &table.name);
        let mut tables = Vec::with_capacity(watched.len());
        let mut has_hidden = false;
        for table in watched {
            let grant = self.context.access.grant(table, claims);
            if grant.is_none() && !is_operator {
                has_hidden = true;
                continue;
            }
            let is_whole = grant.as_ref() == Some(&Grant::whole(table));
            let numbers = (is_whole || is_operator)
                .then(|| Numbers::new(hub.tally(table.oid), sizes(table.oid)));
            tables.push(Told { numbers, ..Told::new(table, grant.as_ref(), is_operator) });
        }
        let state = State {
            server: concat!("pgfeed/", env!("CARGO_PKG_VERSION")),
            ready: reason.is_none(),
            // It may name tables.
            reason: reason.map(|why| if has_hidden { UNREADY.to_owned() } else { why }),
            lag_ms,
            scope: if is_operator { "all" } else { "reader" },
            reader: claims.map(Reader::new),
            tables,
            metrics: samples(&text),
        };
        Ok(serde_json::to_string(&state).expect("text, numbers and values"))
    }
}

impl<'a> Reader<'a> {
    fn new(claims: &'a Claims) -> Self {
        let expires_at = claims.expires_at();
        Self { sub: claims.get("sub"), roles: claims.roles(), expires_at }
    }
}

impl<'a> Told<'a> {
    fn new(table: &'a Table, grant: Option<&Grant>, is_operator: bool) -> Self {
        let readable = grant.map(Grant::columns).unwrap_or_default();
        let columns = table.columns.iter().enumerate().map(|(place, column)| Column {
            name: &column.name,
            r#type: &column.type_name,
            readable: readable.has(place),
        });
        Self {
            schema: &table.name.schema,
            table: &table.name.name,
            key: &table.key,
            columns: columns.filter(|it| it.readable || is_operator).collect(),
            reads: match grant {
                None => "none",
                Some(grant) if grant.is_whole_table() => "all",
                Some(_) => "some",
            },
            numbers: None,
        }
    }
}

impl Numbers {
    fn new(tally: Tally, size: Option<Size>) -> Self {
        Self {
            changes: tally.changes,
            last_at: (tally.changes > 0).then_some(tally.last_at / 1_000),
            rows: size.map(|it| it.rows),
            bytes: size.map(|it| it.bytes),
        }
    }
}

/// The samples of the metrics' text, each by its name with its labels.
fn samples(text: &str) -> BTreeMap<&str, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(sample).collect()
}

fn sample(line: &str) -> Option<(&str, f64)> {
    let (name, value) = line.rsplit_once(' ')?;
    let value: f64 = value.parse().ok()?;
    value.is_finite().then_some((name, value))
}

#[cfg(test)]
mod tests {
    use super::samples;

    #[test]
    fn samples_are_told_by_name_and_labels() {
        let text = "# HELP a_total A.\n# TYPE a_total counter\na_total 3\n\n\
                    b{code=\"4401 x\"} 0.5\nc NaN\nnonsense\n";
        let told: Vec<_> = samples(text).into_iter().collect();
        assert_eq!(told, [("a_total", 3.0), ("b{code=\"4401 x\"}", 0.5)]);
    }
}
