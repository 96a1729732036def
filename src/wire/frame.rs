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
    /// What `Last-Event-ID` becomes with it: only cursors and heartbeats have one.
    pub event_id: Option<Bytes>,
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
        Self::new(vec![Message { json: json.into(), order: 0, event_id: Some(cursor.into()) }])
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

/// An event of an event stream; a message with a cursor moves `Last-Event-ID` and no more.
fn put_event(bytes: &mut Vec<u8>, message: &Message) {
    if let Some(id) = &message.event_id {
        bytes.extend(b"id:");
        bytes.extend(id);
    } else {
        bytes.extend(b"data:");
        bytes.extend(&message.json);
    }
    bytes.extend(b"\n\n");
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
    fn an_event_is_one_data_line_and_a_cursor_one_id_line() {
        assert_eq!(&*frames(&["{}"]).all(Encoding::EventStream), b"data:{}\n\n");
        let cursor = Frames::with_cursor("{\"type\":\"cursor\"}", "abc");
        assert_eq!(&*cursor.all(Encoding::EventStream), b"id:abc\n\n");
    }
}
