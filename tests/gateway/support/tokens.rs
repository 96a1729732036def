//! Tokens: good ones as an issuer makes them, and bad ones as nobody should.

use data_encoding::BASE64URL_NOPAD;
use pgfeed::auth::{
    AuthKeys, Settings,
    mint::{Order, mint},
};
use ring::{
    hmac,
    rand::SystemRandom,
    signature::{Ed25519KeyPair, KeyPair},
};
use serde_json::{Map, Value, json};

/// The secret of the gateways in tests.
pub(crate) const SECRET: &str = "a secret of tests, of thirty-two bytes and more";

/// A good token for an hour.
pub(crate) fn token(claims: &Value) -> String {
    token_for(claims, 3_600)
}

/// A good token that ends after some seconds.
pub(crate) fn token_for(claims: &Value, ttl_seconds: u32) -> String {
    let settings =
        Settings { keys: AuthKeys::Secret(SECRET.as_bytes().to_vec()), ..Settings::default() };
    let mut claims: Map<String, Value> = claims.as_object().expect("claims").clone();
    // A numeric subject is a claim like any other to the mint.
    let subject = claims.get("sub").and_then(Value::as_str).map(str::to_owned);
    if subject.is_some() {
        claims.remove("sub");
    }
    let order = Order { subject, ttl_seconds, claims, ..Order::default() };
    mint(&settings, order, jiff::Timestamp::now().as_second()).expect("a token")
}

/// A token with any header and payload, signed by any key: with HMAC-SHA512 where the header says
/// HS512, else with HMAC-SHA256.
pub(crate) fn forged(header: &Value, payload: &Value, key: &[u8]) -> String {
    let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let signed = format!("{}.{}", part(header), part(payload));
    let hash = if header["alg"] == "HS512" { hmac::HMAC_SHA512 } else { hmac::HMAC_SHA256 };
    let key = hmac::Key::new(hash, key);
    let tag = hmac::sign(&key, signed.as_bytes());
    format!("{signed}.{}", BASE64URL_NOPAD.encode(tag.as_ref()))
}

/// An issuer with a key pair of its own, which it publishes.
pub(crate) struct Issuer {
    pair: Ed25519KeyPair,
    kid: &'static str,
}

impl Issuer {
    pub(crate) fn new(kid: &'static str) -> Self {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("a key");
        Self { pair: Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).expect("a key"), kid }
    }

    /// Its JSON Web Key Set.
    pub(crate) fn set(&self) -> Value {
        let x = BASE64URL_NOPAD.encode(self.pair.public_key().as_ref());
        json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": self.kid, "x": x}]})
    }

    pub(crate) fn token(&self, claims: &Value) -> String {
        let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        let header = json!({"alg": "EdDSA", "kid": self.kid});
        let signed = format!("{}.{}", part(&header), part(claims));
        let signature = self.pair.sign(signed.as_bytes());
        format!("{signed}.{}", BASE64URL_NOPAD.encode(signature.as_ref()))
    }
}
