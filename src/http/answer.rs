//! Answers that are not the feed: errors and health, as JSON.

use http::{HeaderValue, Response, StatusCode, header};
use warp::Reply;

use crate::wire::{Code, reply};

/// A response.
pub type Answer = warp::reply::Response;

/// An error of the protocol, with its status.
pub fn error(code: Code, message: &str) -> Answer {
    let status = StatusCode::from_u16(code.status()).unwrap_or(StatusCode::BAD_REQUEST);
    let mut answer = json(status, reply::error(code, message, None));
    if code == Code::Unavailable {
        answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
    }
    answer
}

/// JSON text.
pub fn json(status: StatusCode, text: String) -> Answer {
    let mut answer = Response::new(text).into_response();
    *answer.status_mut() = status;
    describe_json(&mut answer);
    answer
}

/// Says that an answer is JSON, for this moment alone.
pub fn describe_json(answer: &mut Answer) {
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}

/// Plain text.
pub fn text(text: String) -> Answer {
    let mut answer = Response::new(text).into_response();
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    answer.headers_mut().insert(header::CONTENT_TYPE, plain);
    answer
}
