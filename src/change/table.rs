//! What a watched table looks like: its name, its columns, its key.

use std::fmt;

use serde::Serialize;

/// A table's schema and name, as PostgreSQL spells them: no quoting, no case folding.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableName {
    /// The schema; `public` where a client names none.
    pub schema: String,
    /// The table's own name.
    pub name: String,
}

impl TableName {
    /// Takes the text before the first dot as the schema, else `public`.
    pub fn parse(text: &str) -> Self {
        let (schema, name) = text.split_once('.').unwrap_or(("public", text));
        Self { schema: schema.to_owned(), name: name.to_owned() }
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}

/// How PostgreSQL orders the text of a column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Collation {
    /// The type has no collation (numbers, times).
    #[default]
    None,
    /// Byte order: C, POSIX, C.UTF-8, `ucs_basic`, or a database default that is one of these.
    Bytes,
    /// Any other deterministic collation: equality is that of bytes, order is not.
    Language,
    /// A nondeterministic collation: not even equality is that of bytes.
    Nondeterministic,
}

/// How `lower()` works under the collation of a column, which is what `ilike` compares by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Folding {
    /// Not known, or special to a language (Turkish, Azeri, Lithuanian).
    #[default]
    Unknown,
    /// A to Z alone: C, POSIX, `ucs_basic`.
    Ascii,
    /// One character for one character, by Unicode: C.UTF-8 and what libc knows.
    Simple,
    /// By Unicode with the characters that become several: ICU, `pg_unicode_fast`.
    Full,
}

/// One column as the catalog knows it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Column {
    /// The name, as in the row's JSON.
    pub name: String,
    /// The type as `format_type` prints it (`integer`, `character varying(80)`, `text[]`).
    #[serde(rename = "type")]
    pub type_name: String,
    /// The type's oid with domains resolved to what they stand on.
    #[serde(skip)]
    pub type_oid: u32,
    /// Whether the type is a domain, so that values of its own type must be cast to be compared.
    #[serde(skip)]
    pub is_domain: bool,
    /// The element type's oid (domains resolved) where the type is an array, else 0.
    #[serde(skip)]
    pub element_oid: u32,
    /// How text of the column is ordered.
    #[serde(skip)]
    pub collation: Collation,
    /// How text of the column is put into lower case.
    #[serde(skip)]
    pub folding: Folding,
    /// An enum's labels in their order, else empty. For an array of an enum: the element's.
    #[serde(skip)]
    pub labels: Vec<String>,
}

/// A watched table as of one moment. Replaced as a whole when its definition changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// The oid of the relation: partitions are told under the watched parent.
    pub oid: u32,
    /// The name.
    pub name: TableName,
    /// The primary key's columns, in key order; empty where there is none.
    pub key: Vec<String>,
    /// The columns in the table's order, dropped ones left out.
    pub columns: Vec<Column>,
    /// A fingerprint of name, key and columns: another one means `table_changed`.
    pub shape: u64,
}

impl Table {
    /// The place of a column in [`Table::columns`].
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::TableName;

    #[test]
    fn text_before_the_first_dot_is_the_schema() {
        let name = |text| {
            let TableName { schema, name } = TableName::parse(text);
            (schema, name)
        };
        assert_eq!(name("courses"), ("public".into(), "courses".into()));
        assert_eq!(name("app.Courses"), ("app".into(), "Courses".into()));
        assert_eq!(name("a.b.c"), ("a".into(), "b.c".into()));
        assert_eq!(name("\"x\""), ("public".into(), "\"x\"".into()));
    }
}
