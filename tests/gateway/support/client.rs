//! A client that speaks the protocol and does with cursors what the protocol asks of a client, and
//! no more: it never looks at ids to drop what it has seen.

use std::{collections::BTreeMap, sync::Arc};

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::Duration};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Error, Message},
};

use super::{
    record::{Change, Mark, Subscription},
    wait::{PATIENCE, within},
};

type Wire = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// What came next.
#[derive(Clone, Debug)]
pub(crate) enum Heard {
    Message(Value),
    /// A close frame.
    Closed {
        code: u16,
        reason: String,
    },
    /// The connection ended without one.
    Cut,
}

/// A connection, and what is kept over the end of connections.
#[derive(Debug)]
pub(crate) struct Client {
    wire: Wire,
    pub(crate) hello: Value,
    /// The last message as it came, with every digit.
    pub(crate) last_text: String,
    pub(crate) subs: BTreeMap<String, Subscription>,
    pub(crate) tape: Vec<Mark>,
}

impl Client {
    /// Connects and takes the server's `hello`.
    pub(crate) async fn connect(url: &str) -> Self {
        Self::try_connect(url).await.expect("the gateway accepts a client")
    }

    /// The same, where the gateway may refuse or end before its `hello`.
    pub(crate) async fn try_connect(url: &str) -> Result<Self, String> {
        let (wire, hello) = open(url).await?;
        let (subs, tape) = (BTreeMap::new(), vec![Mark::Connected]);
        Ok(Self { wire, hello, last_text: String::new(), subs, tape })
    }

    /// Connects and subscribes to one table, with the table's name as id.
    pub(crate) async fn subscribed(url: &str, table: &str) -> Self {
        let mut client = Self::connect(url).await;
        client.subscribe(table).await;
        client
    }

    /// Subscribes to a table, with its name as id, and waits until that is live.
    pub(crate) async fn subscribe(&mut self, table: &str) -> Value {
        self.ask(&json!({"type": "subscribe", "id": table, "table": table})).await;
        let subscribed = self.expect("subscribed").await;
        self.until("the subscription to be live", |client| client.sub(table).live).await;
        subscribed
    }

