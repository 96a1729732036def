//! Placeholders and the values put in their place.

use super::syntax::{Binding, Comparison, Operand, Placeholder, Tree, Written};

/// Replaces every placeholder, and says why the filter can match nothing, if one has no value.
pub(super) fn bind(
    tree: &mut Tree,
    value: &dyn Fn(&Placeholder) -> Option<Binding>,
) -> Option<String> {
    let mut never = None;
    match tree {
        Tree::All(trees) | Tree::Any(trees) => {
            for tree in trees {
                never = bind(tree, value).or(never);
            }
        }
        Tree::Not(tree) => never = bind(tree, value),
        Tree::Term(term) => match &mut term.comparison {
            Comparison::Compare(_, operand) => never = bind_one(operand, value),
            Comparison::In(operands) => never = bind_list(operands, value),
            Comparison::Like { .. } | Comparison::Is(_) => {}
        },
    }
    never
}

fn bind_one(
    operand: &mut Operand,
    value: &dyn Fn(&Placeholder) -> Option<Binding>,
) -> Option<String> {
    let Written::Placeholder(placeholder) = &operand.value else { return None };
    match value(placeholder) {
        Some(Binding::One(scalar)) => {
            operand.value = Written::Bound(scalar);
            None
        }
        Some(Binding::Many(_)) => Some(format!("{placeholder} is an array outside in.(…)")),
        None => Some(format!("{placeholder} has no value")),
    }
}

fn bind_list(
    operands: &mut Vec<Operand>,
    value: &dyn Fn(&Placeholder) -> Option<Binding>,
) -> Option<String> {
    let mut never = None;
    let mut bound = Vec::with_capacity(operands.len());
    for operand in operands.drain(..) {
        let Written::Placeholder(placeholder) = &operand.value else {
            bound.push(operand);
            continue;
        };
        let scalars = match value(placeholder) {
            Some(Binding::One(scalar)) => vec![scalar],
            Some(Binding::Many(scalars)) => scalars,
            None => {
                never = Some(format!("{placeholder} has no value"));
                bound.push(operand);
                continue;
            }
        };
        let place = operand.place;
        let operand = |scalar| Operand { value: Written::Bound(scalar), place };
        bound.extend(scalars.into_iter().map(operand));
    }
    *operands = bound;
    never
}

pub(super) fn placeholders(tree: &Tree) -> Vec<&Placeholder> {
    let mut found = Vec::new();
    collect(tree, &mut found);
    found
}

fn collect<'t>(tree: &'t Tree, found: &mut Vec<&'t Placeholder>) {
    let operands = match tree {
        Tree::All(trees) | Tree::Any(trees) => {
            for tree in trees {
                collect(tree, found);
            }
            return;
        }
        Tree::Not(tree) => return collect(tree, found),
        Tree::Term(term) => match &term.comparison {
            Comparison::Compare(_, operand) => std::slice::from_ref(operand),
            Comparison::In(operands) => operands,
            Comparison::Like { .. } | Comparison::Is(_) => return,
        },
    };
    for operand in operands {
        if let Written::Placeholder(placeholder) = &operand.value {
            found.push(placeholder);
        }
    }
}
