//! Declared feeds: who may open which, and what then is subscribed.

use serde_json::{Value, json};

use super::{FeedSettings, FeedTable, Feeds, Opened, Refusal};
use crate::auth::sample::{claims, table};
use crate::change::Row;
use crate::feed::Image;

fn feed(name: &str, path: &str, require: Value, tables: &[(&str, &str)]) -> FeedSettings {
    let require = serde_json::from_value(require).expect("lists of texts");
    let table = |(table, filter): &(&str, &str)| FeedTable {
        table: (*table).to_owned(),
        filter: Some((*filter).to_owned()),
        ..FeedTable::default()
    };
    FeedSettings {
        name: name.to_owned(),
        path: path.to_owned(),
        require,
        tables: tables.iter().map(table).collect(),
    }
}

fn academy() -> Feeds {
    let own = &[("registrations", "owner=eq.{id}"), ("courses", "")];
    Feeds::new(vec![
        feed("courses", "", json!({}), &[("courses", "status=eq.PUBLISHED")]),
        feed("dashboard", "", json!({"role": ["admin", "mentor"]}), &[("courses", "")]),
        feed("notes", "", json!({"role": ["student"]}), &[("courses", "owner=eq.{claims.sub}")]),
        feed("student", "student/{id}", json!({"role": ["student"], "sub": ["{id}"]}), own),
    ])
    .expect("feeds")
}

fn open(path: &str, reader: Option<Value>) -> Option<Result<Vec<Opened>, Refusal>> {
    let feeds = academy();
    let found = feeds.find(path)?;
    Some(found.open(reader.map(claims).as_ref()))
}

/// Whether the filter of a bound table takes a row of this owner.
fn takes(bound: &Opened, owner: &str) -> bool {
    let table = table();
    let row = Row::new(json!({"id": 1, "owner": owner, "status": "PUBLISHED"}).to_string());
    let filter = bound.filter.as_ref().expect("a filter");
    let compiled = filter.compile(&table, &|_| true).expect("it fits");
    compiled.matches(&Image::of(&table, &row))
}

#[test]
fn a_feed_opens_for_whom_it_is_declared() {
    let student = |id: &str| Some(json!({"sub": id, "role": "student"}));
    let opens = |path, reader| match open(path, reader) {
        None => "unknown",
        Some(Ok(_)) => "opens",
        Some(Err(Refusal::Unauthorized)) => "unauthorized",
        Some(Err(Refusal::Forbidden)) => "forbidden",
    };
    assert_eq!(opens("courses/", None), "opens");
    assert_eq!(opens("dashboard/", None), "unauthorized");
    assert_eq!(opens("dashboard/", student("7")), "forbidden");
    assert_eq!(opens("dashboard/", Some(json!({"role": "mentor"}))), "opens");
    assert_eq!(opens("student/7/", student("7")), "opens");
    assert_eq!(opens("student/7", student("7")), "opens");
    assert_eq!(opens("student/7/", student("8")), "forbidden");
    assert_eq!(opens("student/7/", None), "unauthorized");
    assert_eq!(opens("student/7/", Some(json!({"sub": "7", "role": "mentor"}))), "forbidden");
    assert_eq!(opens("student/7/", Some(json!({"role": "student"}))), "forbidden");
    for unknown in ["student/", "student/7/8/", "student/..%2F7/", "Courses/", "changes/", "nope"] {
        assert_eq!(opens(unknown, student("7")), "unknown", "{unknown}");
    }
}

#[test]
fn a_part_of_the_path_stands_as_one_value() {
    let bound = |id: &str, path: &str| {
        let reader = json!({"sub": id, "role": "student"});
        open(path, Some(reader)).expect("a feed").expect("open")
    };
    let mine = bound("7", "student/7/");
    assert_eq!(mine[0].table, "registrations");
    assert_eq!((mine[1].table.as_str(), &mine[1].filter), ("courses", &None));
    assert!(takes(&mine[0], "7") && !takes(&mine[0], "8"));
    for (sub, path) in [
        ("7,8", "student/7,8/"),
        ("7&owner=eq.8", "student/7%26owner=eq.8/"),
        ("*", "student/*/"),
        ("{id}", "student/%7Bid%7D/"),
        ("{claims.sub}", "student/{claims.sub}/"),
    ] {
        let mine = bound(sub, path);
        assert!(takes(&mine[0], sub), "{sub}");
        assert!(!takes(&mine[0], "8") && !takes(&mine[0], "7"), "{sub}");
    }
}

#[test]
fn a_claim_in_a_feed_that_is_missing_takes_no_row() {
    let nobody = json!({"role": "student"});
    let bound = open("notes/", Some(nobody)).expect("a feed").expect("open");
    assert!(!takes(&bound[0], "7"));
    let ann = json!({"role": "student", "sub": "ann"});
    let bound = open("notes/", Some(ann)).expect("a feed").expect("open");
    assert!(takes(&bound[0], "ann") && !takes(&bound[0], "7"));
}

#[test]
fn words_win_over_placeholders() {
    let feeds = Feeds::new(vec![
        feed("any", "mentor/{id}", json!({}), &[("a", "")]),
        feed("all", "mentor/all", json!({}), &[("a", "")]),
    ])
    .expect("feeds");
    let name = |path| feeds.find(path).map(|it| it.feed.name.clone());
    assert_eq!(name("mentor/all"), Some(String::from("all")));
    assert_eq!(name("mentor/7"), Some(String::from("any")));
}

#[test]
fn a_declaration_that_cannot_work_is_refused_at_the_start() {
    let why = |settings: Vec<FeedSettings>| Feeds::new(settings).expect_err("refused").to_string();
    let one = |path, require, tables: &[(&str, &str)]| why(vec![feed("f", path, require, tables)]);
    let ok = [("courses", "")];
    assert!(one("a/{b", json!({}), &ok).starts_with("feeds.f.path: "));
    assert!(one("changes", json!({}), &ok).contains("built in"));
    assert!(one("{any}", json!({}), &ok).contains("built in"));
    assert!(one("a/{id}", json!({"sub": ["{other}"]}), &ok).starts_with("feeds.f.require.sub: "));
    assert!(one("a", json!({}), &[]).contains("no table"));
    assert!(one("a", json!({}), &[("t", ""), ("t", "")]).contains("twice"));
    assert!(one("a", json!({}), &[("t", "x=eq.{id}")]).starts_with("feeds.f.tables[0].filter: "));
    let two = |path: &str| feed("g", path, json!({}), &ok);
    assert!(why(vec![two("a/{x}"), feed("h", "a/{y}", json!({}), &ok)]).contains("feed g"));
}