    /// Comes back after the end of a connection: every subscription from its own cursor.
    pub(crate) async fn resume(&mut self, url: &str) -> Result<(), String> {
        let (wire, hello) = open(url).await?;
        (self.wire, self.hello) = (wire, hello);
        self.tape.push(Mark::Connected);
        for sub in self.subs.values_mut().filter(|sub| sub.ended.is_none()) {
            sub.pending.clear();
            sub.live = false;
            let sent = self.wire.send(Message::text(sub.request().to_string())).await;
            sent.map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// The database could not be read for a subscription that resumes.
    async fn ask_again(&mut self, id: &str) {
        if let Some(sub) = self.subs.get(id) {
            // Where the connection ends meanwhile, the next thing heard is its end.
            let _sent = self.wire.send(Message::text(sub.request().to_string())).await;
        }
    }

    /// Sends one JSON object.
    pub(crate) async fn ask(&mut self, request: &Value) {
        self.send(Message::text(request.to_string())).await;
    }

    pub(crate) async fn send(&mut self, message: Message) {
        self.wire.send(message).await.expect("the connection takes a message");
    }

    pub(crate) fn sub(&self, id: &str) -> &Subscription {
        self.subs.get(id).expect("there is such a subscription")
    }

    /// All changes of one subscription since its last resync.
    pub(crate) fn changes(&self, id: &str) -> Vec<&Change> {
        self.sub(id).changes().collect()
    }

    /// The next message or end, and what it means for the subscriptions.
    pub(crate) async fn next(&mut self) -> Heard {
        self.next_within(PATIENCE).await
    }

    pub(crate) async fn next_within(&mut self, limit: Duration) -> Heard {
        let heard = within(limit, "the next message", self.hear()).await;
        if let Heard::Message(message) = &heard {
            self.take(message);
            if message["code"] == "unavailable" {
                self.ask_again(message["id"].as_str().unwrap_or_default()).await;
            }
        }
        heard
    }

    /// The next message; the connection must not end.
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

    /// Reads until the client's state is as wanted.
    pub(crate) async fn until(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let search = async {
            while !is_so(self) {
                self.message().await;
            }
        };
        within(PATIENCE, what, search).await;
    }

    /// Reads until a subscription has this many changes and a cursor behind them.
    pub(crate) async fn until_applied(&mut self, id: &str, count: usize) {
        let what = format!("{count} changes of {id}");
        self.until(&what, |client| client.sub(id).applied.len() >= count).await;
    }

    /// Reads to the end of the connection.
    pub(crate) async fn ended(&mut self) -> Heard {
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

    /// The next message as it is, without its meaning: for those that count millions.
    pub(crate) async fn raw(&mut self) -> Value {
        match within(PATIENCE, "the next message", self.hear()).await {
            Heard::Message(message) => message,
            ended => panic!("a message was expected: {ended:?}"),
        }
    }

    async fn hear(&mut self) -> Heard {
        hear(&mut self.wire, &mut self.last_text).await
    }

    fn take(&mut self, message: &Value) {
        let id = message["id"].as_str().unwrap_or_default();
        match message["type"].as_str().expect("a message has a type") {
            "subscribed" => self.take_subscribed(id, message),
            "change" => self.take_change(message),
            "cursor" | "heartbeat" => self.take_cursor(message),
            "live" => {
                let sub = self.subs.get_mut(id).expect("`live` is of a subscription");
                sub.settle(&message["cursor"]);
                sub.live = true;
                let (subs, text) = (vec![id.to_owned()], text_of(message));
                self.tape.push(Mark::Cursor { subs, partial: false, text });
            }
            "resync" => {
                let sub = self.subs.get_mut(id).expect("`resync` is of a subscription");
                sub.void(message["reason"].as_str().expect("a resync has a reason"));
                sub.settle(&message["cursor"]);
                sub.live = true;
            }
            "unsubscribed" => {
                let sub = self.subs.get_mut(id).expect("`unsubscribed` is of a subscription");
                sub.ended = Some(message["reason"].as_str().unwrap_or_default().to_owned());
                sub.live = false;
            }
            _ => {}
        }
    }

    fn take_subscribed(&mut self, id: &str, message: &Value) {
        let sub = self.subs.entry(id.to_owned()).or_default();
        assert!(sub.pending.is_empty(), "`subscribed` comes before anything else of {id}");
        id.clone_into(&mut sub.id);
        message["topic"].as_str().expect("a topic").clone_into(&mut sub.topic);
        let name = |field: &str| message[field].as_str().expect("a name");
        sub.table = format!("{}.{}", name("schema"), name("table"));
        sub.shape = message["shape"].clone();
        sub.live = message["live"].as_bool().expect("`live` is said");
        sub.ended = None;
        sub.settle(&message["cursor"]);
    }

    fn take_change(&mut self, message: &Value) {
        let only = message["sub"].as_str();
        let topic = message["topic"].as_str();
        assert!(only.is_some() != topic.is_some(), "either `sub` or `topic`: {message}");
        let mut found = false;
        for (id, sub) in &mut self.subs {
            let is_for = match only {
                Some(only) => only == id,
                None => sub.live && Some(sub.topic.as_str()) == topic,
            };
            if is_for && sub.ended.is_none() {
                let change = Arc::new(Change::read(id, message));
                self.tape.push(Mark::Change(Arc::clone(&change)));
                sub.pending.push(change);
                found = true;
            }
        }
        assert!(found, "a change that belongs to no subscription: {message}");
    }

    fn take_cursor(&mut self, message: &Value) {
        let only = message["id"].as_str();
        let mut subs = Vec::new();
        for (id, sub) in &mut self.subs {
            let is_for = only.map_or(sub.live, |only| only == id);
            if is_for && sub.ended.is_none() && !message["cursor"].is_null() {
                sub.settle(&message["cursor"]);
                subs.push(id.clone());
            }
        }
        // A heartbeat may come at any time; it says nothing on where a transaction ends.
        if message["type"] == "cursor" {
            let partial = message["partial"] == Value::Bool(true);
            self.tape.push(Mark::Cursor { subs, partial, text: text_of(message) });
        }
    }
}

fn text_of(message: &Value) -> String {
    message["cursor"].as_str().unwrap_or_default().to_owned()
}

async fn open(url: &str) -> Result<(Wire, Value), String> {
    let opening = within(PATIENCE, "the handshake", connect_async(url)).await;
    let (mut wire, _response) = opening.map_err(|error| error.to_string())?;
    match within(PATIENCE, "the server's hello", hear(&mut wire, &mut String::new())).await {
        Heard::Message(hello) => {
            assert_eq!(hello["type"], "hello", "the first message is the hello");
            Ok((wire, hello))
        }
        ended => Err(format!("{ended:?}")),
    }
}

async fn hear(wire: &mut Wire, last_text: &mut String) -> Heard {
    loop {
        match wire.next().await {
            Some(Ok(Message::Text(text))) => {
                let message = serde_json::from_str(&text).expect("the server sends JSON");
                text.as_str().clone_into(last_text);
                return Heard::Message(message);
            }
            Some(Ok(Message::Close(Some(frame)))) => {
                let (code, reason) = (frame.code.into(), frame.reason.to_string());
                // Reading on sends the answer to the server's close frame.
                while let Some(Ok(_)) = wire.next().await {}
                return Heard::Closed { code, reason };
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            Some(Err(Error::Capacity(error))) => panic!("nothing is too large for us: {error}"),
            Some(Ok(_) | Err(_)) | None => return Heard::Cut,
        }
    }
}
