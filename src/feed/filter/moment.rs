//! Dates and times in ISO form, as numbers that compare as PostgreSQL compares them.

use std::fmt::Write as _;

const DAY: i64 = 86_400_000_000;
/// PostgreSQL's range, relative to 2000-01-01: the first and the last day or microsecond.
const DATE_RANGE: (i64, i64) = (-2_451_545, 2_145_031_948);
const TIMESTAMP_RANGE: (i64, i64) = (-211_813_488_000_000_000, 9_223_371_331_199_999_999);

/// The type that a moment is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clock {
    /// Days; no time of day.
    Date,
    /// Microseconds; what it says, in no zone.
    Timestamp,
    /// Microseconds in UTC.
    Timestamptz,
    /// Microseconds since midnight.
    Time,
}

/// Why a literal is no moment.
const FORMS: &str = "write it as 2026-01-31, 2026-01-31T09:30:00.5 or 2026-01-31T09:30:00Z";

impl Clock {
    /// Reads a literal.
    pub(super) fn parse(self, text: &str) -> Result<i64, String> {
        let lower = text.trim_matches(' ').to_ascii_lowercase();
        match lower.as_str() {
            "infinity" if self != Self::Time => return Ok(i64::MAX),
            "-infinity" if self != Self::Time => return Ok(i64::MIN),
            "now" | "today" | "tomorrow" | "yesterday" => {
                return Err(format!(
                    "{lower} moves with the clock, so it can't be watched; {FORMS}"
                ));
            }
            _ => {}
        }
        let read = if self == Self::Time {
            Reader { rest: &lower }.time_alone()
        } else {
            Reader { rest: &lower }.moment(self)
        };
        let value =
            read.ok_or_else(|| format!("not a date or time that is compared here; {FORMS}"))?;
        let (first, last) = match self {
            Self::Date => DATE_RANGE,
            Self::Timestamp | Self::Timestamptz => TIMESTAMP_RANGE,
            Self::Time => (0, DAY),
        };
        if (first..=last).contains(&value) { Ok(value) } else { Err("out of range".to_owned()) }
    }

    /// Reads a row's value: JSON text as PostgreSQL prints it.
    pub(super) fn read(self, raw: &str) -> Option<i64> {
        let text = raw.strip_prefix('"')?.strip_suffix('"')?;
        match (self, text) {
            (Self::Time, _) => Reader { rest: text }.time_alone(),
            (_, "infinity") => Some(i64::MAX),
            (_, "-infinity") => Some(i64::MIN),
            _ => Reader { rest: text }.moment(self),
        }
    }

    /// The literal that PostgreSQL reads back as `value`, whatever its settings.
    pub(super) fn print(self, value: i64) -> String {
        match value {
            i64::MAX => "infinity".to_owned(),
            i64::MIN => "-infinity".to_owned(),
            _ => match self {
                Self::Date => print_date(value, ""),
                Self::Time => print_time(value),
                Self::Timestamp | Self::Timestamptz => {
                    let zone = if self == Self::Timestamptz { "+00" } else { "" };
                    let time = print_time(value.rem_euclid(DAY));
                    print_date(value.div_euclid(DAY), &format!(" {time}{zone}"))
                }
            },
        }
    }
}

struct Reader<'t> {
    rest: &'t str,
}

impl Reader<'_> {
    /// A date, a time of day, a zone, and ` BC`; all but the date may be missing.
    fn moment(mut self, clock: Clock) -> Option<i64> {
        let before = self.rest.strip_suffix(" bc").or_else(|| self.rest.strip_suffix(" BC"));
        self.rest = before.unwrap_or(self.rest);
        let (year, month, day) = self.date()?;
        let has_time = self.eat(['t', 'T', ' ']);
        let time = if has_time { self.time()? } else { 0 };
        let zone = if has_time { self.zone()? } else { 0 };
        if !self.rest.is_empty() {
            return None;
        }
        let days = days(if before.is_some() { 1 - year } else { year }, month, day)?;
        match clock {
            Clock::Date => Some(days),
            Clock::Timestamp => days.checked_mul(DAY)?.checked_add(time),
            _ => days.checked_mul(DAY)?.checked_add(time)?.checked_sub(zone),
        }
    }

    fn time_alone(mut self) -> Option<i64> {
        let time = self.time()?;
        self.rest.is_empty().then_some(time)
    }

    fn eat(&mut self, of: [char; 3]) -> bool {
        match self.rest.strip_prefix(of) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn eat_one(&mut self, c: char) -> bool {
        self.eat([c; 3])
    }

    /// Reads `least` to `most` digits.
    fn number(&mut self, least: usize, most: usize) -> Option<i64> {
        let count = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        if !(least..=most).contains(&count) {
            return None;
        }
        let (digits, rest) = self.rest.split_at(count);
        self.rest = rest;
        digits.parse().ok()
    }

    fn date(&mut self) -> Option<(i64, i64, i64)> {
        let year = self.number(4, 7)?;
        let month = self.eat_one('-').then(|| self.number(2, 2))??;
        let day = self.eat_one('-').then(|| self.number(2, 2))??;
        (year > 0).then_some((year, month, day))
    }

    fn time(&mut self) -> Option<i64> {
        let hour = self.number(2, 2)?;
        let minute = self.eat_one(':').then(|| self.number(2, 2))??;
        let second = if self.eat_one(':') { self.number(2, 2)? } else { 0 };
        let fraction = if self.eat_one('.') { self.fraction()? } else { 0 };
        let is_last = hour == 24 && minute == 0 && second == 0 && fraction == 0;
        if (hour > 23 && !is_last) || minute > 59 || second > 59 {
            return None;
        }
        Some(((hour * 60 + minute) * 60 + second) * 1_000_000 + fraction)
    }

    /// Microseconds, rounded as PostgreSQL rounds further digits.
    fn fraction(&mut self) -> Option<i64> {
        let count = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        let (digits, rest) = self.rest.split_at(count);
        self.rest = rest;
        match count {
            0 => None,
            1..=6 => Some(digits.parse::<i64>().ok()? * 10_i64.pow(6 - u32::try_from(count).ok()?)),
            _ => {
                let part: f64 = format!("0.{digits}").parse().ok()?;
                format!("{:.0}", (part * 1e6).round_ties_even()).parse().ok()
            }
        }
    }

    /// `Z`, `+HH`, `+HHMM`, `+HH:MM` or `+HH:MM:SS`, in microseconds east.
    fn zone(&mut self) -> Option<i64> {
        if self.eat(['z', 'Z', 'Z']) {
            return Some(0);
        }
        let is_west = self.rest.starts_with('-');
        if !self.eat(['+', '-', '-']) {
            return Some(0);
        }
        let Some(hour) = self.number(2, 2) else {
            let both = self.number(4, 4)?;
            return east(is_west, both / 100, both % 100, 0);
        };
        let minute = if self.eat_one(':') { self.number(2, 2)? } else { 0 };
        let second = if self.eat_one(':') { self.number(2, 2)? } else { 0 };
        east(is_west, hour, minute, second)
    }
}

