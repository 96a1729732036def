//! One round: a table, rows, filters, and both answers.

use std::collections::HashMap;

use pgfeed::change::{Column, Row, Table, TableName};
use pgfeed::feed::Image;
use pgfeed::feed::filter::{CompiledFilter, Filter, FilterError, canonical};
use pgfeed::source::catalog;
use pgfeed::source::cluster::Cluster;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, NoTls};

use crate::invent::invent;
use crate::model::{Model, Named, literal};
use crate::random::Random;
use crate::types::{SETUP, TYPES};

const ROWS: usize = 100;
const FILTERS: usize = 60;
/// What the gateway may refuse although PostgreSQL compares it.
const REFUSALS: &[&str] = &[
    "collations C",
    "nondeterministic",
    "these letters",
    "ilike is not compared",
    "not compared here",
    "moves with the clock",
    "write it as",
    "for equality alone",
    "look alike",
    "JSON is compared as text",
    "single \\",
    "in decimal digits",
];
/// Names that need quotes somewhere.
const ODD_NAMES: &[&str] =
    &["plain", "Odd Name", "a.b", "c,d", "quo\"te", "h-i", "\u{e9}t\u{e9}", "not", "or"];

/// Whether the refusal is one that is meant, of what PostgreSQL compares.
pub(crate) fn is_meant(error: &FilterError) -> bool {
    REFUSALS.iter().any(|meant| error.message.contains(meant))
}

/// What was seen, so that a run that compares nothing does not pass.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) comparisons: u64,
    filters: u64,
    matches: u64,
    indexed: u64,
    refused_by_both: u64,
    refused_here: HashMap<&'static str, u64>,
}

impl Tally {
    /// Whether enough of everything was tried.
    pub(crate) fn check(&self) {
        assert!(self.matches * 5 > self.comparisons, "too few rows match");
        assert!(self.matches * 5 < self.comparisons * 4, "too many rows match");
        assert!(self.indexed * 20 > self.filters, "too few filters are indexed");
        let refused: u64 = self.refused_here.values().sum();
        assert!(refused < self.filters, "too many filters are refused");
        assert!(self.refused_by_both * 20 > self.filters, "too few filters are wrong");
    }
}

/// Opens a connection.
pub(crate) async fn connect(cluster: &Cluster) -> Client {
    connect_to(cluster, "postgres").await
}

async fn connect_to(cluster: &Cluster, database: &str) -> Client {
    let url = cluster.url(database);
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await.expect("a connection");
    #[expect(clippy::disallowed_methods, reason = "ends with the connection")]
    let _running = tokio::spawn(connection);
    client
}

/// A connection and the settings under which rows are logged.
pub(crate) struct Against {
    client: Client,
}

impl Against {
    pub(crate) async fn connect(cluster: &Cluster) -> Self {
        let client = connect(cluster).await;
        let settings = "set timezone = 'UTC'; set datestyle = 'ISO'; set bytea_output = 'hex';
                        set extra_float_digits = 1;";
        client.batch_execute(settings).await.expect("settings");
        client.batch_execute(SETUP).await.expect("types");
        Self { client }
    }

    /// The same to a database of its own with this encoding.
    pub(crate) async fn connect_to(cluster: &Cluster, encoding: &str) -> Self {
        let name = format!("of_{}", encoding.to_lowercase());
        let create = format!(
            "create database {name} encoding '{encoding}' template template0 \
             lc_collate 'C' lc_ctype 'C'"
        );
        connect(cluster).await.batch_execute(&create).await.expect("a database");
        Self { client: connect_to(cluster, &name).await }
    }

    /// Whether the database's encoding has the characters of a text.
    pub(crate) async fn can_hold(&self, text: &str) -> bool {
        self.client.query_one("select $1::text", &[&text]).await.is_ok()
    }

    pub(crate) async fn round(&mut self, random: &mut Random, tally: &mut Tally, seed: u64) {
        let columns = random_columns(random);
        let table = self.create(&columns, random).await;
        let rows = self.rows().await;
        let images: Vec<Image<'_>> = rows.iter().map(|row| Image::of(&table, row)).collect();
        for _ in 0..FILTERS {
            let parts = Model::parts(random, &columns);
            let text = Model::text(&parts, random);
            let sql: Vec<String> = parts.iter().map(Model::sql).collect();
            let sql = sql.join(" and ");
            let compiled =
                Filter::parse(&text).and_then(|filter| filter.compile(&table, &|_| true));
            let answers = self.answers(&sql, &[]).await;
            let said = Said { seed, text: &text, sql: &sql };
            match (compiled, answers) {
                (Ok(filter), Ok(expected)) => {
                    tally.filters += 1;
                    said.compare(&filter, &images, &expected, tally);
                    self.compare_sql(&said, &filter, &expected).await;
                    said.compare_index(&filter, &parts, &table.columns, &images, &expected, tally);
                }
                (Err(_), Err(_)) => tally.refused_by_both += 1,
                (Err(error), Ok(_)) => said.refused(&error, tally),
                (Ok(_), Err(error)) => said.fail(&format!("PostgreSQL refuses it: {error}")),
            }
        }
    }

