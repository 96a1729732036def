//! What kind of value a column holds, and how a literal of that kind is read.

use std::borrow::Cow;

use super::array;
use super::decimal::Decimal;
use super::literal::{is_space, read_bool, read_bytea, read_float, read_uuid};
use super::moment::Clock;
use super::syntax::Scalar;
use super::value::Value;
use crate::change::Column;

/// How values of a type compare. Types that are missing here can be tested for NULL alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    /// Whole numbers from and to.
    Int(i64, i64),
    Decimal,
    Float4,
    Float8,
    /// `text` and `varchar`.
    Text,
    /// `bpchar`, whose trailing blanks do not count.
    Padded,
    /// `name`, cut at 63 bytes.
    Name,
    Uuid,
    Bytea,
    Moment(Clock),
    Enum,
    Json,
    Array,
    Other,
}

impl Kind {
    /// The kind of a column's values.
    pub(super) fn of(column: &Column) -> Self {
        // int2vector and oidvector are arrays by name alone: JSON shows them as text.
        if column.element_oid != 0 && !matches!(column.type_oid, 22 | 30) {
            return Self::Array;
        }
        Self::of_oid(column.type_oid, column)
    }

    /// The kind of an array column's elements.
    pub(super) fn of_element(column: &Column) -> Self {
        Self::of_oid(column.element_oid, column)
    }

    fn of_oid(oid: u32, column: &Column) -> Self {
        match oid {
            16 => Self::Bool,
            17 => Self::Bytea,
            19 => Self::Name,
            20 => Self::Int(i64::MIN, i64::MAX),
            21 => Self::Int(i64::from(i16::MIN), i64::from(i16::MAX)),
            23 => Self::Int(i64::from(i32::MIN), i64::from(i32::MAX)),
            25 | 1043 => Self::Text,
            26 => Self::Int(0, i64::from(u32::MAX)),
            114 | 3802 => Self::Json,
            700 => Self::Float4,
            701 => Self::Float8,
            1042 => Self::Padded,
            1082 => Self::Moment(Clock::Date),
            1083 => Self::Moment(Clock::Time),
            1114 => Self::Moment(Clock::Timestamp),
            1184 => Self::Moment(Clock::Timestamptz),
            1700 => Self::Decimal,
            2950 => Self::Uuid,
            _ if !column.labels.is_empty() => Self::Enum,
            _ => Self::Other,
        }
    }

    /// Whether values of the kind compare for equality at all.
    pub(super) fn has_equality(self, column: &Column) -> bool {
        match self {
            Self::Json | Self::Other => false,
            Self::Array => {
                !matches!(Self::of_element(column), Self::Json | Self::Other | Self::Array)
            }
            _ => true,
        }
    }

    /// Whether it is text, to which patterns apply.
    pub(super) fn is_text(self) -> bool {
        matches!(self, Self::Text | Self::Padded | Self::Name)
    }

