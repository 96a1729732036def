//! What happened to a table after a cursor, as opposed to before it.

use crate::{
    change::Position,
    feed::{Body, Chunk, Notice},
};

/// Whether a chunk's notice is of something that lies after `known`: its cursor may have been
/// given by a gateway that was further. Of chunks up to `noted` the cursor was held against the
/// shape that the database notes, so only rows that it lacks count.
pub(super) fn is_news(notice: Notice, chunk: &Chunk, known: &Position, noted: u64) -> bool {
    let mut rows = chunk.rows.iter().filter(|row| !known.has(row.id, row.xid));
    match notice {
        Notice::TableChanged(_) | Notice::TableGone(_) | Notice::Unjudged(_) => {
            chunk.seq > noted || rows.next().is_some()
        }
        Notice::Gap(oid) => {
            rows.any(|row| matches!(&row.body, Body::Gap(table) if table.oid == oid))
        }
        Notice::Expired | Notice::HistoryChanged => true,
    }
}
