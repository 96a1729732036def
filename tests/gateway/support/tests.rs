//! The harness tested by itself: a validator that sees nothing would let everything pass.

use std::sync::Arc;

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{self, Duration},
};

use super::{
    database::Database,
    oracle::{Columns, Oracle, RowChange, Transaction},
    proxy::Proxy,
    record::{Change, Mark},
    spawn, validators,
    wait::{PATIENCE, within},
};

fn change(id: u32, xid: u32, key: u32, n: u32) -> Change {
    let message = json!({
        "schema": "public", "table": "notes", "operation": "INSERT", "effect": "enter",
        "key": {"id": key}, "data": {"id": key, "n": n},
        "id": id.to_string(), "xid": xid.to_string(),
    });
    Change::read("notes", &message)
}

fn truth(xid: u32, rows: &[(u32, u32)]) -> Transaction {
    let row = |(id, n): &(u32, u32)| RowChange {
        table: "public.notes".to_owned(),
        operation: "INSERT".to_owned(),
        new: [("id", id), ("n", n)]
            .map(|(name, it)| (name.to_owned(), Some(it.to_string())))
            .into(),
        old: Columns::new(),
        differs: true,
    };
    Transaction { xid: xid.to_string(), rows: rows.iter().map(row).collect() }
}

#[test]
fn what_is_lost_invented_wrong_or_out_of_its_statements_order_is_not_complete() {
    let truth = [truth(1, &[(1, 0)]), truth(2, &[(1, 1), (2, 1)])];
    let (a, b, c) = (change(1, 1, 1, 0), change(2, 2, 1, 1), change(3, 2, 2, 1));
    assert_eq!(validators::complete(&truth, &[&a, &b, &c]), Vec::<String>::new());
    assert_ne!(validators::complete(&truth, &[&b, &c]), Vec::<String>::new());
    assert_ne!(validators::complete(&truth, &[&a, &b]), Vec::<String>::new());
    assert_ne!(validators::complete(&truth, &[&a, &c, &b]), Vec::<String>::new());
    assert_ne!(validators::complete(&truth, &[&a, &b, &c, &c]), Vec::<String>::new());
    let invented = change(4, 3, 3, 0);
    assert_ne!(validators::complete(&truth, &[&a, &b, &c, &invented]), Vec::<String>::new());
    let wrong = change(1, 1, 1, 7);
    assert_ne!(validators::complete(&truth, &[&wrong, &b, &c]), Vec::<String>::new());
}

#[test]
fn a_repeated_change_is_seen() {
    let (a, b) = (change(1, 1, 1, 0), change(2, 1, 2, 0));
    assert_eq!(validators::exactly_once(&[&a, &b]), Vec::<String>::new());
    assert_eq!(validators::exactly_once(&[&a, &b, &a]).len(), 1);
}

#[test]
fn a_row_told_out_of_order_is_seen() {
    let truth = [truth(9, &[(1, 0)]), truth(2, &[(1, 1)]), truth(3, &[(2, 0)])];
    let (a, b, other) = (change(1, 9, 1, 0), change(2, 2, 1, 1), change(3, 3, 2, 0));
    assert_eq!(validators::ordered(&truth, &[&other, &a, &b]), Vec::<String>::new());
    assert_eq!(validators::ordered(&truth, &[&b, &other, &a]).len(), 1);
}

#[test]
fn a_torn_transaction_is_seen() {
    let told = |id, xid| Mark::Change(Arc::new(change(id, xid, id, 0)));
    let (sub, text) = ("notes".to_owned(), String::new());
    let cursor = |partial| Mark::Cursor { subs: vec![sub.clone()], partial, text: text.clone() };
    let fine = [told(1, 1), told(2, 1), cursor(false), told(3, 2), cursor(true), told(4, 2)];
    assert_eq!(validators::whole(&fine), Vec::<String>::new());
    let again = [told(1, 1), Mark::Connected, told(1, 1), told(2, 1), cursor(false)];
    assert_eq!(validators::whole(&again), Vec::<String>::new());
    let mixed = [told(1, 1), told(2, 2), told(3, 1)];
    assert_eq!(validators::whole(&mixed).len(), 1);
    let cut = [told(1, 1), cursor(false), told(2, 1)];
    assert_eq!(validators::whole(&cut).len(), 1);
}

#[tokio::test]
async fn the_oracle_tells_what_was_committed_and_nothing_else() {
    let database = Database::durable().await;
    let oracle = Oracle::watch(&database, &["public.notes".to_owned()]).await;
    database.run("insert into notes (id, title) values (1, 'it''s')").await;
    database.run("insert into items (id) values (1)").await;
    let sql = "begin; update notes set n = 1; savepoint s; update notes set n = 2; rollback to s; \
               delete from notes; commit; begin; insert into notes (id) values (2); rollback";
    let session = database.connect().await;
    for statement in sql.split("; ") {
        session.batch_execute(statement).await.expect("the statement succeeds");
    }
    database.run("update notes set n = n").await;
    let told = oracle.transactions(&database).await;
    let operations: Vec<Vec<&str>> = told
        .iter()
        .map(|transaction| transaction.rows.iter().map(|row| row.operation.as_str()).collect())
        .collect();
    assert_eq!(operations, [vec!["INSERT"], vec!["UPDATE", "DELETE"]]);
    assert_eq!(told[0].rows[0].new["title"].as_deref(), Some("it's"));
    assert_eq!(told[1].rows[0].old["n"].as_deref(), Some("0"));
}

#[tokio::test]
async fn the_proxy_carries_cuts_and_stalls() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let target = listener.local_addr().expect("an address");
    spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (mut from, mut to) = stream.split();
            let _ended = tokio::io::copy(&mut from, &mut to).await;
        }
    });
    let proxy = Proxy::to(target).await;
    assert_eq!(echo(&proxy).await, "all of this");
    proxy.cut_after(3);
    assert_eq!(echo(&proxy).await, "all");
    proxy.restore();
    assert_eq!(echo(&proxy).await, "all of this");
    proxy.stall();
    let mut stream = TcpStream::connect(proxy.address()).await.expect("the proxy accepts");
    stream.write_all(b"late").await.expect("is sent");
    stream.shutdown().await.expect("the sending side ends");
    let mut text = String::new();
    let early = time::timeout(Duration::from_millis(200), stream.read_to_string(&mut text)).await;
    assert!(early.is_err() && text.is_empty(), "a stalled wire lets nothing through");
    proxy.restore();
    within(PATIENCE, "the rest", stream.read_to_string(&mut text)).await.expect("ends well");
    assert_eq!(text, "late");
}

/// What comes back of a few words, until the wire ends or they are all there.
async fn echo(proxy: &Proxy) -> String {
    let mut stream = TcpStream::connect(proxy.address()).await.expect("the proxy accepts");
    stream.write_all(b"all of this").await.expect("is sent");
    stream.shutdown().await.expect("the sending side ends");
    let mut text = String::new();
    let reading = stream.read_to_string(&mut text);
    within(PATIENCE, "the echo", reading).await.expect("the wire ends well");
    text
}
