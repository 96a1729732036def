//! Looks at a gateway from outside, through whatever stands before it: for `pgfeed doctor --url`.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Incoming;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioIo},
};
use tokio::{io::AsyncReadExt as _, time::timeout};

/// A proxy that cannot reach what is behind it takes its time to say so.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// `hello` comes at once unless something holds it back.
const HELLO_LIMIT: Duration = Duration::from_secs(3);

const BODY_BYTES_MAX: usize = 4_096;

/// What came back from `/ws/changes/` when a WebSocket was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Socket {
    /// A WebSocket whose `hello` came; `close` is the first thing said instead of it.
    Open,
    /// A WebSocket on which nothing came.
    Mute,
    /// The gateway answered, but was not asked for a WebSocket: the headers were dropped.
    NotUpgraded,
    /// The gateway refuses, in its own words.
    Refused(u16, String),
    /// Something else answered: not the gateway.
    Foreign(u16),
    /// Nothing answered.
    Silent(String),
}

/// What was seen from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// At `/ws/changes/`.
    pub socket: Socket,
    /// Whether exactly `/ws` reaches the gateway too, where a front end's hot reload may live.
    pub takes_hot_reload: bool,
    /// How far the clock of whoever answered is ahead of ours, in ms, by its `Date` header.
    pub ahead_ms: Option<i64>,
}

/// Asks the gateway that `base` leads to, as a browser would.
pub async fn look(base: &str) -> Result<Seen, String> {
    let base = base.trim_end_matches('/').replace("ws://", "http://").replace("wss://", "https://");
    let uri: Uri = base.parse().map_err(|error| format!("{base} is no URL: {error}"))?;
    let host = uri.host().ok_or_else(|| format!("{base} names no host"))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(format!("{host}: begin the address with http:// or https://"));
    }
    let (socket, ahead_ms) = match ask(&format!("{base}/ws/changes/"), true).await {
        Err(why) => (Socket::Silent(why), None),
        Ok(answer) => {
            let ahead_ms = ahead_ms(&answer);
            (socket(answer).await, ahead_ms)
        }
    };
    let takes_hot_reload = match ask(&format!("{base}/ws"), false).await {
        Ok(answer) => gateway_says(answer).await.is_some(),
        Err(_) => false,
    };
    Ok(Seen { socket, takes_hot_reload, ahead_ms })
}

async fn ask(url: &str, is_upgrade: bool) -> Result<Response<Incoming>, String> {
    let connector = HttpsConnectorBuilder::new()
        .with_provider_and_platform_verifier(rustls::crypto::ring::default_provider())
        .map_err(|error| format!("TLS is not available: {error}"))?
        .https_or_http()
        .enable_http1()
        .build();
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build(connector);
    let mut request = Request::get(url);
    if is_upgrade {
        request = request
            .header(header::CONNECTION, "Upgrade")
            .header(header::UPGRADE, "websocket")
            .header(header::SEC_WEBSOCKET_VERSION, "13")
            .header(header::SEC_WEBSOCKET_KEY, "cGdmZWVkIGRvY3RvciAxNg==");
    }
    let request = request.body(Empty::new()).map_err(|error| error.to_string())?;
    match timeout(ANSWER_LIMIT, client.request(request)).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(format!("no answer from {url}: {}", tell(&error))),
        Err(_) => Err(format!("no answer from {url} in {} s", ANSWER_LIMIT.as_secs())),
    }
}

async fn socket(answer: Response<Incoming>) -> Socket {
    let status = answer.status();
    if status == StatusCode::SWITCHING_PROTOCOLS {
        let is_heard = timeout(HELLO_LIMIT, hears(answer)).await;
        return if is_heard.unwrap_or(false) { Socket::Open } else { Socket::Mute };
    }
    match gateway_says(answer).await {
        Some(message) if message.contains("takes a WebSocket") => Socket::NotUpgraded,
        Some(message) => Socket::Refused(status.as_u16(), message),
        None => Socket::Foreign(status.as_u16()),
    }
}

/// Whether anything comes on the socket: `hello`, or a close that says why.
async fn hears(answer: Response<Incoming>) -> bool {
    let Ok(upgraded) = hyper::upgrade::on(answer).await else { return false };
    let mut socket = TokioIo::new(upgraded);
    let mut bytes = [0; 64];
    socket.read(&mut bytes).await.is_ok_and(|count| count > 0)
}

/// The message of an error in the gateway's form.
async fn gateway_says(answer: Response<Incoming>) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Said {
        #[serde(rename = "type")]
        kind: String,
        message: String,
    }
    let body = Limited::new(answer.into_body(), BODY_BYTES_MAX).collect().await.ok()?.to_bytes();
    let said: Said = serde_json::from_slice(&body).ok()?;
    (said.kind == "error").then_some(said.message)
}

fn ahead_ms(answer: &Response<Incoming>) -> Option<i64> {
    let text = answer.headers().get(header::DATE)?.to_str().ok()?;
    let theirs = jiff::fmt::rfc2822::parse(text).ok()?.timestamp().as_millisecond();
    let ours = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(theirs - i64::try_from(ours.as_millis()).ok()?)
}

fn tell(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(it) = cause {
        text = format!("{text}: {it}");
        cause = it.source();
    }
    text
}
