//! From text to a tree: PostgREST's horizontal filtering, with limits.

use super::FilterError;
use super::scan::{Cursor, Decoded};
use super::syntax::{Comparison, Field, Operand, Operator, Placeholder, Term, Tree, Written};
use super::token::{Inside, field, truth, value};

/// What a filter may be. Terms are bounded by a number of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Its length in bytes.
    pub bytes_max: usize,
    /// How deep its groups nest.
    pub depth_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes_max: 4096, depth_max: 8 }
    }
}

const TERMS_MAX: usize = 100;
const OPERATORS: &str = "eq, neq, gt, gte, lt, lte, in, like, ilike, is, isdistinct";

/// Which placeholders a value may hold.
#[derive(Clone, Copy)]
pub(super) enum Placeholders<'n> {
    /// None: braces are text. What a client writes.
    None,
    /// Claims, and path parts of these names. What the owner writes.
    Owner(&'n [&'n str]),
}

pub(super) fn parse(
    text: &str,
    placeholders: Placeholders<'_>,
    limits: Limits,
) -> Result<Tree, FilterError> {
    let Limits { bytes_max, depth_max } = limits;
    if text.len() > bytes_max {
        let message = format!("a filter has {bytes_max} bytes at most, this one {}", text.len());
        return Err(FilterError::new(message, bytes_max));
    }
    let mut parser = Parser { placeholders, depth_max, terms: 0 };
    let (mut trees, mut start) = (Vec::new(), 0);
    for part in text.split('&') {
        trees.push(parser.part(part, start)?);
        start += part.len() + 1;
    }
    Ok(Tree::All(trees))
}

struct Parser<'n> {
    placeholders: Placeholders<'n>,
    depth_max: usize,
    terms: usize,
}

