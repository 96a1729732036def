//! A typed value of a filter, and how a row's raw JSON stands to it.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::array::{self, Item};
use super::decimal::Decimal;
use super::json;
use super::kind::Kind;
use super::moment::Clock;
use crate::change::{Collation, Column};

/// A value that a filter compares with, read once when the filter is compiled.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Bool(bool),
    Int(i64),
    Decimal(Decimal),
    Float4(f32),
    Float8(f64),
    /// Text, a name, a label, a uuid in canonical form.
    Text(Box<str>),
    /// Text without its trailing blanks.
    Padded(Box<str>),
    /// Hexadecimal digits in lower case.
    Bytea(Box<str>),
    Moment(Clock, i64),
    Array(Vec<Item>),
}

impl Value {
    /// How a row's value stands to this one: `Less` if the row's comes first. Only equality
    /// means something for arrays. `None` where the row's value is of another kind.
    pub(super) fn compare(&self, raw: &str) -> Option<Ordering> {
        match self {
            Self::Bool(own) => read_bool(raw).map(|row| row.cmp(own)),
            Self::Int(own) => unquoted(raw).parse::<i64>().ok().map(|row| row.cmp(own)),
            Self::Decimal(own) => own.compare_raw(raw),
            Self::Float4(own) => {
                let row: f32 = unquoted(raw).parse().ok()?;
                Some(compare_floats(row.into(), (*own).into()))
            }
            Self::Float8(own) => {
                let row: f64 = unquoted(raw).parse().ok()?;
                Some(compare_floats(row, *own))
            }
            Self::Text(own) => json::text(raw).map(|row| (*row).cmp(own)),
            Self::Padded(own) => json::text(raw).map(|row| row.trim_end_matches(' ').cmp(own)),
            Self::Bytea(own) => bytea_digits(raw).map(|row| row.cmp(own)),
            Self::Moment(clock, own) => clock.read(raw).map(|row| row.cmp(own)),
            Self::Array(own) if array::equals(own, raw) => Some(Ordering::Equal),
            Self::Array(_) => Some(Ordering::Less),
        }
    }

    /// The order that [`Value::compare`] goes by. `None` for arrays, which have none here.
    pub(super) fn order(&self, other: &Self) -> Option<Ordering> {
        Some(match (self, other) {
            (Self::Bool(one), Self::Bool(other)) => one.cmp(other),
            (Self::Int(one), Self::Int(other)) | (Self::Moment(_, one), Self::Moment(_, other)) => {
                one.cmp(other)
            }
            (Self::Decimal(one), Self::Decimal(other)) => one.order(other),
            (Self::Float4(one), Self::Float4(other)) => {
                compare_floats((*one).into(), (*other).into())
            }
            (Self::Float8(one), Self::Float8(other)) => compare_floats(*one, *other),
            (Self::Text(one), Self::Text(other))
            | (Self::Padded(one), Self::Padded(other))
            | (Self::Bytea(one), Self::Bytea(other)) => one.cmp(other),
            _ => return None,
        })
    }

    /// Whether a row's value equals this one.
    pub(super) fn equals(&self, raw: &str) -> Option<bool> {
        match self {
            Self::Text(own) => json::text(raw).map(|row| *row == **own),
            _ => self.compare(raw).map(Ordering::is_eq),
        }
    }

    /// How text taken out of JSON stands to this value.
    pub(super) fn compare_text(&self, text: &str) -> Option<Ordering> {
        if let Self::Text(own) = self { Some(text.cmp(own)) } else { None }
    }

    /// The literal that PostgreSQL reads back as this value.
    pub(super) fn sql(&self) -> String {
        match self {
            Self::Bool(own) => own.to_string(),
            Self::Int(own) => own.to_string(),
            Self::Decimal(own) => own.to_string(),
            Self::Float4(own) => print_float(own.is_nan(), format!("{own:?}")),
            Self::Float8(own) => print_float(own.is_nan(), format!("{own:?}")),
            Self::Text(own) | Self::Padded(own) => own.to_string(),
            Self::Bytea(own) => format!("\\x{own}"),
            Self::Moment(clock, own) => clock.print(*own),
            Self::Array(own) => array::print(own),
        }
    }

