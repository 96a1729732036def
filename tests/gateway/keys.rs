//! Rows that get other keys: told where they stand among all else, on every transport.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::{
    database::Database,
    follower::{WAYS, Way},
    gateway::Gateway,
    reader::Reader,
};

async fn open(gateway: &Gateway, way: Way, query: &str) -> Reader {
    let feed = format!("changes/?{query}");
    let mut reader = Reader::of(gateway.address(), way, "", &feed).await;
    if way == Way::Socket && query.contains(',') {
        // That of the other table.
        reader.expect("subscribed").await;
    }
    reader
}

fn told(changes: &[Value]) -> Vec<String> {
    let text = |it: &Value| it.as_str().unwrap_or("-").to_owned();
    let one =
        |it: &Value| format!("{} {} {}", text(&it["effect"]), text(&it["table"]), it["key"]["id"]);
    changes.iter().map(one).collect()
}

#[tokio::test]
async fn what_refers_to_a_new_key_comes_behind_it() {
    let database = Database::fresh().await;
    database.run("insert into notes (id) values (1), (2), (3)").await;
    let gateway = Gateway::serving(&database).await;
    for (way, id) in WAYS.into_iter().zip(1_u64..) {
        let (new, last) = (10 * id, 10 * id + 1);
        let mut reader = open(&gateway, way, "table=notes,items").await;
        let sql = format!(
            "begin; update notes set id = {new} where id = {id}; \
             insert into items (id) values ({new}); insert into items (id) values ({last}); commit"
        );
        database.run(&sql).await;
        let expected = [
            format!("leave notes {id}"),
            format!("enter notes {new}"),
            format!("enter items {new}"),
            format!("enter items {last}"),
        ];
        assert_eq!(told(&reader.until_row(last).await), expected, "{way:?}");
    }
}

#[tokio::test]
async fn keys_passed_on_over_the_edge_of_a_filter_leave_the_set_of_its_select() {
    let database = Database::fresh().await;
    let table = "create table seats (id int primary key deferrable initially deferred, body text);
                 select pgfeed.watch('seats')";
    database.run(table).await;
    let gateway = Gateway::serving(&database).await;
    for (filter, condition, before) in
        [("id=lt.9", "id < 9", 1..=8), ("id=gte.2", "id >= 2", 2..=8)]
    {
        for way in WAYS {
            let rows = "insert into seats select i, md5(i::text) from generate_series(1, 8) i";
            database.run(&format!("truncate seats; {rows}")).await;
            let query = format!("table=seats&filter={}", filter.replace('=', "%3D"));
            let mut reader = open(&gateway, way, &query).await;
            database.run("update seats set id = id + 1").await;
            // Below what was passed on, or above it: it tells where that ends.
            let last = if condition == "id < 9" { 1 } else { 20 };
            database.run(&format!("insert into seats values ({last}, 'last')")).await;
            let mut seats: BTreeSet<u64> = before.clone().collect();
            let mut changes = Vec::new();
            while changes.last().is_none_or(|it: &Value| it["data"]["body"] != "last") {
                changes.push(reader.expect("change").await);
            }
            for change in &changes {
                let id = change["key"]["id"].as_u64().unwrap_or_default();
                match change["effect"].as_str() {
                    Some("enter") => _ = seats.insert(id),
                    Some("leave") => _ = seats.remove(&id),
                    // What was before may be told to who begins now.
                    _ => seats.clear(),
                }
            }
            let ids: Vec<String> = seats.iter().map(ToString::to_string).collect();
            let select = "select string_agg(id::text, ',' order by id) from seats where";
            let expected = database.value(&format!("{select} {condition}")).await;
            assert_eq!(ids.join(","), expected, "{filter} {way:?}: {:?}", told(&changes));
        }
    }
}