fn east(is_west: bool, hour: i64, minute: i64, second: i64) -> Option<i64> {
    // PostgreSQL takes up to 15:59:59 either way.
    if hour > 15 || minute > 59 || second > 59 {
        return None;
    }
    let east = ((hour * 60 + minute) * 60 + second) * 1_000_000;
    Some(if is_west { -east } else { east })
}

/// Days from 2000-01-01 in the Gregorian calendar; year 0 is 1 BC.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let is_leap =
        year.rem_euclid(4) == 0 && (year.rem_euclid(100) != 0 || year.rem_euclid(400) == 0);
    let length = match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=length).contains(&day) {
        return None;
    }
    // The year begins in March, so that the day that may be missing is its last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leaps = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    Some(year * 365 + leaps + (month * 153 + 2) / 5 + day - 1 - 730_425)
}

/// The date that [`days`] counts to, with `time` before the era.
fn print_date(count: i64, time: &str) -> String {
    let shifted = count + 730_425;
    let (cycle, day) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (year * 365 + year / 4 - year / 100);
    let month = (day * 5 + 2) / 153;
    let day = day - (month * 153 + 2) / 5 + 1;
    let year = year + cycle * 400 + i64::from(month > 9);
    let month = if month > 9 { month - 9 } else { month + 3 };
    let (shown, era) = if year > 0 { (year, "") } else { (1 - year, " BC") };
    format!("{shown:04}-{month:02}-{day:02}{time}{era}")
}

fn print_time(micros: i64) -> String {
    let (seconds, fraction) = (micros / 1_000_000, micros % 1_000_000);
    let (minutes, second) = (seconds / 60, seconds % 60);
    let mut text = format!("{:02}:{:02}:{second:02}", minutes / 60, minutes % 60);
    if fraction > 0 {
        write!(text, ".{fraction:06}").expect("a string takes all text");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::Clock;

    #[test]
    fn every_day_prints_as_what_it_was_read_from() {
        let mut day = -2_451_545;
        while day < 2_145_031_948 {
            let text = Clock::Date.print(day);
            assert_eq!(Clock::Date.parse(&text), Ok(day), "{text}");
            day += 1 + (day.abs() / 1_000);
        }
        assert_eq!(Clock::Date.parse("2000-01-01"), Ok(0));
        assert_eq!(Clock::Date.parse("4714-11-24 BC"), Ok(-2_451_545));
    }

    #[test]
    fn zones_and_fractions_are_read() {
        let at = |text| Clock::Timestamptz.parse(text);
        let noon = at("2026-01-31T12:00:00Z");
        assert!(noon.is_ok());
        for same in ["2026-01-31 12:00", "2026-01-31T14:30:00.000000+02:30", "2026-01-31T11:00-01"]
        {
            assert_eq!(at(same), noon, "{same}");
        }
        assert_eq!(at("2026-01-31T12:00:00.5Z").map(|it| it - 500_000), noon);
    }

    #[test]
    fn what_moves_or_is_unclear_is_refused() {
        for text in [
            "now",
            "Today",
            "tomorrow",
            "yesterday",
            "allballs",
            "1/2/2026",
            "2026-02-30",
            "2026-1-1",
            "26-01-01",
            "2026-01-01 10:00 CET",
            "2026-01-01T25:00",
            "0000-01-01",
            "",
            "2026-01-01T10:00:00+16",
            "294277-01-01",
            "2026-01-01 AD",
            "2026-01-01é",
        ] {
            assert!(Clock::Timestamptz.parse(text).is_err(), "{text}");
        }
    }
}
