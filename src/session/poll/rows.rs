//! The answer that begins with rows: as long as they are, so it is sent as they arrive.

use bytes::Bytes;
use futures::{Stream, StreamExt as _, stream};

use super::collect::Sub;
use crate::{
    feed::{LogError, log::RowPiece},
    session::{shapes::suffix, snapshot::Reading},
    wire::reply::{self, Resync},
};

/// Rows on their way, and what is said around them.
pub struct Rows {
    reading: Reading,
    subs: Vec<Sub>,
    reason: Option<Resync>,
}

impl Rows {
    pub(super) fn new(reading: Reading, subs: Vec<Sub>, reason: Option<Resync>) -> Self {
        Self { reading, subs, reason }
    }

    /// The answer's text. It breaks off where the rest of the rows cannot be read.
    pub fn text(self) -> impl Stream<Item = Result<Bytes, LogError>> + Send {
        let Self { reading, subs, reason } = self;
        let cursor = reading.position.cursor().to_text();
        let starts: Vec<Bytes> = subs.iter().flat_map(|sub| sub.start(&cursor, reason)).collect();
        let begin = Bytes::from(
            [&b"{\"type\":\"poll\",\"messages\":["[..], &starts.join(&b","[..])].concat(),
        );
        let shapes: Vec<String> = subs.iter().map(Sub::shape).collect();
        let end = reply::poll("", &(cursor + &suffix(&shapes)), false);
        let end = end.split_once('[').map_or(String::new(), |(_, end)| end.to_owned());
        let ids: Vec<String> = subs.into_iter().map(|sub| sub.request.id).collect();
        let pieces = stream::try_unfold((reading, ids, 0), async |(mut reading, ids, at)| {
            if at == ids.len() {
                return Ok(None);
            }
            let RowPiece { topic, rows, is_last } = reading.next().await?;
            let message =
                Bytes::from(format!(",{}", reply::snapshot(&ids[topic], &rows, !is_last)));
            Ok(Some((message, (reading, ids, topic + usize::from(is_last)))))
        });
        stream::iter([Ok(begin)]).chain(pieces).chain(stream::iter([Ok(Bytes::from(end))]))
    }
}
