//! The smallest parts of a filter: a field with its arrows, a value, a word.

use super::FilterError;
use super::scan::Cursor;
use super::syntax::{Field, Step, Truth};

/// Whether text ends at `,` and `)` or with the part.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Inside {
    Part,
    Group,
}

/// Reads a column, and the arrows behind it.
pub(super) fn field(at: &mut Cursor<'_>, inside: Inside) -> Result<Field, FilterError> {
    let place = at.place();
    let column = name(at, inside)?;
    if column.is_empty() {
        return Err(FilterError::new("expected the name of a column here", place));
    }
    let mut path = Vec::new();
    let mut is_text = false;
    while at.rest().starts_with("->") {
        if is_text {
            return Err(at.error("->> gives text, so it ends a path"));
        }
        is_text = at.eat("->>") || !at.eat("->");
        path.push(step(at, inside)?);
    }
    if inside == Inside::Part && !at.is_at_end() {
        return Err(at.error("expected -> or = here"));
    }
    Ok(Field { column, path, is_text, place })
}

fn step(at: &mut Cursor<'_>, inside: Inside) -> Result<Step, FilterError> {
    let start = *at;
    let is_quoted = at.peek() == Some('"');
    let key = name(at, inside)?;
    if key.is_empty() && !is_quoted {
        return Err(start.error("expected a key or an index after the arrow"));
    }
    let digits = key.strip_prefix('-').unwrap_or(&key);
    if is_quoted || digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(Step::Key(key));
    }
    let index = key.parse().ok().map(Step::Index);
    index.ok_or_else(|| start.error("this index is out of range"))
}

/// Reads a name: in double quotes, or up to what ends it.
fn name(at: &mut Cursor<'_>, inside: Inside) -> Result<String, FilterError> {
    if at.peek() == Some('"') {
        return at.quoted();
    }
    let rest = at.rest();
    let stops: &[char] = match inside {
        Inside::Part => &[],
        Inside::Group => &['.', ',', '(', ')', '"'],
    };
    let arrow = rest.find("->").unwrap_or(rest.len());
    let stop = rest.find(stops).unwrap_or(rest.len());
    Ok(at.take(arrow.min(stop)).to_owned())
}

/// Reads a value, and whether it stood in quotes.
pub(super) fn value(at: &mut Cursor<'_>, inside: Inside) -> Result<(String, bool), FilterError> {
    if inside == Inside::Part {
        let rest = at.rest();
        return Ok((at.take(rest.len()).to_owned(), false));
    }
    if at.peek() == Some('"') {
        let text = at.quoted()?;
        return match at.peek() {
            Some(',' | ')') => Ok((text, true)),
            _ => Err(at.error("expected , or ) after the closing quote")),
        };
    }
    let braces = braces(at.rest());
    Ok((at.take(braces.unwrap_or(0)).to_owned() + at.take_until(&[',', ')']), false))
}

/// The length of text in braces at the start of `text`, so that an array's commas do not end it.
fn braces(text: &str) -> Option<usize> {
    let (mut depth, mut is_quoted, mut is_escaped) = (0_usize, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            b'{' if !is_quoted => depth += 1,
            b'}' if !is_quoted => depth = depth.checked_sub(1)?,
            _ => {}
        }
        if depth == 0 {
            let is_whole = matches!(text.as_bytes().get(at + 1), Some(b',' | b')'));
            return (at > 0 && is_whole).then_some(at + 1);
        }
    }
    None
}
/// Reads what `is` tests for.
pub(super) fn truth(at: &mut Cursor<'_>, inside: Inside) -> Result<Truth, FilterError> {
    let start = *at;
    let (text, _) = value(at, inside)?;
    match text.to_ascii_lowercase().as_str() {
        "null" => Ok(Truth::Null),
        "true" => Ok(Truth::True),
        "false" => Ok(Truth::False),
        "unknown" => Ok(Truth::Unknown),
        _ => Err(start.error("is takes null, true, false or unknown")),
    }
}
