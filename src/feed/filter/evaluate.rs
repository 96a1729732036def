//! Three-valued evaluation: true, false, and `None` for SQL's unknown.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::compile::{Check, Node, Test};
use super::json;
use super::syntax::Operator;
use super::value::Value;
use crate::change::row::members;
use crate::feed::Image;

impl Node {
    /// What the node says of a row. A column that the row lacks makes its tests unknown.
    pub(super) fn evaluate(&self, image: &Image<'_>) -> Option<bool> {
        match self {
            Self::Test(test) => test.evaluate(image),
            Self::Not(node) => node.evaluate(image).map(|truth| !truth),
            Self::All(nodes) => join(nodes, image, false),
            Self::Any(nodes) => join(nodes, image, true),
        }
    }
}

/// AND stops at the first false, OR at the first true; else one unknown makes all unknown.
fn join(nodes: &[Node], image: &Image<'_>, stop: bool) -> Option<bool> {
    let mut joined = Some(!stop);
    for node in nodes {
        match node.evaluate(image) {
            Some(truth) if truth == stop => return Some(stop),
            Some(_) => {}
            None => joined = None,
        }
    }
    joined
}

impl Test {
    fn evaluate(&self, image: &Image<'_>) -> Option<bool> {
        let raw = image.value(self.column)?;
        let Some(path) = &self.path else {
            return self.check.raw((raw != "null").then_some(raw));
        };
        let found = json::follow(raw, path);
        if !path.is_text {
            return self.check.raw(found);
        }
        match found {
            None | Some("null") => self.check.text(None),
            Some(raw) if raw.starts_with('"') => self.check.text(Some(json::text(raw)?)),
            Some(raw) => self.check.text(Some(Cow::Borrowed(raw))),
        }
    }
}

impl Check {
    /// Judges a column's raw JSON; `None` is NULL.
    fn raw(&self, raw: Option<&str>) -> Option<bool> {
        match (self, raw) {
            (Self::IsNull, _) => Some(raw.is_none()),
            (Self::IsNullComposite, _) => Some(raw.is_none_or(is_empty_composite)),
            (Self::Is(truth), _) => Some(raw == Some(if *truth { "true" } else { "false" })),
            (Self::In(list), _) if list.values().is_empty() => Some(false),
            (Self::Compare(Operator::IsDistinct, _), None) => Some(true),
            (_, None) => None,
            (Self::Compare(Operator::Eq, value), Some(raw)) => value.equals(raw),
            (Self::Compare(Operator::Neq | Operator::IsDistinct, value), Some(raw)) => {
                value.equals(raw).map(|is_equal| !is_equal)
            }
            (Self::Compare(operator, value), Some(raw)) => {
                value.compare(raw).map(|order| operator.accepts(order))
            }
            (Self::In(list), Some(raw)) if !matches!(list.values(), [Value::Text(_), ..]) => {
                list.has(|value| value.compare(raw))
            }
            (Self::In(list) | Self::Labels(list), Some(raw)) => {
                // Text may be long: it is read once.
                let text = json::text(raw)?;
                list.has(|value| value.compare_text(&text))
            }
            (Self::Like(pattern), Some(raw)) => json::text(raw).map(|text| pattern.matches(&text)),
        }
    }

    /// Judges text that a path led to; `None` is NULL.
    fn text(&self, text: Option<Cow<'_, str>>) -> Option<bool> {
        match (self, text) {
            (Self::Compare(operator, value), Some(text)) => {
                value.compare_text(&text).map(|order| operator.accepts(order))
            }
            (Self::In(list), Some(text)) => list.has(|value| value.compare_text(&text)),
            (Self::Like(pattern), Some(text)) => Some(pattern.matches(&text)),
            (_, None) => self.raw(None),
            (_, Some(_)) => Some(false),
        }
    }
}

impl Operator {
    fn accepts(self, order: Ordering) -> bool {
        match self {
            Self::Eq => order.is_eq(),
            Self::Neq | Self::IsDistinct => order.is_ne(),
            Self::Gt => order.is_gt(),
            Self::Gte => order.is_ge(),
            Self::Lt => order.is_lt(),
            Self::Lte => order.is_le(),
        }
    }
}

/// A composite is NULL to SQL if all its fields are.
fn is_empty_composite(raw: &str) -> bool {
    let mut is_empty = raw.starts_with('{');
    members(raw, |_, value| is_empty &= value == "null");
    is_empty
}
