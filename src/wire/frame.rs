//! Frames: messages encoded once, their bytes shared by everyone they go to.
//!
//! Server frames of a WebSocket are not masked (RFC 6455 §5.1), so one encoding serves every
//! socket; the same holds for an event of a server-sent stream.

use std::{ops::Range, sync::OnceLock};

use bytes::Bytes;

/// How a transport wraps a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// One text frame a message.
    WebSocket,
    /// One event a message; a message with a cursor as an `id:` line.
    EventStream,
    /// JSON text alone, for a long poll.
    Json,
    /// One line a message, for a terminal.
    Lines,
}

/// Messages in order, encoded once for every kind of transport.
///
/// Their text is kept once, inside the encoding for sockets; an event stream's is made when the
/// first such client needs it.
#[derive(Debug, Default)]
pub struct Frames {
    web_socket: Bytes,
    places: Vec<Place>,
    event_stream: OnceLock<Joined>,
}

/// The order of a cursor: behind all changes of its batch.
pub const LAST: u32 = u32::MAX;

/// One message on its way into [`Frames`], or out of them.
#[derive(Clone, Debug)]
pub struct Message {
    /// The JSON object.
    pub json: Bytes,
    /// Its place among the changes of its batch; messages of several topics are merged by it.
    pub order: u32,
    /// What `Last-Event-ID` becomes with it. Only the last message of some frames has one.
    pub event_id: Option<EventId>,
}

/// A cursor as the id of an event.
#[derive(Clone, Debug)]
pub struct EventId {
    /// The cursor's text.
    pub cursor: Bytes,
    /// Whether the id line stands for the message: a `cursor` says nothing else, and an event
    /// without data moves `Last-Event-ID` and wakes nobody.
    pub is_alone: bool,
}

/// Frames as events of a stream: the id line comes last and has no end, for each connection
/// ends it with the shapes of its own subscriptions.
#[derive(Clone, Debug)]
pub struct Events {
    /// All messages.
    pub bytes: Bytes,
    /// Where the id line starts.
    pub id_at: Option<usize>,
    /// Whether the id line's event has data.
    pub has_data: bool,
}

/// Where a message stands in the encoding for sockets.
#[derive(Debug)]
struct Place {
    frame: Range<usize>,
    json: usize,
    order: u32,
    event_id: Option<EventId>,
}

/// Encoded messages behind each other, and where each ends.
#[derive(Debug)]
struct Joined {
    bytes: Bytes,
    ends: Vec<usize>,
}

impl Frames {
    /// Takes messages whose order rises.
    pub fn new(messages: impl IntoIterator<Item = Message>) -> Self {
        let messages: Vec<Message> = messages.into_iter().collect();
        let room = messages.iter().map(|it| it.json.len() + header_bytes(it.json.len())).sum();
        // Exactly: a row may be large, and what waits is kept for long.
        let mut bytes = Vec::with_capacity(room);
        let mut places = Vec::with_capacity(messages.len());
        for Message { json, order, event_id } in messages {
            let start = bytes.len();
            put_header(&mut bytes, json.len());
            let text = bytes.len();
            bytes.extend_from_slice(&json);
            places.push(Place { frame: start..bytes.len(), json: text, order, event_id });
        }
        Self { web_socket: bytes.into(), places, event_stream: OnceLock::new() }
    }

    /// A message on its own.
    pub fn one(json: impl Into<Bytes>) -> Self {
        Self::new([Message { json: json.into(), order: 0, event_id: None }])
    }

    /// A message that carries a cursor.
    pub fn with_cursor(json: impl Into<Bytes>, cursor: impl Into<Bytes>) -> Self {
        let event_id = Some(EventId { cursor: cursor.into(), is_alone: true });
        Self::new([Message { json: json.into(), order: 0, event_id }])
    }

    /// A message that says more than the cursor it carries.
    pub fn with_cursor_beside(json: impl Into<Bytes>, cursor: impl Into<Bytes>) -> Self {
        let event_id = Some(EventId { cursor: cursor.into(), is_alone: false });
        Self::new([Message { json: json.into(), order: 0, event_id }])
    }

