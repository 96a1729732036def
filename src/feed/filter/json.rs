//! Reading parts of JSON text in place: strings, and paths as PostgreSQL's `->` and `->>`.

use std::borrow::Cow;

use super::compile::Path;
use super::syntax::Step;
use crate::change::row::{elements, members, name_is};

/// The text of a raw JSON string; borrowed where it has no escapes. `None` for anything else,
/// and for escapes that are no text in PostgreSQL.
pub(super) fn text(raw: &str) -> Option<Cow<'_, str>> {
    let inside = raw.strip_prefix('"')?.strip_suffix('"')?;
    if !inside.as_bytes().contains(&b'\\') {
        return Some(Cow::Borrowed(inside));
    }
    let text: String = serde_json::from_str(raw).ok()?;
    (!text.contains('\0')).then_some(Cow::Owned(text))
}

/// Follows a path from `raw`; `None` where it leads nowhere.
pub(super) fn follow<'a>(raw: &'a str, path: &Path) -> Option<&'a str> {
    path.steps.iter().try_fold(raw, |raw, step| match step {
        Step::Key(key) => member(raw, key),
        Step::Index(0 | -1) if path.is_binary && !raw.starts_with(['[', '{']) => Some(raw),
        Step::Index(index) => element(raw, *index),
    })
}

/// The last member of that name, as PostgreSQL takes it where `json` repeats a key.
fn member<'a>(raw: &'a str, key: &str) -> Option<&'a str> {
    let mut found = None;
    members(raw, |name, value| {
        if name_is(name, key) {
            found = Some(value);
        }
    });
    found
}

fn element(raw: &str, index: i32) -> Option<&str> {
    let index = i64::from(index);
    let wanted = if index < 0 { count(raw) + index } else { index };
    let (mut at, mut found) = (0, None);
    elements(raw, |value| {
        if at == wanted {
            found = Some(value);
        }
        at += 1;
    });
    found
}

fn count(raw: &str) -> i64 {
    let mut count = 0;
    elements(raw, |_| count += 1);
    count
}
