//! What a request asks for, as far as the reader may have it.

use std::{collections::HashMap, sync::Arc};

use super::{Context, refusal::Refusal};
use crate::{
    auth::{
        claims::Claims,
        feeds::{Found, Opened},
    },
    change::{Table, TableName},
    feed::{
        Columns, Events, Grant, TopicSpec,
        filter::{CompiledFilter, Filter},
    },
    wire::{Code, Subscribe},
};

const FORBIDDEN: &str = "no such table on this feed, or not one that you may read";
const UNAUTHORIZED: &str = "no such table on this feed, or not one to be read without a token";

/// What the owner has declared of the feed that a client is on.
#[derive(Clone, Debug, Default)]
pub enum Declared {
    /// Nothing: the client names the tables.
    #[default]
    Nothing,
    /// The tables, with these filters by table as written.
    Open(HashMap<String, Filter>),
    /// The tables, and it does not open for the client's claims.
    Closed,
}

impl Declared {
    /// As it is for these claims.
    pub fn new(found: Option<&Found>, claims: Option<&Claims>) -> Self {
        let Some(found) = found else { return Self::Nothing };
        let filters = |opened: Vec<Opened>| {
            opened.into_iter().filter_map(|it| Some((it.table, it.filter?))).collect()
        };
        found.open(claims).map_or(Self::Closed, |opened| Self::Open(filters(opened)))
    }

    /// Whether the client names the tables.
    pub fn is_nothing(&self) -> bool {
        matches!(self, Self::Nothing)
    }
}

/// What a request asks for, on a feed of which this is declared.
pub fn spec(
    context: &Context,
    claims: Option<&Claims>,
    declared: &Declared,
    request: &Subscribe,
) -> Result<TopicSpec, Refusal> {
    let catalog = context.hub.catalog();
    let name = TableName::parse(&request.table);
    let table = catalog.named(&name);
    let granted = table.filter(|_| !matches!(declared, Declared::Closed)).and_then(|table| {
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
    if let Declared::Open(filters) = declared {
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
    filters: &HashMap<String, Filter>,
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
