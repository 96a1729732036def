//! What an index may use of a filter, and which columns it reads.

use super::compile::{Check, Node, Test};
use super::syntax::Operator;
use super::value::Value;

/// Collects the columns that are read.
pub(super) fn columns(node: &Node, found: &mut Vec<usize>) {
    match node {
        Node::All(nodes) | Node::Any(nodes) => nodes.iter().for_each(|node| columns(node, found)),
        Node::Not(node) => columns(node, found),
        Node::Test(test) => found.push(test.column),
    }
}

/// Collects the equalities that stand in the conjunction.
pub(super) fn equalities(node: &Node, found: &mut Vec<(usize, Box<str>)>) {
    match node {
        Node::All(nodes) => nodes.iter().for_each(|node| equalities(node, found)),
        Node::Any(nodes) if nodes.len() == 1 => equalities(&nodes[0], found),
        Node::Any(_) | Node::Not(_) => {}
        Node::Test(test) => {
            let pairs = pairs(test).unwrap_or_default();
            found.extend(pairs.into_iter().map(|(column, value)| (column, value.into())));
        }
    }
}

/// Pairs of which every matching row has one, or `None`.
pub(super) fn routes(node: &Node) -> Option<Vec<(usize, String)>> {
    match node {
        Node::All(nodes) => nodes.iter().filter_map(routes).min_by_key(Vec::len),
        Node::Any(nodes) => {
            let each: Option<Vec<_>> = nodes.iter().map(routes).collect();
            each.map(|all| all.concat())
        }
        Node::Not(_) => None,
        Node::Test(test) => pairs(test),
    }
}

/// The values that the column must have for the test to be true.
fn pairs(test: &Test) -> Option<Vec<(usize, String)>> {
    if !test.path.is_empty() {
        return None;
    }
    let values: Option<Vec<String>> = match &test.check {
        Check::Compare(Operator::Eq, value) => value.canonical().map(|value| vec![value]),
        Check::In(values) => values.iter().map(Value::canonical).collect(),
        Check::Labels(labels) => Some(labels.iter().cloned().map(String::from).collect()),
        Check::Is(truth) => Some(vec![truth.to_string()]),
        _ => None,
    };
    Some(values?.into_iter().map(|value| (test.column, value)).collect())
}
