//! Hostile texts that are kept: what attackers are known to send, a file each; what a fuzzer found
//! that goes a way of its own, in `found.jsonl`, a line each; and changes of these at random.
//! `make fuzz` goes on from here, `scripts/fuzz keep` writes down what it found.

#![expect(
    unreachable_pub,
    clippy::needless_for_each,
    reason = "the fuzz targets include the same file, and print what they were given"
)]

mod strangers;

use std::{fs, path::Path};

/// Enough to shake every text a little, few enough for every run of the tests;
/// `PGFEED_TEST_CHANGES` asks for more.
const CHANGES: usize = 2_000;

/// Reads a text as a stranger's.
type Read = fn(&str);

#[test]
fn no_kept_text_or_change_of_one_breaks_the_reading() {
    let targets: [(&str, Read); 4] = [
        ("message", strangers::message),
        ("filter", strangers::filter),
        ("cursor", strangers::cursor),
        ("payload", strangers::payload),
    ];
    let asked = std::env::var_os("PGFEED_TEST_CHANGES");
    let changes = asked.and_then(|it| it.to_str()?.parse().ok()).unwrap_or(CHANGES);
    for (name, read) in targets {
        let kept = kept(name);
        assert!(kept.len() >= 5, "{name}: the corpus is there");
        kept.iter().for_each(|text| read(text));
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..changes {
            read(&changed(&kept, &mut random));
        }
    }
}

fn kept(name: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(name);
    let mut paths: Vec<_> = fs::read_dir(folder)
        .expect("the corpus is there")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    let mut kept = Vec::new();
    for path in &paths {
        let text = String::from_utf8_lossy(&fs::read(path).expect("a file")).into_owned();
        if path.extension().is_some_and(|it| it == "jsonl") {
            let line = |line| serde_json::from_str(line).expect("a line is a JSON string");
            kept.extend(text.lines().map(line).collect::<Vec<String>>());
        } else {
            kept.push(text);
        }
    }
    kept
}

/// One text with some of its characters taken out, doubled, or from another.
fn changed(kept: &[String], random: &mut fastrand::Rng) -> String {
    let mut text: Vec<char> = kept[random.usize(..kept.len())].chars().collect();
    let other: Vec<char> = kept[random.usize(..kept.len())].chars().collect();
    for _ in 0..random.usize(1..4) {
        let at = random.usize(..=text.len());
        let end = (at + random.usize(..8)).min(text.len());
        match random.u8(..4) {
            0 => drop(text.drain(at..end)),
            1 => text.extend_from_within(at..end),
            2 if !other.is_empty() => {
                let from = random.usize(..other.len());
                let until = (from + random.usize(..16)).min(other.len());
                drop(text.splice(at..end, other[from..until].iter().copied()));
            }
            _ => text.insert(at, random.char(..)),
        }
    }
    text.into_iter().collect()
}
