//! Looks at one table and one of its rows, for commands at the terminal. Never for clients: it
//! reads the row as it is now, with the rights of the connection.

use std::sync::Arc;

use tokio_postgres::types::ToSql;

use super::{
    admin::Admin,
    catalog,
    name::{of_table, quoted},
    types::JsonText,
};
use crate::change::{Row, Table, TableName};

/// Why a row cannot be looked at.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    /// The table is not on the feed.
    #[error("{0} is not on the feed: `pgfeed watch {0}` puts it there")]
    NotWatched(TableName),
    /// The key does not have the table's columns.
    #[error("the key of {table} is {wanted}; give it as --key {example}")]
    Key {
        /// The table.
        table: TableName,
        /// Its key's columns.
        wanted: String,
        /// How it is written.
        example: String,
    },
    /// The database refused.
    #[error("the row cannot be read")]
    Database(#[from] tokio_postgres::Error),
}

impl Admin {
    /// A watched table.
    pub async fn table(&self, name: &TableName) -> Result<Arc<Table>, LookError> {
        let catalog = catalog::read(self.client()).await?;
        catalog.named(name).cloned().ok_or_else(|| LookError::NotWatched(name.clone()))
    }

    /// A row by its key, as the feed would show it; `key` holds a text for each key column.
    pub async fn row(
        &self,
        table: &Table,
        key: &[(String, String)],
    ) -> Result<Option<Row>, LookError> {
        let value = |name: &String| key.iter().find(|(it, _)| it == name).map(|(_, it)| it);
        let values: Option<Vec<&String>> = table.key.iter().map(value).collect();
        let values = values.filter(|it| !it.is_empty() && it.len() == key.len());
        let Some(values) = values else {
            let example: Vec<String> = table.key.iter().map(|it| format!("{it}=…")).collect();
            return Err(LookError::Key {
                table: table.name.clone(),
                wanted: table.key.join(", "),
                example: example.join(" --key "),
            });
        };
        let parameters: Vec<&(dyn ToSql + Sync)> =
            values.iter().map(|it| it as &(dyn ToSql + Sync)).collect();
        let row = self.client().query_opt(&select(table), &parameters).await?;
        Ok(match row {
            Some(row) => Some(Row::new(row.try_get::<_, JsonText<'_>>(0)?.0)),
            None => None,
        })
    }
}

/// Values go as text and are read by the column's type, as an operator writes them.
fn select(table: &Table) -> String {
    let terms: Vec<String> = (1..)
        .zip(&table.key)
        .map(|(number, name)| {
            let place = table.column(name).map(|place| &table.columns[place].type_name);
            let type_name = place.map_or("text", String::as_str);
            format!("t.{} = ${number}::text::{type_name}", quoted(name))
        })
        .collect();
    let name = of_table(&table.name);
    format!("select row_to_json(t.*) from {name} t where {}", terms.join(" and "))
}
