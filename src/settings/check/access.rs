//! Checks of `[tables]` and `[feeds]` that need no database.

use std::collections::{BTreeMap, BTreeSet};

use super::Faults;
use crate::settings::{
    FeedDecl, Readers, Settings,
    access::FeedTable,
    placeholder::{is_claim, is_name, names},
};

/// The feed that every gateway has.
const BUILT_IN: &str = "changes";

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
    let mut seen = BTreeMap::new();
    for (name, feed) in &settings.feeds {
        let key = format!("feeds.{name}");
        let Some(segments) = check_path(&key, feed, faults) else { continue };
        let shape: Vec<_> = segments.iter().map(|it| it.literal().unwrap_or("{}")).collect();
        if let Some(other) = seen.insert(shape.join("/"), name) {
            let reason = format!("cannot be told from the path of feeds.{other}");
            faults.add(format!("{key}.path"), reason);
        }
        let placeholders: BTreeSet<_> = segments.iter().filter_map(Segment::name).collect();
        let used = check_uses(&key, feed, &placeholders, faults);
        for unused in placeholders.difference(&used) {
            let reason = format!(
                "{{{unused}}} is used in no filter and no require, \
                 so every value would show the same"
            );
            faults.add(format!("{key}.path"), reason);
        }
        check_feed_tables(&key, &feed.tables, faults);
    }
}

enum Segment<'a> {
    Literal(&'a str),
    Placeholder(&'a str),
}

impl<'a> Segment<'a> {
    fn literal(&self) -> Option<&'a str> {
        if let Self::Literal(text) = self { Some(text) } else { None }
    }

    fn name(&self) -> Option<&'a str> {
        if let Self::Placeholder(name) = self { Some(name) } else { None }
    }
}

/// The segments of a feed's path, if they are well formed.
fn check_path<'a>(key: &str, feed: &'a FeedDecl, faults: &mut Faults) -> Option<Vec<Segment<'a>>> {
    let key = format!("{key}.path");
    let mut segments = Vec::new();
    let mut names = BTreeSet::new();
    for text in feed.path.split('/') {
        let braced = text.strip_prefix('{').and_then(|it| it.strip_suffix('}'));
        match braced {
            Some(name) if is_name(name) && !name.contains('.') => {
                if !names.insert(name) {
                    faults.add(key, format!("has {{{name}}} twice"));
                    return None;
                }
                segments.push(Segment::Placeholder(name));
            }
            None if is_segment(text) => segments.push(Segment::Literal(text)),
            _ => {
                let reason = "must be segments of letters, digits, - and _, or {name}, \
                              between single slashes, as student/{id}";
                faults.add(key, format!("`{}` {reason}", feed.path));
                return None;
            }
        }
    }
    match segments.first().and_then(Segment::literal) {
        None => {
            faults.add(key, "must begin with a fixed segment, as student/{id}");
            None
        }
        Some(BUILT_IN) => {
            faults.add(key, format!("`{BUILT_IN}` is the built-in feed"));
            None
        }
        Some(_) => Some(segments),
    }
}

fn is_segment(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
}

/// Checks the placeholders in `require` and filters, and returns those of the path that are used.
fn check_uses<'a>(
    key: &str,
    feed: &'a FeedDecl,
    placeholders: &BTreeSet<&str>,
    faults: &mut Faults,
) -> BTreeSet<&'a str> {
    let mut used = BTreeSet::new();
    for (claim, values) in &feed.require {
        let key = format!("{key}.require.{claim}");
        if values.is_empty() {
            faults.add(&key, "is an empty list, which no token fits");
        }
        for name in values.iter().flat_map(|it| names(it)) {
            if placeholders.contains(name) {
                used.insert(name);
            } else {
                faults.add(&key, format!("{{{name}}} is not in the feed's path"));
            }
        }
    }
    for (at, table) in feed.tables.iter().enumerate() {
        for name in table.filter.as_deref().map(names).unwrap_or_default() {
            if placeholders.contains(name) {
                used.insert(name);
            } else if !is_claim(name) {
                let reason = format!("{{{name}}} is not in the feed's path and not a claim");
                faults.add(format!("{key}.tables[{at}].filter"), reason);
            }
        }
    }
    used
}

fn check_feed_tables(key: &str, tables: &[FeedTable], faults: &mut Faults) {
    if tables.is_empty() {
        faults.add(format!("{key}.tables"), "names no table");
    }
    let mut seen = BTreeSet::new();
    for (at, entry) in tables.iter().enumerate() {
        let key = format!("{key}.tables[{at}]");
        match table_name(&entry.table) {
            None => faults.add(format!("{key}.table"), "is not a table's name"),
            Some(name) if !seen.insert(name) => {
                faults.add(format!("{key}.table"), format!("`{}` stands twice", entry.table));
            }
            Some(_) => {}
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
    for name in names(rows) {
        // Under a negation a misspelt placeholder, taken as text, would let rows through.
        if !is_claim(name) {
            let reason = format!("{{{name}}} is not a claim; write {{claims.name}}");
            faults.add(key, reason);
        }
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
