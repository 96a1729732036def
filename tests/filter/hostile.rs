//! What strangers send: nothing makes parsing, compiling or judging panic.

use pgfeed::change::{Collation, Column, Folding, Row, Table, TableName};
use pgfeed::feed::Image;
use pgfeed::feed::filter::{Binding, Filter, Limits, Scalar};
use tokio::time::Instant;

use crate::random::Random;

/// Filters that were worth keeping, one a line.
const CORPUS: &str = include_str!("corpus.txt");

const ROWS: &[&str] = &[
    r#"{"id":7,"t":"a\"b\u00e9","j":{"a":{"b":1},"k.k":[1,[2]]},"a":[1,null],"u":"a0",
        "z":"infinity","n":1.50,"f":"NaN","y":"\\xde","b":true,"e":"low"}"#,
    r#"{"id":null,"t":null,"j":null,"a":null,"u":null,"z":null,"n":null,
        "f":null,"y":null,"b":null}"#,
    r#"{"id":"x","t":7,"j":"[","a":{},"u":[],"z":1,"n":"-","f":"","y":"\"","b":[1],"e":7}"#,
    r#"{"id":"","t":"\ud800","j":[[[[1"#,
    "{}",
];

/// Parses, compiles and judges as all that the gateway does with a filter.
fn run(table: &Table, text: &str) {
    let claim = |_: &_| Some(Binding::Many(vec![Scalar::Text("a\"),id.eq.7".to_owned())]));
    let owned = Filter::parse_feed(text, &["id"]).map(|filter| filter.bind(&claim));
    for filter in [Filter::parse(text), owned].into_iter().flatten() {
        let Ok(compiled) = filter.compile(table, &|_| true) else { continue };
        for row in ROWS {
            let row = Row::new(*row);
            compiled.matches(&Image::of(table, &row));
        }
        let (_, parameters) = compiled.to_sql(1);
        assert!(parameters.len() <= text.len());
        assert!(compiled.equality().is_none_or(|(_, values)| !values.is_empty()));
    }
    if let Err(error) = Filter::parse(text) {
        assert!(error.place <= text.len() && text.is_char_boundary(error.place), "{text}: {error}");
    }
}

#[test]
fn nothing_that_is_sent_panics() {
    let table = table();
    let kept: Vec<&str> = CORPUS.lines().collect();
    for text in &kept {
        run(&table, text);
    }
    let mut random = Random::new(7);
    let joints =
        ["(", ")", ",", ".", "=", "&", "%", "\"", "\\", "{", "}", "->", "->>", "not.", "\u{e9}"];
    for _ in 0..30_000 {
        let mut text = random.pick(&kept).to_owned();
        for _ in 0..=random.below(4) {
            let at = text.char_indices().nth(random.below(30)).map_or(text.len(), |(at, _)| at);
            match random.below(4) {
                0 => text.insert_str(at, random.pick(&joints)),
                1 => text.truncate(at),
                2 => text.replace_range(at.., random.pick(&kept)),
                _ => {
                    text =
                        text.chars().enumerate().filter(|(n, _)| *n != at).map(|it| it.1).collect();
                }
            }
        }
        run(&table, &text);
    }
}

