//! Reads a key set's text from its file or its address, within limits.
//!
//! The address comes from the settings and from nothing else: a token's `jku`, `kid` or claims
//! never touch it. A redirect is an error, since it would let whoever answers choose the source.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::Uri;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use thiserror::Error;
use tokio::io::AsyncReadExt;

/// A key takes under 2 KiB; issuers publish a handful.
pub const SET_BYTES_MAX: usize = 64 * 1024;

/// Why a key set was not read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FetchError {
    /// The address is not one that keys may come from.
    #[error("not an address for keys: {0}")]
    Address(&'static str),
    /// TLS could not be set up.
    #[error("TLS is not available: {0}")]
    Tls(String),
    /// The file could not be read.
    #[error("the file could not be read: {0}")]
    File(std::io::ErrorKind),
    /// No answer.
    #[error("no answer: {0}")]
    NoAnswer(String),
    /// An answer other than 200; a redirect too.
    #[error("answered with status {0}")]
    Status(u16),
    /// The text is too long.
    #[error("longer than {SET_BYTES_MAX} bytes")]
    TooLarge,
    /// The whole took too long.
    #[error("no complete answer within {0:?}")]
    TimedOut(Duration),
    /// The text is no key set.
    #[error("the answer is not a JSON Web Key Set")]
    NotKeySet,
}

type Https = Client<HttpsConnector<HttpConnector>, Empty<Bytes>>;

/// Where a key set comes from. Owned by its cache, for the life of the gateway.
#[derive(Clone)]
pub enum Source {
    /// A file; read again as an address is, so that rotation needs no restart.
    File(PathBuf),
    /// An address.
    Url(Box<UrlSource>),
}

/// An address and the client that asks it.
#[derive(Clone)]
pub struct UrlSource {
    uri: Uri,
    client: Https,
}

impl Source {
    /// An address that keys may come from.
    pub fn url(text: &str) -> Result<Self, FetchError> {
        let uri = address(text)?;
        let client = client()?;
        Ok(Self::Url(Box::new(UrlSource { uri, client })))
    }

    /// The text, whole, or an error; never later than `limit`.
    pub async fn read(&self, limit: Duration) -> Result<Vec<u8>, FetchError> {
        let read = async {
            match self {
                Self::File(path) => read_file(path).await,
                Self::Url(source) => source.get().await,
            }
        };
        tokio::time::timeout(limit, read).await.unwrap_or(Err(FetchError::TimedOut(limit)))
    }
}

/// The file, or the address without its query, which may hold a secret.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Url(source) => {
                let host = source.uri.authority().map_or("", |it| it.as_str());
                write!(f, "{}://{host}{}", source.uri.scheme_str().unwrap_or(""), source.uri.path())
            }
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Source({self})")
    }
}

impl UrlSource {
    async fn get(&self) -> Result<Vec<u8>, FetchError> {
        let answer = self
            .client
            .get(self.uri.clone())
            .await
            .map_err(|error| FetchError::NoAnswer(error.to_string()))?;
        // Redirects too: this client follows none.
        if answer.status() != http::StatusCode::OK {
            return Err(FetchError::Status(answer.status().as_u16()));
        }
        match Limited::new(answer.into_body(), SET_BYTES_MAX).collect().await {
            Ok(body) => Ok(body.to_bytes().to_vec()),
            Err(error) if error.is::<http_body_util::LengthLimitError>() => {
                Err(FetchError::TooLarge)
            }
            Err(error) => Err(FetchError::NoAnswer(error.to_string())),
        }
    }
}

/// Takes an address by https, or by http where it never leaves this machine: whoever can change the
/// answer makes tokens.
pub fn address(text: &str) -> Result<Uri, FetchError> {
    let uri: Uri = text.parse().map_err(|_error| FetchError::Address("not a URL"))?;
    let authority = uri
        .authority()
        .ok_or(FetchError::Address("write it whole, as https://issuer.example/jwks.json"))?;
    if authority.as_str().contains('@') {
        return Err(FetchError::Address("it holds a user name"));
    }
    match uri.scheme_str() {
        Some("https") => Ok(uri),
        Some("http") if is_loopback(authority.host()) => Ok(uri),
        Some("http") => Err(FetchError::Address("write https://; http:// is for loopback only")),
        _ => Err(FetchError::Address("neither https nor http")),
    }
}

async fn read_file(path: &PathBuf) -> Result<Vec<u8>, FetchError> {
    let failed = |error: std::io::Error| FetchError::File(error.kind());
    let file = tokio::fs::File::open(path).await.map_err(failed)?;
    let mut text = Vec::new();
    file.take(SET_BYTES_MAX as u64 + 1).read_to_end(&mut text).await.map_err(failed)?;
    if text.len() > SET_BYTES_MAX { Err(FetchError::TooLarge) } else { Ok(text) }
}

fn client() -> Result<Https, FetchError> {
    let connector = HttpsConnectorBuilder::new()
        .with_provider_and_platform_verifier(rustls::crypto::ring::default_provider())
        .map_err(|error| FetchError::Tls(error.to_string()))?
        .https_or_http()
        .enable_http1()
        .build();
    // Minutes lie between two reads: a kept connection would only be found dead.
    Ok(Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector))
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse::<IpAddr>().is_ok_and(|it| it.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::Source;

    #[tokio::test]
    async fn keys_come_by_https_or_from_this_machine() {
        for good in [
            "https://issuer.example/.well-known/jwks.json",
            "http://127.0.0.1:8080/jwks",
            "http://[::1]/jwks",
            "http://localhost/jwks",
        ] {
            assert!(Source::url(good).is_ok(), "{good}");
        }
        for bad in [
            "http://issuer.example/jwks",
            "http://127.0.0.1.example/jwks",
            "http://localhost.example/jwks",
            "http://localhost@issuer.example/jwks",
            "https://user:secret@issuer.example/jwks",
            "file:///etc/passwd",
            "ftp://localhost/x",
            "/jwks",
            "",
        ] {
            assert!(Source::url(bad).is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn an_address_is_shown_without_its_query() {
        let source = Source::url("https://issuer.example/jwks?key=hidden").expect("an address");
        assert_eq!(
            format!("{source} {source:?}"),
            "https://issuer.example/jwks Source(https://issuer.example/jwks)"
        );
    }
}
