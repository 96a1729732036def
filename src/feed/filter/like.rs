//! `like` and `ilike`: patterns with `%`, `_` and `\`.

use std::borrow::Cow;

use crate::change::Folding;

/// How long a piece with `_` may be that is searched for: a bit of a word for each character.
const GAPS_MAX: usize = 64;

/// A pattern split at its `%`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pattern {
    /// The pieces between the `%`; a single one must match all.
    pieces: Vec<Piece>,
    folding: Option<Folding>,
    /// The pattern as SQL takes it.
    sql: Box<str>,
}

#[derive(Clone, Debug, PartialEq)]
enum Piece {
    /// These characters.
    Exact(String),
    /// These characters, where `None` is any one.
    Gaps(Vec<Option<char>>),
}

impl Pattern {
    /// Reads an SQL pattern. With a folding it ignores case.
    pub(super) fn parse(sql: &str, folding: Option<Folding>) -> Result<Self, String> {
        let is_unsafe = |folding| sql.chars().any(|c| !folds_alike(c, folding));
        if folding.is_some_and(is_unsafe) {
            let message = "ilike is not compared here exactly with these letters; use like";
            return Err(message.to_owned());
        }
        let folded = fold(sql, folding);
        let (mut pieces, mut slots) = (Vec::new(), Vec::new());
        let mut chars = folded.chars();
        while let Some(c) = chars.next() {
            match c {
                '%' => pieces.push(Piece::new(std::mem::take(&mut slots))),
                '_' => slots.push(None),
                '\\' => match chars.next() {
                    Some(escaped) => slots.push(Some(escaped)),
                    None => return Err("a pattern can't end with a single \\".to_owned()),
                },
                other => slots.push(Some(other)),
            }
        }
        pieces.push(Piece::new(slots));
        let is_long = |piece: &Piece| matches!(piece, Piece::Gaps(it) if it.len() > GAPS_MAX);
        if pieces.len() > 2 && pieces[1..pieces.len() - 1].iter().any(is_long) {
            return Err(format!("with _ at most {GAPS_MAX} characters stand between two %"));
        }
        Ok(Self { pieces, folding, sql: sql.into() })
    }

    /// Whether it ignores case.
    pub(super) fn ignores_case(&self) -> bool {
        self.folding.is_some()
    }

    pub(super) fn sql(&self) -> &str {
        &self.sql
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        let text = fold(text, self.folding);
        let [first, middle @ .., last] = &*self.pieces else {
            let whole = self.pieces.first().and_then(|piece| piece.at_start(&text));
            return whole.is_some_and(str::is_empty);
        };
        let Some(mut rest) = first.at_start(&text) else { return false };
        for piece in middle {
            match piece.first_in(rest) {
                Some(after) => rest = after,
                None => return false,
            }
        }
        last.is_end_of(rest)
    }
}

impl Piece {
    fn new(slots: Vec<Option<char>>) -> Self {
        match slots.iter().copied().collect::<Option<String>>() {
            Some(exact) => Self::Exact(exact),
            None => Self::Gaps(slots),
        }
    }

    /// What follows the piece at the start of `text`.
    fn at_start<'t>(&self, text: &'t str) -> Option<&'t str> {
        match self {
            Self::Exact(exact) => text.strip_prefix(&**exact),
            Self::Gaps(slots) => {
                let mut chars = text.chars();
                let is_here = slots.iter().all(|slot| {
                    chars.next().is_some_and(|c| slot.is_none_or(|wanted| wanted == c))
                });
                is_here.then_some(chars.as_str())
            }
        }
    }

    /// What follows the piece where it is found first.
    fn first_in<'t>(&self, text: &'t str) -> Option<&'t str> {
        match self {
            Self::Exact(exact) => text.find(&**exact).map(|at| &text[at + exact.len()..]),
            Self::Gaps(slots) => search(slots, text),
        }
    }

    fn is_end_of(&self, text: &str) -> bool {
        match self {
            Self::Exact(exact) => text.ends_with(&**exact),
            Self::Gaps(slots) => {
                let from_end = text.char_indices().rev().nth(slots.len() - 1);
                from_end.is_some_and(|(at, _)| self.at_start(&text[at..]).is_some())
            }
        }
    }
}

