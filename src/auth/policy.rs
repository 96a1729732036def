//! The owner's rules: who may read which rows and columns of which table. Deny by default.
//!
//! Rules are checked against the catalog when the database is first reached and again when a
//! table changes; what does not fit any more lets nothing be read.

use std::collections::BTreeMap;

use thiserror::Error;

use super::Claims;
use crate::change::{Table, TableName};
use crate::feed::filter::{Binding, CompiledFilter, Filter, FilterError, Placeholder};
use crate::feed::grant::{Columns, Grant, Part};

/// The schema of the log itself: whatever the policy says, it is read by nobody, since it holds
/// every row of every watched table.
const LOG_SCHEMA: &str = "pgfeed";

/// Whom a rule is for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Readers {
    /// Nobody.
    #[default]
    Nobody,
    /// Whoever has a good token.
    Authenticated,
    /// Everybody, with a token or without.
    Anyone,
    /// Whoever has one of these roles.
    Roles(Vec<String>),
}

impl Readers {
    /// Whether a reader with these claims is meant.
    pub fn admit(&self, claims: Option<&Claims>) -> bool {
        match self {
            Self::Nobody => false,
            Self::Authenticated => claims.is_some(),
            Self::Anyone => true,
            Self::Roles(roles) => {
                claims.is_some_and(|it| roles.iter().any(|role| it.has_role(role)))
            }
        }
    }
}

/// One rule, as written.
#[derive(Clone, Debug, Default)]
pub struct RuleSettings {
    /// Where it stands in the table's entry: empty, or `grants[0]`. For error texts.
    pub place: String,
    /// Whom it is for.
    pub read: Readers,
    /// Which rows; all if there is no filter. Claims may stand in values.
    pub rows: Option<String>,
    /// Which columns; all, also those that come later, if none are named.
    pub columns: Option<Vec<String>>,
}

/// A table's entry, as written.
#[derive(Clone, Debug, Default)]
pub struct TableSettings {
    /// The rules; a reader has the union of those that are for them.
    pub rules: Vec<RuleSettings>,
    /// Whether payloads that were written by hand are relayed.
    pub undurable: bool,
}

/// The whole policy, as written. Plain values from the settings.
#[derive(Clone, Debug, Default)]
pub struct PolicySettings {
    /// For watched tables without an entry.
    pub default: Readers,
    /// Entries by the table's name as written.
    pub tables: BTreeMap<String, TableSettings>,
}

/// A rule that cannot hold. Stops the start, and fails readiness when it comes later.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("tables.\"{table}\".{place}: {reason}")]
pub struct PolicyError {
    /// The table's name as written.
    pub table: String,
    /// Which part of its entry.
    pub place: String,
    /// What is wrong.
    pub reason: String,
}

/// The policy in force. One for the gateway, for its life.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    default: Readers,
    tables: BTreeMap<TableName, Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    written: String,
    rules: Vec<Rule>,
    undurable: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) place: String,
    pub(super) readers: Readers,
    pub(super) rows: Option<(String, Filter)>,
    pub(super) columns: Option<Vec<String>>,
}

impl Policy {
    /// Checks what can be checked without the catalog.
    pub fn new(settings: PolicySettings) -> Result<Self, PolicyError> {
        let mut tables = BTreeMap::new();
        for (written, entry) in settings.tables {
            let name = TableName::parse(&written);
            let bad = |place: String, reason: String| PolicyError {
                table: written.clone(),
                place,
                reason,
            };
            let rules = entry
                .rules
                .into_iter()
                .map(|rule| Rule::new(rule).map_err(|(place, reason)| bad(place, reason)));
            let rules = rules.collect::<Result<_, _>>()?;
            if name.schema == LOG_SCHEMA {
                return Err(bad(String::new(), String::from("the log cannot be read by clients")));
            }
            if tables.contains_key(&name) {
                return Err(bad(String::new(), String::from("the table has another entry")));
            }
            tables.insert(name, Entry { written, rules, undurable: entry.undurable });
        }
        Ok(Self { default: settings.default, tables })
    }

    /// The tables that have an entry.
    pub fn tables(&self) -> impl Iterator<Item = &TableName> {
        self.tables.keys()
    }

    /// Whether payloads that were written by hand are relayed to this table's subscribers.
    pub fn is_undurable(&self, table: &TableName) -> bool {
        self.tables.get(table).is_some_and(|entry| entry.undurable)
    }

    /// Holds the table's entry against the catalog: all that does not fit.
    pub fn faults(&self, table: &Table) -> Vec<PolicyError> {
        let Some(entry) = self.tables.get(&table.name) else { return Vec::new() };
        let of_rule = |rule: &Rule| {
            let error = |(field, reason)| PolicyError {
                table: entry.written.clone(),
                place: place(&rule.place, field),
                reason,
            };
            rule.faults(table).into_iter().map(error).collect::<Vec<_>>()
        };
        entry.rules.iter().flat_map(of_rule).collect()
    }