    /// Whether `text` is the one plain spelling of a number or boolean: `7`, not `07`, `+7`, `7.0`
    /// or `7e0`; `0.5`, not `.5` or `0.50`.
    pub(super) fn is_plainly(&self, text: &str) -> bool {
        match self {
            Self::Float4(own) => own.is_finite() && own.to_string() == text,
            Self::Float8(own) => own.is_finite() && own.to_string() == text,
            Self::Decimal(_) => {
                text.bytes().all(|it| it.is_ascii_digit() || matches!(it, b'-' | b'.'))
                    && self.sql() == text
            }
            _ => self.sql() == text,
        }
    }

    /// The text by which an index finds the value: equal exactly where the values are.
    pub(super) fn canonical(&self) -> Option<String> {
        match self {
            Self::Bool(own) => Some(own.to_string()),
            Self::Int(own) | Self::Moment(_, own) => Some(own.to_string()),
            Self::Decimal(own) => Some(own.to_string()),
            Self::Float4(own) => Some(float_text((*own).into())),
            Self::Float8(own) => Some(float_text(*own)),
            Self::Text(own) | Self::Padded(own) | Self::Bytea(own) => Some(own.to_string()),
            Self::Array(_) => None,
        }
    }
}

/// The canonical text of a column's raw JSON value, for an index over
/// [`CompiledFilter::equality`](super::CompiledFilter::equality): two values have one
/// canonical text exactly where SQL calls them equal. `None` for NULL and for types that are
/// not indexed.
pub fn canonical<'r>(column: &Column, raw: &'r str) -> Option<Cow<'r, str>> {
    if raw == "null" || column.collation == Collation::Nondeterministic {
        return None;
    }
    let number = |text: &str| text.parse::<f64>().ok().map(float_text).map(Cow::Owned);
    match Kind::of(column) {
        Kind::Bool => read_bool(raw).map(|_| Cow::Borrowed(raw)),
        Kind::Int(..) => Some(Cow::Borrowed(unquoted(raw))),
        Kind::Decimal if is_canonical_decimal(raw) => Some(Cow::Borrowed(raw)),
        Kind::Decimal => Decimal::canonical_raw(raw).map(Cow::Owned),
        Kind::Float4 => {
            unquoted(raw).parse::<f32>().ok().map(|it| Cow::Owned(float_text(it.into())))
        }
        Kind::Float8 => number(unquoted(raw)),
        Kind::Text | Kind::Name | Kind::Uuid | Kind::Enum => json::text(raw),
        Kind::Padded => json::text(raw).map(|text| match text {
            Cow::Borrowed(text) => Cow::Borrowed(text.trim_end_matches(' ')),
            Cow::Owned(text) => Cow::Owned(text.trim_end_matches(' ').to_owned()),
        }),
        Kind::Bytea => bytea_digits(raw).map(Cow::Borrowed),
        Kind::Moment(clock) => clock.read(raw).map(|it| Cow::Owned(it.to_string())),
        Kind::Json | Kind::Array | Kind::Other => None,
    }
}

fn read_bool(raw: &str) -> Option<bool> {
    match raw {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// An oid, and numbers that JSON has no way to write, come as strings.
fn unquoted(raw: &str) -> &str {
    raw.trim_matches('"')
}

fn bytea_digits(raw: &str) -> Option<&str> {
    raw.strip_prefix("\"\\\\x")?.strip_suffix('"')
}

/// PostgreSQL's order: NaN equals itself and comes last, and both zeros are one.
fn compare_floats(row: f64, own: f64) -> Ordering {
    row.partial_cmp(&own).unwrap_or_else(|| row.is_nan().cmp(&own.is_nan()))
}

fn float_text(value: f64) -> String {
    if value == 0.0 { "0.0".to_owned() } else { print_float(value.is_nan(), format!("{value:?}")) }
}

fn print_float(is_nan: bool, text: String) -> String {
    if is_nan { "NaN".to_owned() } else { text }
}

/// Whether a short decimal is written just as its canonical form is.
fn is_canonical_decimal(raw: &str) -> bool {
    let digits = raw.strip_prefix('-').unwrap_or(raw);
    let is_whole = digits.bytes().all(|byte| byte.is_ascii_digit());
    is_whole && digits.len() < 40 && !digits.starts_with('0')
}
