//! For tests: issuers with keys of every kind, and tokens with any header and payload.
//!
//! The RSA key beside this file was made for these tests and opens nothing.

use data_encoding::BASE64URL_NOPAD;
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
    RSA_PSS_SHA256, RsaKeyPair,
};
use serde_json::{Value, json};

/// The secret of tests.
pub(super) const SECRET: &[u8] = b"a secret of at least thirty-two bytes";

/// The public half of [`Issuer::rsa`], as an issuer publishes it.
pub(super) const RSA_PUBLIC_PEM: &str = include_str!("forge/rsa.pub.pem");

/// Who signs.
pub(super) enum Issuer {
    Secret(Vec<u8>),
    Rsa(Box<RsaKeyPair>),
    RsaPss(Box<RsaKeyPair>),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

impl Issuer {
    pub(super) fn secret() -> Self {
        Self::Secret(SECRET.to_vec())
    }

    pub(super) fn rsa() -> Self {
        Self::Rsa(Box::new(rsa_pair()))
    }

    pub(super) fn rsa_pss() -> Self {
        Self::RsaPss(Box::new(rsa_pair()))
    }

    /// Another key at every call.
    pub(super) fn ec() -> Self {
        let random = SystemRandom::new();
        let kind = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(kind, &random).expect("a key");
        Self::Ec(EcdsaKeyPair::from_pkcs8(kind, pkcs8.as_ref(), &random).expect("a key"))
    }

    /// Another key at every call.
    pub(super) fn ed() -> Self {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("a key");
        Self::Ed(Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).expect("a key"))
    }

    pub(super) fn algorithm(&self) -> &'static str {
        match self {
            Self::Secret(_) => "HS256",
            Self::Rsa(_) => "RS256",
            Self::RsaPss(_) => "PS256",
            Self::Ec(_) => "ES256",
            Self::Ed(_) => "EdDSA",
        }
    }

    /// A token with a plain header.
    pub(super) fn token(&self, claims: &Value) -> String {
        self.raw(&json!({"alg": self.algorithm(), "typ": "JWT"}), &claims.to_string())
    }

    /// A token that names its key.
    pub(super) fn named_token(&self, kid: &str, claims: &Value) -> String {
        self.raw(&json!({"alg": self.algorithm(), "kid": kid}), &claims.to_string())
    }

    /// Signs any header and payload, fitting or not.
    pub(super) fn raw(&self, header: &Value, payload: &str) -> String {
        let text = format!("{}.{}", base64(header.to_string()), base64(payload));
        let mark = base64(self.sign(text.as_bytes()));
        format!("{text}.{mark}")
    }

    /// The public key as a JWK.
    pub(super) fn jwk(&self, kid: &str) -> Value {
        let mut jwk = match self {
            Self::Secret(bytes) => json!({"kty": "oct", "k": base64(bytes)}),
            Self::Rsa(pair) | Self::RsaPss(pair) => {
                let PublicKeyComponents::<Vec<u8>> { n, e } = pair.public().into();
                json!({"kty": "RSA", "n": base64(n), "e": base64(e), "alg": self.algorithm()})
            }
            Self::Ec(pair) => {
                let point = pair.public_key().as_ref();
                let (x, y) = (base64(&point[1..33]), base64(&point[33..]));
                json!({"kty": "EC", "crv": "P-256", "x": x, "y": y, "use": "sig"})
            }
            Self::Ed(pair) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": base64(pair.public_key())})
            }
        };
        jwk["kid"] = json!(kid);
        jwk
    }

    /// The public key as PEM (not for a secret).
    pub(super) fn pem(&self) -> String {
        let (prefix, key): (&[u8], Vec<u8>) = match self {
            Self::Secret(_) => panic!("a secret has no public half"),
            Self::Rsa(_) | Self::RsaPss(_) => return RSA_PUBLIC_PEM.to_owned(),
            Self::Ec(pair) => (&EC_PREFIX, pair.public_key().as_ref().to_vec()),
            Self::Ed(pair) => (&ED_PREFIX, pair.public_key().as_ref().to_vec()),
        };
        let der = data_encoding::BASE64.encode(&[prefix, &key].concat());
        format!("-----BEGIN PUBLIC KEY-----\n{der}\n-----END PUBLIC KEY-----\n")
    }

    fn sign(&self, text: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        let rsa = |pair: &RsaKeyPair, padding| {
            let mut mark = vec![0; pair.public().modulus_len()];
            pair.sign(padding, &random, text, &mut mark).expect("a signature");
            mark
        };
        match self {
            Self::Secret(bytes) => {
                let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, bytes);
                ring::hmac::sign(&key, text).as_ref().to_vec()
            }
            Self::Rsa(pair) => rsa(pair, &RSA_PKCS1_SHA256),
            Self::RsaPss(pair) => rsa(pair, &RSA_PSS_SHA256),
            Self::Ec(pair) => pair.sign(&random, text).expect("a signature").as_ref().to_vec(),
            Self::Ed(pair) => pair.sign(text).as_ref().to_vec(),
        }
    }
}

/// What stands before the point in the `SubjectPublicKeyInfo` of a P-256 key.
const EC_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// The same for Ed25519.
const ED_PREFIX: [u8; 12] =
    [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

pub(super) fn base64(bytes: impl AsRef<[u8]>) -> String {
    BASE64URL_NOPAD.encode(bytes.as_ref())
}

fn rsa_pair() -> RsaKeyPair {
    RsaKeyPair::from_pkcs8(include_bytes!("forge/rsa.pk8")).expect("the key of these tests")
}