    /// How many messages there are.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// A message; its text is a shared slice, not a copy.
    pub fn message(&self, place: usize) -> Message {
        let Place { frame, json, order, event_id } = &self.places[place];
        let json = self.web_socket.slice(*json..frame.end);
        Message { json, order: *order, event_id: event_id.clone() }
    }

    /// The messages.
    pub fn messages(&self) -> impl ExactSizeIterator<Item = Message> + '_ {
        (0..self.places.len()).map(|place| self.message(place))
    }

    /// A message's place among the changes of its batch.
    pub fn order(&self, place: usize) -> u32 {
        self.places[place].order
    }

    /// All messages, encoded; a shared slice, not a copy, where many clients need it.
    pub fn all(&self, encoding: Encoding) -> Bytes {
        match encoding {
            Encoding::WebSocket => self.web_socket.clone(),
            Encoding::EventStream => self.event_stream().bytes.clone(),
            Encoding::Json => join(self.messages(), b","),
            Encoding::Lines => join(self.messages(), b"\n"),
        }
    }

    /// All messages as WebSocket frames.
    pub fn web_socket(&self) -> &Bytes {
        &self.web_socket
    }

    /// One message, encoded.
    pub fn one_of(&self, place: usize, encoding: Encoding) -> Bytes {
        match encoding {
            Encoding::WebSocket => self.web_socket.slice(self.places[place].frame.clone()),
            Encoding::EventStream => {
                let joined = self.event_stream();
                let start = place.checked_sub(1).map_or(0, |before| joined.ends[before]);
                joined.bytes.slice(start..joined.ends[place])
            }
            Encoding::Json => self.message(place).json,
            Encoding::Lines => join([self.message(place)], b"\n"),
        }
    }

    /// All messages but a cursor at their end, encoded.
    pub fn without_cursor(&self, encoding: Encoding) -> Bytes {
        let is_cursor = |it: &Place| it.event_id.as_ref().is_some_and(|id| id.is_alone);
        let Some(last) = self.places.last().filter(|it| is_cursor(it)) else {
            return self.all(encoding);
        };
        let before = self.messages().take(self.places.len() - 1);
        match encoding {
            Encoding::WebSocket => self.web_socket.slice(..last.frame.start),
            Encoding::EventStream => {
                let joined = self.event_stream();
                let end = joined.ends.iter().rev().nth(1).copied().unwrap_or(0);
                joined.bytes.slice(..end)
            }
            Encoding::Json => join(before, b","),
            Encoding::Lines => join(before, b"\n"),
        }
    }

    /// All messages as events of a stream.
    pub fn events(&self) -> Events {
        let bytes = self.event_stream().bytes.clone();
        let Some(id) = self.places.last().and_then(|it| it.event_id.as_ref()) else {
            return Events { bytes, id_at: None, has_data: false };
        };
        let id_at = Some(bytes.len() - ID.len() - id.cursor.len());
        Events { bytes, id_at, has_data: !id.is_alone }
    }

    /// The length of the encoding for sockets, in bytes.
    pub fn bytes(&self) -> usize {
        self.web_socket.len()
    }

    fn event_stream(&self) -> &Joined {
        self.event_stream.get_or_init(|| {
            let mut bytes = Vec::with_capacity(self.web_socket.len() + self.places.len() * 8);
            let mut ends = Vec::with_capacity(self.places.len());
            for message in self.messages() {
                put_event(&mut bytes, &message);
                ends.push(bytes.len());
            }
            Joined { bytes: bytes.into(), ends }
        })
    }
}

/// Whether a buffer of an event stream is no event but the end of the one before it: its id line
/// ends with shapes, or its data with a line break. See [`Events`].
pub fn ends_event(bytes: &[u8]) -> bool {
    matches!(bytes.first(), Some(b'~' | b'\n'))
}

/// JSON texts behind each other; a line ends each, a comma stands between.
fn join(messages: impl IntoIterator<Item = Message>, with: &[u8]) -> Bytes {
    let mut bytes = Vec::new();
    for message in messages {
        if with == b"," && !bytes.is_empty() {
            bytes.extend_from_slice(with);
        }
        bytes.extend_from_slice(&message.json);
        if with != b"," {
            bytes.extend_from_slice(with);
        }
    }
    bytes.into()
}

