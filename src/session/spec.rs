//! What a request asks for, as far as the reader may have it.

use std::{collections::HashMap, sync::Arc};

use super::{Context, subscription::Refusal};
use crate::{
    auth::{claims::Claims, feeds::Found},
    change::{Table, TableName},
    feed::{
        Columns, Events, Grant, TopicSpec,
        filter::{CompiledFilter, Filter},
    },
    wire::{Code, Subscribe},
};

const FORBIDDEN: &str = "no such table on this feed, or not one that you may read";
const UNAUTHORIZED: &str = "no such table on this feed, or not one to be read without a token";

/// The owner's filters on a declared feed, by table as written.
pub type Filters = HashMap<String, Filter>;

/// What a request asks for; `declared` has the owner's filters where the feed is a declared one.
pub fn spec(
    context: &Context,
    claims: Option<&Claims>,
    declared: Option<&Filters>,
    request: &Subscribe,
) -> Result<TopicSpec, Refusal> {
    let catalog = context.hub.catalog();
    let name = TableName::parse(&request.table);
    let table = catalog.named(&name);
    let granted = table.and_then(|table| {
        let grant = context.access.grant(table, claims)?;
        Some((Arc::clone(table), grant))
    });
    let Some((table, grant)) = granted else {
        // One answer for a table that is not there, not watched or not theirs.
        return Err(match claims {
            Some(_) => Refusal::new(Code::Forbidden, FORBIDDEN),
            None => Refusal::new(Code::Unauthorized, UNAUTHORIZED),
        });
    };
    let events = Events::new(request.events.as_deref());
    if let Some(filters) = declared {
        let (filter, columns) = owners(filters, request, &table)?;
        return Ok(TopicSpec { table, events, filter, columns, grant });
    }
    let columns = match &request.columns {
        Some(names) => Some(columns(&table, &grant, names)?),
        None => None,
    };
    let filter = match &request.filter {
        Some(text) => Some(super::catch_up::filter(text, context.limits.filter, &table, &grant)?),
        None => None,
    };
    Ok(TopicSpec { table, events, filter, columns, grant })
}

/// What the owner narrows a table of a declared feed to. The filter may use columns that the
/// reader does not see; columns that are not granted stay out by the grant.
fn owners(
    filters: &Filters,
    request: &Subscribe,
    table: &Table,
) -> Result<(Option<CompiledFilter>, Option<Columns>), Refusal> {
    // A feed that no longer fits its table shows nothing of it; readiness says why.
    let unfit = || Refusal::new(Code::Forbidden, FORBIDDEN);
    let filter = match filters.get(&request.id) {
        Some(filter) => Some(filter.compile(table, &|_| true).map_err(|_unfitting| unfit())?),
        None => None,
    };
    let columns = match &request.columns {
        Some(names) => {
            let places = names.iter().map(|name| table.column(name).ok_or_else(unfit));
            Some(Columns::new(places.collect::<Result<Vec<_>, _>>()?))
        }
        None => None,
    };
    Ok((filter, columns))
}

/// The owner's filters of a declared feed that is open for these claims; none where the client
/// names the tables.
pub fn declared(declared: Option<&Found>, claims: Option<&Claims>) -> Option<Filters> {
    declared.map(|_| filters(declared, claims).unwrap_or_default())
}

/// The owner's filters of a declared feed for these claims, by table as written; none where it does
/// not open for them.
pub fn filters(declared: Option<&Found>, claims: Option<&Claims>) -> Option<Filters> {
    let Some(found) = declared else { return Some(HashMap::new()) };
    let opened = found.open(claims).ok()?;
    Some(opened.into_iter().filter_map(|it| Some((it.table, it.filter?))).collect())
}

fn columns(table: &Table, grant: &Grant, names: &[String]) -> Result<Columns, Refusal> {
    let granted = grant.columns();
    let place = |name: &String| {
        table.column(name).filter(|place| granted.has(*place)).ok_or_else(|| {
            let message = format!("`columns`: no column {name:?} that you may read");
            Refusal::new(Code::BadMessage, message)
        })
    };
    if names.is_empty() {
        let message = "`columns` is empty: name one, or leave it out";
        return Err(Refusal::new(Code::BadMessage, message));
    }
    Ok(Columns::new(names.iter().map(place).collect::<Result<Vec<_>, _>>()?))
}
