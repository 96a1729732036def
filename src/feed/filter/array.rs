//! Array literals, and their comparison with JSON arrays.
//!
//! Equality as in SQL but for one thing that JSON does not show: arrays whose first index is
//! not 1 are taken as if it were.

use super::literal::is_space;
use super::value::Value;
use crate::change::row::elements;

/// PostgreSQL's limit on dimensions.
const DEPTH_MAX: usize = 6;

/// An element of an array.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Item {
    Null,
    One(Value),
    Many(Vec<Item>),
}

/// Reads `{…}`, each element by `read`.
pub(super) fn parse(
    text: &str,
    read: &dyn Fn(&str) -> Result<Value, String>,
) -> Result<Vec<Item>, String> {
    let mut reader = Reader { rest: text.trim_matches(is_space), read };
    let items = reader.items(1)?;
    if !reader.rest.is_empty() {
        return Err("text after the array's closing brace".to_owned());
    }
    shape(&items).ok_or("the parts of a nested array must be of one size")?;
    Ok(items)
}

struct Reader<'t> {
    rest: &'t str,
    read: &'t dyn Fn(&str) -> Result<Value, String>,
}

impl Reader<'_> {
    fn items(&mut self, depth: usize) -> Result<Vec<Item>, String> {
        if depth > DEPTH_MAX || !self.eat('{') {
            return Err("an array is written as {a,b}".to_owned());
        }
        let mut items = Vec::new();
        self.skip_spaces();
        if self.eat('}') {
            return match depth {
                1 => Ok(items),
                _ => Err("an empty array inside another is not compared here".to_owned()),
            };
        }
        loop {
            self.skip_spaces();
            items.push(self.item(depth)?);
            self.skip_spaces();
            if self.eat('}') {
                return Ok(items);
            }
            if !self.eat(',') {
                return Err("expected , or } in the array".to_owned());
            }
        }
    }

    fn item(&mut self, depth: usize) -> Result<Item, String> {
        if self.rest.starts_with('{') {
            return self.items(depth + 1).map(Item::Many);
        }
        let is_quoted = self.eat('"');
        let mut text = String::new();
        // Blanks at the end of unquoted text do not count, unless escaped.
        let mut kept = 0;
        loop {
            let Some(c) = self.rest.chars().next() else {
                return Err("the array is never closed".to_owned());
            };
            if is_quoted && c == '"' {
                self.eat('"');
                return (self.read)(&text).map(Item::One);
            }
            if !is_quoted && matches!(c, ',' | '}') {
                break;
            }
            if !is_quoted && matches!(c, '{' | '"') {
                return Err(format!("{c} must stand in quotes inside an array"));
            }
            self.rest = &self.rest[c.len_utf8()..];
            let escaped = if c == '\\' { self.rest.chars().next() } else { None };
            if let Some(escaped) = escaped {
                self.rest = &self.rest[escaped.len_utf8()..];
            }
            text.push(escaped.unwrap_or(c));
            if escaped.is_some() || !is_space(c) {
                kept = text.len();
            }
        }
        text.truncate(kept);
        match () {
            () if text.is_empty() => Err("an empty element is written as \"\"".to_owned()),
            () if text.eq_ignore_ascii_case("null") => Ok(Item::Null),
            () => (self.read)(&text).map(Item::One),
        }
    }

    fn eat(&mut self, c: char) -> bool {
        let after = self.rest.strip_prefix(c);
        self.rest = after.unwrap_or(self.rest);
        after.is_some()
    }

    fn skip_spaces(&mut self) {
        self.rest = self.rest.trim_start_matches(is_space);
    }
}

/// The sizes of all dimensions, where they are even.
fn shape(items: &[Item]) -> Option<Vec<usize>> {
    let mut inner: Option<Vec<usize>> = None;
    for item in items {
        let shape = match item {
            Item::Many(items) => shape(items)?,
            Item::Null | Item::One(_) => Vec::new(),
        };
        if inner.as_ref().is_some_and(|it| *it != shape) {
            return None;
        }
        inner = Some(shape);
    }
    let mut all = vec![items.len()];
    all.extend(inner.unwrap_or_default());
    Some(all)
}

/// Whether the JSON array `raw` holds just `items`. NULL equals NULL here, as in SQL's arrays.
pub(super) fn equals(items: &[Item], raw: &str) -> bool {
    let mut expected = items.iter();
    let mut is_equal = raw.starts_with('[');
    elements(raw, |raw| {
        is_equal = is_equal
            && match expected.next() {
                Some(Item::Null) => raw == "null",
                Some(Item::One(value)) => raw != "null" && value.equals(raw) == Some(true),
                Some(Item::Many(items)) => equals(items, raw),
                None => false,
            };
    });
    is_equal && expected.next().is_none()
}

/// The literal that PostgreSQL reads back as these items.
pub(super) fn print(items: &[Item]) -> String {
    let printed: Vec<String> = items
        .iter()
        .map(|item| match item {
            Item::Null => "NULL".to_owned(),
            Item::One(value) => {
                format!("\"{}\"", value.sql().replace('\\', "\\\\").replace('"', "\\\""))
            }
            Item::Many(items) => print(items),
        })
        .collect();
    format!("{{{}}}", printed.join(","))
}
