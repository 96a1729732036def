//! Placeholders in filters and feed paths: `{claims.sub}`, `{id}`.

/// The names that stand in braces in `text`.
///
/// Only what looks like a name counts, so that `eq.{1,2}` stays a literal; a literal such as
/// `{red}` is written `%7Bred%7D`.
pub(super) fn names(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        rest = &rest[open + 1..];
        if let Some(close) = rest.find('}').filter(|&close| is_name(&rest[..close])) {
            found.push(&rest[..close]);
            rest = &rest[close + 1..];
        }
    }
    found
}

/// Whether `text` could be a placeholder's name.
fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_braces_are_found_and_literals_are_not() {
        assert_eq!(
            names("student_id=eq.{claims.sub}&a=in.({x},{y_1})"),
            ["claims.sub", "x", "y_1"]
        );
        assert_eq!(names("tags=eq.{1,2}&b=eq.{}&c=eq.{"), Vec::<&str>::new());
        assert_eq!(names("{{id}}"), ["id"]);
    }
}