    /// The name of the type in SQL, without length or precision: a literal is not cut or
    /// rounded to those of the column when PostgreSQL compares.
    pub(super) fn sql_type(self, oid: u32) -> &'static str {
        match (self, oid) {
            (Self::Bool, _) => "bool",
            (Self::Int(..), 20) => "int8",
            (Self::Int(..), 21) => "int2",
            (Self::Int(..), 26) => "oid",
            (Self::Int(..), _) => "int4",
            (Self::Decimal, _) => "numeric",
            (Self::Float4, _) => "float4",
            (Self::Float8, _) => "float8",
            (Self::Padded, _) => "bpchar",
            (Self::Name, _) => "name",
            (Self::Uuid, _) => "uuid",
            (Self::Bytea, _) => "bytea",
            (Self::Moment(Clock::Date), _) => "date",
            (Self::Moment(Clock::Time), _) => "time",
            (Self::Moment(Clock::Timestamp), _) => "timestamp",
            (Self::Moment(Clock::Timestamptz), _) => "timestamptz",
            (Self::Text | Self::Enum | Self::Json | Self::Array | Self::Other, _) => "text",
        }
    }

    /// Reads a literal as PostgreSQL's input function of the type does.
    pub(super) fn literal(self, column: &Column, text: &str) -> Result<Value, String> {
        let wrong = || wrong(text, column);
        match self {
            Self::Bool => read_bool(text).map(Value::Bool).ok_or_else(wrong),
            Self::Int(least, most) => {
                let value = text.trim_matches(is_space).parse::<i64>().ok().ok_or_else(wrong)?;
                let is_in = (least..=most).contains(&value);
                if is_in { Ok(Value::Int(value)) } else { Err(wrong() + ": out of range") }
            }
            Self::Decimal => Decimal::parse(text).map(Value::Decimal).ok_or_else(wrong),
            Self::Float4 => read_float(text, |it| it.parse().ok(), f32::is_finite, |it| *it == 0.0)
                .map(Value::Float4)
                .ok_or_else(wrong),
            Self::Float8 => read_float(text, |it| it.parse().ok(), f64::is_finite, |it| *it == 0.0)
                .map(Value::Float8)
                .ok_or_else(wrong),
            Self::Padded => Ok(Value::Padded(text.trim_end_matches(' ').into())),
            Self::Name if text.len() > 63 => Err("a name has 63 bytes at most".to_owned()),
            Self::Text | Self::Name => Ok(Value::Text(text.into())),
            Self::Uuid => read_uuid(text).map(|it| Value::Text(it.into())).ok_or_else(wrong),
            Self::Bytea => read_bytea(text).map(|it| Value::Bytea(it.into())).ok_or_else(wrong),
            Self::Moment(clock) => {
                let read = clock.parse(text).map_err(|why| format!("{}: {why}", wrong()))?;
                Ok(Value::Moment(clock, read))
            }
            Self::Enum if column.labels.iter().any(|label| label == text) => {
                Ok(Value::Text(text.into()))
            }
            Self::Enum => Err(wrong()),
            Self::Array => {
                let element = Self::of_element(column);
                array::parse(text, &|text| element.literal(column, text)).map(Value::Array)
            }
            Self::Json | Self::Other => Err(format!("{} is not compared here", column.type_name)),
        }
    }

    /// Reads what a placeholder stands for. `None` where it does not fit the column: a numeric
    /// claim is no text and no boolean. A text claim is read as a literal that the owner wrote, for
    /// `sub` is text whatever the key; but of a number or boolean only in its one plain spelling,
    /// so that two texts that an issuer tells apart are never one value here.
    pub(super) fn bound(self, column: &Column, scalar: &Scalar) -> Option<Value> {
        let is_number = matches!(self, Self::Int(..) | Self::Decimal | Self::Float4 | Self::Float8);
        let (fits, text): (bool, Cow<'_, str>) = match scalar {
            Scalar::Word(text) | Scalar::Text(text) => (true, text.into()),
            Scalar::Number(text) => (is_number, text.into()),
            Scalar::Bool(truth) => (self == Self::Bool, truth.to_string().into()),
        };
        if !fits || text.contains('\0') {
            return None;
        }
        let value = self.literal(column, &text).ok()?;
        let is_plain = match scalar {
            Scalar::Text(_) if is_number || self == Self::Bool => value.is_plainly(&text),
            _ => true,
        };
        is_plain.then_some(value)
    }
}

/// That a literal is none of the column's type. PostgreSQL 16 reads more forms of numbers
/// than 15; here all versions are answered alike.
fn wrong(text: &str, column: &Column) -> String {
    let is_newer = text.contains('_') || ["0x", "0o", "0b"].iter().any(|it| text.contains(it));
    let mend = if is_newer { "; write numbers in decimal digits" } else { "" };
    format!("\"{}\" is no {}{mend}", shown(text), column.type_name)
}

/// The start of a literal, for a message.
fn shown(text: &str) -> &str {
    text.char_indices().nth(60).map_or(text, |(at, _)| &text[..at])
}
