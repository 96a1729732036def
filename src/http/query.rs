//! What a URL's query asks for.

use percent_encoding::percent_decode_str;

use crate::{
    change::Operation,
    wire::{Code, Subscribe},
};

/// What a query asks for, the same on every transport.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// The tables as written; each becomes a subscription of that id.
    pub tables: Vec<String>,
    events: Option<String>,
    filter: Option<String>,
    columns: Option<String>,
    /// The cursor to go on from.
    pub since: Option<String>,
    /// Whether to start with the rows as they are.
    pub snapshot: bool,
    /// Long poll: how many seconds to wait.
    pub wait: Option<String>,
    /// Long poll: how many changes at most.
    pub limit: Option<String>,
}

/// Why a query cannot be served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadQuery {
    /// For the program.
    pub code: Code,
    /// For a person.
    pub message: String,
    /// The tables that were asked for, as far as they could be read.
    pub tables: Vec<String>,
}

impl Query {
    /// Reads a query string; `+` stays `+`. Names that are not ours are left to others.
    pub fn parse(text: &str) -> Result<Self, BadQuery> {
        let mut query = Self::default();
        let mut fault = None;
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            fault = query.take(pair).err().or(fault);
        }
        match fault {
            None => Ok(query),
            Some(message) => {
                Err(BadQuery { code: Code::BadMessage, message, tables: query.tables })
            }
        }
    }

    fn take(&mut self, pair: &str) -> Result<(), String> {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = percent_decode_str(name).decode_utf8_lossy();
        let value = percent_decode_str(value)
            .decode_utf8()
            .map_err(|error| format!("`{name}` is not UTF-8: {error}"))?
            .into_owned();
        match &*name {
            "table" => {
                let tables = value.split(',').filter(|table| !table.is_empty());
                self.tables.extend(tables.map(str::to_owned));
            }
            "events" => self.events = Some(value),
            "filter" => self.filter = Some(value),
            "columns" => self.columns = Some(value),
            "since" => self.since = Some(value),
            "snapshot" => {
                self.snapshot = match &*value {
                    "true" | "1" => true,
                    "false" | "0" => false,
                    _ => return Err("`snapshot` takes true or false".to_owned()),
                };
            }
            "wait" => self.wait = Some(value),
            "limit" => self.limit = Some(value),
            _ => {}
        }
        Ok(())
    }

    /// Whether it asks for a part of a table.
    pub fn has_narrowing(&self) -> bool {
        self.events.is_some() || self.filter.is_some() || self.columns.is_some()
    }

    /// The subscriptions that the query makes.
    pub fn subscriptions(&self) -> Result<Vec<Subscribe>, BadQuery> {
        let only_one = [
            ("events", self.events.is_some()),
            ("filter", self.filter.is_some()),
            ("columns", self.columns.is_some()),
        ];
        if let (true, Some((name, _))) =
            (self.tables.len() != 1, only_one.iter().find(|(_, is_there)| *is_there))
        {
            return Err(self.bad(format!("`{name}` goes beside exactly one `table`")));
        }
        let list = |text: &Option<String>| {
            text.as_ref().map(|text| text.split(',').map(str::to_owned).collect::<Vec<_>>())
        };
        let events = match list(&self.events) {
            Some(words) => {
                let events = words.iter().map(|word| event(word)).collect::<Result<_, _>>();
                Some(events.map_err(|message| self.bad(message))?)
            }
            None => None,
        };
        let subscription = |table: &String| Subscribe {
            id: table.clone(),
            table: table.clone(),
            events: events.clone(),
            filter: self.filter.clone(),
            columns: list(&self.columns),
            since: self.since.clone(),
            shape: None,
            snapshot: self.snapshot,
        };
        Ok(self.tables.iter().map(subscription).collect())
    }

    fn bad(&self, message: String) -> BadQuery {
        BadQuery { code: Code::BadMessage, message, tables: self.tables.clone() }
    }
}

fn event(word: &str) -> Result<Operation, String> {
    let all = [Operation::Insert, Operation::Update, Operation::Delete, Operation::Truncate];
    all.into_iter()
        .find(|operation| operation.word() == word)
        .ok_or_else(|| format!("`events` takes INSERT, UPDATE, DELETE, TRUNCATE, not {word:?}"))
}

#[cfg(test)]
mod tests {
    use super::Query;

    #[test]
    fn tables_are_repeated_or_listed() {
        let query = Query::parse("table=a,b&table=app.c&x=1&since=").expect("well formed");
        assert_eq!(query.tables, ["a", "b", "app.c"]);
        let all = query.subscriptions().expect("well formed");
        assert_eq!(all.len(), 3);
        assert_eq!(all[2].id, "app.c");
        assert_eq!(all[0].since.as_deref(), Some(""));
    }

    #[test]
    fn a_filter_is_decoded_once_and_goes_with_one_table() {
        let query = Query::parse("table=a&filter=name%3Deq.a%252Bb+c").expect("well formed");
        let all = query.subscriptions().expect("well formed");
        assert_eq!(all[0].filter.as_deref(), Some("name=eq.a%2Bb+c"));
        let two = Query::parse("table=a,b&filter=x").expect("well formed");
        assert!(two.subscriptions().is_err());
        let events = Query::parse("table=a&events=INSERT,NOPE").expect("well formed");
        assert!(events.subscriptions().is_err());
    }
}