/// What follows the first place where the slots fit, in one pass whatever the text: each bit of a
/// word tells whether so many slots fit the characters up to here (Baeza-Yates, Gonnet: A New
/// Approach to Text Searching, CACM 1992).
fn search<'t>(slots: &[Option<char>], text: &'t str) -> Option<&'t str> {
    let mut gaps = 0_u64;
    let mut ascii = [0_u64; 128];
    let mut others: Vec<(char, u64)> = Vec::new();
    for (bit, slot) in (0..GAPS_MAX).zip(slots) {
        match slot {
            None => gaps |= 1 << bit,
            Some(c) if c.is_ascii() => ascii[*c as usize] |= 1 << bit,
            Some(c) => others.push((*c, 1 << bit)),
        }
    }
    let last = 1_u64.checked_shl(u32::try_from(slots.len()).ok()?.checked_sub(1)?)?;
    let mut fitting = 0_u64;
    for (at, c) in text.char_indices() {
        let letters = ascii.get(c as usize).copied().unwrap_or_else(|| {
            others.iter().filter(|(other, _)| *other == c).fold(0, |bits, (_, bit)| bits | bit)
        });
        fitting = (fitting << 1 | 1) & (gaps | letters);
        if fitting & last != 0 {
            return Some(&text[at + c.len_utf8()..]);
        }
    }
    None
}

/// Text in lower case, as far as a pattern of letters that [`folds_alike`] allows can tell.
fn fold(text: &str, folding: Option<Folding>) -> Cow<'_, str> {
    match folding {
        None | Some(Folding::Unknown) => Cow::Borrowed(text),
        Some(_) if text.is_ascii() => Cow::Owned(text.to_ascii_lowercase()),
        Some(Folding::Ascii) => Cow::Owned(text.to_ascii_lowercase()),
        // The capital I with a dot is the only character that becomes two in lower case.
        Some(Folding::Simple) => {
            let lower = |c: char| c.to_lowercase().next().unwrap_or(c);
            Cow::Owned(text.chars().map(lower).collect())
        }
        Some(Folding::Full) => Cow::Owned(text.chars().flat_map(char::to_lowercase).collect()),
    }
}

/// Whether all versions of Unicode and all ways of folding agree on which characters are `c` in
/// lower case. Left out are scripts whose capitals are young, and, where several characters
/// are looked at together, the sigma, which is another one at the end of a word.
fn folds_alike(c: char, folding: Folding) -> bool {
    match folding {
        Folding::Ascii => true,
        Folding::Unknown => false,
        Folding::Full if matches!(c, '\u{3a3}' | '\u{3c2}' | '\u{3c3}' | '\u{307}') => false,
        Folding::Simple | Folding::Full => matches!(
            u32::from(c),
            0..=0x17f | 0x300..=0x36f | 0x386..=0x3ce | 0x400..=0x4ff | 0x590..=0x109f
                | 0x2000..=0x20ff | 0x3000..=0x9fff | 0xac00..=0xd7a3 | 0x1f000..=0x1faff
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;
    use crate::change::Folding;

    #[test]
    fn patterns_match_as_in_sql() {
        for (pattern, text, is_match) in [
            ("abc", "abc", true),
            ("abc", "abcd", false),
            ("a%", "abc", true),
            ("%c", "abc", true),
            ("%", "", true),
            ("", "", true),
            ("", "a", false),
            ("_", "é", true),
            ("__", "é", false),
            ("a%b%c", "a1b2c", true),
            ("a%b%c", "acb", false),
            ("%aab%", "aaaab", true),
            ("%_b", "ab", true),
            ("_%_", "a", false),
            ("_%_", "ab", true),
            ("a\\%", "a%", true),
            ("a\\%", "ab", false),
            ("\\\\", "\\", true),
            ("%a_c%e", "xabcabce", true),
            ("ab%ba", "aba", false),
            ("A", "a", false),
        ] {
            let parsed = Pattern::parse(pattern, None).unwrap();
            assert_eq!(parsed.matches(text), is_match, "{pattern} {text}");
        }
        assert!(Pattern::parse("a\\", None).is_err());
    }

    #[test]
    fn case_is_ignored_as_far_as_the_collation_does() {
        let matches =
            |folding, pattern, text| Pattern::parse(pattern, Some(folding)).unwrap().matches(text);
        assert!(matches(Folding::Ascii, "ÄRa%", "ÄrABC"));
        assert!(!matches(Folding::Ascii, "k", "\u{212a}"));
        assert!(matches(Folding::Simple, "K", "\u{212a}"));
        assert!(matches(Folding::Full, "i_", "\u{130}"));
        assert!(matches(Folding::Simple, "ÄRGER%", "ärgerlich"));
        assert!(matches(Folding::Full, "%жук", "ЖУК"));
        assert!(Pattern::parse("Ⴀ", Some(Folding::Simple)).is_err());
        assert!(Pattern::parse("ΟΔΟΣ", Some(Folding::Full)).is_err());
        assert!(Pattern::parse("a", Some(Folding::Unknown)).is_err());
    }
}
