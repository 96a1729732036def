//! Random filters, as the gateway's text and, written apart from it, as SQL.

use crate::invent::invent;
use crate::random::Random;
use crate::types::{Family, Type};
use crate::vocabulary::{ENDS, PATTERN, STEPS};

/// A filter in a form of its own.
#[derive(Clone, Debug)]
pub(crate) enum Model {
    Group { is_any: bool, is_negated: bool, members: Vec<Model> },
    Term(Term),
}

#[derive(Clone, Debug)]
pub(crate) struct Term {
    column: String,
    cast: &'static str,
    path: Vec<&'static str>,
    last_arrow: &'static str,
    is_negated: bool,
    operator: &'static str,
    values: Vec<String>,
}

/// A column that filters may name.
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) of: &'static Type,
}

const ORDERED: &[&str] = &["eq", "neq", "gt", "gte", "lt", "lte", "isdistinct", "in", "is"];
const TEXTUAL: &[&str] =
    &["eq", "neq", "gt", "gte", "lt", "lte", "isdistinct", "in", "is", "like", "ilike", "like"];

impl Model {
    /// The parts of a filter, joined by AND.
    pub(crate) fn parts(random: &mut Random, columns: &[Named]) -> Vec<Self> {
        let count = if random.chance(60) { 1 } else { 1 + random.below(3) };
        (0..count).map(|_| Self::part(random, columns, 0)).collect()
    }

    fn part(random: &mut Random, columns: &[Named], depth: usize) -> Self {
        if depth < 4 && random.chance(25) {
            Self::group(random, columns, depth)
        } else {
            Self::Term(Term::random(random, columns))
        }
    }

    fn group(random: &mut Random, columns: &[Named], depth: usize) -> Self {
        let members =
            (0..=random.below(3)).map(|_| Self::part(random, columns, depth + 1)).collect();
        Self::Group { is_any: random.chance(60), is_negated: random.chance(30), members }
    }

    /// The filter as the gateway reads it.
    pub(crate) fn text(parts: &[Self], random: &mut Random) -> String {
        let mut texts = Vec::new();
        for part in parts {
            let (left, right) = match part {
                Self::Group { is_any, is_negated, members } => {
                    let word = if *is_any { "or" } else { "and" };
                    let not = if *is_negated { "not." } else { "" };
                    (format!("{not}{word}"), group_text(members, random))
                }
                Self::Term(term) => (term.field(random, false), term.comparison(random, false)),
            };
            texts.push(format!("{}={}", encoded(&left, random), encoded(&right, random)));
        }
        texts.join("&")
    }

    pub(crate) fn sql(&self) -> String {
        match self {
            Self::Term(term) => term.sql(),
            Self::Group { is_any, is_negated, members } => {
                let word = if *is_any { " or " } else { " and " };
                let members: Vec<String> = members.iter().map(Self::sql).collect();
                let not = if *is_negated { "not " } else { "" };
                format!("{not}({})", members.join(word))
            }
        }
    }

    /// The column of a filter that is one positive `eq`.
    pub(crate) fn only_equality(parts: &[Self]) -> Option<&str> {
        match parts {
            [Self::Term(term)] if term.operator == "eq" && !term.is_negated => {
                term.path.is_empty().then_some(&*term.column)
            }
            _ => None,
        }
    }
}

fn group_text(members: &[Model], random: &mut Random) -> String {
    let members: Vec<String> = members
        .iter()
        .map(|member| match member {
            Model::Group { is_any, is_negated, members } => {
                let word = if *is_any { "or" } else { "and" };
                let not = if *is_negated { "not." } else { "" };
                format!("{not}{word}{}", group_text(members, random))
            }
            Model::Term(term) => {
                format!("{}.{}", term.field(random, true), term.comparison(random, true))
            }
        })
        .collect();
    let separator = random.pick(&[",", ", ", " ,"]);
    // A blank before the comma would belong to a value without quotes.
    let separator = if separator == " ," { "," } else { separator };
    format!("({})", members.join(separator))
}

