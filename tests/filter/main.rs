//! The gateway's filters against PostgreSQL's own WHERE: random tables, rows and filters.
//!
//! `PGFEED_FILTER_COMPARISONS` says how many comparisons are made (100,000 if it is not set),
//! `PGFEED_FILTER_SEED` from which seed. A failure prints the seed, the filter and the row.

mod against;
mod encodings;
mod exhaustive;
mod folding;
mod hostile;
mod invent;
mod model;
mod random;
mod types;
mod vocabulary;

use against::{Against, Tally};
use pgfeed::source::cluster::{Cluster, Options};
use random::Random;

#[tokio::test]
async fn filters_answer_as_where_does() {
    let wanted = setting("PGFEED_FILTER_COMPARISONS").unwrap_or(100_000);
    let seed = setting("PGFEED_FILTER_SEED").unwrap_or(20_261_121);
    let cluster = Cluster::start(Options::from_env()).await.expect("a server");
    let mut against = Against::connect(&cluster).await;
    let mut tally = Tally::default();
    let mut round = 0;
    while tally.comparisons < wanted {
        round += 1;
        let mut random = Random::new(seed + round);
        against.round(&mut random, &mut tally, seed + round).await;
    }
    cluster.destroy().await.expect("the server ends");
    println!("{tally:?}");
    tally.check();
}

#[tokio::test]
async fn known_values_compare_as_in_sql() {
    let cluster = Cluster::start(Options::from_env()).await.expect("a server");
    let comparisons = exhaustive::compare(&cluster).await;
    cluster.destroy().await.expect("the server ends");
    assert!(comparisons > 80_000, "{comparisons} comparisons");
}

#[tokio::test]
async fn order_in_another_encoding_is_that_of_where_or_refused() {
    let cluster = Cluster::start(Options::from_env()).await.expect("a server");
    let mut compared = Vec::new();
    for encoding in ["UTF8", "LATIN1", "LATIN9", "WIN1250"] {
        compared.push(encodings::compare(&cluster, encoding).await);
    }
    cluster.destroy().await.expect("the server ends");
    // Everything in the first two; what asks for no order in the others.
    assert_eq!(compared, [9 * 7 * 10, 7 * 7 * 8, 9 * 3 * 10, 8 * 3 * 9]);
}

#[tokio::test]
async fn ilike_folds_letters_as_lower_does() {
    let cluster = Cluster::start(Options::from_env()).await.expect("a server");
    let accepted = folding::compare(&cluster).await;
    cluster.destroy().await.expect("the server ends");
    assert!(accepted > 1_000, "{accepted} letters are compared");
}

#[expect(clippy::disallowed_methods, reason = "a test has no settings file")]
fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}
