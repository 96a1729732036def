//! From a tree to typed tests: what each comparison means for the types of a table.

use super::FilterError;
use super::kind::Kind;
use super::like::Pattern;
use super::list::List;
use super::syntax::{
    Comparison, Field, Operand, Operator, Scalar, Step, Term, Tree, Truth, Written,
};
use super::value::Value;
use crate::change::{Collation, Column, Folding, Table};

/// A filter typed by a table.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    All(Vec<Node>),
    Any(Vec<Node>),
    Not(Box<Node>),
    Test(Test),
}

/// One comparison, ready to be made.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Test {
    /// The column's place in the table.
    pub(super) column: usize,
    pub(super) name: Box<str>,
    /// The SQL type of the values compared with.
    pub(super) sql_type: &'static str,
    pub(super) kind: Kind,
    /// Whether the column must be cast to be compared with labels.
    pub(super) is_domain: bool,
    /// The way into a JSON column; none for the column itself.
    pub(super) path: Option<Box<Path>>,
    pub(super) check: Check,
}

/// A way into JSON.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Path {
    pub(super) steps: Vec<Step>,
    /// Whether it ends in `->>`.
    pub(super) is_text: bool,
    /// Whether the column is `jsonb`, in which a scalar is its own first element.
    pub(super) is_binary: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Check {
    Compare(Operator, Value),
    In(List),
    /// One of these labels of an enum: those before or after another.
    Labels(List),
    Like(Pattern),
    IsNull,
    /// As [`Check::IsNull`], for what may be a composite, which is NULL if all its fields are.
    IsNullComposite,
    Is(bool),
}

const JSONB: u32 = 3802;

/// What compiling leads to: the tests, and why they can't match, if a placeholder stands for
/// no value.
pub(super) struct Compiled {
    pub(super) node: Node,
    pub(super) never: Option<String>,
}

pub(super) fn compile(
    tree: &Tree,
    table: &Table,
    may_see: &dyn Fn(&str) -> bool,
) -> Result<Compiled, FilterError> {
    let mut compiler = Compiler { table, may_see, never: None };
    let node = compiler.node(tree)?;
    Ok(Compiled { node, never: compiler.never })
}

struct Compiler<'t> {
    table: &'t Table,
    may_see: &'t dyn Fn(&str) -> bool,
    never: Option<String>,
}

impl Compiler<'_> {
    fn node(&mut self, tree: &Tree) -> Result<Node, FilterError> {
        let mut nodes =
            |trees: &[Tree]| trees.iter().map(|tree| self.node(tree)).collect::<Result<_, _>>();
        match tree {
            Tree::All(trees) => nodes(trees).map(Node::All),
            Tree::Any(trees) => nodes(trees).map(Node::Any),
            Tree::Not(tree) => Ok(Node::Not(Box::new(self.node(tree)?))),
            Tree::Term(term) => self.test(term).map(Node::Test),
        }
    }

    fn test(&mut self, term: &Term) -> Result<Test, FilterError> {
        let field = &term.field;
        // One answer for columns that are not there and columns that may not be seen.
        let unknown = || {
            let message = format!("there is no column \"{}\" to filter by", field.column);
            FilterError::new(message, field.place)
        };
        let place = self.table.column(&field.column).ok_or_else(unknown)?;
        if !(self.may_see)(&field.column) {
            return Err(unknown());
        }
        let column = &self.table.columns[place];
        let subject = Subject::new(column, field)?;
        let check = self.check(&subject, term)?;
        Ok(Test {
            column: place,
            name: column.name.as_str().into(),
            sql_type: subject.sql_type(),
            kind: subject.kind,
            is_domain: column.is_domain,
            path: subject.path(field),
            check,
        })
    }

    fn check(&mut self, subject: &Subject<'_>, term: &Term) -> Result<Check, FilterError> {
        let at = |message: String| FilterError::new(message, term.place);
        match &term.comparison {
            Comparison::Is(truth) => subject.is(*truth).map_err(at),
            Comparison::Like { pattern, ignores_case, place } => {
                let folding = subject.folding(*ignores_case).map_err(at)?;
                let pattern = Pattern::parse(pattern, folding);
                Ok(Check::Like(pattern.map_err(|why| FilterError::new(why, *place))?))
            }
            Comparison::In(operands) => {
                subject.check_equality().map_err(at)?;
                let mut values = Vec::with_capacity(operands.len());
                for operand in operands {
                    values.extend(self.value(subject, operand)?);
                }
                Ok(Check::In(List::new(values)))
            }
            Comparison::Compare(operator, operand) => {
                subject.check_equality().map_err(at)?;
                if operator.needs_order() {
                    subject.check_order().map_err(at)?;
                }
                let value = self.value(subject, operand)?;
                Ok(match value {
                    Some(Value::Text(label)) if subject.kind == Kind::Enum => {
                        subject.labels(*operator, label)
                    }
                    Some(value) => Check::Compare(*operator, value),
                    // Never evaluated: the whole filter matches nothing.
                    None => Check::In(List::new(Vec::new())),
                })
            }
        }
    }

    fn value(
        &mut self,
        subject: &Subject<'_>,
        operand: &Operand,
    ) -> Result<Option<Value>, FilterError> {
        match &operand.value {
            Written::Literal(text) => {
                let read = subject.kind.literal(subject.column, text);
                read.map(Some).map_err(|why| FilterError::new(why, operand.place))
            }
            Written::Placeholder(placeholder) => {
                self.never = Some(format!("{placeholder} has no value"));
                Ok(None)
            }
            Written::Bound(scalar) => {
                let value = subject.kind.bound(subject.column, scalar);
                if value.is_none() {
                    let name = &subject.column.name;
                    self.never = Some(format!("{} does not fit {name}", described(scalar)));
                }
                Ok(value)
            }
        }
    }
}

