//! Which cursors a client may be told, and how an event stream tells them.
//!
//! A cursor without `id` holds for every live subscription of a connection, so none may be told
//! while one of them is about to start over: a client that came back from it would never hear
//! why. An event stream has one `Last-Event-ID` for all its subscriptions, so there none may be
//! told before all are live, unless there is only one.

use bytes::Bytes;

use super::shapes;
use crate::wire::frame::Events;

/// Which cursors a client may be told. Owned by its queue.
#[derive(Debug)]
#[repr(C)]
pub struct Telling {
    /// First, for every delivery looks at it.
    withheld: usize,
    is_single: bool,
    /// What ends an id line: the shapes of the subscriptions.
    ending: Bytes,
}

impl Default for Telling {
    fn default() -> Self {
        Self { withheld: 0, is_single: false, ending: Bytes::from_static(b"\n\n") }
    }
}

impl Telling {
    /// One more reason to tell no cursor of the whole connection.
    pub fn withhold(&mut self) {
        self.withheld += 1;
    }

    /// One reason less.
    pub fn release(&mut self) {
        self.withheld = self.withheld.saturating_sub(1);
    }

    /// Whether a cursor of the whole connection may be told.
    pub fn is_open(&self) -> bool {
        self.withheld == 0
    }

    /// Whether a subscription's own cursor is that of the connection.
    pub fn is_single(&self) -> bool {
        self.is_single
    }

    /// The connection has one subscription for its whole life, or several.
    pub fn set_single(&mut self, is_single: bool) {
        self.is_single = is_single;
    }

    /// The subscriptions have these shapes from now on.
    pub fn set_shapes(&mut self, shapes: &[String]) {
        self.ending = format!("{}\n\n", shapes::suffix(shapes)).into();
    }

    /// The buffers that tell events: the shared one, and the end of its id line.
    pub fn events(&self, events: &Events, is_told: bool) -> [Option<Bytes>; 2] {
        let Some(id_at) = events.id_at else { return [Some(events.bytes.clone()), None] };
        if is_told {
            return [Some(events.bytes.clone()), Some(self.ending.clone())];
        }
        let end = events.has_data.then_some(Bytes::from_static(b"\n"));
        [Some(events.bytes.slice(..id_at)), end]
    }

    /// An id line on its own.
    pub fn id_line(&self, cursor: &str) -> Bytes {
        [b"id:", cursor.as_bytes(), &self.ending].concat().into()
    }
}

#[cfg(test)]
mod tests {
    use super::Telling;
    use crate::wire::Frames;

    fn text(telling: &Telling, frames: &Frames, is_told: bool) -> String {
        let parts = telling.events(&frames.events(), is_told).into_iter().flatten();
        parts.map(|part| String::from_utf8(part.to_vec()).expect("UTF-8")).collect()
    }

    #[test]
    fn an_id_line_ends_with_the_shapes_and_is_left_out_where_it_may_not_be_told() {
        let mut telling = Telling::default();
        telling.set_shapes(&["0123456789abcdef".to_owned()]);
        let cursor = Frames::with_cursor("{\"type\":\"cursor\"}", "abc");
        assert_eq!(text(&telling, &cursor, true), "id:abc~01234567\n\n");
        assert_eq!(text(&telling, &cursor, false), "");
        let beat = Frames::with_cursor_beside("{}", "abc");
        assert_eq!(text(&telling, &beat, true), "data:{}\nid:abc~01234567\n\n");
        assert_eq!(text(&telling, &beat, false), "data:{}\n\n");
    }

    #[test]
    fn cursors_are_told_when_every_reason_against_it_is_gone() {
        let mut telling = Telling::default();
        assert!(telling.is_open());
        telling.withhold();
        telling.withhold();
        telling.release();
        assert!(!telling.is_open());
        telling.release();
        assert!(telling.is_open());
    }
}
