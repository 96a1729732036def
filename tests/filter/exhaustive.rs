//! Every known value of every type against every literal of it, and every short pattern.

use pgfeed::feed::Image;
use pgfeed::feed::filter::{CompiledFilter, Filter};
use pgfeed::source::cluster::Cluster;

use crate::against::{Against, is_meant};
use crate::model::literal;
use crate::types::{Family, TYPES, Type};

const OPERATORS: &[(&str, &str)] = &[
    ("eq", "="),
    ("neq", "<>"),
    ("gt", ">"),
    ("gte", ">="),
    ("lt", "<"),
    ("lte", "<="),
    ("isdistinct", "is distinct from"),
];
const PATTERN: &[&str] = &["a", "A", "\u{e9}", "%", "_", "\\_"];

/// Compares all, and gives the number of comparisons.
pub(crate) async fn compare(cluster: &Cluster) -> usize {
    let against = Against::connect(cluster).await;
    let mut comparisons = 0;
    for of in TYPES {
        comparisons += literals(&against, of).await;
        if of.family == Family::Text {
            comparisons += patterns(&against, of).await;
        }
    }
    comparisons
}

async fn literals(against: &Against, of: &Type) -> usize {
    let table = against.create_one(of.sql, of.values).await;
    let rows = against.rows().await;
    let images: Vec<Image<'_>> = rows.iter().map(|row| Image::of(&table, row)).collect();
    let cast = if of.sql == "feeling" { "::mood" } else { "" };
    let mut comparisons = 0;
    for value in of.values.iter().chain(of.others) {
        for (name, operator) in OPERATORS {
            let text = format!("c={name}.{}", value.replace('%', "%25").replace('&', "%26"));
            let compiled =
                Filter::parse(&text).and_then(|filter| filter.compile(&table, &|_| true));
            let clause = format!("c{cast} {operator} {}", literal(value));
            let answers = against.answers(&clause, &[]).await;
            match (compiled, answers) {
                (Ok(filter), Ok(expected)) => {
                    check(&filter, &images, &expected, &format!("{}: {text}", of.sql));
                    comparisons += expected.len();
                }
                (Ok(_), Err(error)) => assert_eq!(error, "", "{}: {text}", of.sql),
                (Err(error), Ok(_)) => assert!(is_meant(&error), "{}: {text}: {error}", of.sql),
                (Err(_), Err(_)) => {}
            }
        }
    }
    comparisons
}

async fn patterns(against: &Against, of: &Type) -> usize {
    let values = [
        "", "a", "A", "\u{e9}", "_", "aa", "aA", "a_", "\u{e9}a", "aa\u{e9}", "Aaa", "a a", "aaaa",
    ];
    let values: Vec<&str> = values.into_iter().filter(|it| it.len() <= 4).collect();
    let table = against.create_one(of.sql, &values).await;
    let rows = against.rows().await;
    let images: Vec<Image<'_>> = rows.iter().map(|row| Image::of(&table, row)).collect();
    let mut patterns = vec![String::new()];
    for length in 0..3 {
        let longest: Vec<String> = patterns
            .iter()
            .filter(|it| it.matches(|c| c != '\\').count() == length)
            .cloned()
            .collect();
        patterns.extend(
            longest.iter().flat_map(|it| PATTERN.iter().map(move |end| format!("{it}{end}"))),
        );
    }
    let mut comparisons = 0;
    for operator in ["like", "ilike"] {
        let filters: Vec<_> = patterns
            .iter()
            .map(|pattern| {
                let text = format!("c={operator}.{}", pattern.replace('%', "*"));
                Filter::parse(&text).and_then(|filter| filter.compile(&table, &|_| true))
            })
            .collect();
        for (pattern, filter) in patterns.iter().zip(filters) {
            let filter = match filter {
                Ok(filter) => filter,
                Err(error) => {
                    assert!(is_meant(&error), "{}: {operator} {pattern}: {error}", of.sql);
                    continue;
                }
            };
            let clause = format!("c {operator} {}", literal(pattern));
            let expected = against.answers(&clause, &[]).await.expect("a pattern");
            check(&filter, &images, &expected, &format!("{}: {operator} {pattern}", of.sql));
            comparisons += expected.len();
        }
    }
    comparisons
}

fn check(filter: &CompiledFilter, images: &[Image<'_>], expected: &[bool], said: &str) {
    for (image, expected) in images.iter().zip(expected) {
        assert_eq!(filter.matches(image), *expected, "{said} of {}", image.text());
    }
}
