//! What a client is told where a subscription begins.

use crate::{
    session::subscription::{Shared, Ticket},
    wire::{
        Frames,
        reply::{self, Resync, Subscribed},
    },
};

/// How a subscription begins, as the client is told.
pub(in crate::session) struct Beginning<'a> {
    /// From where.
    pub(in crate::session) cursor: &'a str,
    /// Why what the client held is void, and whether `subscribed` has been sent and still holds.
    pub(in crate::session) over: Option<(Resync, bool)>,
    /// Whether it is live at once.
    pub(in crate::session) is_live: bool,
    /// Whether the client has by then all that the cursor stands for.
    pub(in crate::session) holds: bool,
}

impl Beginning<'_> {
    /// Tells `subscribed`, and why the subscription starts over where it does.
    pub(in crate::session) fn tell(&self, shared: &Shared, ticket: &Ticket) {
        let (id, topic) = (&ticket.request.id, &ticket.topic);
        let resync = self.over.map(|(reason, _)| reply::resync(id, reason, self.cursor));
        // After a change of the table `subscribed` is another one.
        let is_new_table = matches!(self.over, Some((Resync::TableChanged, true)));
        let is_due = self.over.is_none_or(|(_, is_told)| !is_told || is_new_table);
        let subscribed = is_due.then(|| {
            reply::subscribed(&Subscribed {
                id,
                topic: topic.id,
                shape: &topic.spec.shape(),
                table: &topic.spec.table,
                columns: topic.columns(),
                cursor: self.cursor,
                live: self.is_live,
            })
        });
        let mut messages: Vec<String> = subscribed.into_iter().chain(resync).collect();
        if is_new_table {
            messages.reverse();
        }
        let last = messages.pop();
        for json in messages {
            shared.push_to(ticket, &Frames::one(json));
        }
        if let Some(json) = last {
            if self.holds {
                shared.push_at(ticket, json, self.cursor);
            } else {
                shared.push_to(ticket, &Frames::one(json));
            }
        }
        if let Some((reason, _)) = self.over {
            metrics::counter!("pgfeed_resyncs_total", "reason" => reason.word()).increment(1);
        }
    }

    /// From a place to go on from.
    pub(super) fn at(cursor: &str) -> Beginning<'_> {
        Beginning { cursor, over: None, is_live: false, holds: true }
    }
}
