//! Percent-decoding that remembers where each byte stood, and a cursor over the result.

use super::FilterError;

/// Decoded text, and for each of its bytes the place in the text as given.
pub(super) struct Decoded {
    text: String,
    origins: Vec<usize>,
}

impl Decoded {
    /// Decodes `given` once; it stands at byte `start` of the whole filter. `+` stays `+`.
    pub(super) fn new(given: &str, start: usize) -> Result<Self, FilterError> {
        let bytes = given.as_bytes();
        let (mut decoded, mut origins) = (Vec::with_capacity(bytes.len()), Vec::new());
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            origins.push(start + at);
            if *byte == b'%' {
                decoded.push(escape(bytes, at).ok_or_else(|| {
                    let message = "% must be followed by two hexadecimal digits; write %25 for %";
                    FilterError::new(message, start + at)
                })?);
                at += 3;
            } else {
                decoded.push(*byte);
                at += 1;
            }
        }
        origins.push(start + bytes.len());
        let text = String::from_utf8(decoded).map_err(|error| {
            let place = origins[error.utf8_error().valid_up_to()];
            FilterError::new("the percent-decoded text is not UTF-8", place)
        })?;
        if let Some(at) = text.find('\0') {
            return Err(FilterError::new("text in PostgreSQL holds no zero byte", origins[at]));
        }
        Ok(Self { text, origins })
    }

    pub(super) fn cursor(&self) -> Cursor<'_> {
        Cursor { source: self, at: 0 }
    }
}

fn escape(bytes: &[u8], at: usize) -> Option<u8> {
    let digit = |at: usize| char::from(*bytes.get(at)?).to_digit(16);
    u8::try_from(digit(at + 1)? * 16 + digit(at + 2)?).ok()
}

/// A place in decoded text, moving forward.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'t> {
    source: &'t Decoded,
    at: usize,
}

impl<'t> Cursor<'t> {
    /// What is still to be read.
    pub(super) fn rest(&self) -> &'t str {
        &self.source.text[self.at..]
    }

    /// The place in the text as given.
    pub(super) fn place(&self) -> usize {
        self.source.origins[self.at]
    }

    pub(super) fn error(&self, message: impl Into<String>) -> FilterError {
        FilterError::new(message, self.place())
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.rest().is_empty()
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// Reads one character.
    pub(super) fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    /// Reads `word` if it comes next.
    pub(super) fn eat(&mut self, word: &str) -> bool {
        let is_next = self.rest().starts_with(word);
        if is_next {
            self.at += word.len();
        }
        is_next
    }

    /// Reads `bytes` bytes, which must end between two characters.
    pub(super) fn take(&mut self, bytes: usize) -> &'t str {
        let taken = &self.rest()[..bytes];
        self.at += bytes;
        taken
    }

    /// Reads up to the first of `stops`, or all.
    pub(super) fn take_until(&mut self, stops: &[char]) -> &'t str {
        let rest = self.rest();
        self.take(rest.find(stops).unwrap_or(rest.len()))
    }

    pub(super) fn skip_spaces(&mut self) {
        while self.eat(" ") {}
    }

    /// Reads text in double quotes, in which `\` takes the next character as it is.
    pub(super) fn quoted(&mut self) -> Result<String, FilterError> {
        let opening = *self;
        self.eat("\"");
        let mut text = String::new();
        loop {
            match self.next() {
                Some('"') => return Ok(text),
                Some('\\') => text.extend(self.next()),
                Some(other) => text.push(other),
                None => return Err(opening.error("this double quote is never closed")),
            }
        }
    }
}
