//! Values made up for a type, besides those that have been trouble.

use crate::random::Random;
use crate::types::Type;

/// A valid literal of the type: one of its known values, or a new one. New ones are drawn from
/// few, so that filters meet rows.
pub(crate) fn invent(random: &mut Random, of: &Type) -> String {
    let known = random.pick(of.values).to_owned();
    if random.chance(50) {
        return known;
    }
    match of.sql {
        "smallint" | "integer" | "bigint" => (random.below(40)).to_string(),
        "numeric" => decimal(random, 12),
        "numeric(8,2)" => decimal(random, 3),
        "real" | "double precision" => float(random),
        "uuid" => format!("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a{:02x}", random.below(256)),
        "date" => date(random),
        "timestamp" => format!("{} {}", date(random), time(random)),
        "timestamptz" => format!("{} {}{}", date(random), time(random), zone(random)),
        "time" => time(random),
        "bytea" => (0..random.below(4))
            .fold("\\x".to_owned(), |bytes, _| bytes + random.pick(&["00", "5c", "61", "ff"])),
        "integer[]" => list(random, |random| random.below(4).to_string()),
        "text[]" => {
            list(random, |random| random.pick(&["a", "\"b c\"", "null", "\"\""]).to_owned())
        }
        "numeric[]" => list(random, |random| decimal(random, 2)),
        sql if sql.starts_with("text") || sql == "word" => {
            let letters = ["a", "b", "A", "\u{e9}", " ", "\\", "\"", "%", "\u{1f600}", "\n", "k"];
            (0..random.below(5)).map(|_| random.pick(&letters)).collect()
        }
        _ => known,
    }
}

fn decimal(random: &mut Random, digits: usize) -> String {
    let mut text = if random.chance(30) { "-".to_owned() } else { String::new() };
    for _ in 0..=random.below(digits) {
        text += random.pick(&["0", "0", "1", "9"]);
    }
    if random.chance(60) {
        text += ".";
        for _ in 0..random.below(digits.min(6)) {
            text += random.pick(&["0", "0", "5"]);
        }
    }
    text
}

fn float(random: &mut Random) -> String {
    let mantissa = random.below(100);
    match random.below(4) {
        0 => format!("{}e{}", mantissa, random.below(30)),
        1 => format!("-{mantissa}.{}", random.below(10)),
        2 => format!("0.{}", random.below(10)),
        _ => mantissa.to_string(),
    }
}

fn date(random: &mut Random) -> String {
    let year = random.pick(&["2024", "1900", "2000", "0004", "2026", "19999"]);
    format!("{year}-{:02}-{:02}", 1 + random.below(12), 1 + random.below(28))
}

fn time(random: &mut Random) -> String {
    let mut text = format!("{:02}:{:02}", random.below(24), random.below(60));
    if random.chance(70) {
        text += ":";
        text += random.pick(&["00", "07", "30", "59"]);
        if random.chance(50) {
            text += ".";
            for _ in 0..=random.below(9) {
                text += random.pick(&["0", "4", "5", "9"]);
            }
        }
    }
    text
}

fn zone(random: &mut Random) -> String {
    let sign = random.pick(&["+", "-"]);
    match random.below(5) {
        0 => "Z".to_owned(),
        1 => format!("{sign}{:02}", random.below(16)),
        2 => format!("{sign}{:02}{:02}", random.below(16), random.below(60)),
        3 => format!("{sign}{:02}:{:02}", random.below(16), random.below(60)),
        _ => String::new(),
    }
}

fn list(random: &mut Random, mut item: impl FnMut(&mut Random) -> String) -> String {
    let items: Vec<String> = (0..random.below(3)).map(|_| item(random)).collect();
    format!("{{{}}}", items.join(","))
}
