//! Literals as PostgreSQL's input functions read them.

/// What PostgreSQL takes for white space around a literal.
pub(super) fn is_space(c: char) -> bool {
    c.is_ascii_whitespace() || c == '\x0b'
}

/// A boolean, or any start of one that is clear.
pub(super) fn read_bool(text: &str) -> Option<bool> {
    let text = text.trim_matches(is_space).to_ascii_lowercase();
    let starts = |word: &str, least: usize| text.len() >= least && word.starts_with(&text);
    match () {
        () if starts("true", 1) || starts("yes", 1) || text == "on" || text == "1" => Some(true),
        () if starts("false", 1) || starts("no", 1) || starts("off", 2) || text == "0" => {
            Some(false)
        }
        () => None,
    }
}

/// Reads a float; what is too large, or too small to differ from zero, is refused.
pub(super) fn read_float<F>(
    text: &str,
    parse: impl Fn(&str) -> Option<F>,
    is_finite: impl Fn(F) -> bool,
    is_zero: impl Fn(&F) -> bool,
) -> Option<F>
where
    F: Copy,
{
    let text = text.trim_matches(is_space);
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let is_special = ["nan", "inf", "infinity"].iter().any(|it| unsigned.eq_ignore_ascii_case(it));
    let value = parse(text)?;
    if is_special {
        // A sign before NaN is read differently from platform to platform.
        let is_plain = unsigned.len() == text.len() || !unsigned.eq_ignore_ascii_case("nan");
        return is_plain.then_some(value);
    }
    let mantissa = unsigned.split(['e', 'E']).next().unwrap_or("");
    let is_nothing = mantissa.bytes().all(|byte| matches!(byte, b'0' | b'.'));
    (is_finite(value) && (is_nothing || !is_zero(&value))).then_some(value)
}

/// Thirty-two digits, with a hyphen after any four, perhaps in braces; in canonical form.
pub(super) fn read_uuid(text: &str) -> Option<String> {
    let inside = match text.strip_prefix('{') {
        Some(rest) => rest.strip_suffix('}')?,
        None => text,
    };
    let mut uuid = String::with_capacity(36);
    let mut digits = 0;
    let mut may_break = false;
    for c in inside.chars() {
        if c == '-' && may_break {
            may_break = false;
            continue;
        }
        if !c.is_ascii_hexdigit() || digits == 32 {
            return None;
        }
        if matches!(digits, 8 | 12 | 16 | 20) {
            uuid.push('-');
        }
        uuid.push(c.to_ascii_lowercase());
        digits += 1;
        may_break = digits % 4 == 0 && digits < 32;
    }
    (digits == 32 && !inside.ends_with('-')).then_some(uuid)
}

/// `\x…`, or text with `\\` and `\ooo`; as lower-case hexadecimal digits.
pub(super) fn read_bytea(text: &str) -> Option<String> {
    if let Some(digits) = text.strip_prefix("\\x") {
        // White space may stand between bytes, not within one.
        let mut pairs = digits.split([' ', '\n', '\t', '\r']);
        let are_pairs = pairs.all(|pair| {
            pair.len().is_multiple_of(2) && pair.bytes().all(|byte| byte.is_ascii_hexdigit())
        });
        let lower = digits.to_ascii_lowercase();
        return are_pairs.then(|| lower.split_ascii_whitespace().collect());
    }
    let (mut bytes, mut at) = (Vec::new(), 0);
    let all = text.as_bytes();
    while let Some(byte) = all.get(at) {
        match (byte, all.get(at + 1)) {
            (b'\\', Some(b'\\')) => {
                bytes.push(b'\\');
                at += 2;
            }
            (b'\\', _) => {
                let octal = text.get(at + 1..at + 4)?;
                let are_digits = octal.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
                bytes.push(u8::from_str_radix(octal, 8).ok().filter(|_| are_digits)?);
                at += 4;
            }
            (byte, _) => {
                bytes.push(*byte);
                at += 1;
            }
        }
    }
    Some(data_encoding::HEXLOWER.encode(&bytes))
}