/// A row of a megabyte costs a pass, whatever the filter asks of it.
#[test]
fn a_long_text_is_looked_at_once_for_each_pattern() {
    let table = table();
    let letters = "a".repeat(1_000_000);
    let row = Row::new(format!("{{\"id\":7,\"t\":\"{letters}\",\"n\":1.50}}"));
    let image = Image::of(&table, &row);
    let plain = Instant::now();
    assert_eq!(letters.chars().filter(|it| *it == 'b').count(), 0);
    let plain = plain.elapsed();
    let run = "a".repeat(30);
    for pattern in [
        format!("*{run}_{run}b*"),
        format!("*{}*b", "a*_".repeat(300)),
        format!("*{}b", "*a".repeat(1_000)),
        format!("{}*b*", "_".repeat(1_000)),
        format!("*{}b_*", "_".repeat(60)),
    ] {
        let filter = Filter::parse(&format!("t=like.{pattern}")).expect("is read");
        let filter = filter.compile(&table, &|_| true).expect("fits");
        let began = Instant::now();
        assert!(!filter.matches(&image), "{pattern}");
        let took = began.elapsed();
        assert!(took < plain * 60, "{pattern}: {took:?}, where one look takes {plain:?}");
    }
    let many: Vec<String> = (0..700).map(|it| format!("b{it}")).collect();
    let filter = Filter::parse(&format!("t=in.({})", many.join(","))).expect("is read");
    let filter = filter.compile(&table, &|_| true).expect("fits");
    let began = Instant::now();
    assert!(!filter.matches(&image));
    assert!(began.elapsed() < plain * 20, "{:?}", began.elapsed());
}

/// A filter of a list is judged for every change, whatever is in the list.
#[test]
fn a_long_list_is_looked_up() {
    let mut table = table();
    let labels = (0..4_000).map(|it| format!("l{it}")).collect();
    table.columns.last_mut().expect("an enum").labels = labels;
    let row = r#"{"id":7,"t":"x","n":1.5,"z":"2026-01-31T09:30:00+00:00","e":"l0","j":{"k":"x"}}"#;
    let row = Row::new(row);
    let image = Image::of(&table, &row);
    let list = |each: &dyn Fn(u32) -> String| (1..2_001).map(each).collect::<Vec<_>>().join(",");
    let moments = list(&|it| format!("{:04}-01-01T00:00:00Z", 2_026 + it));
    for (short, long) in [
        ("id=not.in.(1)", format!("id=not.in.({})", list(&|it| (it + 7).to_string()))),
        ("t=not.in.(a)", format!("t=not.in.({})", list(&|it| format!("a{it}")))),
        ("j->>k=not.in.(a)", format!("j->>k=not.in.({})", list(&|it| format!("a{it}")))),
        ("n=not.in.(1)", format!("n=not.in.({})", list(&|it| format!("{it}.25")))),
        ("z=not.in.(2026-01-01)", format!("z=not.in.({moments})")),
        ("e=not.gt.l3998", "e=not.gt.l1999".to_owned()),
    ] {
        let time = |text: &str| {
            let limits = Limits { bytes_max: 1 << 20, depth_max: 8 };
            let filter = Filter::parse_within(text, limits).expect("is read");
            let filter = filter.compile(&table, &|_| true).expect("fits");
            let once = || {
                let began = Instant::now();
                assert!((0..20).all(|_| filter.matches(&image)), "{text:.30}");
                began.elapsed()
            };
            (0..10).map(|_| once()).min().expect("ten runs")
        };
        let (short, long) = (time(short), time(&long));
        // Some eleven looks; two thousand would take a hundred times as long.
        assert!(long < short * 40, "{long:?} for two thousand values, {short:?} for one");
    }
}

/// A table with one column of each kind.
fn table() -> Table {
    let types = [
        ("id", 23, 0),
        ("t", 25, 0),
        ("j", 3802, 0),
        ("a", 1007, 23),
        ("u", 2950, 0),
        ("z", 1184, 0),
        ("n", 1700, 0),
        ("f", 701, 0),
        ("y", 17, 0),
        ("b", 16, 0),
        ("e", 20_000, 0),
    ];
    let columns = types.map(|(name, type_oid, element_oid)| Column {
        name: name.to_owned(),
        type_name: name.to_owned(),
        type_oid,
        is_domain: false,
        element_oid,
        collation: Collation::Bytes,
        folding: Folding::Full,
        labels: if type_oid == 20_000 {
            vec!["low".to_owned(), "high".to_owned()]
        } else {
            Vec::new()
        },
    });
    let name = TableName::parse("sample");
    Table { oid: 1, name, key: Vec::new(), columns: columns.into(), shape: 0 }
}
