//! A filter as written: parsed, not yet typed by a table.

use std::fmt;

/// Terms joined by logic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Tree {
    All(Vec<Tree>),
    Any(Vec<Tree>),
    Not(Box<Tree>),
    Term(Term),
}

/// One comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Term {
    pub(super) field: Field,
    pub(super) comparison: Comparison,
    /// Where the operator stands.
    pub(super) place: usize,
}

/// What is compared: a column, or a part of a JSON column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) column: String,
    pub(super) path: Vec<Step>,
    /// Whether the path ends in `->>`, so that its end is text.
    pub(super) is_text: bool,
    pub(super) place: usize,
}

/// One arrow into JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Key(String),
    Index(i32),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Compare(Operator, Operand),
    In(Vec<Operand>),
    Like { pattern: String, ignores_case: bool, place: usize },
    Is(Truth),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Eq,
    Neq,
    Gt,
    Gte,
    Lt,
    Lte,
    IsDistinct,
}

impl Operator {
    /// Whether it asks which of two values comes first.
    pub(super) fn needs_order(self) -> bool {
        matches!(self, Self::Gt | Self::Gte | Self::Lt | Self::Lte)
    }
}

/// What `is` tests for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Truth {
    Null,
    True,
    False,
    Unknown,
}

/// The right side of a comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Operand {
    pub(super) value: Written,
    pub(super) place: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Written {
    Literal(String),
    Placeholder(Placeholder),
    Bound(Scalar),
}

/// A value that is known only when a reader comes. It stands for one value, never for syntax.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Placeholder {
    /// `{claims.NAME}`: the name of a claim of the reader's token.
    Claim(String),
    /// `{NAME}`: the name of a part of a declared feed's path.
    Path(String),
}

impl fmt::Display for Placeholder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Claim(name) => write!(f, "{{claims.{name}}}"),
            Self::Path(name) => write!(f, "{{{name}}}"),
        }
    }
}

/// One value for a placeholder, with the type it came with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Scalar {
    /// A JSON string, read as a literal of the column's type. `sub` is one whatever the key.
    Text(String),
    /// A JSON number, as its digits. Equals numbers only: never text that looks like it.
    Number(String),
    /// A JSON boolean. Equals booleans only.
    Bool(bool),
    /// Part of a path, which has no type of its own: read by the column's.
    Word(String),
}

/// What a placeholder stands for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Binding {
    /// One value.
    One(Scalar),
    /// The values of an array, for `in.(…)`.
    Many(Vec<Scalar>),
}

impl Binding {
    /// A claim's value; `None` for what must match no row: null, objects, arrays that hold
    /// anything but scalars, and numbers that JSON parsing may have rounded.
    pub fn from_claim(claim: &serde_json::Value) -> Option<Self> {
        if let serde_json::Value::Array(items) = claim {
            return items.iter().map(scalar).collect::<Option<Vec<_>>>().map(Self::Many);
        }
        scalar(claim).map(Self::One)
    }
}

fn scalar(claim: &serde_json::Value) -> Option<Scalar> {
    match claim {
        serde_json::Value::String(text) => Some(Scalar::Text(text.clone())),
        serde_json::Value::Bool(truth) => Some(Scalar::Bool(*truth)),
        serde_json::Value::Number(number) if number.is_i64() || number.is_u64() => {
            Some(Scalar::Number(number.to_string()))
        }
        _ => None,
    }
}