/// The type of a bound value, for an explanation that shows no claim.
fn described(scalar: &Scalar) -> &'static str {
    match scalar {
        Scalar::Text(_) => "a text claim",
        Scalar::Number(_) => "a numeric claim",
        Scalar::Bool(_) => "a boolean claim",
        Scalar::Word(_) => "a part of the path",
    }
}

/// What is compared, with its type.
struct Subject<'t> {
    column: &'t Column,
    kind: Kind,
    is_path: bool,
    is_text: bool,
    /// Whether the path begins with an index, which a JSON null in `jsonb` takes.
    is_indexed: bool,
}

impl<'t> Subject<'t> {
    fn new(column: &'t Column, field: &Field) -> Result<Self, FilterError> {
        let is_path = !field.path.is_empty();
        let kind = Kind::of(column);
        if is_path && kind != Kind::Json {
            let message =
                format!("{} is {}, into which no arrow leads", column.name, column.type_name);
            return Err(FilterError::new(message, field.place));
        }
        let kind = if field.is_text { Kind::Text } else { kind };
        let is_indexed = matches!(field.path.first(), Some(Step::Index(_)));
        Ok(Self { column, kind, is_path, is_text: field.is_text, is_indexed })
    }

    fn path(&self, field: &Field) -> Option<Box<Path>> {
        let is_binary = self.column.type_oid == JSONB;
        let path = Path { steps: field.path.clone(), is_text: field.is_text, is_binary };
        self.is_path.then(|| Box::new(path))
    }

    fn sql_type(&self) -> &'static str {
        match self.kind {
            Kind::Array => Kind::of_element(self.column).sql_type(self.column.element_oid),
            kind => kind.sql_type(self.column.type_oid),
        }
    }

    fn check_equality(&self) -> Result<(), String> {
        if self.kind == Kind::Json {
            return Err("JSON is compared as text: end the path with ->>".to_owned());
        }
        if !self.kind.has_equality(self.column) {
            let name = &self.column.type_name;
            return Err(format!(
                "values of type {name} are not compared here exactly; is.null can be asked"
            ));
        }
        self.check_collation()
    }

    fn check_collation(&self) -> Result<(), String> {
        match self.column.collation {
            Collation::Nondeterministic => {
                Err("text under a nondeterministic collation is not compared here".to_owned())
            }
            _ => Ok(()),
        }
    }

    fn check_order(&self) -> Result<(), String> {
        let is_text = self.kind.is_text();
        if self.kind == Kind::Array {
            return Err("arrays are compared here for equality alone".to_owned());
        }
        if is_text && self.column.collation != Collation::Bytes {
            let message = "text is put in order here only under the collations C, POSIX, C.UTF-8 \
                           and ucs_basic; eq, in and like work under all";
            return Err(message.to_owned());
        }
        Ok(())
    }

    /// How `like` (`None`) or `ilike` reads case.
    fn folding(&self, ignores_case: bool) -> Result<Option<Folding>, String> {
        if !self.kind.is_text() {
            let message = format!("like needs text, but this is {}", self.column.type_name);
            return Err(message);
        }
        self.check_collation()?;
        match self.column.folding {
            _ if !ignores_case => Ok(None),
            Folding::Unknown => {
                Err("ilike is not compared here exactly under this collation; use like".to_owned())
            }
            folding => Ok(Some(folding)),
        }
    }

    fn is(&self, truth: Truth) -> Result<Check, String> {
        match (truth, self.kind) {
            (Truth::Null, Kind::Json) if !self.is_path || self.is_indexed => {
                let message = "a JSON null and NULL look alike in a row; ask for a part of it, as \
                               column->>key";
                Err(message.to_owned())
            }
            (Truth::Null, Kind::Other) if !self.is_text => Ok(self.null_check()),
            (Truth::Null, _) | (Truth::Unknown, Kind::Bool) => Ok(Check::IsNull),
            (Truth::True, Kind::Bool) => Ok(Check::Is(true)),
            (Truth::False, Kind::Bool) => Ok(Check::Is(false)),
            _ => Err(format!("this test needs a boolean, but this is {}", self.column.type_name)),
        }
    }

    /// A type that is not known may be a composite. An hstore looks like one in JSON.
    fn null_check(&self) -> Check {
        let name = self.column.type_name.rsplit('.').next().unwrap_or("");
        if name == "hstore" { Check::IsNull } else { Check::IsNullComposite }
    }

    /// The test of an enum: its order is that of its labels.
    fn labels(&self, operator: Operator, label: Box<str>) -> Check {
        let all = &self.column.labels;
        let rank = all.iter().position(|it| **it == *label).unwrap_or(all.len());
        let range = match operator {
            Operator::Gt => rank + 1..all.len(),
            Operator::Gte => rank..all.len(),
            Operator::Lt => 0..rank,
            Operator::Lte => 0..rank + 1,
            _ => return Check::Compare(operator, Value::Text(label)),
        };
        let labels = all[range].iter().map(|it| Value::Text(it.as_str().into()));
        Check::Labels(List::new(labels.collect()))
    }
}
