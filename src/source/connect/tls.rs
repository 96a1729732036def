//! TLS as libpq's `sslmode` means it.
//!
//! A TLS library's own habit is to check chain and name always. libpq's modes below `verify-full`
//! check less, and what is deployed relies on it: Debian's server comes with a certificate that
//! no chain leads to, and `prefer`, the default, has to connect to it.

use std::{fs, io, path::Path, sync::Arc};

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject as _},
    server::ParsedCertificate,
    version::{TLS12, TLS13},
};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::error::ConnectError;

/// How much of the server's certificate is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Check {
    Nothing,
    Chain,
    ChainAndName,
}

/// Where trust starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Roots<'a> {
    None,
    System,
    File(&'a Path),
}

/// Everything that decides on a TLS set-up.
#[derive(Debug)]
pub(super) struct Tls<'a> {
    pub(super) check: Check,
    pub(super) roots: Roots<'a>,
    /// Certificate and key of the client.
    pub(super) client: Option<(&'a Path, &'a Path)>,
    pub(super) is_13_only: bool,
    /// Without PostgreSQL's own negotiation first.
    pub(super) is_direct: bool,
}

impl Tls<'_> {
    /// What makes connections of that kind.
    pub(super) fn connector(&self) -> Result<MakeRustlsConnect, ConnectError> {
        let provider = Arc::new(ring::default_provider());
        let versions = if self.is_13_only { &[&TLS13][..] } else { &[&TLS13, &TLS12][..] };
        let verifier = Arc::new(self.verifier(&provider)?);
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let mut config = match self.client {
            Some((certificate, key)) => {
                let chain = certificates("sslcert", certificate)?;
                let key = PrivateKeyDer::from_pem_file(key)
                    .map_err(|error| unusable("sslkey", key, error))?;
                builder.with_client_auth_cert(chain, key)?
            }
            None => builder.with_no_client_auth(),
        };
        if self.is_direct {
            config.alpn_protocols = vec![b"postgresql".to_vec()];
        }
        Ok(MakeRustlsConnect::new(config))
    }

    fn verifier(&self, provider: &Arc<CryptoProvider>) -> Result<Verifier, ConnectError> {
        let mut roots = Vec::new();
        let chain: Option<Arc<dyn ServerCertVerifier>> = match self.roots {
            _ if self.check == Check::Nothing => None,
            Roots::None => None,
            Roots::System => {
                Some(Arc::new(rustls_platform_verifier::Verifier::new(Arc::clone(provider))?))
            }
            Roots::File(path) => {
                roots = certificates("sslrootcert", path)?;
                let mut store = RootCertStore::empty();
                store.add_parsable_certificates(roots.iter().cloned());
                let builder = WebPkiServerVerifier::builder_with_provider(
                    Arc::new(store),
                    Arc::clone(provider),
                );
                Some(builder.build().map_err(|error| Error::General(error.to_string()))?)
            }
        };
        Ok(Verifier { check: self.check, chain, roots, provider: Arc::clone(provider) })
    }
}

fn certificates(
    word: &'static str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, ConnectError> {
    let pem = fs::read(path).map_err(|source| file_error(word, path, source))?;
    let found = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| unusable(word, path, error))?;
    if found.is_empty() {
        return Err(unusable(word, path, "it has no certificate in PEM form"));
    }
    Ok(found)
}

fn unusable(
    word: &'static str,
    path: &Path,
    error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> ConnectError {
    file_error(word, path, io::Error::new(io::ErrorKind::InvalidData, error))
}

fn file_error(word: &'static str, path: &Path, source: io::Error) -> ConnectError {
    ConnectError::File { word, path: path.to_owned(), source }
}

/// Checks the certificate as far as the mode asks, and always that the server holds its key:
/// without that, channel binding would mean nothing.
#[derive(Debug)]
struct Verifier {
    check: Check,
    chain: Option<Arc<dyn ServerCertVerifier>>,
    /// The operator's own file, to know a server certificate that stands in it itself.
    roots: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.check == Check::Nothing {
            return Ok(ServerCertVerified::assertion());
        }
        // OpenSSL takes a self-signed server certificate that stands in the root file; WebPKI has
        // no chain of one.
        if self.roots.iter().any(|it| it == end_entity) {
            if self.check == Check::ChainAndName {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
            }
            return Ok(ServerCertVerified::assertion());
        }
        let Some(chain) = &self.chain else {
            return Err(Error::InvalidCertificate(CertificateError::UnknownIssuer));
        };
        let checked =
            chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match checked {
            // The name is checked last, so a wrong name means that the chain is right.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if self.check == Check::Chain => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
