//! Declared feeds: a path that stands for tables and filters, and what a token needs to open it.

mod path;
mod require;

use std::{collections::BTreeMap, sync::Arc};

use thiserror::Error;

use self::path::{Parts, Template};
use self::require::Requirement;
use super::Claims;
use crate::change::{Operation, Table, TableName};
use crate::feed::filter::{Binding, Filter, Placeholder, Scalar};

/// The feed on which the client names the tables.
pub const BUILT_IN: &str = "changes";

/// A feed as declared. Plain values from the settings.
#[derive(Clone, Debug, Default)]
pub struct FeedSettings {
    /// Its name in the settings.
    pub name: String,
    /// Its path below `/ws/`, `/sse/` and `/poll/`; its name if empty.
    pub path: String,
    /// What a token needs: `role`, or claims, each with the texts of which it must be one.
    pub require: BTreeMap<String, Vec<String>>,
    /// The tables that it is subscribed to.
    pub tables: Vec<FeedTable>,
}

/// A table of a declared feed.
#[derive(Clone, Debug, Default)]
pub struct FeedTable {
    /// The table, as it shall stand in `id`.
    pub table: String,
    /// Which of its rows; placeholders of the path and claims may stand in values.
    pub filter: Option<String>,
    /// Which operations; all if none are named.
    pub events: Option<Vec<Operation>>,
    /// Which columns; all that the reader may see if none are named.
    pub columns: Option<Vec<String>>,
}

/// A feed that cannot be declared so. Stops the start.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{key}: {reason}")]
pub struct FeedError {
    /// Where in the settings.
    pub key: String,
    /// What is wrong.
    pub reason: String,
}

/// Why a feed does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// It needs a token and there is none.
    #[error("this feed needs a token")]
    Unauthorized,
    /// The token does not have what it needs.
    #[error("the token does not open this feed")]
    Forbidden,
}

/// The declared feeds. Made from the settings once, at the start.
#[derive(Clone, Debug, Default)]
pub struct Feeds(Vec<Arc<Feed>>);

/// One declared feed.
#[derive(Clone, Debug)]
pub struct Feed {
    name: String,
    template: Template,
    require: Vec<Requirement>,
    tables: Vec<Opened>,
}

/// A feed found by a path, with what its placeholders stand for.
#[derive(Clone, Debug)]
pub struct Found {
    feed: Arc<Feed>,
    parts: Parts,
}

/// A subscription that a feed opens.
#[derive(Clone, Debug, PartialEq)]
pub struct Opened {
    /// The table as written, which is the subscription's `id`.
    pub table: String,
    /// The filter, with every placeholder bound. It is the owner's, so it may read columns that
    /// the reader does not see.
    pub filter: Option<Filter>,
    /// Which operations; all if none are named.
    pub events: Option<Vec<Operation>>,
    /// Which columns; all that the reader may see if none are named.
    pub columns: Option<Vec<String>>,
}

impl Feeds {
    /// Checks and takes the declarations.
    pub fn new(settings: Vec<FeedSettings>) -> Result<Self, FeedError> {
        let feeds = settings.into_iter().map(|it| Feed::new(it).map(Arc::new));
        let mut feeds = feeds.collect::<Result<Vec<_>, _>>()?;
        feeds.sort_by(|one, other| one.template.rank().cmp(&other.template.rank()));
        let same = feeds.windows(2).find(|pair| pair[0].template.rank() == pair[1].template.rank());
        if let Some([one, other]) = same {
            let reason = format!("every path it matches is also one of the feed {}", one.name);
            return Err(FeedError { key: format!("feeds.{}.path", other.name), reason });
        }
        Ok(Self(feeds))
    }

    /// The feed that a path below `/ws/` means; where several match, words win over placeholders,
    /// from the left.
    pub fn find(&self, path: &str) -> Option<Found> {
        self.0.iter().find_map(|feed| {
            feed.template.matches(path).map(|parts| Found { feed: Arc::clone(feed), parts })
        })
    }

