//! What is read from strangers, and what must hold of it whatever the text: no panic, and what is
//! accepted means the same when it is read again. Shared by the kept corpus and the fuzzer.

#![allow(dead_code, reason = "each fuzz target uses one of these")]

use pgfeed::{
    change::{Collation, Column, Cursor, Folding, Row, Table, TableName},
    feed::{Image, filter::Filter},
    http::query::Query,
    source::payload::Payload,
    wire::Request,
};

/// A message of a client, and a query of an address.
pub fn message(text: &str) {
    if let Ok(request) = Request::parse(text) {
        // A token is in no print.
        let token = match &request {
            Request::Auth { token } => format!("{token:?}"),
            _ => String::new(),
        };
        assert!(token.is_empty() || token == "Token(hidden)");
    }
    if let Ok(query) = Query::parse(text)
        && let Ok(subscriptions) = query.subscriptions()
    {
        assert_eq!(subscriptions.len(), query.tables.len());
    }
}

/// A filter of a client, and the same as an owner's.
pub fn filter(text: &str) {
    let table = table();
    let row = Row::new(
        r#"{"id":7,"title":"a","price":1.50,"at":"2026-01-02T03:04:05+00:00","done":null,
            "data":{"k":[1,null,"x"]},"tags":["a","b"]}"#,
    );
    let image = Image::of(&table, &row);
    if let Ok(filter) = Filter::parse(text)
        && let Ok(compiled) = filter.compile(&table, &|_| true)
    {
        let is_match = compiled.matches(&image);
        assert!(!(is_match && compiled.never().is_some()));
        // Every way to look at it must hold as well; a key is stable.
        let (clause, _) = compiled.to_sql(1);
        assert!(!clause.is_empty());
        assert_eq!(compiled.to_string(), compiled.to_string());
        if let Some((column, values)) = compiled.equality() {
            assert!(compiled.columns().contains(&column) && !values.is_empty());
        }
    }
    if let Ok(filter) = Filter::parse_policy(text)
        && let Ok(compiled) = filter.bind(&|_| None).compile(&table, &|_| true)
        && !filter.placeholders().is_empty()
    {
        assert!(!compiled.matches(&image), "a missing claim lets nothing through: {text}");
    }
}

/// A cursor, and the same text as the inside of one whose check holds.
pub fn cursor(text: &str) {
    read_cursor(text);
    let mut bytes =
        text.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(0)).collect::<Vec<u8>>();
    bytes.extend(crc32fast::hash(&bytes).to_be_bytes());
    read_cursor(&data_encoding::BASE64URL_NOPAD.encode(&bytes));
}

fn read_cursor(text: &str) {
    if let Ok(cursor) = Cursor::parse(text) {
        let again = Cursor::parse(&cursor.to_text()).expect("what was accepted is accepted again");
        assert_eq!(cursor, again);
    }
}

/// A NOTIFY payload.
pub fn payload(text: &str) {
    if let Payload::Change(told) = Payload::read(text) {
        let table = table();
        for row in [told.new, told.old].iter().flatten() {
            let image = Image::of(&table, row);
            for place in 0..table.columns.len() {
                assert!(image.value(place).is_none_or(|it| row.text().contains(it)));
            }
        }
    }
}

fn table() -> Table {
    let column = |name: &str, type_name: &str, type_oid, element_oid| Column {
        name: name.to_owned(),
        type_name: type_name.to_owned(),
        type_oid,
        element_oid,
        is_domain: false,
        collation: if type_oid == 25 { Collation::Bytes } else { Collation::None },
        folding: Folding::Simple,
        labels: Vec::new(),
    };
    Table {
        oid: 1,
        name: TableName::parse("courses"),
        key: vec!["id".to_owned()],
        columns: vec![
            column("id", "bigint", 20, 0),
            column("title", "text", 25, 0),
            column("price", "numeric", 1700, 0),
            column("at", "timestamp with time zone", 1184, 0),
            column("done", "boolean", 16, 0),
            column("data", "jsonb", 3802, 0),
            column("tags", "text[]", 1009, 25),
        ],
        shape: 1,
    }
}