impl Parser<'_> {
    fn part(&mut self, part: &str, start: usize) -> Result<Tree, FilterError> {
        let Some((left, right)) = part.split_once('=') else {
            let message = "a part of a filter has the form column=operator.value";
            return Err(FilterError::new(message, start));
        };
        let left_text = Decoded::new(left, start)?;
        let right_text = Decoded::new(right, start + left.len() + 1)?;
        let (mut left, mut right) = (left_text.cursor(), right_text.cursor());
        let is_negated = matches!(left.rest(), "not.and" | "not.or") && left.eat("not.");
        let tree = match left.rest() {
            "and" => Tree::All(self.group(&mut right, 1)?),
            "or" => Tree::Any(self.group(&mut right, 1)?),
            _ => {
                let field = field(&mut left, Inside::Part)?;
                self.term(field, &mut right, Inside::Part)?
            }
        };
        if !right.is_at_end() {
            return Err(right.error("nothing may follow here; join parts by &"));
        }
        Ok(negated(tree, is_negated))
    }

    /// Reads `(…, …)`.
    fn group(&mut self, at: &mut Cursor<'_>, depth: usize) -> Result<Vec<Tree>, FilterError> {
        if depth > self.depth_max {
            return Err(at.error(format!("groups nest {} deep at most", self.depth_max)));
        }
        at.skip_spaces();
        if !at.eat("(") {
            return Err(at.error("a group opens with ("));
        }
        let mut trees = Vec::new();
        loop {
            at.skip_spaces();
            trees.push(self.member(at, depth)?);
            at.skip_spaces();
            if at.eat(")") {
                at.skip_spaces();
                return Ok(trees);
            }
            if !at.eat(",") {
                return Err(at.error("expected , or ) here"));
            }
        }
    }

    /// Reads one member of a group: a term or a group.
    fn member(&mut self, at: &mut Cursor<'_>, depth: usize) -> Result<Tree, FilterError> {
        let mut ahead = *at;
        let is_negated = ahead.eat("not.");
        let mut word = ahead;
        let connective = word.take_until(&['(', '.', ',', ')', '"', '-']).trim_end();
        let is_group = matches!(connective, "and" | "or") && word.peek() == Some('(');
        if is_group {
            let trees = self.group(&mut word, depth + 1)?;
            *at = word;
            let tree = if connective == "and" { Tree::All(trees) } else { Tree::Any(trees) };
            return Ok(negated(tree, is_negated));
        }
        let field = field(at, Inside::Group)?;
        if !at.eat(".") {
            return Err(at.error("expected . and an operator here"));
        }
        self.term(field, at, Inside::Group)
    }

    /// Reads `[not.]operator.value`.
    fn term(
        &mut self,
        field: Field,
        at: &mut Cursor<'_>,
        inside: Inside,
    ) -> Result<Tree, FilterError> {
        self.terms += 1;
        if self.terms > TERMS_MAX {
            return Err(at.error(format!("a filter has {TERMS_MAX} terms at most")));
        }
        let is_negated = at.eat("not.");
        let place = at.place();
        let comparison = self.comparison(at, inside)?;
        Ok(negated(Tree::Term(Term { field, comparison, place }), is_negated))
    }

    fn comparison(
        &mut self,
        at: &mut Cursor<'_>,
        inside: Inside,
    ) -> Result<Comparison, FilterError> {
        let start = *at;
        let word = at.take_until(&['.', ',', '(', ')']);
        let operator = operator(word);
        if operator.is_none() && !matches!(word, "in" | "is" | "like" | "ilike") {
            let message = format!("there is no operator \"{word}\"; there are {OPERATORS}");
            return Err(start.error(message));
        }
        if !at.eat(".") {
            return Err(at.error(format!("expected . and a value after {word}")));
        }
        match (operator, word) {
            (None, "in") => self.list(at).map(Comparison::In),
            (None, "is") => truth(at, inside).map(Comparison::Is),
            (None, _) => self.pattern(at, inside, word == "ilike"),
            (Some(operator), _) => {
                let place = at.place();
                let (text, is_quoted) = value(at, inside)?;
                Ok(Comparison::Compare(operator, self.operand(text, is_quoted, place)?))
            }
        }
    }

    /// Reads the pattern of `like` or `ilike`.
    fn pattern(
        &self,
        at: &mut Cursor<'_>,
        inside: Inside,
        ignores_case: bool,
    ) -> Result<Comparison, FilterError> {
        let place = at.place();
        let (text, is_quoted) = value(at, inside)?;
        if self.placeholder(&text, is_quoted, place)?.is_some() {
            let message = "a placeholder is no pattern; compare it with eq or in";
            return Err(FilterError::new(message, place));
        }
        Ok(Comparison::Like { pattern: text.replace('*', "%"), ignores_case, place })
    }

    /// Reads `(…, …)` of `in`.
    fn list(&self, at: &mut Cursor<'_>) -> Result<Vec<Operand>, FilterError> {
        if !at.eat("(") {
            return Err(at.error("in takes a list: in.(a,b)"));
        }
        let mut operands = Vec::new();
        if at.eat(")") {
            return Ok(operands);
        }
        loop {
            let place = at.place();
            let (text, is_quoted) = value(at, Inside::Group)?;
            operands.push(self.operand(text, is_quoted, place)?);
            if at.eat(")") {
                return Ok(operands);
            }
            if !at.eat(",") {
                return Err(at.error("expected , or ) here"));
            }
        }
    }

    fn operand(&self, text: String, is_quoted: bool, place: usize) -> Result<Operand, FilterError> {
        let value = match self.placeholder(&text, is_quoted, place)? {
            Some(placeholder) => Written::Placeholder(placeholder),
            None => Written::Literal(text),
        };
        Ok(Operand { value, place })
    }

    /// The placeholder that `text` is. What looks like one and is none is refused: taken as
    /// text it would silently match nothing, or, negated, everything.
    fn placeholder(
        &self,
        text: &str,
        is_quoted: bool,
        place: usize,
    ) -> Result<Option<Placeholder>, FilterError> {
        let Placeholders::Owner(names) = self.placeholders else { return Ok(None) };
        let name = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        let claim = name.and_then(|name| name.strip_prefix("claims."));
        match (claim, name) {
            (Some(claim), _) if !is_quoted && is_claim(claim) => {
                return Ok(Some(Placeholder::Claim(claim.to_owned())));
            }
            (None, Some(name)) if !is_quoted && names.contains(&name) => {
                return Ok(Some(Placeholder::Path(name.to_owned())));
            }
            (None, Some(name)) if !is_quoted && is_word(name) => {
                let message = format!(
                    "there is no placeholder {{{name}}}; write {{claims.NAME}} for a claim, or \
                     {{\"{name}\"}} for an array"
                );
                return Err(FilterError::new(message, place));
            }
            _ => {}
        }
        let holds_one = text.contains("{claims.")
            || names.iter().any(|name| text.contains(&format!("{{{name}}}")));
        if holds_one {
            let message = "a placeholder stands alone, as the whole value and without quotes";
            return Err(FilterError::new(message, place));
        }
        Ok(None)
    }
}

fn operator(word: &str) -> Option<Operator> {
    Some(match word {
        "eq" => Operator::Eq,
        "neq" => Operator::Neq,
        "gt" => Operator::Gt,
        "gte" => Operator::Gte,
        "lt" => Operator::Lt,
        "lte" => Operator::Lte,
        "isdistinct" => Operator::IsDistinct,
        _ => return None,
    })
}

fn is_claim(name: &str) -> bool {
    !name.is_empty() && !name.contains(['{', '}', '"', '\\'])
}

fn is_word(name: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && name.chars().all(is_part)
}

fn negated(tree: Tree, is_negated: bool) -> Tree {
    if is_negated { Tree::Not(Box::new(tree)) } else { tree }
}
