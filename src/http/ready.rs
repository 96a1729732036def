//! Whether clients can be served exactly.

use http::StatusCode;

use super::{
    answer::{self, Answer},
    routes::Site,
};

/// How the settings stand to the tables of the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Nobody has looked yet.
    Unknown,
    /// They fit, and every write is captured.
    Fit,
    /// They do not, or not every write is; why.
    Unfit(String),
}

impl Site {
    /// The answer of /readyz. Its reason is for the operator: it may name tables.
    pub(super) fn ready(&self) -> Answer {
        let (lag_ms, reason) = self.readiness();
        let lag = lag_ms.map_or("null".to_owned(), |lag_ms| lag_ms.to_string());
        match reason {
            None => answer::json(StatusCode::OK, format!("{{\"ready\":true,\"lag_ms\":{lag}}}")),
            Some(reason) => {
                let reason = serde_json::Value::from(reason);
                let text = format!("{{\"ready\":false,\"reason\":{reason},\"lag_ms\":{lag}}}");
                answer::json(StatusCode::SERVICE_UNAVAILABLE, text)
            }
        }
    }

    /// The lag, and why clients cannot be served exactly, where they cannot.
    pub(super) fn readiness(&self) -> (Option<u64>, Option<String>) {
        let lag_ms = self.context.hub.lag_ms();
        (lag_ms, self.unready(lag_ms))
    }

    fn unready(&self, lag_ms: Option<u64>) -> Option<String> {
        let reason = match (lag_ms, (self.fitness)()) {
            (None, _) => "the database has not been reached yet",
            (Some(lag_ms), _) if lag_ms > self.ready_lag_max_ms => "the log cannot be read",
            _ if self.context.drain.is_cancelled() => "the gateway drains",
            (_, State::Unknown) => "the tables have not been looked at yet",
            (_, State::Unfit(why)) => return Some(why),
            (_, State::Fit) => return None,
        };
        Some(reason.to_owned())
    }
}
