//! Names as SQL has them.

use crate::change::TableName;

/// A name that means itself, whatever stands in it.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A table's name with its schema.
pub(super) fn of_table(name: &TableName) -> String {
    format!("{}.{}", quoted(&name.schema), quoted(&name.name))
}