    /// The tables that feeds are subscribed to, with the setting that names each.
    pub fn tables(&self) -> impl Iterator<Item = (String, TableName)> {
        let of_feed = |feed: &Arc<Feed>| {
            let key = format!("feeds.{}.tables", feed.name);
            let name = |it: &Opened| (key.clone(), TableName::parse(&it.table));
            feed.tables.iter().map(name).collect::<Vec<_>>()
        };
        self.0.iter().flat_map(of_feed)
    }

    /// Holds what feeds say of a table against the catalog: all that does not fit.
    pub fn faults(&self, table: &Table) -> Vec<FeedError> {
        let mut faults = Vec::new();
        for feed in &self.0 {
            let own = feed.tables.iter().filter(|it| TableName::parse(&it.table) == table.name);
            for opened in own {
                faults.extend(opened.faults(table).into_iter().map(|reason| FeedError {
                    key: format!("feeds.{}.tables", feed.name),
                    reason: format!("{}: {reason}", opened.table),
                }));
            }
        }
        faults
    }
}

impl Feed {
    fn new(settings: FeedSettings) -> Result<Self, FeedError> {
        let FeedSettings { name, path, require, tables } = settings;
        let at = |key: &str| {
            let key = format!("feeds.{name}.{key}");
            move |reason: String| FeedError { key, reason }
        };
        let path = if path.is_empty() { name.clone() } else { path };
        let template = Template::parse(&path).map_err(at("path"))?;
        if template.matches(BUILT_IN).is_some() {
            return Err(at("path")(format!("the feed {BUILT_IN} is built in")));
        }
        let names: Vec<_> = template.names().collect();
        let require = require
            .iter()
            .map(|(claim, value)| {
                let key = format!("require.{claim}");
                Requirement::new(claim, value, &names).map_err(at(&key))
            })
            .collect::<Result<_, _>>()?;
        let mut bound: Vec<Opened> = Vec::new();
        for (number, it) in tables.into_iter().enumerate() {
            let FeedTable { table, filter, events, columns } = it;
            let key = |field: &str| format!("tables[{number}].{field}");
            let is_same = |it: &Opened| TableName::parse(&it.table) == TableName::parse(&table);
            if bound.iter().any(is_same) {
                return Err(at(&key("table"))(format!("`{table}` stands twice")));
            }
            let filter = filter.filter(|text| !text.is_empty());
            let filter = filter.map(|text| Filter::parse_feed(&text, &names)).transpose();
            let filter = filter.map_err(|error| at(&key("filter"))(error.to_string()))?;
            bound.push(Opened { table, filter, events, columns });
        }
        if bound.is_empty() {
            return Err(at("tables")(String::from("it names no table")));
        }
        Ok(Self { name, template, require, tables: bound })
    }
}

impl Opened {
    fn faults(&self, table: &Table) -> Vec<String> {
        let missing = self.columns.iter().flatten().filter(|name| table.column(name).is_none());
        let mut faults: Vec<String> =
            missing.map(|name| format!("the table has no column {name}")).collect();
        let compiled = self.filter.as_ref().map(|filter| filter.compile(table, &|_| true));
        if let Some(Err(error)) = compiled {
            faults.push(format!("the filter: {error}"));
        }
        faults
    }
}

impl Found {
    /// What opens for these claims. Tables and their grants are judged after this.
    pub fn open(&self, claims: Option<&Claims>) -> Result<Vec<Opened>, Refusal> {
        if !self.feed.require.is_empty() {
            let claims = claims.ok_or(Refusal::Unauthorized)?;
            if !self.feed.require.iter().all(|it| it.holds(claims, &self.parts)) {
                return Err(Refusal::Forbidden);
            }
        }
        let mut opened = self.feed.tables.clone();
        for filter in opened.iter_mut().filter_map(|it| it.filter.as_mut()) {
            *filter = filter.bind(&|it| self.binding(it, claims));
        }
        Ok(opened)
    }

    fn binding(&self, placeholder: &Placeholder, claims: Option<&Claims>) -> Option<Binding> {
        match placeholder {
            Placeholder::Claim(path) => claims?.get(path).and_then(Binding::from_claim),
            Placeholder::Path(name) => {
                Some(Binding::One(Scalar::Word(self.parts.get(name)?.clone())))
            }
        }
    }
}

#[cfg(test)]
mod tests;
