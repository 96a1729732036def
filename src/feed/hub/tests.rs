//! What reaches topics through the hub, and through the relay before it.

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    change::{Change, Operation, Row, Table},
    feed::{
        Body, LogRow, Relay,
        encode::Addressee,
        judge::{Effect, Images, judge},
        log::Lost,
        relay::Rhythm,
        route::{Unjudged, messages_of, messages_since},
        sample,
        script::{Follow, Script},
    },
    tasks,
};

/// A hub that knows a table, with a topic of a filter.
fn scene(filter: &str) -> (Arc<Hub>, Arc<Topic>) {
    let hub = Hub::new(1024 * 1024, || {});
    let table = sample::table(&["n"]);
    hub.set_catalog(&sample::catalog(&table));
    hub.restart(sample::position(0), Vec::new(), None);
    let topic = hub.acquire(&sample::spec(&table, Some(filter))).expect("the table is there");
    (hub, topic)
}

fn publish(hub: &Hub, change: Change) -> Arc<Chunk> {
    let position = sample::position(1);
    let sees = Arc::new(position.tick.snapshot.clone());
    let rows = vec![LogRow { id: 1, xid: 20, at: 0, body: Body::Change(change) }];
    let (cut, notices) = (Cut::WHOLE, Vec::new());
    hub.publish(Piece { rows, position, sees, cut, notices });
    hub.chunk(hub.head()).expect("the newest chunk is kept")
}

#[test]
fn a_key_change_of_an_oversize_row_is_told_to_all_who_may_hold_the_row() {
    let (hub, topic) = scene("n=eq.5");
    let key = |id: u32| Some(Row::new(format!("{{\"id\":{id}}}")));
    let change = sample::change(&topic.spec.table, Operation::Update);
    let chunk = publish(&hub, Change { key: key(2), old: key(1), ..change });
    assert_eq!(chunk.notices, [Notice::Unjudged(topic.id)]);
}

#[test]
fn a_row_of_another_definition_is_never_shown_nor_passed_over() {
    for filter in ["n=eq.5", "n=gt.0"] {
        let (hub, topic) = scene(filter);
        let other = sample::table(&["hidden", "n"]);
        let change = sample::change(&other, Operation::Insert);
        let new = Some(Row::new("{\"id\":1,\"hidden\":5,\"n\":5}"));
        let chunk = publish(&hub, Change { new: new.clone(), ..change.clone() });
        assert!(chunk.routes.is_empty(), "{filter}");
        let change = Change { new, ..change };
        let judged = judge(&topic, &change, &Images::of(&change));
        assert_eq!(judged, Some(Effect::Unknown), "{filter}");
    }
    // Fewer columns than a topic looks up by.
    let (hub, _topic) = scene("n=eq.5");
    let change = sample::change(&sample::table(&[]), Operation::Insert);
    let chunk = publish(&hub, Change { new: Some(Row::new("{\"id\":1}")), ..change });
    assert!(chunk.routes.is_empty());
}

#[test]
fn a_topic_that_cannot_be_told_takes_nothing_from_the_others() {
    let table = sample::table(&["n"]);
    let topic = |id, filter| Arc::new(Topic { id, spec: sample::spec(&table, filter) });
    let topics = [topic(1, Some("n=eq.5")), topic(2, None)];
    let key = Some(Row::new("{\"id\":1}"));
    let change = Change { key, ..sample::change(&table, Operation::Insert) };
    let row = LogRow { id: 1, xid: 20, at: 0, body: Body::Change(change) };
    let addressed = topics.clone().map(|topic| (topic, Addressee::Topic));
    assert_eq!(messages_of([&row], &addressed).err(), Some(Unjudged));
    let start = sample::position(0);
    let told = messages_since(&[row], &topics.map(|topic| (topic, start.clone())));
    assert_eq!(told.len(), 1);
    assert!(told[0].json.starts_with(b"{\"type\":\"change\",\"topic\":\"2\""));
}

#[tokio::test(start_paused = true)]
async fn who_joins_is_told_whether_the_shard_has_delivered_what_was_before() {
    let (hub, topic) = scene("n=gt.0");
    let client = ClientId(1);
    let is_delivered = |hub: &Hub| {
        let joined = hub.join(client, &topic, None, |_, _| Member::Already);
        joined.expect("the feed is settled").is_delivered
    };
    assert!(is_delivered(&hub), "nothing waits");
    let change = sample::change(&topic.spec.table, Operation::Insert);
    publish(&hub, Change { new: Some(Row::new("{\"id\":1,\"n\":1}")), ..change });
    assert!(!is_delivered(&hub), "no shard runs yet");
    let shards = hub.run_shards(1_000);
    while hub.shard(client).has_chunks() {
        tokio::task::yield_now().await;
    }
    assert!(is_delivered(&hub));
    hub.close();
    for shard in shards {
        shard.await.expect("a shard ends well");
    }
}

