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

/// How many comparisons are made at most.
pub(super) fn terms(node: &Node) -> usize {
    match node {
        Node::All(nodes) | Node::Any(nodes) => nodes.iter().map(terms).sum(),
        Node::Not(node) => terms(node),
        Node::Test(test) => match &test.check {
            Check::In(list) | Check::Labels(list) => list.weight(),
            _ => 1,
        },
    }
}

/// A column, and values of it of which every row has one for which the node is true.
pub(super) fn equality(node: &Node) -> Option<(usize, Vec<String>)> {
    match node {
        Node::All(nodes) => {
            nodes.iter().filter_map(equality).min_by_key(|(_, values)| values.len())
        }
        Node::Any(nodes) => {
            let mut each = nodes.iter().map(equality);
            let (column, mut values) = each.next()??;
            for other in each {
                let (other, more) = other?;
                if other != column {
                    return None;
                }
                values.extend(more);
            }
            Some((column, distinct(values)))
        }
        Node::Not(_) => None,
        Node::Test(test) => test_equality(test),
    }
}

/// The values that the column must have for the test to be true.
fn test_equality(test: &Test) -> Option<(usize, Vec<String>)> {
    if test.path.is_some() {
        return None;
    }
    let values: Option<Vec<String>> = match &test.check {
        Check::Compare(Operator::Eq, value) => value.canonical().map(|value| vec![value]),
        Check::In(list) | Check::Labels(list) => {
            list.values().iter().map(Value::canonical).collect::<Option<_>>().map(distinct)
        }
        Check::Is(truth) => Some(vec![truth.to_string()]),
        _ => None,
    };
    Some((test.column, values?))
}

/// Each value once: a topic stands in the list of a value once.
fn distinct(mut values: Vec<String>) -> Vec<String> {
    values.sort_unstable();
    values.dedup();
    values
}
