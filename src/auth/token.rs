//! A JWT becomes [`Claims`], or an error that says why not and repeats nothing of it.
//!
//! The token library checks the signature, with a key that is pinned to one algorithm; what the
//! claims must say is checked here, strictly, with the time as an argument.

use std::fmt;
use std::path::PathBuf;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Validation, decode, decode_header};
use serde_json::{Map, Value};
use thiserror::Error;

use super::claims::{Claims, StrictObject};
use super::crypto;
use super::fetch::{FetchError, Source};
use super::jwks::{KeySet, NoKey, Pace};
use super::key::{Key, KeyError};

/// Browsers and proxies cut headers and addresses near this length anyway.
pub const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// How far an issuer's clock may be ahead of ours where nothing else is said.
pub const LEEWAY_SECONDS: u8 = 5;

/// The last second of the year 9999: a later time has no text (RFC 3339).
const SECONDS_MAX: i64 = 253_402_300_799;

/// Where the keys come from.
#[derive(Clone, Default)]
pub enum AuthKeys {
    /// No key: every token is refused.
    #[default]
    None,
    /// A secret shared with the issuer (HS256).
    Secret(Vec<u8>),
    /// A public key as PEM text.
    PublicKey(String),
    /// A file with a JSON Web Key Set.
    JwksFile(PathBuf),
    /// The address of a JSON Web Key Set.
    JwksUrl(String),
}

/// The kind of source alone: a debug print of settings must not hold a secret.
impl fmt::Debug for AuthKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Secret(_) => "Secret(…)",
            Self::PublicKey(_) => "PublicKey(…)",
            Self::JwksFile(_) => "JwksFile(…)",
            Self::JwksUrl(_) => "JwksUrl(…)",
        })
    }
}

/// What tokens must be like. Made from the settings once, at the start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the keys come from.
    pub keys: AuthKeys,
    /// What `iss` must be; not looked at if empty.
    pub issuer: String,
    /// What `aud` must be or hold; not looked at if empty.
    pub audience: String,
    /// The claim that names the roles; `role` if empty.
    pub role_claim: String,
    /// How far the issuer's clock may be ahead of ours (`nbf`). `exp` is never stretched.
    pub leeway_seconds: u8,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            keys: AuthKeys::None,
            issuer: String::new(),
            audience: String::new(),
            role_claim: String::new(),
            leeway_seconds: LEEWAY_SECONDS,
        }
    }
}

/// Why a verifier could not be made.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SettingsError {
    /// A bad key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A bad source of keys.
    #[error(transparent)]
    Source(#[from] FetchError),
}

/// Why a token was refused. Repeats nothing of the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TokenError {
    /// No key is configured.
    #[error("no token is accepted here: no key is configured")]
    NoKeyConfigured,
    /// Too long.
    #[error("the token is longer than {TOKEN_BYTES_MAX} bytes")]
    TooLarge,
    /// Not three parts, not JSON, a key twice, an unknown algorithm, `none`, or `crit`.
    #[error("not a signed JWT that can be read")]
    Malformed,
    /// Signed with another algorithm than the key's.
    #[error("the token's algorithm is not that of the key")]
    Algorithm,
    /// No key of that name.
    #[error("no key is known for the token")]
    UnknownKey,
    /// The signature does not hold.
    #[error("the token's signature does not hold")]
    Signature,
    /// A claim is missing or not of its kind.
    #[error("the token's claim {0} is missing or not of its kind")]
    Claim(&'static str),
    /// `exp` has come.
    #[error("the token has expired")]
    Expired,
    /// `nbf` has not come.
    #[error("the token is not valid yet")]
    NotYet,
    /// The source of keys does not answer.
    #[error("the keys for tokens cannot be read at the moment")]
    KeysUnavailable,
}

impl TokenError {
    /// Whether the same token may be good later, with nothing changed by its bearer.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::KeysUnavailable)
    }
}

/// Checks tokens. One for the gateway, for its life.
#[derive(Clone, Debug)]
pub struct Verifier {
    keys: Keys,
    issuer: Option<String>,
    audience: Option<String>,
    role_claim: String,
    leeway: i64,
}

#[derive(Clone, Debug)]
enum Keys {
    None,
    One(Box<Key>),
    Set(KeySet),
}

