//! Small values that settings are made of: a length of time, a number of bytes, a secret.
//!
//! Each is read from text with an error that says what would have been right, and printed in the
//! same form, so that what `pgfeed config` shows can be read again.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Units of time in milliseconds, largest first, so that printing takes the largest that divides.
const TIME_UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Units of size. They are powers of 1024, as in `postgresql.conf`, whose words these are.
const SIZE_UNITS: [(&str, u64); 5] =
    [("TB", 1 << 40), ("GB", 1 << 30), ("MB", 1 << 20), ("kB", 1 << 10), ("B", 1)];

/// A length of time, written as `24h`, `90m` or `1h30m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("`{text}` is not a length of time such as 500ms, 90s, 30m, 24h, 7d");
        let mut rest = text.trim();
        if rest.is_empty() {
            return Err(wrong());
        }
        let mut total_ms: u64 = 0;
        while !rest.is_empty() {
            let (number, after) = leading_number(rest).ok_or_else(wrong)?;
            let unit_end = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
            let (unit, tail) = after.split_at(unit_end);
            let (_, unit_ms) =
                TIME_UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
            let part = number.checked_mul(*unit_ms).ok_or_else(wrong)?;
            total_ms = total_ms.checked_add(part).ok_or_else(wrong)?;
            rest = tail.trim_start();
        }
        Ok(Self(Duration::from_millis(total_ms)))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total_ms = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        // Hours at most: `24h` is what people write and look for.
        write_in_largest_unit(f, total_ms, &TIME_UNITS[1..])
    }
}

/// A number of bytes, written as `4GB` or `64MB` (powers of 1024), or as a plain number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

impl FromStr for ByteSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("`{text}` is not a size such as 65536, 512kB, 64MB, 4GB, 1TB");
        let (number, unit) = leading_number(text.trim()).ok_or_else(wrong)?;
        let unit = unit.trim();
        let factor = if unit.is_empty() {
            1
        } else {
            SIZE_UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)).ok_or_else(wrong)?.1
        };
        number.checked_mul(factor).map(Self).ok_or_else(wrong)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_in_largest_unit(f, self.0, &SIZE_UNITS)
    }
}

/// Text that must not be shown: its `Debug` is fixed, and it has no `Display`.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself. Whoever calls this keeps it out of logs, errors and metrics.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether nothing was set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "(not set)" } else { "(hidden)" })
    }
}

/// Writes nothing, so that settings can be printed without their secrets.
impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("")
    }
}

/// The digits at the start of `text` as a number, and what follows them.
fn leading_number(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    Some((digits.parse().ok()?, rest.trim_start()))
}

fn write_in_largest_unit(
    f: &mut fmt::Formatter<'_>,
    number: u64,
    units: &[(&str, u64)],
) -> fmt::Result {
    let fits = |unit: &&(&str, u64)| number != 0 && number.is_multiple_of(unit.1);
    let (name, size) = units.iter().find(fits).or(units.last()).copied().unwrap_or(("", 1));
    write!(f, "{}{name}", number / size)
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "expected a size such as \"64MB\" or a number of bytes")]
        enum Written {
            Number(u64),
            Text(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Number(bytes) => Ok(Self(bytes)),
            Written::Text(text) => text.parse().map_err(de::Error::custom),
        }
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_of_time_is_read_and_printed_in_its_largest_unit() {
        for (text, ms, printed) in [
            ("24h", 86_400_000, "24h"),
            ("7d", 7 * 86_400_000, "168h"),
            ("1h30m", 5_400_000, "90m"),
            ("1h 30m", 5_400_000, "90m"),
            ("500ms", 500, "500ms"),
            ("90 s", 90_000, "90s"),
            ("0s", 0, "0ms"),
        ] {
            let span: Span = text.parse().unwrap();
            assert_eq!(span.0, Duration::from_millis(ms), "{text}");
            assert_eq!(span.to_string(), printed, "{text}");
            assert_eq!(printed.parse::<Span>().unwrap(), span, "{text}");
        }
        for text in ["", "24", "h", "-1h", "1.5h", "1y", "24H", "99999999999999999999h"] {
            let error = text.parse::<Span>().unwrap_err();
            assert!(error.contains("24h"), "{text}: {error}");
        }
    }

    #[test]
    fn a_size_counts_in_powers_of_1024() {
        for (text, bytes, printed) in [
            ("4GB", 4 << 30, "4GB"),
            ("64 MB", 64 << 20, "64MB"),
            ("1536kB", 1536 << 10, "1536kB"),
            ("1536KB", 1536 << 10, "1536kB"),
            ("65537", 65537, "65537B"),
            ("0", 0, "0B"),
        ] {
            let size: ByteSize = text.parse().unwrap();
            assert_eq!(size.0, bytes, "{text}");
            assert_eq!(size.to_string(), printed, "{text}");
            assert_eq!(printed.parse::<ByteSize>().unwrap(), size, "{text}");
        }
        for text in ["", "GB", "-1GB", "1.5GB", "4GiB", "4G", "99999999999TB"] {
            let error = text.parse::<ByteSize>().unwrap_err();
            assert!(error.contains("64MB"), "{text}: {error}");
        }
    }

    #[test]
    fn a_secret_is_not_shown() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "(hidden)");
        assert_eq!(format!("{:?}", Secret::default()), "(not set)");
    }
}
