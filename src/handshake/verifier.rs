//! What a client asks of a server's certificate: a chain to its CAs, serverAuth, and what its profile says of names; never
//! a host name, of which `OpenVPN` knows nothing.
//! Knows no profile; its rule comes in.

use std::{fmt, sync::Arc};

use rustls::{
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    client::verify_server_cert_signed_by_trust_anchor,
    crypto::{verify_tls12_signature, verify_tls13_signature, WebPkiSupportedAlgorithms},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::ParsedCertificate,
    DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

/// What is asked beside the chain; the certificate comes in DER.
pub type Judge = Arc<dyn Fn(&[u8]) -> Result<(), String> + Send + Sync>;

pub(super) struct ServerJudge {
    roots: RootCertStore,
    algorithms: WebPkiSupportedAlgorithms,
    judge: Judge,
}

impl ServerJudge {
    pub(super) fn new(roots: RootCertStore, algorithms: WebPkiSupportedAlgorithms, judge: Judge) -> Self {
        Self { roots, algorithms, judge }
    }
}

impl fmt::Debug for ServerJudge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerJudge")
    }
}

impl ServerCertVerifier for ServerJudge {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let parsed = ParsedCertificate::try_from(end_entity)?;
        verify_server_cert_signed_by_trust_anchor(&parsed, &self.roots, intermediates, now, self.algorithms.all)?;
        (self.judge)(end_entity).map_err(Error::General)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