    /// Makes a table of `columns` with random rows.
    async fn create(&self, columns: &[Named], random: &mut Random) -> Table {
        let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
        let declared: Vec<String> =
            columns.iter().map(|it| format!("{} {}", quoted(&it.name), it.of.sql)).collect();
        let tuples: Vec<String> = (0..ROWS)
            .map(|number| {
                let values = columns.iter().map(|column| {
                    if random.chance(12) {
                        "null".to_owned()
                    } else {
                        literal(&invent(random, column.of))
                    }
                });
                let values: Vec<String> = values.collect();
                format!("({number}, {})", values.join(", "))
            })
            .collect();
        let statements = format!(
            "drop table if exists sample;
             create table sample (number int primary key, {});
             insert into sample values {};",
            declared.join(", "),
            tuples.join(", ")
        );
        self.table(&statements).await
    }

    /// Makes a table of one column `c` with these values and NULL.
    pub(crate) async fn create_one(&self, sql_type: &str, values: &[&str]) -> Table {
        let values: Vec<String> = values.iter().copied().map(literal).collect();
        let statements = format!(
            "drop table if exists sample;
             create table sample (number int generated always as identity, c {sql_type});
             insert into sample (c) values (null), ({});",
            values.join("), (")
        );
        self.table(&statements).await
    }

    /// Runs what makes the table, and reads it from the catalog.
    async fn table(&self, statements: &str) -> Table {
        self.client.batch_execute(statements).await.expect("a table");
        let oid = self.client.query_one("select 'sample'::regclass::oid", &[]).await;
        let oid: u32 = oid.expect("the table").get(0);
        let mut columns = catalog::columns(&self.client, &[oid]).await.expect("columns");
        let columns = columns.remove(&oid).expect("its columns");
        let name = TableName::parse("sample");
        Table { oid, name, key: vec!["number".to_owned()], columns, shape: 0 }
    }

    pub(crate) async fn rows(&self) -> Vec<Row> {
        let query = "select row_to_json(s)::text from sample s order by number";
        let rows = self.client.query(query, &[]).await.expect("rows");
        rows.iter().map(|row| Row::new(row.get::<_, String>(0))).collect()
    }

    /// For each row whether the clause is TRUE.
    pub(crate) async fn answers(
        &self,
        clause: &str,
        parameters: &[String],
    ) -> Result<Vec<bool>, String> {
        let query = format!("select ({clause}) is true from sample order by number");
        let parameters: Vec<&(dyn ToSql + Sync)> =
            parameters.iter().map(|it| it as &(dyn ToSql + Sync)).collect();
        let rows = self.client.query(&query, &parameters).await.map_err(|error| {
            error.as_db_error().map_or_else(|| error.to_string(), |it| it.message().to_owned())
        })?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    async fn compare_sql(&self, said: &Said<'_>, filter: &CompiledFilter, expected: &[bool]) {
        let (clause, parameters) = filter.to_sql(1);
        match self.answers(&clause, &parameters).await {
            Ok(answers) if answers == expected => {}
            Ok(_) => said.fail(&format!("another answer to {clause} {parameters:?}")),
            Err(error) => said.fail(&format!("{error} in {clause} {parameters:?}")),
        }
    }
}

/// A filter in both languages, for the message of a failure.
struct Said<'s> {
    seed: u64,
    text: &'s str,
    sql: &'s str,
}

impl Said<'_> {
    #[expect(clippy::panic, reason = "the test fails here")]
    fn fail(&self, why: &str) {
        panic!("{why}\n  seed {}\n  filter {}\n  where {}", self.seed, self.text, self.sql);
    }

    fn compare(
        &self,
        filter: &CompiledFilter,
        images: &[Image<'_>],
        expected: &[bool],
        tally: &mut Tally,
    ) {
        for (image, expected) in images.iter().zip(expected) {
            tally.comparisons += 1;
            tally.matches += u64::from(*expected);
            if filter.matches(image) != *expected {
                self.fail(&format!("PostgreSQL says {expected} of {}", image.text()));
            }
        }
    }

    /// What an index finds must hold every match; for one equality, nothing else.
    #[expect(clippy::too_many_arguments, reason = "all that a check of a check needs")]
    fn compare_index(
        &self,
        filter: &CompiledFilter,
        parts: &[Model],
        columns: &[Column],
        images: &[Image<'_>],
        expected: &[bool],
        tally: &mut Tally,
    ) {
        let Some((place, values)) = filter.equality() else { return };
        tally.indexed += 1;
        let is_exact = Model::only_equality(parts).is_some();
        for (image, expected) in images.iter().zip(expected) {
            let raw = image.value(place).expect("a whole row");
            let key = canonical(&columns[place], raw);
            let is_found = key.is_some_and(|key| values.iter().any(|value| *value == *key));
            if (*expected && !is_found) || (is_exact && is_found != *expected) {
                self.fail(&format!("an index of {values:?} says {is_found} of {raw}"));
            }
        }
    }

    /// Refusing what PostgreSQL compares must be one of the refusals that are meant.
    fn refused(&self, error: &FilterError, tally: &mut Tally) {
        match REFUSALS.iter().find(|meant| error.message.contains(**meant)) {
            Some(meant) => *tally.refused_here.entry(meant).or_default() += 1,
            None => self.fail(&format!("refused: {error}")),
        }
    }
}

fn random_columns(random: &mut Random) -> Vec<Named> {
    let count = 3 + random.below(6);
    let mut columns: Vec<Named> = Vec::new();
    for place in 0..count {
        let odd = ODD_NAMES[random.below(ODD_NAMES.len())];
        let is_odd = random.chance(30) && columns.iter().all(|column| column.name != odd);
        let name = if is_odd { odd.to_owned() } else { format!("c{place}") };
        columns.push(Named { name, of: &TYPES[random.below(TYPES.len())] });
    }
    columns
}
