//! Tokens for development, signed with the configured secret. Never called by the gateway itself.

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Map, Value, json};
use thiserror::Error;

use super::crypto;
use super::key::{Key, KeyError};
use super::token::{AuthKeys, Settings};

/// What a token shall say.
#[derive(Clone, Debug, Default)]
pub struct Order {
    /// `sub`, if any.
    pub subject: Option<String>,
    /// The roles; one is written as text, several as an array.
    pub roles: Vec<String>,
    /// How long it is good, in seconds.
    pub ttl_seconds: u32,
    /// Further claims.
    pub claims: Map<String, Value>,
}

/// Why no token was made.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum MintError {
    /// Only a shared secret can sign; the private half of a public key is the issuer's.
    #[error("tokens can be made with a shared secret alone: set auth.jwt_secret")]
    NoSecret,
    /// The secret is unusable.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A claim that has its own word in the order.
    #[error("the claim {0} is set by its own option")]
    Reserved(String),
    /// The token library refused.
    #[error("the token could not be signed")]
    Sign,
}

/// A token that a gateway with these settings accepts from `now` (seconds since 1970) on.
pub fn mint(settings: &Settings, order: Order, now: i64) -> Result<String, MintError> {
    let AuthKeys::Secret(secret) = &settings.keys else { return Err(MintError::NoSecret) };
    Key::secret(secret)?;
    let role_claim =
        if settings.role_claim.is_empty() { "role" } else { settings.role_claim.as_str() };
    let mut claims = order.claims;
    for (name, value) in [
        ("sub", order.subject.map(Value::from)),
        (role_claim, roles(order.roles)),
        ("iss", given(&settings.issuer)),
        ("aud", given(&settings.audience)),
        ("iat", Some(json!(now))),
        ("exp", Some(json!(now + i64::from(order.ttl_seconds)))),
    ] {
        // A dotted name is written as it stands: on reading, the exact name wins.
        let Some(value) = value else { continue };
        if claims.insert(name.to_owned(), value).is_some() {
            return Err(MintError::Reserved(name.to_owned()));
        }
    }
    crypto::install();
    encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(secret))
        .map_err(|_error| MintError::Sign)
}

fn roles(mut roles: Vec<String>) -> Option<Value> {
    match roles.len() {
        0 => None,
        1 => roles.pop().map(Value::from),
        _ => Some(json!(roles)),
    }
}

fn given(text: &str) -> Option<Value> {
    (!text.is_empty()).then(|| json!(text))
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::{MintError, Order, mint};
    use crate::auth::forge::{RSA_PUBLIC_PEM, SECRET};
    use crate::auth::token::{AuthKeys, Settings, TokenError, Verifier};

    fn settings() -> Settings {
        Settings {
            keys: AuthKeys::Secret(SECRET.to_vec()),
            issuer: String::from("https://dev.example"),
            audience: String::from("pgfeed"),
            role_claim: String::from("realm.roles"),
            leeway_seconds: 0,
        }
    }

    #[tokio::test]
    async fn a_minted_token_says_what_was_ordered() {
        let order = Order {
            subject: Some(String::from("7")),
            roles: vec![String::from("student"), String::from("mentor")],
            ttl_seconds: 60,
            claims: Map::from_iter([(String::from("team"), json!(3))]),
        };
        let token = mint(&settings(), order, 1_000).expect("a token");
        let verifier = Verifier::new(settings()).expect("good settings");
        let claims = verifier.verify(&token, 1_059).await.expect("good");
        assert_eq!(claims.subject(), Some("7"));
        assert_eq!(claims.roles(), ["mentor", "student"]);
        assert_eq!(claims.get("team"), Some(&json!(3)));
        assert_eq!(verifier.verify(&token, 1_060).await, Err(TokenError::Expired));
    }

    #[test]
    fn what_cannot_be_signed_or_is_said_twice_is_refused() {
        let order = |name: &str| Order {
            subject: Some(String::from("7")),
            claims: Map::from_iter([(name.to_owned(), json!("x"))]),
            ..Order::default()
        };
        for name in ["exp", "iss", "aud", "iat", "sub"] {
            let refused = mint(&settings(), order(name), 0);
            assert_eq!(refused, Err(MintError::Reserved(name.to_owned())));
        }
        let public =
            Settings { keys: AuthKeys::PublicKey(RSA_PUBLIC_PEM.to_owned()), ..settings() };
        assert_eq!(mint(&public, Order::default(), 0), Err(MintError::NoSecret));
        let short = Settings { keys: AuthKeys::Secret(vec![0; 8]), ..settings() };
        assert!(matches!(mint(&short, Order::default(), 0), Err(MintError::Key(_))));
    }
}
