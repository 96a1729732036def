//! Long poll: one answer at a time, for clients that can hold no connection.

use std::{convert::Infallible, future::ready, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{Stream, StreamExt as _, TryStreamExt as _, stream};
use http::{HeaderValue, header};
use tokio::time::Instant;
use warp::Reply as _;

use super::{
    answer::{self, Answer},
    door::Pass,
    routes::{Request, Site},
    visit::{self, Visit},
};
use crate::{
    feed::{LogError, encode::timestamp},
    session::{
        client::end_of,
        poll::{Poll, Told},
        refusal::Refusal,
        spec::Declared,
    },
    tasks::until,
    wire::{Code, reply},
};

/// How long a poll waits where it does not say.
const WAIT_SECONDS: u64 = 25;

/// The longest wait. Proxies cut what is silent for a minute.
const WAIT_SECONDS_MAX: u64 = 60;

/// How many changes an answer has where the poll does not say; its bytes are limited anyway.
const LIMIT: usize = 10_000;

impl Site {
    /// Answers `/poll/{feed}/`.
    pub(super) async fn poll(self: Arc<Self>, request: Request, feed: &str) -> Answer {
        let answer = match visit::preflight(&self, &request) {
            Some(answer) => answer,
            None => match self.look(&request, feed).await {
                Ok(answer) => answer,
                Err(refusal) => visit::refuse(&refusal),
            },
        };
        visit::allow_origin(&self, &request, answer)
    }

    async fn look(&self, request: &Request, feed: &str) -> Result<Answer, Refusal> {
        let Visit { pass, claims, query, declared, subscriptions } =
            self.visit(request, feed).await?;
        let wait = number("wait", query.wait.as_deref(), WAIT_SECONDS, 0..=WAIT_SECONDS_MAX)?;
        let limit = number("limit", query.limit.as_deref(), LIMIT as u64, 1..=LIMIT as u64)?;
        let end = claims.as_deref().map(end_of);
        let deadline = Instant::now() + Duration::from_secs(wait);
        let poll = Poll {
            context: Arc::clone(&self.context),
            declared: Declared::new(declared.as_ref(), claims.as_deref()),
            claims,
            requests: subscriptions,
            deadline: end.map_or(deadline, |end| deadline.min(end)),
            limit: usize::try_from(limit).unwrap_or(LIMIT),
        };
        let told = tokio::select! {
            biased;
            told = poll.answer() => told?,
            () = until(end) => return Err(expired()),
        };
        let has_ended = move || end.is_some_and(|end| Instant::now() >= end);
        match told {
            Told::Changes(told) if has_ended() && !told.messages.is_empty() => Err(expired()),
            Told::Changes(mut told) => {
                // A poll has no other heartbeat, and nothing that came says how old it is.
                if let Some(lag_ms) = self.context.hub.lag_ms().filter(|lag_ms| *lag_ms >= 1_000) {
                    let at = timestamp(jiff::Timestamp::now().as_microsecond());
                    let beat = reply::heartbeat(Some(&told.cursor), &at, lag_ms);
                    told.messages.push(beat.into());
                }
                let messages = told.messages.join(&b","[..]);
                let messages = String::from_utf8(messages).expect("messages are JSON text");
                let text = reply::poll(&messages, &told.cursor, told.is_partial);
                let length = HeaderValue::from(text.len());
                let text = stream::once(ready(Ok::<_, Infallible>(Bytes::from(text))));
                let mut answer = streamed(text, pass);
                answer.headers_mut().insert(header::CONTENT_LENGTH, length);
                Ok(answer)
            }
            Told::Rows(rows) => {
                // They take their time; the token may end meanwhile, also while a piece is there.
                let state = (Box::pin(rows.text()), end);
                let text = stream::try_unfold(state, async |(mut text, end)| {
                    let piece = tokio::select! {
                        biased;
                        () = until(end) => return Err(broken_off()),
                        piece = text.try_next() => piece?,
                    };
                    Ok::<_, LogError>(piece.map(|piece| (piece, (text, end))))
                });
                Ok(streamed(text, pass))
            }
        }
    }
}

/// The token ended before the answer was there.
fn expired() -> Refusal {
    Refusal::new(Code::Unauthorized, "the token has expired; come back with another one")
}

/// A token has ended while rows were sent: the answer breaks off.
fn broken_off() -> LogError {
    LogError { message: "the reader's token has ended".to_owned(), is_transient: false }
}

/// The answer of a client, which has its place among the others until the last of it has gone.
fn streamed<E>(
    text: impl Stream<Item = Result<Bytes, E>> + Send + Sync + 'static,
    pass: Pass,
) -> Answer
where
    E: std::error::Error + Send + Sync + 'static,
{
    let text = text.inspect(move |_| {
        let _kept = &pass;
    });
    let mut answer = warp::reply::stream(text).into_response();
    answer::describe_json(&mut answer);
    answer
}

fn number(
    name: &str,
    text: Option<&str>,
    otherwise: u64,
    range: std::ops::RangeInclusive<u64>,
) -> Result<u64, Refusal> {
    let Some(text) = text else { return Ok(otherwise) };
    text.parse().ok().filter(|it| range.contains(it)).ok_or_else(|| {
        let message = format!("`{name}` takes {} to {}", range.start(), range.end());
        Refusal::new(Code::BadMessage, message)
    })
}
