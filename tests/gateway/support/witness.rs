//! A client that keeps every byte that came to it, with whatever headers it is told to send: to
//! prove what was never sent.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Error, Message, client::IntoClientRequest, http::HeaderValue},
};

use super::{
    client::Heard,
    wait::{PATIENCE, within},
};

/// A socket that keeps what it reads.
#[derive(Debug)]
struct Tee {
    socket: TcpStream,
    kept: Arc<Mutex<Vec<u8>>>,
}

/// A WebSocket of which every byte is kept.
#[derive(Debug)]
pub(crate) struct Witness {
    wire: WebSocketStream<Tee>,
    kept: Arc<Mutex<Vec<u8>>>,
    /// The last cursor that was heard.
    pub(crate) cursor: String,
}

impl Witness {
    /// Connects to a feed with headers; the status, where the handshake is refused.
    pub(crate) async fn connect(
        address: SocketAddr,
        feed: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<Self, u16> {
        let socket = TcpStream::connect(address).await.expect("the gateway listens");
        let kept: Arc<Mutex<Vec<u8>>> = Arc::default();
        let tee = Tee { socket, kept: Arc::clone(&kept) };
        let url = format!("ws://{address}/ws/{feed}");
        let mut request = url.into_client_request().expect("an address");
        for (name, value) in headers {
            let value = HeaderValue::from_bytes(value.as_bytes()).expect("a header's value");
            request.headers_mut().append(*name, value);
        }
        match within(PATIENCE, "the handshake", client_async(request, tee)).await {
            Ok((wire, _)) => Ok(Self { wire, kept, cursor: String::new() }),
            Err(Error::Http(answer)) => Err(answer.status().as_u16()),
            Err(error) => panic!("the handshake neither holds nor is refused: {error}"),
        }
    }

    /// Connects with a token in the header.
    pub(crate) async fn with_token(address: SocketAddr, feed: &str, token: &str) -> Self {
        let bearer = format!("Bearer {token}");
        let connected = Self::connect(address, feed, &[("authorization", &bearer)]).await;
        connected.expect("the handshake is accepted")
    }

    pub(crate) async fn ask(&mut self, request: &Value) {
        self.send(Message::text(request.to_string())).await;
    }

    pub(crate) async fn send(&mut self, message: Message) {
        self.wire.send(message).await.expect("the connection takes a message");
    }

    /// The same, where the gateway may close meanwhile.
    pub(crate) async fn try_send(&mut self, message: Message) -> Result<(), Error> {
        self.wire.send(message).await
    }

    /// Reads to the end.
    pub(crate) async fn end(&mut self) -> Heard {
        let search = async {
            loop {
                match self.next().await {
                    Heard::Message(_) => {}
                    ended => return ended,
                }
            }
        };
        within(PATIENCE, "the end of the connection", search).await
    }

    /// Subscribes to a table with its name as id and takes the first answer.
    pub(crate) async fn subscribe(&mut self, table: &str, more: &Value) -> Value {
        let mut request = json!({"type": "subscribe", "id": table, "table": table});
        for (name, value) in more.as_object().into_iter().flatten() {
            request[name] = value.clone();
        }
        self.ask(&request).await;
        let search = async {
            loop {
                let answer = self.message().await;
                if answer["type"] == "subscribed" || answer["type"] == "error" {
                    return answer;
                }
            }
        };
        within(PATIENCE, "an answer to a subscribe", search).await
    }

    pub(crate) async fn next(&mut self) -> Heard {
        let hear = async {
            loop {
                match self.wire.next().await {
                    Some(Ok(Message::Text(text))) => {
                        let message: Value = serde_json::from_str(&text).expect("JSON is sent");
                        if let Some(cursor) = message["cursor"].as_str() {
                            cursor.clone_into(&mut self.cursor);
                        }
                        return Heard::Message(message);
                    }
                    Some(Ok(Message::Close(Some(frame)))) => {
                        let (code, reason) = (frame.code.into(), frame.reason.to_string());
                        while let Some(Ok(_)) = self.wire.next().await {}
                        return Heard::Closed { code, reason };
                    }
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return Heard::Cut,
                }
            }
        };
        within(PATIENCE, "the next message", hear).await
    }

    pub(crate) async fn message(&mut self) -> Value {
        match self.next().await {
            Heard::Message(message) => message,
            ended => panic!("a message was expected: {ended:?}"),
        }
    }

    /// The next message of a type; others are taken on the way.
    pub(crate) async fn expect(&mut self, kind: &str) -> Value {
        let search = async {
            loop {
                let message = self.message().await;
                if message["type"] == kind {
                    return message;
                }
            }
        };
        within(PATIENCE, &format!("a {kind}"), search).await
    }

    /// Reads up to the change of a row by its id, and the cursor behind it.
    pub(crate) async fn until_row(&mut self, id: u64) -> Vec<Value> {
        let mut changes = Vec::new();
        loop {
            let change = self.expect("change").await;
            let is_it = change["key"]["id"] == id;
            changes.push(change);
            if is_it {
                self.expect("cursor").await;
                return changes;
            }
        }
    }

    /// Reads to the end; the code of the close frame.
    pub(crate) async fn code(&mut self) -> u16 {
        match self.end().await {
            Heard::Closed { code, .. } => code,
            other => panic!("the connection was cut without a close frame: {other:?}"),
        }
    }

    /// Every byte that came.
    pub(crate) fn kept(&self) -> Vec<u8> {
        self.kept.lock().expect("no reader panics").clone()
    }

    /// Whether a text stands anywhere in what came.
    pub(crate) fn saw(&self, text: &str) -> bool {
        let kept = self.kept.lock().expect("no reader panics");
        kept.windows(text.len()).any(|window| window == text.as_bytes())
    }
}

impl AsyncRead for Tee {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.socket).poll_read(context, buffer);
        let mut kept = self.kept.lock().expect("no reader panics");
        kept.extend_from_slice(&buffer.filled()[before..]);
        polled
    }
}

impl AsyncWrite for Tee {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}