impl Term {
    fn random(random: &mut Random, columns: &[Named]) -> Self {
        let Named { name, of } = &columns[random.below(columns.len())];
        let path: Vec<&'static str> = match of.family {
            Family::Json if random.chance(95) => {
                (0..=random.below(2)).map(|_| random.pick(STEPS)).collect()
            }
            _ => Vec::new(),
        };
        let is_text = of.family == Family::Text || !path.is_empty();
        let operator = random.pick(if is_text { TEXTUAL } else { ORDERED });
        let last_arrow = if operator == "is" && random.chance(50) { "->" } else { "->>" };
        let count = match operator {
            "in" => random.below(4),
            _ => 1,
        };
        let values = (0..count).map(|_| value(random, of, operator, !path.is_empty())).collect();
        let cast = if of.sql == "feeling" { "::mood" } else { "" };
        Self {
            column: name.clone(),
            cast,
            path,
            last_arrow,
            is_negated: random.chance(25),
            operator,
            values,
        }
    }

    fn field(&self, random: &mut Random, is_inside: bool) -> String {
        let is_odd = self.column.contains(['.', ',', '"', ' ', '-']);
        let mut field = if (is_inside && is_odd) || self.column == "or" || random.chance(10) {
            quoted(&self.column)
        } else {
            self.column.clone()
        };
        for (at, step) in self.path.iter().enumerate() {
            let is_last = at + 1 == self.path.len();
            field += if is_last { self.last_arrow } else { "->" };
            field +=
                &if is_inside && step.contains('.') { quoted(step) } else { (*step).to_owned() };
        }
        field
    }

    fn comparison(&self, random: &mut Random, is_inside: bool) -> String {
        let not = if self.is_negated { "not." } else { "" };
        let mut written = Vec::new();
        for value in &self.values {
            let is_list = self.operator == "in";
            let needs_quotes = value.contains([',', ')', '"'])
                || (is_list && value.is_empty())
                || value.starts_with('{');
            let may_be_quoted = (is_inside || is_list) && self.operator != "is";
            written.push(if may_be_quoted && (needs_quotes || random.chance(20)) {
                quoted(value)
            } else {
                value.clone()
            });
        }
        match self.operator {
            "in" => format!("{not}in.({})", written.join(",")),
            operator => format!("{not}{operator}.{}", written.concat()),
        }
    }

    /// The comparison as PostgreSQL takes it with literals of no declared type.
    fn sql(&self) -> String {
        let mut subject = format!("\"{}\"{}", self.column.replace('"', "\"\""), self.cast);
        for (at, step) in self.path.iter().enumerate() {
            let arrow = if at + 1 == self.path.len() { self.last_arrow } else { "->" };
            let step = match step.parse::<i32>() {
                Ok(index) => format!("({index})"),
                Err(_) => literal(step),
            };
            subject = format!("({subject} {arrow} {step})");
        }
        let first = self.values.first().map_or("", String::as_str);
        let test = match self.operator {
            "eq" => format!("{subject} = {}", literal(first)),
            "neq" => format!("{subject} <> {}", literal(first)),
            "gt" => format!("{subject} > {}", literal(first)),
            "gte" => format!("{subject} >= {}", literal(first)),
            "lt" => format!("{subject} < {}", literal(first)),
            "lte" => format!("{subject} <= {}", literal(first)),
            "isdistinct" => format!("{subject} is distinct from {}", literal(first)),
            "like" | "ilike" => {
                format!("{subject} {} {}", self.operator, literal(&first.replace('*', "%")))
            }
            "is" => format!("{subject} is {first}"),
            _ if self.values.is_empty() => "false".to_owned(),
            _ => {
                let values: Vec<String> = self.values.iter().map(|it| literal(it)).collect();
                format!("{subject} in ({})", values.join(", "))
            }
        };
        if self.is_negated { format!("(not ({test}))") } else { format!("({test})") }
    }
}

fn value(random: &mut Random, of: &Type, operator: &str, is_path: bool) -> String {
    match operator {
        "is" if of.family == Family::Bool || random.chance(3) => {
            random.pick(&["null", "true", "false", "unknown"]).to_owned()
        }
        "is" => "null".to_owned(),
        "like" | "ilike" => (0..random.below(5)).map(|_| random.pick(PATTERN)).collect(),
        _ if is_path => random.pick(ENDS).to_owned(),
        _ if !of.others.is_empty() && random.chance(20) => random.pick(of.others).to_owned(),
        _ => invent(random, of),
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A literal of no declared type.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Percent-encodes what must be, and a little of what need not be.
fn encoded(text: &str, random: &mut Random) -> String {
    let mut encoded = String::new();
    for c in text.chars() {
        if matches!(c, '%' | '&' | '=') || random.chance(5) {
            let mut bytes = [0; 4];
            for byte in c.encode_utf8(&mut bytes).bytes() {
                encoded.extend(["%".to_owned(), format!("{byte:02x}")]);
            }
        } else {
            encoded.push(c);
        }
    }
    encoded
}
