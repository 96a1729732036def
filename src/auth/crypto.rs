//! The signatures that tokens may carry, by ring. The token library brings none of its own.
//!
//! One algorithm for a kind of key: what is not listed here cannot be verified at all.

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind, Result};
use jsonwebtoken::signature::{self, Signer, Verifier};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind, EncodingKey};
use ring::{hmac, signature as ring_signature};

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: signer,
    verifier_factory: verifier,
    key_utils: KeyUtils::new_unimplemented(),
};

/// Makes ring the token library's provider. Called before every other use of that library.
pub(super) fn install() {
    // Refused when it is installed already: by us, since nothing else in the program does it.
    PROVIDER.install_default().ok();
}

struct Keyed {
    algorithm: Algorithm,
    key: DecodingKey,
}

impl Keyed {
    fn check(&self, text: &[u8], mark: &[u8]) -> std::result::Result<(), ring::error::Unspecified> {
        let public = |algorithm: &'static dyn ring_signature::VerificationAlgorithm| {
            let bytes = self.key.try_get_as_bytes().map_err(|_error| ring::error::Unspecified)?;
            ring_signature::UnparsedPublicKey::new(algorithm, bytes).verify(text, mark)
        };
        match self.algorithm {
            Algorithm::HS256 => {
                let bytes =
                    self.key.try_get_as_bytes().map_err(|_error| ring::error::Unspecified)?;
                hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, bytes), text, mark)
            }
            Algorithm::RS256 => self.rsa(&ring_signature::RSA_PKCS1_2048_8192_SHA256, text, mark),
            Algorithm::PS256 => self.rsa(&ring_signature::RSA_PSS_2048_8192_SHA256, text, mark),
            Algorithm::ES256 => public(&ring_signature::ECDSA_P256_SHA256_FIXED),
            Algorithm::EdDSA => public(&ring_signature::ED25519),
            _ => Err(ring::error::Unspecified),
        }
    }

    fn rsa(
        &self,
        parameters: &'static ring_signature::RsaParameters,
        text: &[u8],
        mark: &[u8],
    ) -> std::result::Result<(), ring::error::Unspecified> {
        match self.key.kind() {
            DecodingKeyKind::SecretOrDer(der) => {
                ring_signature::UnparsedPublicKey::new(parameters, der).verify(text, mark)
            }
            DecodingKeyKind::RsaModulusExponent { n, e } => {
                let (n, e) = (without_leading_zeros(n), without_leading_zeros(e));
                ring_signature::RsaPublicKeyComponents { n, e }.verify(parameters, text, mark)
            }
        }
    }
}

impl Verifier<Vec<u8>> for Keyed {
    fn verify(&self, text: &[u8], mark: &Vec<u8>) -> std::result::Result<(), signature::Error> {
        self.check(text, mark).map_err(|_error| signature::Error::new())
    }
}

impl JwtVerifier for Keyed {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

struct Secret(hmac::Key);

impl Signer<Vec<u8>> for Secret {
    fn try_sign(&self, text: &[u8]) -> std::result::Result<Vec<u8>, signature::Error> {
        Ok(hmac::sign(&self.0, text).as_ref().to_vec())
    }
}

impl JwtSigner for Secret {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

/// Only for a key of the algorithm's own family: an RSA key's bytes are never an HMAC secret.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "the library's signature")]
fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>> {
    let known = matches!(
        algorithm,
        Algorithm::HS256
            | Algorithm::RS256
            | Algorithm::PS256
            | Algorithm::ES256
            | Algorithm::EdDSA
    );
    if !known || key.family() != algorithm.family() {
        return Err(Error::from(ErrorKind::InvalidAlgorithm));
    }
    Ok(Box::new(Keyed { algorithm: *algorithm, key: key.clone() }))
}

/// Only HS256: the gateway mints tokens for development and for nothing else.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "the library's signature")]
fn signer(algorithm: &Algorithm, key: &EncodingKey) -> Result<Box<dyn JwtSigner>> {
    if *algorithm != Algorithm::HS256 || key.family() != algorithm.family() {
        return Err(Error::from(ErrorKind::InvalidAlgorithm));
    }
    Ok(Box::new(Secret(hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes()))))
}

/// Some issuers write the sign byte of DER integers into a JWK; ring refuses it.
fn without_leading_zeros(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    &bytes[zeros..]
}
