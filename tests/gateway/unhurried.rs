//! Reads that take as long as their clients do: no limit of a statement in the database breaks them
//! off, and what is given up in the middle holds up nobody.

use std::sync::Arc;

use pgfeed::{
    feed::ChangeLog as _,
    source::{PgLog, Target, log::SESSION},
};
use serde_json::json;
use tokio::time::Duration;

use crate::support::{
    client::Client,
    database::Database,
    gateway::{Gateway, Settings},
    spawn,
    wait::{PATIENCE, eventually, within},
};

/// A role whose rows of the log and of `notes` are an error where they are read in the feed's
/// order, or for a snapshot, with a limit of the statement.
const HURRY_FAILS: &str = "
create role unhurried login;
select pgfeed.grant_to('unhurried');
create function public.may_read() returns boolean language plpgsql stable as $$
begin
  if current_query() ~ 'l[.]old|pgfeed_row' and current_setting('statement_timeout') <> '0' then
    raise exception 'this read would be broken off after %', current_setting('statement_timeout');
  end if;
  return true;
end $$;
alter table pgfeed.log enable row level security;
create policy owner on pgfeed.log to pgfeed_owner using (true) with check (true);
create policy gateway on pgfeed.log for select to unhurried using (public.may_read());
alter table notes enable row level security;
create policy gateway on notes for select to unhurried using (public.may_read());
";

#[tokio::test]
async fn no_limit_of_a_statement_breaks_off_the_rows_of_a_feed_a_resume_or_a_snapshot() {
    let database = Database::fresh().await;
    database.run(HURRY_FAILS).await;
    let url = database.url().replace("//postgres@", "//unhurried@");
    let settings = Settings::for_url(&url).with("LOG__TAIL_BYTES_MAX", "1kB");
    let gateway: Gateway = settings.start().await;
    gateway.ready().await;
    let mut client = Client::subscribed(&gateway.socket("changes/"), "notes").await;
    let since = client.sub("notes").cursor.clone();
    for id in 1..=3 {
        database
            .run(&format!("insert into notes (id, body) values ({id}, repeat('x', 900))"))
            .await;
        client.until_applied("notes", id).await;
    }
    let mut second = Client::connect(&gateway.socket("changes/")).await;
    let request = json!({"type": "subscribe", "id": "notes", "table": "notes", "since": since});
    second.ask(&request).await;
    second.expect("subscribed").await;
    second.until_applied("notes", 3).await;
    let mut third = Client::connect(&gateway.socket("changes/")).await;
    third.ask(&json!({"type": "subscribe", "id": "x", "table": "notes", "snapshot": true})).await;
    let rows = third.expect("snapshot").await;
    assert_eq!(rows["rows"].as_array().map(Vec::len), Some(3), "{rows}");
}

#[tokio::test]
async fn a_question_that_is_given_up_holds_up_nobody() {
    const WAITING: &str = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' \
                           and datname = current_database()";
    let database = Database::fresh().await;
    let target = Target::parse(&database.url(), &|_| None).expect("an address");
    let pool = target.pool(1, SESSION);
    let log = Arc::new(PgLog::new(target, pool, Arc::default(), 1024));
    log.make_tick().await.expect("the log is there");
    let holder = database.connect().await;
    holder.batch_execute("begin; lock table pgfeed.tick").await.expect("is free");
    let asked = Arc::clone(&log);
    let asking = spawn(async move { asked.make_tick().await });
    let session = database.connect().await;
    let waits =
        async || session.query_one(WAITING, &[]).await.expect("is read").get::<_, i64>(0) == 1;
    eventually(PATIENCE, "the question to wait", waits).await;
    asking.abort();
    asking.await.expect_err("nobody asks any more");
    let next = log.estimate(&[]);
    let answer = within(Duration::from_secs(5), "an answer to the next", next).await;
    assert_eq!(answer.expect("an answer"), []);
}