fn header_bytes(length: usize) -> usize {
    match length {
        0..126 => 2,
        126..=0xffff => 4,
        _ => 10,
    }
}

/// The header of a whole, unmasked text frame (RFC 6455 §5.2).
fn put_header(bytes: &mut Vec<u8>, length: usize) {
    const FIN_TEXT: u8 = 0x81;
    bytes.push(FIN_TEXT);
    if let Ok(short) = u8::try_from(length)
        && short < 126
    {
        bytes.push(short);
    } else if let Ok(medium) = u16::try_from(length) {
        bytes.push(126);
        bytes.extend(medium.to_be_bytes());
    } else {
        bytes.push(127);
        bytes.extend((length as u64).to_be_bytes());
    }
}

/// What an id line begins with.
const ID: &[u8] = b"id:";

/// An event of an event stream; see [`Events`] for how one with an id ends.
fn put_event(bytes: &mut Vec<u8>, message: &Message) {
    let id = message.event_id.as_ref();
    if id.is_none_or(|id| !id.is_alone) {
        bytes.extend(b"data:");
        bytes.extend(&message.json);
        bytes.push(b'\n');
    }
    match id {
        Some(id) => {
            bytes.extend(ID);
            bytes.extend(&id.cursor);
        }
        None => bytes.push(b'\n'),
    }
}

#[cfg(test)]
mod tests {
    use super::{Encoding, Frames, Message};

    fn frames(texts: &[&str]) -> Frames {
        let message =
            |json: &&str| Message { json: (*json).to_owned().into(), order: 0, event_id: None };
        Frames::new(texts.iter().map(message))
    }

    #[test]
    fn bytes_are_shared_not_copied() {
        let it = frames(&["{\"a\":1}", "{}"]);
        let (one, two) = (it.all(Encoding::WebSocket), it.all(Encoding::WebSocket));
        assert_eq!(one.as_ptr(), two.as_ptr());
        assert_eq!(it.one_of(1, Encoding::WebSocket).as_ptr() as usize, one.as_ptr() as usize + 9);
    }

    #[test]
    fn lengths_take_the_form_that_fits() {
        for (length, header) in [
            (125, vec![0x81, 125]),
            (126, vec![0x81, 126, 0, 126]),
            (65_536, vec![0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let text = "x".repeat(length);
            let bytes = frames(&[&text]).all(Encoding::WebSocket);
            assert_eq!(bytes[..header.len()], header);
            assert_eq!(bytes.len(), header.len() + length);
        }
    }

    #[test]
    fn an_event_is_one_data_line_and_a_cursor_one_open_id_line() {
        assert_eq!(&*frames(&["{}", "[]"]).events().bytes, b"data:{}\n\ndata:[]\n\n");
        let cursor = Frames::with_cursor("{\"type\":\"cursor\"}", "abc").events();
        assert_eq!(
            (&*cursor.bytes, cursor.id_at, cursor.has_data),
            (&b"id:abc"[..], Some(0), false)
        );
        let beat = Frames::with_cursor_beside("{}", "abc").events();
        assert_eq!((&*beat.bytes, beat.id_at), (&b"data:{}\nid:abc"[..], Some(8)));
        assert!(beat.has_data);
    }

    #[test]
    fn a_cursor_at_the_end_can_be_left_out() {
        let mut messages: Vec<Message> = frames(&["{}", "{}"]).messages().collect();
        messages.extend(Frames::with_cursor("{\"type\":\"cursor\"}", "abc").messages());
        let it = Frames::new(messages);
        assert_eq!(&*it.without_cursor(Encoding::WebSocket), b"\x81\x02{}\x81\x02{}");
        assert_eq!(&*it.without_cursor(Encoding::EventStream), b"data:{}\n\ndata:{}\n\n");
        assert_eq!(&*it.without_cursor(Encoding::Json), b"{},{}");
        let beat = Frames::with_cursor_beside("{}", "abc");
        assert_eq!(&*beat.without_cursor(Encoding::WebSocket), b"\x81\x02{}");
    }
}
