//! The certificate of a CA as far as issuing needs it: its name, key and key identifier, octet for octet.
//! Knows no private key; `matches` is told one.

use x509_parser::certificate::X509Certificate;

use crate::{
    pki::{certificate_pem, key_id, read, sha256, Algorithm, CertificateError, PrivateKey},
    serial::Serial,
    validity::Validity,
};

/// A certificate that may sign certificates and CRLs, by its own word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerCertificate {
    der: Vec<u8>,
    subject_der: Vec<u8>,
    common_name: String,
    key_id: Vec<u8>,
    states_key_id: bool,
    validity: Validity,
    serial: Serial,
    spki: Vec<u8>,
    algorithm: Algorithm,
}

impl IssuerCertificate {
    /// Reads a CA certificate. It need not be one of ours: extensions that we write may be missing or not critical,
    /// but it must be a CA and its key usage must allow certificates and CRLs.
    pub fn parse(der: &[u8]) -> Result<Self, CertificateError> {
        let certificate = read::certificate(der)?;
        check_authority(&certificate)?;
        let spki = certificate.public_key().raw;
        let stated = subject_key_id(&certificate);
        let key_bits = &certificate.public_key().subject_public_key.data;
        Ok(Self {
            der: der.to_vec(),
            subject_der: certificate.subject().as_raw().to_vec(),
            common_name: read::common_name(certificate.subject()),
            key_id: stated.clone().unwrap_or_else(|| key_id(key_bits).to_vec()),
            states_key_id: stated.is_some(),
            validity: read::validity(&certificate)?,
            serial: read::serial(certificate.raw_serial()).ok_or(CertificateError::Serial)?,
            spki: spki.to_vec(),
            algorithm: Algorithm::of(spki).map_err(CertificateError::PublicKey)?,
        })
    }

    /// The certificate.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The certificate as PEM.
    pub fn pem(&self) -> String {
        certificate_pem(&self.der)
    }

    /// Its subject as it is encoded, which is what certificates and CRLs below it must carry (RFC 5280, 4.1.2.4).
    pub fn subject_der(&self) -> &[u8] {
        &self.subject_der
    }

    /// The first CN of its subject, empty when there is none. Text from outside: escape it before showing.
    pub fn common_name(&self) -> String {
        self.common_name.clone()
    }

    /// The subject key identifier, or, where the certificate has none, the SHA-1 of its key (RFC 5280, 4.2.1.2).
    pub fn key_id(&self) -> &[u8] {
        &self.key_id
    }

    /// Whether the certificate itself states its key identifier.
    pub(super) fn states_key_id(&self) -> bool {
        self.states_key_id
    }

    /// When it holds.
    pub fn validity(&self) -> Validity {
        self.validity
    }

    /// Its own serial.
    pub fn serial(&self) -> Serial {
        self.serial
    }

    /// Its public key as a `SubjectPublicKeyInfo` in DER.
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// The kind of its key.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The SHA-256 digest of the certificate, its fingerprint.
    pub fn sha256(&self) -> [u8; 32] {
        sha256(&self.der)
    }

    /// Whether `key` is its private key.
    pub fn matches(&self, key: &PrivateKey) -> bool {
        self.spki == key.spki()
    }
}

fn check_authority(certificate: &X509Certificate<'_>) -> Result<(), CertificateError> {
    let refused = |why| Err(CertificateError::NoAuthority(why));
    match certificate.basic_constraints() {
        Ok(Some(constraints)) if constraints.value.ca => {}
        _ => return refused("basicConstraints does not say `CA:TRUE`"),
    }
    match certificate.key_usage() {
        Ok(Some(usage)) if !usage.value.key_cert_sign() => refused("its key usage lacks `keyCertSign`"),
        // without it OpenSSL refuses the CRL (RFC 5280, 6.3.3 (f))
        Ok(Some(usage)) if !usage.value.crl_sign() => refused("its key usage lacks `cRLSign`"),
        Ok(_) => Ok(()),
        Err(_) => refused("its key usage is there twice or unreadable"),
    }
}

fn subject_key_id(certificate: &X509Certificate<'_>) -> Option<Vec<u8>> {
    use x509_parser::extensions::ParsedExtension::SubjectKeyIdentifier;
    certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        SubjectKeyIdentifier(id) => Some(id.0.to_vec()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{inventory::Role, pki::sample};
    use proptest::prelude::*;

    #[test]
    fn what_was_signed_is_read() {
        for algorithm in Algorithm::ALL {
            let (issuer, key) = sample::issuer(algorithm);
            let profile = sample::authority();
            assert_eq!(issuer.common_name(), profile.common_name);
            assert_eq!((issuer.serial(), issuer.validity()), (profile.serial, profile.validity));
            assert_eq!((issuer.algorithm(), issuer.spki()), (algorithm, key.spki()));
            assert!(issuer.matches(key) && issuer.states_key_id());
            assert_eq!(issuer.key_id().len(), 20);
            assert!(issuer.pem().starts_with("-----BEGIN CERTIFICATE-----\n"));
        }
    }

    #[test]
    fn another_key_does_not_match() {
        let (issuer, _) = sample::issuer(Algorithm::P256);
        assert!(!issuer.matches(sample::key(Algorithm::P384)));
        assert!(!issuer.matches(&PrivateKey::generate(Algorithm::P256).ok().unwrap()));
    }

    #[test]
    fn a_leaf_is_no_authority() {
        let der = sample::signed(Algorithm::P256, &sample::leaf("client1", Role::Client));
        let error = IssuerCertificate::parse(&der).unwrap_err();
        assert!(matches!(error, CertificateError::NoAuthority(why) if why.contains("CA:TRUE")));
    }

    #[test]
    fn more_or_fewer_bytes_are_refused() {
        let der = sample::issuer(Algorithm::P256).0.der();
        assert!(matches!(IssuerCertificate::parse(&[der, &[0]].concat()), Err(CertificateError::Unreadable)));
        for length in 0..der.len() {
            assert!(IssuerCertificate::parse(&der[..length]).is_err());
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(IssuerCertificate::parse(&bytes).is_err());
        }

        #[test]
        fn no_damage_panics(at in any::<prop::sample::Index>(), octet in any::<u8>()) {
            let mut der = sample::issuer(Algorithm::P256).0.der().to_vec();
            let at = at.index(der.len());
            der[at] = octet;
            let _ = IssuerCertificate::parse(&der);
        }
    }
}
