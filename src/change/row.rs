//! An image of a row: the JSON text that PostgreSQL made, never parsed more than needed.

use std::sync::Arc;

/// A row as JSON object text, shared by all who hold it.
///
/// The text is what PostgreSQL made (`row_to_json`), or what a NOTIFY payload brought: a valid
/// JSON object on one line. Numbers keep their digits and columns their order. It is not parsed
/// into a value tree: legal rows nest deeper than `serde_json::Value` allows and carry numbers
/// that no `f64` holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Row(Arc<str>);

impl Row {
    /// Takes JSON object text.
    ///
    /// A value of type `json` is kept as it was written, with line breaks between its tokens, and
    /// a message is one line of an event stream or a terminal. In JSON they are no more than
    /// space, so they become that.
    pub fn new(json: impl AsRef<str> + Into<Arc<str>>) -> Self {
        let text = json.as_ref();
        if has_control(text.as_bytes()) {
            Self(text.replace(['\n', '\r'], " ").into())
        } else {
            Self(json.into())
        }
    }

    /// The JSON text.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// The length of the text in bytes.
    pub fn bytes(&self) -> usize {
        self.0.len()
    }

    /// Calls `each` with every column's raw name (between its quotes, still escaped) and value.
    ///
    /// Text that is no JSON object yields nothing past the place where it goes wrong.
    pub fn for_each<'a>(&'a self, each: impl FnMut(&'a str, &'a str)) {
        members(&self.0, each);
    }

    /// The row with these columns alone.
    #[must_use]
    pub fn only(&self, names: &[String]) -> Self {
        let places: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut text = String::from("{");
        for (name, value) in names.iter().zip(self.pick(&places)) {
            let Some(value) = value else { continue };
            if text.len() > 1 {
                text.push(',');
            }
            text.push_str(&serde_json::to_string(name).expect("text is JSON"));
            text.push(':');
            text.push_str(value);
        }
        text.push('}');
        Self::new(text)
    }

    /// The raw values of `names`, in their order; `None` for a column that the row lacks.
    pub fn pick<'a>(&'a self, names: &[&str]) -> Vec<Option<&'a str>> {
        let mut found = vec![None; names.len()];
        self.for_each(|raw, value| {
            for (slot, name) in found.iter_mut().zip(names) {
                if name_is(raw, name) {
                    *slot = Some(value);
                }
            }
        });
        found
    }
}

/// Calls `each` with the raw name and value of every member of a JSON object, as
/// [`Row::for_each`] does.
pub fn members<'a>(text: &'a str, mut each: impl FnMut(&'a str, &'a str)) {
    let bytes = text.as_bytes();
    let mut at = skip_space(bytes, 0);
    if bytes.get(at) != Some(&b'{') {
        return;
    }
    at = skip_space(bytes, at + 1);
    while bytes.get(at) == Some(&b'"') {
        let name_end = skip_string(bytes, at);
        let name = text.get(at + 1..name_end - 1);
        at = skip_space(bytes, name_end);
        if bytes.get(at) != Some(&b':') {
            return;
        }
        let value_start = skip_space(bytes, at + 1);
        let value_end = skip_value(bytes, value_start);
        let (Some(name), Some(value)) = (name, text.get(value_start..value_end)) else {
            return;
        };
        each(name, value.trim_end());
        at = skip_space(bytes, value_end);
        if bytes.get(at) != Some(&b',') {
            return;
        }
        at = skip_space(bytes, at + 1);
    }
}

/// Calls `each` with the raw value of every element of a JSON array.
pub fn elements<'a>(text: &'a str, mut each: impl FnMut(&'a str)) {
    let bytes = text.as_bytes();
    let mut at = skip_space(bytes, 0);
    if bytes.get(at) != Some(&b'[') {
        return;
    }
    at = skip_space(bytes, at + 1);
    while bytes.get(at).is_some_and(|byte| *byte != b']') {
        let end = skip_value(bytes, at);
        let Some(value) = text.get(at..end) else { return };
        each(value.trim_end());
        at = skip_space(bytes, end);
        if bytes.get(at) != Some(&b',') {
            return;
        }
        at = skip_space(bytes, at + 1);
    }
}

/// Whether `raw`, a JSON string's inside, spells `name`.
pub fn name_is(raw: &str, name: &str) -> bool {
    if raw.contains('\\') {
        serde_json::from_str::<String>(&format!("\"{raw}\"")).is_ok_and(|it| it == name)
    } else {
        raw == name
    }
}

/// Whether there is a character that must be escaped in a string. A block at a time, which the
/// processor compares at once: every row passes here.
fn has_control(bytes: &[u8]) -> bool {
    let has = |block: &[u8]| block.iter().fold(0, |has, byte| has | u8::from(*byte < b' ')) > 0;
    bytes.chunks(64).any(has)
}

fn skip_space(bytes: &[u8], mut at: usize) -> usize {
    while bytes.get(at).is_some_and(u8::is_ascii_whitespace) {
        at += 1;
    }
    at
}

/// The place after the string that opens at `at`.
fn skip_string(bytes: &[u8], at: usize) -> usize {
    let mut at = at + 1;
    loop {
        match bytes.get(at) {
            Some(b'"') => return at + 1,
            Some(b'\\') => at += 2,
            Some(_) => at += 1,
            None => return bytes.len(),
        }
    }
}

/// The place after the value that starts at `at`; iterative, so that depth costs no stack.
fn skip_value(bytes: &[u8], mut at: usize) -> usize {
    let mut depth = 0_usize;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => {
                at = skip_string(bytes, at);
                continue;
            }
            b'{' | b'[' => depth += 1,
            b',' if depth == 0 => return at,
            b'}' | b']' => match depth {
                0 => return at,
                _ => depth -= 1,
            },
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::Row;

    #[test]
    fn columns_are_found_without_parsing_their_values() {
        let row = Row::new(
            r#"{"id":7, "a\"b" : "x,}\\\"", "deep":[[{"k":[1,"]"]}]],"n":1e400,"z":null}"#,
        );
        assert_eq!(
            row.pick(&["id", "a\"b", "deep", "n", "z", "none"]),
            [
                Some("7"),
                Some(r#""x,}\\\"""#),
                Some(r#"[[{"k":[1,"]"]}]]"#),
                Some("1e400"),
                Some("null"),
                None
            ],
        );
    }

    #[test]
    fn a_row_is_one_line_of_the_same_json() {
        let long = format!("{{\"a\":\"{}\",\n\t\"b\":{{\r\n}}}}", "x".repeat(200));
        let row = Row::new(long.as_str());
        assert!(!row.text().contains(['\n', '\r']), "{}", row.text());
        assert_eq!(row.text().len(), long.len());
        assert_eq!(row.pick(&["b"]), [Some("{  }")]);
        let plain = r#"{"a":"\n\r"}"#;
        assert_eq!(Row::new(plain).text(), plain, "what is escaped stays");
    }

    #[test]
    fn text_that_is_no_object_yields_nothing_and_ends() {
        for text in [
            "",
            "{",
            "[]",
            "{\"a",
            "{\"a\":",
            "{\"a\"",
            "{\"a\\",
            "{\"",
            "{\"\u{e9}",
            "null",
            "{\"a\":1,",
        ] {
            let mut seen = 0;
            Row::new(text).for_each(|_, _| seen += 1);
            assert!(seen <= 1, "{text}");
        }
    }
}
