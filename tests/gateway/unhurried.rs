//! Reads that take as long as their clients do: no limit of a statement in the database breaks them
//! off, and what is given up in the middle holds up nobody.

use serde_json::json;

use crate::support::{
    client::Client,
    database::Database,
    gateway::{Gateway, Settings},
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
        database.run(&format!("insert into notes (id, body) values ({id}, repeat('x', 900))")).await;
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
