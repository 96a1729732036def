//! Databases of other encodings: order is that of bytes there, and of characters here. It is either
//! the same or refused.

use pgfeed::feed::{Image, filter::Filter};
use pgfeed::source::cluster::Cluster;

use crate::against::{Against, is_meant};

/// Characters of several encodings, some of them in another order there.
const TEXTS: [&str; 9] = ["", "a", "Z", "é", "ÿ", "€", "ž", "\u{a0}", "b é"];

/// Compares rows of one database by every operator; gives how many answers were compared.
pub(crate) async fn compare(cluster: &Cluster, encoding: &str) -> usize {
    let against = Against::connect_to(cluster, encoding).await;
    // What the encoding has no character for, cannot be asked of it either.
    let mut texts = Vec::new();
    for text in TEXTS {
        if against.can_hold(text).await {
            texts.push(text);
        }
    }
    let table = against.create_one("text collate \"C\"", &texts).await;
    let rows = against.rows().await;
    let mut compared = 0;
    for text in &texts {
        for operator in ["eq", "neq", "gt", "gte", "lt", "lte", "like"] {
            let filter = Filter::parse(&format!("c={operator}.{text}"));
            let compiled = filter.expect("is read").compile(&table, &|_| true);
            let compiled = match compiled {
                Ok(compiled) => compiled,
                Err(error) => {
                    assert!(is_meant(&error) && operator.len() < 4, "{encoding}: {error}");
                    continue;
                }
            };
            let (clause, parameters) = compiled.to_sql(1);
            let expected = against.answers(&clause, &parameters).await.expect("can be asked");
            for (row, expected) in rows.iter().zip(&expected) {
                let answer = compiled.matches(&Image::of(&table, row));
                let row = row.text();
                assert_eq!(answer, *expected, "{encoding}: {operator} {text:?} of {row}");
                compared += 1;
            }
        }
    }
    compared
}
