//! Gateways that share a database while there is traffic: who holds the lock that keeps writers
//! silent tells the others, whoever comes and goes meanwhile.

use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};
use tokio_postgres::{AsyncMessage, NoTls};

use crate::support::{
    client::Client,
    database::Database,
    gateway::Gateway,
    spawn,
    wait::{PATIENCE, eventually, within},
};

/// Whether somebody else than the asker holds the lock of the one who is awake.
const HELD: &str = "select count(*) from pg_locks where locktype = 'advisory' and granted \
                    and classid = 1128678482 and objid = 1 and mode = 'ExclusiveLock' \
                    and pid <> pg_backend_pid() and database = (select oid from pg_database \
                    where datname = current_database())";

/// What one gateway tells the others.
const TOLD: &str = "{\"log\":true}";

/// One commit after the other, each with these statements behind its insert, until it is over.
fn traffic(database: &Database, mut also: watch::Receiver<Option<&'static str>>) -> JoinHandle<()> {
    let url = database.url();
    spawn(async move {
        let session = crate::support::database::connect(&url).await;
        let mut id = 0;
        while let Some(also) = { *also.borrow_and_update() } {
            id += 1;
            let sql = format!("begin; insert into notes (id) values ({id}); {also}; commit");
            session.batch_execute(&sql).await.expect("the writer goes on");
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_starts_while_another_is_awake_is_told_by_it() {
    let database = Database::fresh().await;
    let _gateway = Gateway::serving(&database).await;
    let (also_tx, also) = watch::channel(Some(""));
    let writer = traffic(&database, also);
    let session = database.connect().await;
    let is_held =
        async || session.query_one(HELD, &[]).await.expect("is read").get::<_, i64>(0) == 1;
    eventually(PATIENCE, "the gateway to be awake", is_held).await;
    // What a gateway does when it starts.
    let (peer, mut connection) =
        tokio_postgres::connect(&database.url(), NoTls).await.expect("connects");
    let (heard_tx, mut heard) = mpsc::channel(64);
    spawn(async move {
        while let Some(Ok(message)) = std::future::poll_fn(|cx| connection.poll_message(cx)).await {
            if let AsyncMessage::Notification(it) = message {
                // It is said again: what finds no room is no loss.
                let _is_heard = heard_tx.try_send(it.payload().to_owned());
            }
        }
    });
    let start = "listen db_changes; select pg_advisory_lock_shared(1128678482, 4)";
    peer.batch_execute(start).await.expect("it is there");
    let is_told = async { while heard.recv().await.expect("it goes on") != TOLD {} };
    within(PATIENCE, "a word of the one that is awake", is_told).await;
    also_tx.send_replace(None);
    writer.await.expect("the writer ends well");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_awake_takes_the_lock_when_its_holder_ends() {
    let database = Database::fresh().await;
    // The other one that is awake.
    let holder = database.connect().await;
    holder.batch_execute("select pg_advisory_lock(1128678482, 1)").await.expect("is free");
    let gateway = Gateway::serving(&database).await;
    let mut client = Client::subscribed(&gateway.socket("changes/"), "notes").await;
    let (also_tx, also) = watch::channel(Some("select pg_notify('db_changes', '{\"log\":true}')"));
    let writer = traffic(&database, also);
    client.until_applied("notes", 200).await;
    let session = database.connect().await;
    let pid: i32 = holder.query_one("select pg_backend_pid()", &[]).await.expect("is read").get(0);
    let by_other = format!("{HELD} and pid <> {pid}");
    let is_taken =
        async || session.query_one(&by_other, &[]).await.expect("is read").get::<_, i64>(0) == 1;
    assert!(!is_taken().await, "the other one has it");
    // From now on nobody else tells it of a change.
    also_tx.send_replace(Some(""));
    drop(holder);
    eventually(PATIENCE, "the gateway to take the lock", is_taken).await;
    also_tx.send_replace(None);
    writer.await.expect("the writer ends well");
}