    /// What a reader may see of `table`; `None`: nothing, as if it did not exist.
    pub fn grant(&self, table: &Table, claims: Option<&Claims>) -> Option<Grant> {
        if table.name.schema == LOG_SCHEMA {
            return None;
        }
        let Some(entry) = self.tables.get(&table.name) else {
            return self.default.admit(claims).then(|| Grant::whole(table));
        };
        let rules = entry.rules.iter().filter(|rule| rule.readers.admit(claims));
        // A rule that does not fit the table any more gives nothing, and takes the reader's other
        // rules with it: a union without a part would be seen as rows that left.
        let parts = rules.map(|rule| rule.part(table, claims)).collect::<Option<Vec<_>>>()?;
        (!parts.is_empty()).then(|| Grant::new(simplified(parts)))
    }

    /// The rules of a table, or whom the default is for. For `explain`.
    pub(super) fn rules(&self, table: &TableName) -> Result<&[Rule], &Readers> {
        self.tables.get(table).map(|entry| entry.rules.as_slice()).ok_or(&self.default)
    }
}

impl Rule {
    fn new(settings: RuleSettings) -> Result<Self, (String, String)> {
        let RuleSettings { place: rule, read, rows, columns } = settings;
        let bad = |field: &str, reason: &str| (place(&rule, field), reason.to_owned());
        if read == Readers::Roles(Vec::new()) {
            return Err(bad("read", "no role is named; write \"nobody\""));
        }
        if columns.as_ref().is_some_and(Vec::is_empty) {
            return Err(bad("columns", "no column is named"));
        }
        let parse = |text: String| match Filter::parse_policy(&text) {
            Ok(filter) => Ok((text, filter)),
            Err(error) => Err(bad("rows", &error.to_string())),
        };
        let rows = rows.filter(|text| !text.is_empty()).map(parse).transpose()?;
        Ok(Self { place: rule, readers: read, rows, columns })
    }

    /// What does not fit the table, and where in the rule it stands.
    fn faults(&self, table: &Table) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        if let Some(names) = &self.columns {
            for name in names.iter().filter(|name| table.column(name).is_none()) {
                faults.push(("columns", format!("the table has no column {name}")));
            }
            for key in table.key.iter().filter(|key| !names.contains(key)) {
                faults.push(("columns", format!("the primary key's column {key} is missing")));
            }
        }
        let compiled = self.rows.as_ref().map(|(_, filter)| filter.compile(table, &|_| true));
        if let Some(Err(error)) = compiled {
            faults.push(("rows", error.to_string()));
        }
        faults
    }

    /// What the rule lets these claims see; `None` if it does not fit the table.
    fn part(&self, table: &Table, claims: Option<&Claims>) -> Option<Part> {
        if !self.faults(table).is_empty() {
            return None;
        }
        Some(Part { rows: self.bound(table, claims).ok()?, columns: self.columns(table).ok()? })
    }

    /// The rows for these claims, if there is a filter. A claim that is missing matches no row.
    pub(super) fn bound(
        &self,
        table: &Table,
        claims: Option<&Claims>,
    ) -> Result<Option<CompiledFilter>, FilterError> {
        let Some((_, filter)) = &self.rows else { return Ok(None) };
        // Rows may be chosen by columns that are not shown: the owner wrote the filter.
        filter.bind(&|it| binding(it, claims)).compile(table, &|_| true).map(Some)
    }

    pub(super) fn columns(&self, table: &Table) -> Result<Columns, String> {
        match &self.columns {
            None => Ok(Columns::all(table.columns.len())),
            Some(names) => {
                let place = |name: &String| {
                    table.column(name).ok_or_else(|| format!("the table has no column {name}"))
                };
                Ok(Columns::new(names.iter().map(place).collect::<Result<Vec<_>, _>>()?))
            }
        }
    }
}

/// A claim as one value, never as syntax; `None` where it must match no row.
pub(super) fn binding(placeholder: &Placeholder, claims: Option<&Claims>) -> Option<Binding> {
    match placeholder {
        Placeholder::Claim(path) => claims?.get(path).and_then(Binding::from_claim),
        Placeholder::Path(_) => None,
    }
}

/// The same rights in fewer parts, so that readers who have them by other rules share topics.
fn simplified(parts: Vec<Part>) -> Vec<Part> {
    let mut kept: Vec<Part> = Vec::new();
    for part in parts {
        match kept.iter_mut().find(|it| it.rows == part.rows) {
            Some(same) => same.columns = same.columns.or(&part.columns),
            None => kept.push(part),
        }
    }
    let of_all_rows = kept.iter().find(|it| it.rows.is_none()).map(|it| it.columns.clone());
    if let Some(columns) = of_all_rows {
        kept.retain(|it| it.rows.is_none() || columns.or(&it.columns) != columns);
    }
    kept
}

fn place(rule: &str, field: &str) -> String {
    if rule.is_empty() { field.to_owned() } else { format!("{rule}.{field}") }
}

#[cfg(test)]
mod tests;
