//! A declared feed's path: words and placeholders, matched segment by segment.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;

/// No identifier is longer; what is, is an attack on whoever prints it.
const SEGMENT_BYTES_MAX: usize = 256;

/// The parts of a path that placeholders stood for, decoded.
pub(super) type Parts = BTreeMap<String, String>;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Word(String),
    Placeholder(String),
}

impl Segment {
    fn rank(&self) -> (bool, &str) {
        match self {
            Self::Word(word) => (false, word),
            Self::Placeholder(_) => (true, ""),
        }
    }
}

/// A path as declared: `student/{id}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Template(Vec<Segment>);

impl Template {
    /// Takes words of letters, digits, `-`, `_`, `.`, `~` and placeholders `{name}`, of letters,
    /// digits, `-` and `_`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let trimmed = text.trim_matches('/');
        let segments: Vec<_> = trimmed.split('/').map(segment).collect::<Result<_, _>>()?;
        let template = Self(segments);
        let mut names: Vec<_> = template.names().collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(String::from("a placeholder stands twice"));
        }
        Ok(template)
    }

    /// The names of the placeholders.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|segment| match segment {
            Segment::Placeholder(name) => Some(name.as_str()),
            Segment::Word(_) => None,
        })
    }

    /// What the placeholders stand for in `path`, if it matches.
    pub(super) fn matches(&self, path: &str) -> Option<Parts> {
        let path = path.strip_suffix('/').unwrap_or(path);
        let given: Vec<_> = path.split('/').collect();
        if given.len() != self.0.len() {
            return None;
        }
        let mut parts = Parts::new();
        for (segment, given) in self.0.iter().zip(given) {
            let given = decoded(given)?;
            match segment {
                Segment::Word(word) if *word == given => {}
                Segment::Word(_) => return None,
                Segment::Placeholder(name) => {
                    parts.insert(name.clone(), given);
                }
            }
        }
        Some(parts)
    }

    /// For an order in which a word comes before a placeholder at its place.
    pub(super) fn rank(&self) -> Vec<(bool, &str)> {
        self.0.iter().map(Segment::rank).collect()
    }
}

fn segment(text: &str) -> Result<Segment, String> {
    let is_name = |name: &str, more: &[char]| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(&c))
    };
    if let Some(name) = text.strip_prefix('{').and_then(|it| it.strip_suffix('}')) {
        // `claims` is where claims stand, so `{claims}` would be read as one by people.
        return if is_name(name, &['_', '-']) && name != "claims" {
            Ok(Segment::Placeholder(name.to_owned()))
        } else {
            Err(format!("`{text}` is no placeholder such as {{id}}"))
        };
    }
    if is_name(text, &['-', '_', '.', '~']) && !matches!(text, "." | "..") {
        Ok(Segment::Word(text.to_owned()))
    } else {
        Err(format!("`{text}` is no part of a path"))
    }
}

/// A segment decoded once. What other parts of a system may read in another way is refused: a
/// slash that was encoded, dots that proxies resolve, control characters.
fn decoded(segment: &str) -> Option<String> {
    let text = percent_decode_str(segment).decode_utf8().ok()?;
    let is_plain = !text.is_empty()
        && text.len() <= SEGMENT_BYTES_MAX
        && !matches!(&*text, "." | "..")
        && !text.contains(|c: char| c == '/' || c == '\\' || c.is_control());
    is_plain.then(|| text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::Template;

    fn part(template: &str, path: &str) -> Option<String> {
        let parts = Template::parse(template).expect("a template").matches(path)?;
        let parts: Vec<_> = parts.iter().map(|(name, part)| format!("{name}={part}")).collect();
        Some(parts.join(";"))
    }

    #[test]
    fn a_path_is_matched_segment_by_segment() {
        let is = |text: &str| Some(text.to_owned());
        assert_eq!(part("student/{id}", "student/7"), is("id=7"));
        assert_eq!(part("student/{id}", "student/7/"), is("id=7"));
        assert_eq!(part("student/{id}", "student/a%20b%26c"), is("id=a b&c"));
        assert_eq!(part("student/{id}", "student/a%2520"), is("id=a%20"));
        assert_eq!(part("a/{x}/b/{y}", "a/1/b/2"), is("x=1;y=2"));
        assert_eq!(part("courses", "courses"), is(""));
        for other in [
            "student",
            "student/",
            "student//",
            "student/7/8",
            "/student/7",
            "Student/7",
            "student/7//",
            "student/a%2Fb",
            "student/..",
            "student/%2e%2e",
            "student/%00",
            "student/%ff",
            "student/a%5Cb",
            "student/.",
            "",
            "/",
        ] {
            assert_eq!(part("student/{id}", other), None, "{other}");
        }
        assert_eq!(part("student/{id}", &format!("student/{}", "x".repeat(257))), None);
    }

    #[test]
    fn a_template_is_words_and_placeholders() {
        for bad in [
            "",
            "/",
            "a//b",
            "{}",
            "{a b}",
            "{claims}",
            "{claims.sub}",
            "x{id}",
            "a/{id}/b/{id}",
            "..",
            "a?b",
            "a%20b",
        ] {
            assert!(Template::parse(bad).is_err(), "{bad}");
        }
    }
}
