//! PostgreSQL's `numeric`: exact decimals of any length, compared as text.

use std::cmp::Ordering;
use std::fmt;

use super::literal::is_space;

/// PostgreSQL's own limits on digits before and after the point.
const WHOLE_MAX: i64 = 131_072;
const FRACTION_MAX: i64 = 16_383;
/// Up to how many characters the canonical form is written out without an exponent.
const PLAIN_MAX: i64 = 60;

/// A `numeric` value in the one form in which equal values are equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Decimal {
    NegativeInfinity,
    Finite(Finite),
    Infinity,
    NotANumber,
}

/// `0.DIGITS × 10^top`, without zeros at either end; no digits for zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finite {
    is_negative: bool,
    digits: Box<str>,
    top: i64,
}

/// A decimal as it stands in text, not copied.
struct View<'a> {
    is_negative: bool,
    whole: &'a str,
    fraction: &'a str,
    top: i64,
}

impl<'a> View<'a> {
    /// Reads `[+-]digits[.digits][e[+-]digits]`.
    fn read(text: &'a str) -> Option<(Self, i64)> {
        let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, read_exponent(exponent)?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if !are_digits(whole)
            || !are_digits(fraction)
            || mantissa.len() <= usize::from(mantissa.contains('.'))
        {
            return None;
        }
        let scale = (length(fraction) - exponent).max(0);
        let whole = whole.trim_start_matches('0');
        let significant = fraction.trim_start_matches('0');
        let leading = length(fraction) - length(significant);
        let top = if whole.is_empty() { -leading } else { length(whole) } + exponent;
        let fraction = if whole.is_empty() { significant } else { fraction };
        let is_negative = text.starts_with('-');
        Some((Self { is_negative, whole, fraction, top }, scale))
    }

    fn digits(&self) -> impl Iterator<Item = u8> {
        self.whole.bytes().chain(self.fraction.bytes())
    }

    fn is_zero(&self) -> bool {
        self.digits().all(|digit| digit == b'0')
    }

    /// How `self` stands to `other`.
    fn compare(&self, other: &Finite) -> Ordering {
        let sign = |is_zero: bool, is_negative: bool| match (is_zero, is_negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        };
        let own = sign(self.is_zero(), self.is_negative);
        let theirs = sign(other.digits.is_empty(), other.is_negative);
        if own != theirs || own == 0 {
            return own.cmp(&theirs);
        }
        let size = self.top.cmp(&other.top).then_with(|| {
            let mut others = other.digits.bytes();
            for digit in self.digits() {
                let order = digit.cmp(&others.next().unwrap_or(b'0'));
                if order.is_ne() {
                    return order;
                }
            }
            if others.next().is_some() { Ordering::Less } else { Ordering::Equal }
        });
        if self.is_negative { size.reverse() } else { size }
    }
}

fn read_exponent(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let are_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if are_digits { text.parse::<i32>().ok().map(i64::from) } else { None }
}

fn length(text: &str) -> i64 {
    i64::try_from(text.len()).unwrap_or(i64::MAX)
}

impl Decimal {
    /// Reads a literal as `numeric` does, limits included.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.trim_matches(is_space);
        if let Some(special) = special(&text.to_ascii_lowercase()) {
            return Some(special);
        }
        let (view, scale) = View::read(text)?;
        let is_zero = view.is_zero();
        if scale > FRACTION_MAX || (!is_zero && view.top > WHOLE_MAX) {
            return None;
        }
        Some(Self::Finite(view.to_finite()))
    }

    /// How the value of a row, as raw JSON, stands to this one.
    pub(super) fn compare_raw(&self, raw: &str) -> Option<Ordering> {
        let row = match raw.strip_prefix('"') {
            Some(rest) => match special(&rest.strip_suffix('"')?.to_ascii_lowercase())? {
                Self::NegativeInfinity => Err(0),
                Self::Infinity => Err(2),
                _ => Err(3),
            },
            None => Ok(View::read(raw)?.0),
        };
        Some(match (row, self) {
            (Ok(view), Self::Finite(own)) => view.compare(own),
            (Ok(_), _) => 1.cmp(&self.rank()),
            (Err(rank), _) => rank.cmp(&self.rank()),
        })
    }

    /// How the value stands to another one.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Finite(one), Self::Finite(other)) => one.view().compare(other),
            _ => self.rank().cmp(&other.rank()),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::NegativeInfinity => 0,
            Self::Finite(_) => 1,
            Self::Infinity => 2,
            Self::NotANumber => 3,
        }
    }

    /// The canonical form of a row's value, given as raw JSON.
    pub(super) fn canonical_raw(raw: &str) -> Option<String> {
        let value = match raw.strip_prefix('"') {
            Some(rest) => special(&rest.strip_suffix('"')?.to_ascii_lowercase())?,
            None => Self::Finite(View::read(raw)?.0.to_finite()),
        };
        Some(value.to_string())
    }
}