/// Runs a relay over what is written until the hub has so many chunks; gives them.
async fn relayed(follows: Vec<Follow>, changes: Vec<Change>, chunks: u64) -> Vec<Arc<Chunk>> {
    let hub = Hub::new(64 * 1024 * 1024, || {});
    let (undurable_tx, undurable_rx) = mpsc::channel(16);
    for change in changes {
        undurable_tx.try_send(change).expect("there is room");
    }
    let rhythm = Rhythm { poll: std::time::Duration::from_secs(1) };
    let log = Arc::new(Script::new(follows));
    let end = CancellationToken::new();
    let relay = Relay::new(log, Arc::clone(&hub), rhythm, undurable_rx);
    let shards = hub.run_shards(1_000);
    let running = tasks::spawn("relay", relay.run(end.clone()));
    let mut heads = hub.heads();
    heads.wait_for(|head| *head >= chunks).await.expect("the hub is there");
    tokio::time::sleep(std::time::Duration::from_secs(10)).await;
    end.cancel();
    hub.close();
    running.await.expect("the relay ends well");
    for shard in shards {
        shard.await.expect("a shard ends well");
    }
    (1..=hub.head()).map(|seq| hub.chunk(seq).expect("it is kept")).collect()
}

fn follow(lost: Option<Lost>, reads: Vec<Vec<LogRow>>, breaks: bool) -> Follow {
    let catalog = sample::catalog(&sample::table(&[]));
    Follow { position: sample::position(0), catalog, lost, reads, breaks }
}

#[tokio::test(start_paused = true)]
async fn a_read_that_is_made_again_publishes_only_what_was_not() {
    let large = "x".repeat(200 * 1024);
    let rows = |last| (1..=last).map(|id| sample::insert(id, &large)).collect::<Vec<_>>();
    let follows = vec![follow(None, vec![rows(4)], true), follow(None, vec![rows(5)], false)];
    let chunks = relayed(follows, Vec::new(), 5).await;
    let ids: Vec<Vec<i64>> =
        chunks.iter().map(|it| it.rows.iter().map(|row| row.id).collect()).collect();
    assert_eq!(ids, [[1], [2], [3], [4], [5]]);
    let whole: Vec<bool> = chunks.iter().map(|it| it.is_whole).collect();
    assert_eq!(whole, [false, false, false, false, true]);
}

#[tokio::test(start_paused = true)]
async fn what_was_published_to_the_end_of_a_broken_read_is_settled_by_the_next() {
    let large = "x".repeat(200 * 1024);
    let rows = |last| (1..=last).map(|id| sample::insert(id, &large)).collect::<Vec<_>>();
    let follows = vec![follow(None, vec![rows(3)], true), follow(None, vec![rows(2)], false)];
    let chunks = relayed(follows, Vec::new(), 3).await;
    let last = chunks.last().expect("some");
    assert!(last.is_whole && last.rows.is_empty() && chunks.len() == 3, "{}", chunks.len());
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_was_away_for_longer_than_the_log_is_kept_says_so() {
    for (lost, notice) in
        [(Lost::Expired, Notice::Expired), (Lost::OtherHistory, Notice::HistoryChanged)]
    {
        let follows =
            vec![follow(None, vec![Vec::new()], true), follow(Some(lost), Vec::new(), false)];
        let chunks = relayed(follows, Vec::new(), 1).await;
        assert_eq!(chunks[0].notices, [notice]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_payload_of_a_table_as_it_was_is_not_published() {
    let payload = |table: &Arc<Table>, id: u32| Change {
        new: Some(Row::new(format!("{{\"id\":{id}}}"))),
        is_durable: false,
        ..sample::change(table, Operation::Insert)
    };
    let changes = vec![payload(&sample::table(&["gone"]), 1), payload(&sample::table(&[]), 2)];
    let chunks = relayed(vec![follow(None, Vec::new(), false)], changes, 1).await;
    let texts: Vec<_> = chunks
        .iter()
        .flat_map(|it| &it.rows)
        .filter_map(|row| match &row.body {
            Body::Change(change) => change.new.as_ref().map(Row::text),
            _ => None,
        })
        .collect();
    assert_eq!(texts, ["{\"id\":2}"]);
}
