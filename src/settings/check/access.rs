//! Checks of `[tables]` and `[feeds]` beyond what makes policy and feeds of them.

use std::collections::{BTreeMap, BTreeSet};

use super::Faults;
use crate::settings::{Readers, Settings, access::FeedTable, placeholder::names};

pub(super) fn check_tables(settings: &Settings, faults: &mut Faults) {
    if let Readers::Roles(_) = settings.access.default {
        let reason = "must be nobody, authenticated or anyone; roles are given table by table";
        faults.add("access.default", reason);
    }
    let mut seen = BTreeMap::new();
    for (written, policy) in &settings.tables {
        let key = format!("tables.{written}");
        match table_name(written) {
            None => faults.add(&key, "is not a table's name, as courses or public.courses"),
            Some(name) => {
                if let Some(other) = seen.insert(name, written) {
                    faults.add(&key, format!("means the same table as `{other}`"));
                }
            }
        }
        check_readers(&format!("{key}.read"), &policy.read, faults);
        check_rows(&format!("{key}.rows"), policy.rows.as_deref(), faults);
        check_columns(&format!("{key}.columns"), policy.columns.as_deref(), faults);
        for (at, grant) in policy.grants.iter().enumerate() {
            let key = format!("{key}.grants[{at}]");
            check_readers(&format!("{key}.read"), &grant.read, faults);
            check_rows(&format!("{key}.rows"), grant.rows.as_deref(), faults);
            check_columns(&format!("{key}.columns"), grant.columns.as_deref(), faults);
        }
    }
}

pub(super) fn check_feeds(settings: &Settings, faults: &mut Faults) {
    for (name, feed) in &settings.feeds {
        let key = format!("feeds.{name}");
        if feed.path.starts_with('{') {
            faults.add(format!("{key}.path"), "must begin with a fixed segment, as student/{id}");
        }
        let in_require = feed.require.values().flatten().map(String::as_str);
        let in_filters = feed.tables.iter().filter_map(|it| it.filter.as_deref());
        let used: BTreeSet<&str> = in_require.chain(in_filters).flat_map(names).collect();
        for unused in names(&feed.path).into_iter().filter(|it| !used.contains(it)) {
            let reason = format!(
                "{{{unused}}} is used in no filter and no require, \
                 so every value would show the same"
            );
            faults.add(format!("{key}.path"), reason);
        }
        check_feed_tables(&key, &feed.tables, faults);
    }
}

fn check_feed_tables(key: &str, tables: &[FeedTable], faults: &mut Faults) {
    for (at, entry) in tables.iter().enumerate() {
        let key = format!("{key}.tables[{at}]");
        if table_name(&entry.table).is_none() {
            faults.add(format!("{key}.table"), "is not a table's name");
        }
        if entry.filter.as_deref().is_some_and(|it| it.trim().is_empty()) {
            faults.add(format!("{key}.filter"), "is empty; leave it out for every row");
        }
        if entry.events.as_ref().is_some_and(Vec::is_empty) {
            faults.add(format!("{key}.events"), "is empty; leave it out for every operation");
        }
        check_columns(&format!("{key}.columns"), entry.columns.as_deref(), faults);
    }
}

fn check_readers(key: &str, readers: &Readers, faults: &mut Faults) {
    if let Readers::Roles(roles) = readers {
        if roles.is_empty() {
            faults.add(key, "is an empty list; \"nobody\" says it plainly");
        }
        if roles.iter().any(String::is_empty) {
            faults.add(key, "has an empty role");
        }
    }
}

fn check_rows(key: &str, rows: Option<&str>, faults: &mut Faults) {
    let Some(rows) = rows else { return };
    if rows.trim().is_empty() {
        faults.add(key, "is empty; leave it out for every row");
    }
}

fn check_columns(key: &str, columns: Option<&[String]>, faults: &mut Faults) {
    let Some(columns) = columns else { return };
    if columns.is_empty() {
        faults.add(key, "is empty; leave it out for every column");
    }
    let mut seen = BTreeSet::new();
    for column in columns {
        if column.is_empty() {
            faults.add(key, "has an empty name");
        } else if !seen.insert(column) {
            faults.add(key, format!("has `{column}` twice"));
        }
    }
}

/// Schema and table: what stands before the first dot is the schema, else `public`.
fn table_name(written: &str) -> Option<(&str, &str)> {
    let (schema, table) = written.split_once('.').unwrap_or(("public", written));
    let is_sound = |it: &str| !it.is_empty() && !it.contains('\0');
    (is_sound(schema) && is_sound(table)).then_some((schema, table))
}