impl Verifier {
    /// Checks and takes the settings. A key set is read at first use, or by [`Self::warm`].
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        Self::with_pace(settings, Pace::default())
    }

    /// As [`Self::new`], with another rhythm of reading the key set.
    pub fn with_pace(settings: Settings, pace: Pace) -> Result<Self, SettingsError> {
        crypto::install();
        let keys = match settings.keys {
            AuthKeys::None => Keys::None,
            AuthKeys::Secret(bytes) => Keys::One(Box::new(Key::secret(&bytes)?)),
            AuthKeys::PublicKey(pem) => Keys::One(Box::new(Key::public_pem(&pem)?)),
            AuthKeys::JwksFile(path) => Keys::Set(KeySet::new(Source::File(path), pace)),
            AuthKeys::JwksUrl(url) => Keys::Set(KeySet::new(Source::url(&url)?, pace)),
        };
        let given = |text: String| Some(text).filter(|it| !it.is_empty());
        Ok(Self {
            keys,
            issuer: given(settings.issuer),
            audience: given(settings.audience),
            role_claim: given(settings.role_claim).unwrap_or_else(|| String::from("role")),
            leeway: i64::from(settings.leeway_seconds),
        })
    }

    /// Whether any token can be accepted.
    pub fn has_keys(&self) -> bool {
        !matches!(self.keys, Keys::None)
    }

    /// Begins to read the key set, if there is one, and gives the end of that.
    pub fn warm(&self) -> impl Future<Output = Result<(), FetchError>> + use<> {
        let reading = match &self.keys {
            Keys::Set(set) => Some(set.warm()),
            _ => None,
        };
        async move {
            match reading {
                Some(reading) => reading.await,
                None => Ok(()),
            }
        }
    }

    /// The claims of `token` at `now` (seconds since 1970).
    pub async fn verify(&self, token: &str, now: i64) -> Result<Claims, TokenError> {
        if !self.has_keys() {
            return Err(TokenError::NoKeyConfigured);
        }
        if token.len() > TOKEN_BYTES_MAX {
            return Err(TokenError::TooLarge);
        }
        let header = decode_header(token).map_err(|_error| TokenError::Malformed)?;
        // RFC 7515 §4.1.11: what must be understood and is not, refuses the token.
        if header.crit.is_some() {
            return Err(TokenError::Malformed);
        }
        let key = self.key(header.kid.as_deref(), header.alg).await?;
        let object = signed_object(token, &key)?;
        self.judge(object, now)
    }

    async fn key(&self, kid: Option<&str>, algorithm: Algorithm) -> Result<Key, TokenError> {
        match &self.keys {
            Keys::None => Err(TokenError::NoKeyConfigured),
            Keys::One(key) if key.algorithm == algorithm => Ok(Key::clone(key)),
            Keys::One(_) => Err(TokenError::Algorithm),
            Keys::Set(set) => set.find(kid, algorithm).await.map_err(|why| match why {
                NoKey::Unknown => TokenError::UnknownKey,
                NoKey::OtherAlgorithm => TokenError::Algorithm,
                NoKey::Unavailable => TokenError::KeysUnavailable,
            }),
        }
    }

    fn judge(&self, object: Map<String, Value>, now: i64) -> Result<Claims, TokenError> {
        let expires_at = match object.get("exp") {
            Some(value) => seconds(value).ok_or(TokenError::Claim("exp"))?,
            None => return Err(TokenError::Claim("exp")),
        };
        // RFC 7519 §4.1.4: on or after `exp` it must not be accepted.
        if now >= expires_at {
            return Err(TokenError::Expired);
        }
        if let Some(value) = object.get("nbf") {
            let from = seconds(value).ok_or(TokenError::Claim("nbf"))?;
            if now + self.leeway < from {
                return Err(TokenError::NotYet);
            }
        }
        let text = |name: &str| object.get(name).and_then(Value::as_str);
        if self.issuer.as_deref().is_some_and(|wanted| text("iss") != Some(wanted)) {
            return Err(TokenError::Claim("iss"));
        }
        if self.audience.as_deref().is_some_and(|wanted| !is_for(object.get("aud"), wanted)) {
            return Err(TokenError::Claim("aud"));
        }
        if object.get("sub").is_some_and(|sub| !names_somebody(sub)) {
            return Err(TokenError::Claim("sub"));
        }
        Ok(Claims::new(object, &self.role_claim, expires_at))
    }
}

/// The payload, once the signature held.
fn signed_object(token: &str, key: &Key) -> Result<Map<String, Value>, TokenError> {
    let mut rules = Validation::new(key.algorithm);
    // Judged by `judge`, which knows the time it is asked for and never forgives a wrong kind.
    rules.required_spec_claims.clear();
    rules.validate_exp = false;
    rules.validate_nbf = false;
    rules.validate_aud = false;
    match decode::<StrictObject>(token, &key.material, &rules) {
        Ok(data) => Ok(data.claims.0),
        Err(error) => Err(match error.kind() {
            ErrorKind::InvalidSignature => TokenError::Signature,
            ErrorKind::InvalidAlgorithm => TokenError::Algorithm,
            _ => TokenError::Malformed,
        }),
    }
}

/// A `NumericDate`: a JSON number, never a text that looks like one (CVE-2026-25537).
fn seconds(value: &Value) -> Option<i64> {
    let number = value.as_number()?;
    let seconds = match number.as_i64() {
        Some(whole) => whole,
        None => whole_seconds(number.as_f64()?)?,
    };
    (0..=SECONDS_MAX).contains(&seconds).then_some(seconds)
}

#[expect(clippy::cast_possible_truncation, reason = "the range is checked before")]
fn whole_seconds(value: f64) -> Option<i64> {
    (0.0..1e12).contains(&value).then(|| value.floor() as i64)
}

fn is_for(audience: Option<&Value>, wanted: &str) -> bool {
    match audience {
        Some(Value::String(one)) => one == wanted,
        Some(Value::Array(several)) => {
            several.iter().all(Value::is_string)
                && several.iter().any(|it| it.as_str() == Some(wanted))
        }
        _ => false,
    }
}

/// RFC 7519 wants text; issuers with integer keys write those.
fn names_somebody(subject: &Value) -> bool {
    subject.as_str().is_some_and(|it| !it.is_empty()) || subject.is_i64() || subject.is_u64()
}

#[cfg(test)]
mod tests;