impl Finite {
    fn view(&self) -> View<'_> {
        let Self { is_negative, ref digits, top } = *self;
        View { is_negative, whole: "", fraction: digits, top }
    }
}

impl View<'_> {
    fn to_finite(&self) -> Finite {
        let digits: String = self.digits().map(char::from).collect();
        let digits: Box<str> = digits.trim_end_matches('0').into();
        if digits.is_empty() {
            return Finite { is_negative: false, digits, top: 0 };
        }
        Finite { is_negative: self.is_negative, digits, top: self.top }
    }
}

fn special(lower: &str) -> Option<Decimal> {
    match lower {
        "nan" => Some(Decimal::NotANumber),
        "infinity" | "+infinity" | "inf" | "+inf" => Some(Decimal::Infinity),
        "-infinity" | "-inf" => Some(Decimal::NegativeInfinity),
        _ => None,
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NegativeInfinity => f.write_str("-Infinity"),
            Self::Infinity => f.write_str("Infinity"),
            Self::NotANumber => f.write_str("NaN"),
            Self::Finite(finite) => finite.fmt(f),
        }
    }
}

impl fmt::Display for Finite {
    /// Plain digits where they are few, else with an exponent; equal values give equal text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (digits, length) = (&*self.digits, length(&self.digits));
        let zeros = |count: i64| "0".repeat(usize::try_from(count).unwrap_or(0));
        if self.is_negative {
            f.write_str("-")?;
        }
        match self.top {
            _ if digits.is_empty() => f.write_str("0"),
            top if !(-PLAIN_MAX..=PLAIN_MAX).contains(&top) => {
                write!(f, "{digits}e{}", top - length)
            }
            top if top <= 0 => write!(f, "0.{}{digits}", zeros(-top)),
            top if top >= length => write!(f, "{digits}{}", zeros(top - length)),
            top => {
                let (whole, fraction) = digits.split_at(usize::try_from(top).unwrap_or(0));
                write!(f, "{whole}.{fraction}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Decimal;

    #[test]
    fn equal_values_have_one_form() {
        for (text, canonical) in [
            ("1", "1"),
            ("1.0", "1"),
            ("+01.500", "1.5"),
            ("1e2", "100"),
            ("-.5", "-0.5"),
            ("5.", "5"),
            ("-0.00", "0"),
            (" 12e-3 ", "0.012"),
            ("0e9999", "0"),
            ("nan", "NaN"),
            ("-INF", "-Infinity"),
            ("1e100", "1e100"),
            ("100e98", "1e100"),
            ("1.5e100", "15e99"),
        ] {
            assert_eq!(Decimal::parse(text).map(|it| it.to_string()).as_deref(), Some(canonical));
        }
    }

    #[test]
    fn what_numeric_refuses_is_refused() {
        for text in [
            "",
            " ",
            ".",
            "-",
            "1e",
            "e5",
            "1 2",
            "1..2",
            "0x1",
            "1_0",
            "1e131072",
            "1e-16384",
            "--1",
            "+-1",
            "1e+-1",
            "١",
            "1e99999999999",
        ] {
            assert_eq!(Decimal::parse(text), None, "{text}");
        }
    }
}
