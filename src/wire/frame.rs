//! Frames: messages encoded once, their bytes shared by everyone they go to.
//!
//! Server frames of a WebSocket are not masked (RFC 6455 §5.1), so one encoding serves every
//! socket; the same holds for an event of a server-sent stream.

use std::sync::OnceLock;

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

/// Messages in order, each encoded at most once for every kind of transport.
#[derive(Debug, Default)]
pub struct Frames {
    messages: Vec<Message>,
    web_socket: OnceLock<Joined>,
    event_stream: OnceLock<Joined>,
}

/// One message as JSON text.
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

/// Encoded messages behind each other, and where each ends.
#[derive(Clone, Debug)]
struct Joined {
    bytes: Bytes,
    ends: Vec<usize>,
}

impl Frames {
    /// Takes messages whose order rises.
    pub fn new(messages: Vec<Message>) -> Self {
        Self { messages, web_socket: OnceLock::new(), event_stream: OnceLock::new() }
    }

    /// A message on its own.
    pub fn one(json: impl Into<Bytes>) -> Self {
        Self::new(vec![Message { json: json.into(), order: 0, event_id: None }])
    }

    /// A message that carries a cursor.
    pub fn with_cursor(json: impl Into<Bytes>, cursor: impl Into<Bytes>) -> Self {
        let event_id = Some(EventId { cursor: cursor.into(), is_alone: true });
        Self::new(vec![Message { json: json.into(), order: 0, event_id }])
    }

    /// A message that says more than the cursor it carries.
    pub fn with_cursor_beside(json: impl Into<Bytes>, cursor: impl Into<Bytes>) -> Self {
        let event_id = Some(EventId { cursor: cursor.into(), is_alone: false });
        Self::new(vec![Message { json: json.into(), order: 0, event_id }])
    }

    /// The messages.
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// All messages, encoded; a shared slice, not a copy.
    pub fn all(&self, encoding: Encoding) -> Bytes {
        match encoding {
            Encoding::WebSocket | Encoding::EventStream => self.joined(encoding).bytes.clone(),
            Encoding::Lines => {
                let line = |it: &Message| [&it.json, &b"\n"[..]].concat();
                self.messages.iter().flat_map(line).collect::<Vec<u8>>().into()
            }
            Encoding::Json => match &*self.messages {
                [message] => message.json.clone(),
                messages => {
                    let texts: Vec<&[u8]> = messages.iter().map(|it| &*it.json).collect();
                    texts.join(&b","[..]).into()
                }
            },
        }
    }

    /// One message, encoded.
    pub fn one_of(&self, place: usize, encoding: Encoding) -> Bytes {
        if encoding == Encoding::Json {
            return self.messages[place].json.clone();
        }
        if encoding == Encoding::Lines {
            return [&self.messages[place].json, &b"\n"[..]].concat().into();
        }
        let joined = self.joined(encoding);
        let start = place.checked_sub(1).map_or(0, |before| joined.ends[before]);
        joined.bytes.slice(start..joined.ends[place])
    }

    /// All messages but a cursor at their end, encoded.
    pub fn without_cursor(&self, encoding: Encoding) -> Bytes {
        let is_cursor = |it: &Message| it.event_id.as_ref().is_some_and(|id| id.is_alone);
        match &*self.messages {
            [.., last] if is_cursor(last) => match encoding {
                Encoding::WebSocket | Encoding::EventStream => {
                    let joined = self.joined(encoding);
                    let end = joined.ends.iter().rev().nth(1).copied().unwrap_or(0);
                    joined.bytes.slice(..end)
                }
                _ => Self::new(self.messages[..self.messages.len() - 1].to_vec()).all(encoding),
            },
            _ => self.all(encoding),
        }
    }

    /// All messages as events of a stream.
    pub fn events(&self) -> Events {
        let joined = self.joined(Encoding::EventStream);
        let bytes = joined.bytes.clone();
        let Some(id) = self.messages.last().and_then(|it| it.event_id.as_ref()) else {
            return Events { bytes, id_at: None, has_data: false };
        };
        let id_at = Some(bytes.len() - ID.len() - id.cursor.len());
        Events { bytes, id_at, has_data: !id.is_alone }
    }

    /// The length of all JSON text in bytes.
    pub fn bytes(&self) -> usize {
        self.messages.iter().map(|it| it.json.len()).sum()
    }

    fn joined(&self, encoding: Encoding) -> &Joined {
        match encoding {
            Encoding::WebSocket => {
                self.web_socket.get_or_init(|| join(&self.messages, put_web_socket))
            }
            _ => self.event_stream.get_or_init(|| join(&self.messages, put_event)),
        }
    }
}

/// The longest header of a server's frame: two bytes and eight of length.
const HEADER_BYTES_MAX: usize = 10;

fn join(messages: &[Message], put: impl Fn(&mut Vec<u8>, &Message)) -> Joined {
    let room = messages.iter().map(|it| it.json.len() + HEADER_BYTES_MAX).sum();
    let mut bytes = Vec::with_capacity(room);
    let mut ends = Vec::with_capacity(messages.len());
    for message in messages {
        put(&mut bytes, message);
        ends.push(bytes.len());
    }
    Joined { bytes: bytes.into(), ends }
}

/// A whole, unmasked text frame (RFC 6455 §5.2).
fn put_web_socket(bytes: &mut Vec<u8>, message: &Message) {
    const FIN_TEXT: u8 = 0x81;
    bytes.push(FIN_TEXT);
    let length = message.json.len();
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
    bytes.extend(&message.json);
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
        Frames::new(texts.iter().map(message).collect())
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
        let change = || Message { json: "{}".into(), order: 0, event_id: None };
        let mut messages = vec![change(), change()];
        messages.extend(Frames::with_cursor("{\"type\":\"cursor\"}", "abc").messages().to_vec());
        let it = Frames::new(messages);
        assert_eq!(&*it.without_cursor(Encoding::WebSocket), b"\x81\x02{}\x81\x02{}");
        assert_eq!(&*it.without_cursor(Encoding::EventStream), b"data:{}\n\ndata:{}\n\n");
        assert_eq!(&*it.without_cursor(Encoding::Json), b"{},{}");
        let beat = Frames::with_cursor_beside("{}", "abc");
        assert_eq!(&*beat.without_cursor(Encoding::WebSocket), b"\x81\x02{}");
    }
}
