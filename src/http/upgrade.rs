//! The WebSocket handshake (RFC 6455 §4.2).
//!
//! Ours, because `warp::ws()` costs 136 kB a connection; hyper gives the socket back as it is.

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tungstenite::handshake::derive_accept_key;

use super::{answer::Answer, patient::Patient};
use crate::auth::bearer::{self, SUBPROTOCOL};

/// Whether a request asks for a WebSocket.
pub fn is_asked_for(method: &Method, headers: &HeaderMap) -> bool {
    let has = |name: HeaderName, word: &str| {
        values(headers, &name)
            .any(|value| value.split(',').any(|it| it.trim().eq_ignore_ascii_case(word)))
    };
    method == Method::GET && has(header::CONNECTION, "upgrade") && has(header::UPGRADE, "websocket")
}

/// The answer that accepts, or why the handshake is not one.
pub fn accept(headers: &HeaderMap) -> Result<Answer, &'static str> {
    if values(headers, &header::SEC_WEBSOCKET_VERSION).next() != Some("13") {
        return Err("`Sec-WebSocket-Version` must be 13");
    }
    let key = values(headers, &header::SEC_WEBSOCKET_KEY).next().unwrap_or_default();
    let is_key = data_encoding::BASE64.decode(key.as_bytes()).is_ok_and(|bytes| bytes.len() == 16);
    if !is_key {
        return Err("`Sec-WebSocket-Key` must be 16 bytes in base64");
    }
    let mut answer = Answer::default();
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let out = answer.headers_mut();
    out.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    out.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    let accept = derive_accept_key(key.as_bytes());
    let accept = HeaderValue::from_str(&accept).expect("base64 is a header's value");
    out.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    if bearer::offer(values(headers, &header::SEC_WEBSOCKET_PROTOCOL)).is_ours {
        out.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
    }
    Ok(answer)
}

/// The socket after the answer went out, and bytes that came early.
pub async fn socket(upgrade: OnUpgrade) -> Option<(TcpStream, Vec<u8>)> {
    let upgraded: Upgraded = upgrade.await.ok()?;
    let parts = upgraded.downcast::<TokioIo<Patient>>().ok()?;
    Some((parts.io.into_inner().into_inner(), parts.read_buf.to_vec()))
}

/// Headers that decide something here must be text: one that is left out as unreadable might have
/// been the one that a proxy believed.
pub fn is_readable(headers: &HeaderMap) -> bool {
    let deciding = [
        header::ORIGIN,
        header::HOST,
        header::AUTHORIZATION,
        header::SEC_WEBSOCKET_PROTOCOL,
        HeaderName::from_static("x-forwarded-for"),
    ];
    deciding.iter().all(|name| headers.get_all(name).iter().all(|it| it.to_str().is_ok()))
}

/// A header's values that are text.
pub fn values<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> impl DoubleEndedIterator<Item = &'a str> + 'a + use<'a> {
    headers.get_all(name.clone()).into_iter().filter_map(|value| value.to_str().ok())
}
