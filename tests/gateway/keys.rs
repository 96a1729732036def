//! Rows that get other keys: told where they stand among all else, on every transport.

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
