//! Lower case, character by character, against PostgreSQL's `lower()`.

use std::collections::{BTreeMap, BTreeSet};

use pgfeed::change::{Row, Table, TableName};
use pgfeed::feed::Image;
use pgfeed::feed::filter::{CompiledFilter, Filter};
use pgfeed::source::catalog;
use pgfeed::source::cluster::Cluster;
use tokio_postgres::Client;

use crate::against::connect;

/// Tries every character that has a case, here or there, as a pattern against every other,
/// and gives the number of patterns that were not refused.
pub(crate) async fn compare(cluster: &Cluster) -> usize {
    let client = connect(cluster).await;
    let mut accepted = 0;
    for collation in ["\"C\"", "\"default\"", "\"en-x-icu\""] {
        let lower = lower(&client, collation).await;
        let of = |c: char| lower.get(&c).cloned().unwrap_or_else(|| c.to_string());
        let table = table(&client, collation).await;
        let letters: BTreeSet<char> = ('\u{1}'..'\u{20000}')
            .filter(|c| c.to_lowercase().ne([*c]))
            .chain(lower.keys().copied())
            .flat_map(|c| {
                [c].into_iter().chain(c.to_lowercase()).chain(of(c).chars().collect::<Vec<_>>())
            })
            // Under C all letters stand for themselves but A to Z: some are enough.
            .filter(|c| collation != "\"C\"" || *c < '\u{600}')
            .collect();
        let rows: Vec<Row> =
            letters.iter().map(|c| Row::new(format!("{{\"c\":\"{c}\"}}"))).collect();
        let images: Vec<Image<'_>> = rows.iter().map(|row| Image::of(&table, row)).collect();
        for pattern in &letters {
            let Some(filter) = filter(&table, *pattern) else { continue };
            accepted += 1;
            for (subject, image) in letters.iter().zip(&images) {
                let expected = of(*pattern) == of(*subject);
                let found = filter.matches(image);
                assert_eq!(found, expected, "{collation}: {subject:?} ilike {pattern:?}");
            }
        }
    }
    accepted
}

/// The characters that `lower()` changes.
async fn lower(client: &Client, collation: &str) -> BTreeMap<char, String> {
    let query = format!(
        "select c, lower(c collate {collation})
           from (select chr(i) c from generate_series(1, 131071) i
                  where i not between 55296 and 57343) letters
          where lower(c collate {collation}) <> c"
    );
    let rows = client.query(&query, &[]).await.expect("letters");
    let first = |text: String| text.chars().next().expect("one character");
    rows.iter().map(|row| (first(row.get(0)), row.get(1))).collect()
}

async fn table(client: &Client, collation: &str) -> Table {
    let create =
        format!("drop table if exists letters; create table letters (c text collate {collation})");
    client.batch_execute(&create).await.expect("a table");
    let oid = client.query_one("select 'letters'::regclass::oid", &[]).await;
    let oid = oid.expect("the table").get(0);
    let columns = catalog::columns(client, &[oid]).await.expect("columns");
    let columns = columns.into_values().next().expect("one table");
    Table { oid, name: TableName::parse("letters"), key: Vec::new(), columns, shape: 0 }
}

fn filter(table: &Table, pattern: char) -> Option<CompiledFilter> {
    let filter = Filter::parse(&format!("c=ilike.{pattern}")).expect("a filter");
    filter.compile(table, &|_| true).ok()
}
