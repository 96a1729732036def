//! Keys that tokens are checked with. A key is pinned to one algorithm when it is read, so the
//! token's header never chooses how its own signature is judged.

use jsonwebtoken::jwk::{
    AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse,
};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::Value;
use thiserror::Error;

/// RFC 7518 asks for a secret as long as the hash; a shorter one can be guessed offline.
pub const SECRET_BYTES_MIN: usize = 32;

/// A 2048-bit RSA key as PKCS#1 takes 270 bytes; ring verifies with no smaller one.
const RSA_DER_BYTES_MIN: usize = 260;

/// Why a configured key cannot be used. Never holds the key.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum KeyError {
    /// The secret is too short.
    #[error("the secret has {0} bytes, {SECRET_BYTES_MIN} are the least")]
    SecretTooShort(usize),
    /// A PEM block stands where a secret belongs: with a public one, anybody could sign.
    #[error("the secret is a PEM block; name its file as the public key")]
    SecretIsPem,
    /// Not a public key as PEM.
    #[error("not a public key in PEM (`BEGIN PUBLIC KEY` or `BEGIN RSA PUBLIC KEY`)")]
    NotPublicPem,
    /// Neither RSA of 2048 bits or more, nor P-256, nor Ed25519.
    #[error("neither an RSA key of 2048 bits or more, nor P-256, nor Ed25519")]
    Unsupported,
    /// Not a set of keys.
    #[error("not a JSON Web Key Set")]
    NotKeySet,
}

/// One key with its one algorithm.
#[derive(Clone, Debug)]
pub struct Key {
    /// The name that tokens give in `kid`.
    pub(super) name: Option<String>,
    pub(super) algorithm: Algorithm,
    pub(super) material: DecodingKey,
}

impl Key {
    /// A secret shared with the issuer: HS256.
    pub fn secret(bytes: &[u8]) -> Result<Self, KeyError> {
        if bytes.trim_ascii_start().starts_with(b"-----BEGIN") {
            return Err(KeyError::SecretIsPem);
        }
        if bytes.len() < SECRET_BYTES_MIN {
            return Err(KeyError::SecretTooShort(bytes.len()));
        }
        Ok(Self::unnamed(Algorithm::HS256, DecodingKey::from_secret(bytes)))
    }

    /// A public key as PEM: RSA is RS256, P-256 is ES256, Ed25519 is `EdDSA`.
    pub fn public_pem(pem: &str) -> Result<Self, KeyError> {
        let head = pem.trim_start();
        let public = ["-----BEGIN PUBLIC KEY-----", "-----BEGIN RSA PUBLIC KEY-----"];
        if !public.iter().any(|it| head.starts_with(it)) {
            return Err(KeyError::NotPublicPem);
        }
        let bytes_of = |key: &DecodingKey| key.try_get_as_bytes().map_or(0, <[u8]>::len);
        let pem = pem.as_bytes();
        if let Ok(key) = DecodingKey::from_ec_pem(pem) {
            // An uncompressed point of P-256; larger curves are not for ES256.
            return match bytes_of(&key) {
                65 => Ok(Self::unnamed(Algorithm::ES256, key)),
                _ => Err(KeyError::Unsupported),
            };
        }
        if let Ok(key) = DecodingKey::from_ed_pem(pem) {
            return Ok(Self::unnamed(Algorithm::EdDSA, key));
        }
        match DecodingKey::from_rsa_pem(pem) {
            Ok(key) if bytes_of(&key) >= RSA_DER_BYTES_MIN => {
                Ok(Self::unnamed(Algorithm::RS256, key))
            }
            Ok(_) => Err(KeyError::Unsupported),
            Err(_error) => Err(KeyError::NotPublicPem),
        }
    }

    /// The usable keys of a JSON Web Key Set. Others are left out, as RFC 7517 §5 asks: keys of
    /// unknown kinds, for encryption, and shared secrets, which have no place in a public set.
    pub fn set(json: &[u8]) -> Result<Vec<Self>, KeyError> {
        let set: Value = serde_json::from_slice(json).map_err(|_error| KeyError::NotKeySet)?;
        let keys = set.get("keys").and_then(Value::as_array).ok_or(KeyError::NotKeySet)?;
        Ok(keys.iter().filter_map(Self::member).collect())
    }

    fn unnamed(algorithm: Algorithm, material: DecodingKey) -> Self {
        Self { name: None, algorithm, material }
    }

    fn member(value: &Value) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(value.clone()).ok()?;
        let common = &jwk.common;
        let signs = common.public_key_use.as_ref().is_none_or(|it| *it == PublicKeyUse::Signature)
            && common.key_operations.as_ref().is_none_or(|it| it.contains(&KeyOperations::Verify));
        let algorithm = pinned(&jwk.algorithm, common.key_algorithm)?;
        let material = DecodingKey::from_jwk(&jwk).ok()?;
        signs.then(|| Self { name: common.key_id.clone(), algorithm, material })
    }
}

/// The one algorithm of a JWK: by its kind, and by its own `alg` where the kind allows two.
fn pinned(parameters: &AlgorithmParameters, named: Option<KeyAlgorithm>) -> Option<Algorithm> {
    let (by_kind, word) = match parameters {
        AlgorithmParameters::RSA(_) if named == Some(KeyAlgorithm::PS256) => {
            return Some(Algorithm::PS256);
        }
        AlgorithmParameters::RSA(_) => (Algorithm::RS256, KeyAlgorithm::RS256),
        AlgorithmParameters::EllipticCurve(it) if it.curve == EllipticCurve::P256 => {
            (Algorithm::ES256, KeyAlgorithm::ES256)
        }
        AlgorithmParameters::OctetKeyPair(it) if it.curve == EllipticCurve::Ed25519 => {
            (Algorithm::EdDSA, KeyAlgorithm::EdDSA)
        }
        _ => return None,
    };
    named.is_none_or(|it| it == word).then_some(by_kind)
}
