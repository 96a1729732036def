//! A compiled filter as the WHERE clause that says the same, for snapshots.

use super::compile::{Check, Node, Test};
use super::kind::Kind;
use super::syntax::{Operator, Step};
use super::value::Value;

/// A clause in the making. Values travel as parameters, never in the text; only the labels of
/// enums stand there, which come from the catalog.
pub(super) struct Clause {
    text: String,
    first: usize,
    parameters: Vec<String>,
}

impl Clause {
    pub(super) fn new(first: usize) -> Self {
        Self { text: String::new(), first, parameters: Vec::new() }
    }

    pub(super) fn finish(self) -> (String, Vec<String>) {
        (self.text, self.parameters)
    }

    pub(super) fn node(&mut self, node: &Node) {
        match node {
            Node::Test(test) => self.test(test),
            Node::All(nodes) => self.join(nodes, " and ", "true"),
            Node::Any(nodes) => self.join(nodes, " or ", "false"),
            Node::Not(node) => {
                self.text += "not (";
                self.node(node);
                self.text += ")";
            }
        }
    }

    fn join(&mut self, nodes: &[Node], word: &str, empty: &str) {
        if nodes.is_empty() {
            self.text += empty;
        }
        for (at, node) in nodes.iter().enumerate() {
            self.text += if at > 0 { word } else { "" };
            self.text += "(";
            self.node(node);
            self.text += ")";
        }
    }

    fn test(&mut self, test: &Test) {
        match &test.check {
            Check::In(list) if list.values().is_empty() => self.text += "false",
            Check::Labels(list) if list.values().is_empty() => {
                // Not true of any label, and unknown for NULL.
                self.subject(test);
                self.text += " <> ";
                self.subject(test);
            }
            Check::In(list) | Check::Labels(list) => {
                self.subject(test);
                self.list(test, list.values());
            }
            Check::Compare(operator, value) => {
                self.subject(test);
                self.text += match operator {
                    Operator::Eq => " = ",
                    Operator::Neq => " <> ",
                    Operator::Gt => " > ",
                    Operator::Gte => " >= ",
                    Operator::Lt => " < ",
                    Operator::Lte => " <= ",
                    Operator::IsDistinct => " is distinct from ",
                };
                self.value(test, value);
            }
            Check::Like(pattern) => {
                self.subject(test);
                self.text += if pattern.ignores_case() { " ilike " } else { " like " };
                self.parameter(pattern.sql().to_owned(), "text");
            }
            Check::IsNull | Check::IsNullComposite => {
                self.subject(test);
                self.text += " is null";
            }
            Check::Is(truth) => {
                self.subject(test);
                self.text += if *truth { " is true" } else { " is false" };
            }
        }
    }

    fn list(&mut self, test: &Test, values: &[Value]) {
        self.text += " in (";
        for (at, value) in values.iter().enumerate() {
            self.text += if at > 0 { ", " } else { "" };
            self.value(test, value);
        }
        self.text += ")";
    }

    /// What is compared.
    fn subject(&mut self, test: &Test) {
        let name = quoted_name(&test.name);
        let Some(path) = &test.path else {
            self.text += &name;
            if test.kind == Kind::Enum && test.is_domain {
                // PostgreSQL has no operators for domains over enums.
                self.text += "::pg_catalog.text";
            }
            if test.kind == Kind::Array {
                // An array of a domain has no equality of its own.
                self.push(&["::pg_catalog.", test.sql_type, "[]"]);
            }
            return;
        };
        self.text += "(";
        self.text += &name;
        for (at, step) in path.steps.iter().enumerate() {
            let is_last = at + 1 == path.steps.len();
            self.text += if is_last && path.is_text { " ->> " } else { " -> " };
            match step {
                Step::Key(key) => self.parameter(key.clone(), "text"),
                Step::Index(index) => self.parameter(index.to_string(), "int4"),
            }
        }
        self.text += ")";
    }

    fn value(&mut self, test: &Test, value: &Value) {
        match value {
            Value::Text(label) if test.kind == Kind::Enum => self.label(label),
            Value::Array(_) => self.parameter(value.sql(), &format!("{}[]", test.sql_type)),
            _ => self.parameter(value.sql(), test.sql_type),
        }
    }

    /// A label of an enum, without a cast: the name of the type behind a domain is not known.
    fn label(&mut self, label: &str) {
        let escaped = label.replace('\'', "''").replace('\\', "\\\\");
        let opening = if label.contains('\\') { "E'" } else { "'" };
        self.push(&[opening, &escaped, "'"]);
    }

    fn parameter(&mut self, value: String, sql_type: &str) {
        let number = (self.first + self.parameters.len()).to_string();
        self.parameters.push(value);
        self.push(&["$", &number, "::pg_catalog.text"]);
        if sql_type != "text" {
            self.push(&["::pg_catalog.", sql_type]);
        }
    }

    fn push(&mut self, parts: &[&str]) {
        self.text.extend(parts.iter().copied());
    }
}

fn quoted_name(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
