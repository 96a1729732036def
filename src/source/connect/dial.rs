//! One connection: server after server, mode after mode, until one will have us.

use std::{
    future::{Future, poll_fn},
    hash::{BuildHasher as _, RandomState},
    pin::{Pin, pin},
    task::Poll,
    time::Duration,
};

use deadpool_postgres::Connect;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, Config, Error, config::SslMode, error::SqlState};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{Connection, endpoints::Endpoint, error::tls_error};
use crate::tasks;

/// What a server must be to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Any,
    ReadWrite,
    Primary,
}

/// Everything that it takes to connect.
#[derive(Clone)]
pub(super) struct Dial {
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) wanted: Wanted,
    /// Begin with any of the servers instead of the first.
    pub(super) is_random: bool,
    /// For one server, handshake and password included.
    pub(super) limit: Option<Duration>,
    pub(super) tls: MakeRustlsConnect,
}

impl Dial {
    /// The same with settings for the session.
    pub(super) fn with_options(&self, options: &[(&str, &str)]) -> Self {
        let mut dial = self.clone();
        for endpoint in &mut dial.endpoints {
            for (name, value) in options {
                set_option(&mut endpoint.config, name, value);
            }
        }
        dial
    }

    /// The servers, for people.
    pub(super) fn servers(&self) -> String {
        self.endpoints.iter().map(|it| it.label.as_str()).collect::<Vec<_>>().join(", ")
    }

    /// How long all servers together may take; `None` is no limit.
    pub(super) fn limit_in_all(&self) -> Option<Duration> {
        let servers = u32::try_from(self.endpoints.len()).unwrap_or(u32::MAX);
        self.limit.map(|it| it.saturating_mul(servers))
    }

    /// Tries one after the other. The caller limits the time of the whole, so that the last
    /// server's own error is told where there is one.
    pub(super) async fn connect(&self) -> Result<(Client, Connection), Error> {
        let count = self.endpoints.len();
        let first = if self.is_random { random_below(count) } else { 0 };
        for step in 0..count - 1 {
            let endpoint = &self.endpoints[(first + step) % count];
            let attempt = self.connect_to(endpoint);
            let connected = match self.limit {
                Some(limit) => tokio::time::timeout(limit, attempt).await.ok().and_then(Result::ok),
                None => attempt.await.ok(),
            };
            if let Some(connected) = connected {
                return Ok(connected);
            }
        }
        self.connect_to(&self.endpoints[(first + count - 1) % count]).await
    }

    async fn connect_to(&self, endpoint: &Endpoint) -> Result<(Client, Connection), Error> {
        let mut modes = endpoint.modes.iter().copied();
        let mut result = self.attempt(endpoint, modes.next().unwrap_or(SslMode::Require)).await;
        for mode in modes {
            match &result {
                Err(error) if is_about_encryption(error) => {
                    result = self.attempt(endpoint, mode).await;
                }
                _ => break,
            }
        }
        result
    }

    async fn attempt(
        &self,
        endpoint: &Endpoint,
        mode: SslMode,
    ) -> Result<(Client, Connection), Error> {
        let mut config = endpoint.config.clone();
        config.ssl_mode(mode);
        let (client, mut connection) = config.connect(self.tls.clone()).await?;
        if let Some(check) = self.wanted.check() {
            drive(&mut connection, client.batch_execute(check)).await?;
        }
        Ok((client, connection))
    }
}

impl Wanted {
    /// A statement that fails on a server that will not do. The server itself makes the error, so
    /// that it is one of the driver's like all others.
    fn check(self) -> Option<&'static str> {
        match self {
            Self::Any => None,
            Self::Primary => Some(
                "do $$ begin if pg_catalog.pg_is_in_recovery() then \
                 raise exception using errcode = '25006', message = 'the server is a standby'; \
                 end if; end $$",
            ),
            Self::ReadWrite => Some(
                "do $$ begin if pg_catalog.current_setting('transaction_read_only') = 'on' then \
                 raise exception using errcode = '25006', message = 'the server is read-only'; \
                 end if; end $$",
            ),
        }
    }
}

/// Whether the server may be content with another mode: the handshake failed, or no line of its
/// `pg_hba.conf` has this mode. A wrong password is not tried again in the clear.
fn is_about_encryption(error: &Error) -> bool {
    error.code() == Some(&SqlState::INVALID_AUTHORIZATION_SPECIFICATION)
        || tls_error(error).is_some()
}

/// Runs `work`, which needs `connection` to be polled beside it.
async fn drive<T>(
    connection: &mut Connection,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let mut work = pin!(work);
    poll_fn(|cx| {
        while let Poll::Ready(Some(message)) = connection.poll_message(cx) {
            if let Err(error) = message {
                return Poll::Ready(Err(error));
            }
        }
        work.as_mut().poll(cx)
    })
    .await
}

fn set_option(config: &mut Config, name: &str, value: &str) {
    if name == "application_name" {
        config.application_name(value);
        return;
    }
    let mut options = config.get_options().unwrap_or_default().to_owned();
    if !options.is_empty() {
        options.push(' ');
    }
    options.push_str("-c ");
    options.push_str(name);
    options.push('=');
    for c in value.chars() {
        if c.is_whitespace() || c == '\\' {
            options.push('\\');
        }
        options.push(c);
    }
    config.options(options);
}

fn random_below(count: usize) -> usize {
    let random = RandomState::new().hash_one(count);
    usize::try_from(random % u64::try_from(count).unwrap_or(1)).unwrap_or(0)
}

impl Connect for Dial {
    fn connect(
        &self,
        _: &Config,
    ) -> Pin<Box<dyn Future<Output = Result<(Client, JoinHandle<()>), Error>> + Send + '_>> {
        Box::pin(async move {
            let (client, connection) = self.connect().await?;
            let server = self.servers();
            // The pool owns the task and ends it with the connection.
            let task = tasks::spawn("pooled connection", async move {
                if let Err(error) = connection.await {
                    tracing::debug!(%server, %error, "Pooled connection ended.");
                }
            });
            Ok((client, task))
        })
    }
}
