//! Triggers that are not pgfeed's: those that tell their changes somewhere else.

use tokio_postgres::{Client, Error};

use crate::{
    feed::Catalog,
    source::{admin::Finding, listener::CHANNEL},
};

/// Trigger functions that NOTIFY by themselves, with the channel as far as their text shows it,
/// whether the row goes with it, and the tables that they are for.
const ELSEWHERE: &str = r#"
    select p.oid::regprocedure::text,
           coalesce((regexp_match(p.prosrc, '(?i)\mpg_notify\s*\(\s*''([^'']+)'''))[1],
                    (regexp_match(p.prosrc, '(?i)\mnotify\s+"?(\w+)'))[1]),
           p.prosrc ~* '\m(row_to_json|to_jsonb?|hstore)\M', t.tgrelid::regclass::text,
           t.tgrelid, t.tgname::text
      from pg_catalog.pg_trigger t
      join pg_catalog.pg_proc p on p.oid = t.tgfoid
      join pg_catalog.pg_namespace n on n.oid = p.pronamespace
     where not t.tgisinternal and t.tgparentid = 0 and n.nspname <> 'pgfeed'
       and p.prosrc ~* '\mpg_notify\s*\(|\mnotify\s+"?\w'
       and p.prosrc !~* '\mpgfeed\.(log|wake)\M'
     order by 1, 4, 6"#;

/// Whether any table is on the feed at all.
pub(super) async fn any(client: &Client, catalog: &Catalog) -> Result<Finding, Error> {
    const WATCHED: &str = "
        select pg_catalog.string_agg(w.rel::regclass::text, ', ' order by w.rel::regclass::text)
          from pgfeed.watch_list w";
    let mut names: Vec<String> = catalog.tables().map(|table| table.name.to_string()).collect();
    names.sort();
    if names.is_empty() {
        if let Some(watched) =
            client.query_one(WATCHED, &[]).await?.try_get::<_, Option<String>>(0)?
        {
            let detail = format!("not every write to {watched} is captured, so none is served");
            return Ok(Finding::fail("on the feed", detail, "See the triggers, below."));
        }
        let detail = "no table of this database is on the feed, so nothing can arrive";
        return Ok(Finding::fail("on the feed", detail, "pgfeed watch TABLE"));
    }
    Ok(Finding::ok("on the feed", names.join(", ")))
}

/// Triggers with a NOTIFY of their own, on tables that are `watched` and on others.
pub(super) async fn elsewhere(client: &Client, watched: &[u32]) -> Result<Vec<Finding>, Error> {
    let mut found = Vec::new();
    for row in client.query(ELSEWHERE, &[]).await? {
        let function: &str = row.try_get(0)?;
        let channel: Option<&str> = row.try_get(1)?;
        let has_row: bool = row.try_get(2)?;
        let (table, oid): (&str, u32) = (row.try_get(3)?, row.try_get(4)?);
        let trigger: &str = row.try_get(5)?;
        let drop = format!("drop trigger {} on {table};", quoted(trigger));
        let watch = format!("pgfeed watch {table}, then: {drop}");
        let of = format!("trigger {trigger} on {table} calls {function}, which");
        found.push(match channel {
            _ if watched.contains(&oid) && has_row => {
                let detail = format!(
                    "{of} sends whole rows by NOTIFY: a row over 8000 bytes fails the write, \
                     and commits go one by one"
                );
                Finding::warn("channel", detail, format!("Nothing of pgfeed needs it: {drop}"))
            }
            _ if watched.contains(&oid) => continue,
            Some(channel) if channel != CHANNEL => {
                let detail = format!("{of} notifies channel {channel}, and pgfeed hears {CHANNEL}");
                Finding::fail("channel", detail, watch)
            }
            _ => {
                let detail =
                    format!("{of} notifies without the log: changes are lost while nobody listens");
                Finding::fail("channel", detail, watch)
            }
        });
    }
    if found.is_empty() {
        found.push(Finding::ok("channel", "no trigger tells its changes somewhere else"));
    }
    Ok(found)
}

fn quoted(name: &str) -> String {
    let is_plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if is_plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}
