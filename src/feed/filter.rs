//! Row filters: which rows a client asks for, and which an owner lets a reader see.
//!
//! [`Filter::parse`] reads PostgREST's horizontal filtering, [`Filter::bind`] puts values in
//! the place of claims, [`Filter::compile`] types the comparisons by a table, and
//! [`CompiledFilter::matches`] answers for a row image as `SELECT … WHERE` would. What can't
//! be answered exactly so is refused, with its place.
//!
//! Read in this order: `parse` over `token` and `scan` gives `syntax`; `bind`; `compile` with
//! `kind`, `value` and `list` (and `literal`, `decimal`, `moment`, `array`, `json`, `like` below
//! them); `evaluate` over an [`Image`]; `sql` for snapshots; `route` for the index.

mod array;
mod bind;
mod compile;
mod decimal;
mod error;
mod evaluate;
mod json;
mod kind;
mod like;
mod list;
mod literal;
mod moment;
mod parse;
mod route;
mod scan;
mod sql;
mod syntax;
#[cfg(test)]
mod tests;
mod token;
mod value;

pub use error::FilterError;
pub use parse::Limits;
pub use syntax::{Binding, Placeholder, Scalar};
pub use value::canonical;

use std::fmt;

use super::Image;
use crate::change::Table;
use compile::{Compiled, Node};
use parse::Placeholders;
use sql::Clause;
use syntax::Tree;

/// A filter as written, for any table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    tree: Tree,
    /// Why it matches nothing, if a placeholder stands for no value.
    never: Option<String>,
}

impl Filter {
    /// Reads what a client wrote. Braces are text.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        Self::parse_within(text, Limits::default())
    }

    /// The same, within limits of the owner's choice.
    pub fn parse_within(text: &str, limits: Limits) -> Result<Self, FilterError> {
        Ok(Self { tree: parse::parse(text, Placeholders::None, limits)?, never: None })
    }

    /// Reads what the owner wrote: `{claims.NAME}` may stand as a value.
    pub fn parse_policy(text: &str) -> Result<Self, FilterError> {
        Self::parse_feed(text, &[])
    }

    /// Reads the filter of a declared feed: also `{NAME}` of its path may stand as a value.
    pub fn parse_feed(text: &str, names: &[&str]) -> Result<Self, FilterError> {
        Ok(Self {
            tree: parse::parse(text, Placeholders::Owner(names), Limits::default())?,
            never: None,
        })
    }

    /// The placeholders, in the order in which they stand.
    pub fn placeholders(&self) -> Vec<&Placeholder> {
        bind::placeholders(&self.tree)
    }

    /// Puts values in the place of placeholders. A placeholder without a value (a claim that
    /// is missing, null or an object, or an array outside `in`) makes the whole filter match
    /// nothing, so that no `not` around it can turn its absence into a yes.
    #[must_use]
    pub fn bind(&self, value: &dyn Fn(&Placeholder) -> Option<Binding>) -> Self {
        let mut bound = self.clone();
        if let Some(reason) = bind::bind(&mut bound.tree, value) {
            bound.never = Some(reason);
        }
        bound
    }

    /// Types the comparisons by `table`. A column that `may_see` denies is answered as one
    /// that is not there.
    pub fn compile(
        &self,
        table: &Table,
        may_see: &dyn Fn(&str) -> bool,
    ) -> Result<CompiledFilter, FilterError> {
        let Compiled { node, never } = compile::compile(&self.tree, table, may_see)?;
        Ok(CompiledFilter::new(node, self.never.clone().or(never)))
    }
}

/// A filter ready to judge rows of one table, as that table was when it was compiled.
#[derive(Clone, Debug, PartialEq)]
pub struct CompiledFilter {
    node: Node,
    never: Option<Box<str>>,
    columns: Vec<usize>,
    terms: usize,
    indexed_values: usize,
}

impl CompiledFilter {
    fn new(node: Node, never: Option<String>) -> Self {
        let mut columns = Vec::new();
        route::columns(&node, &mut columns);
        let terms = route::terms(&node);
        columns.sort_unstable();
        columns.dedup();
        let never = never.map(String::into_boxed_str);
        let mut filter = Self { node, never, columns, terms, indexed_values: 0 };
        filter.indexed_values = filter.equality().map_or(0, |(_, values)| values.len());
        filter
    }

    /// The places in [`Table::columns`] of the columns that it reads, ascending.
    pub fn columns(&self) -> &[usize] {
        &self.columns
    }

    /// How many comparisons it makes at most. A list counts as one where a value is looked up in
    /// it, and by its length where it is walked through.
    pub fn terms(&self) -> usize {
        self.terms
    }

    /// How many values [`Self::equality`] has.
    pub fn indexed_values(&self) -> usize {
        self.indexed_values
    }

    /// Whether SQL would answer TRUE for the row: neither false nor unknown.
    pub fn matches(&self, row: &Image<'_>) -> bool {
        self.never.is_none() && self.node.evaluate(row) == Some(true)
    }

    /// Why it matches no row at all, if a placeholder stood for no value that fits.
    pub fn never(&self) -> Option<&str> {
        self.never.as_deref()
    }

    /// A column, and the values of it of which every matching row has one, by [`canonical`]:
    /// the fewest that the filter demands. `None` if only reading every row can tell.
    pub fn equality(&self) -> Option<(usize, Vec<String>)> {
        // A filter without values would be in no list of an index, and missed by what goes to
        // all subscriptions.
        route::equality(&self.node).filter(|(_, values)| self.never.is_none() && !values.is_empty())
    }

    /// The WHERE clause that says the same, with parameters from `$first_parameter` on.
    pub fn to_sql(&self, first_parameter: usize) -> (String, Vec<String>) {
        let mut clause = Clause::new(first_parameter);
        if self.never.is_some() {
            return ("false".to_owned(), Vec::new());
        }
        clause.node(&self.node);
        clause.finish()
    }
}

impl fmt::Display for CompiledFilter {
    /// Equal filters have equal text. It holds the values of claims: it is for keys in memory,
    /// not for logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (clause, parameters) = self.to_sql(1);
        write!(f, "{clause} {parameters:?}")
    }
}
