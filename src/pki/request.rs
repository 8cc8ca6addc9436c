//! Certification requests (PKCS#10, RFC 2986): read from whoever keeps the key, and written by them.
//! Takes nothing from one but its public key: names, usages and CA flags are what we say, not what is asked for.

use aws_lc_rs::signature::{
    UnparsedPublicKey, VerificationAlgorithm, ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA384_ASN1, ECDSA_P256_SHA512_ASN1,
    ECDSA_P384_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ECDSA_P384_SHA512_ASN1, ED25519, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
};
use const_oid::{
    db::{rfc5912, rfc8410},
    ObjectIdentifier,
};
use der::{asn1::AnyRef, Decode, Encode, Sequence};
use spki::SubjectPublicKeyInfoRef;
use x509_parser::{prelude::FromDer, x509::X509Name};

use crate::{
    name::Name,
    pki::{
        certificate::{framed, name, sign},
        pem, read, rsa_public, Algorithm, PemError, PrivateKey, PublicKeyError, SignError,
    },
};

/// What is taken from a request whose signature was verified: its sender has the private key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    spki: Vec<u8>,
    algorithm: Algorithm,
    common_name: String,
}

/// Why a request is refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum RequestError {
    /// Somebody's private key, which they need not send.
    #[error("it holds a private key, which belongs with its owner; only the request is needed")]
    PrivateKey,
    /// No request in the text.
    #[error("it is no certificate request")]
    Pem(#[source] PemError),
    /// No request, or one that is cut off.
    #[error("it is no certificate request, or a damaged one")]
    Unreadable,
    /// A key that we do not certify.
    #[error("its key is not certified")]
    Key(#[source] PublicKeyError),
    /// SHA-1, RSASSA-PSS or something else that is not verified here.
    #[error("it is signed in a way that is not accepted; `openssl req -new -sha256 -key FILE` signs it anew")]
    Signature,
    /// Not signed by its own key: its sender need not have it.
    #[error("its signature is not by its own key: it was changed, or its sender does not have the private key")]
    Possession,
}

impl Request {
    /// Reads a request, PEM or DER, and verifies that its sender has the private key.
    pub fn read(text: &[u8]) -> Result<Self, RequestError> {
        if text.windows(MARK.len()).any(|window| window == MARK) {
            return Err(RequestError::PrivateKey);
        }
        if !text.windows(BEGIN.len()).any(|window| window == BEGIN) {
            return Self::from_der(text);
        }
        let label = if pem::mentions(pem::NEW_REQUEST, text) { pem::NEW_REQUEST } else { pem::REQUEST };
        Self::from_der(&pem::decode(label, text).map_err(RequestError::Pem)?)
    }

    /// The public key as a `SubjectPublicKeyInfo` in DER.
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// The kind of its key.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The name in it, which nobody vouches for; empty when there is none. Escape it before showing.
    pub fn common_name(&self) -> &str {
        &self.common_name
    }

    fn from_der(der: &[u8]) -> Result<Self, RequestError> {
        let signed = framed(der).ok_or(RequestError::Unreadable)?;
        let contents = signed.contents.to_der().map_err(|_| RequestError::Unreadable)?;
        let wanted = Wanted::from_der(&contents).map_err(|_| RequestError::Unreadable)?;
        let (spki, subject) = (encoded(wanted.public_key)?, encoded(wanted.subject)?);
        let algorithm = Algorithm::of(&spki).map_err(RequestError::Key)?;
        rsa_public::examine(&spki).map_err(RequestError::Key)?;
        let kind = verifier(algorithm, signed.algorithm.oid).ok_or(RequestError::Signature)?;
        let signature = signed.signature.as_bytes().ok_or(RequestError::Unreadable)?;
        verify(kind, &spki, &contents, signature).ok_or(RequestError::Possession)?;
        let (_, subject) = X509Name::from_der(&subject).map_err(|_| RequestError::Unreadable)?;
        Ok(Self { algorithm, common_name: read::common_name(&subject), spki })
    }
}

/// A request for this key as PEM, with the name as a hint to whoever certifies it.
pub fn request_pem(key: &PrivateKey, common_name: &Name) -> Result<String, SignError> {
    let subject = name(common_name.as_str())?;
    let wanted = Wanted {
        version: 0,
        subject: AnyRef::from_der(&subject)?,
        public_key: AnyRef::from_der(key.spki())?,
        // no attributes, but the field is not optional (RFC 2986, 4.1)
        attributes: Some(AnyRef::from_der(&[0xa0, 0])?),
    };
    Ok(pem::encode(pem::REQUEST, &sign(&wanted.to_der()?, key)?))
}

/// `CertificationRequestInfo` (RFC 2986, 4.1). Some programs leave the attributes out where there are none.
#[derive(Sequence)]
struct Wanted<'a> {
    version: u8,
    subject: AnyRef<'a>,
    public_key: AnyRef<'a>,
    #[asn1(optional = "true")]
    attributes: Option<AnyRef<'a>>,
}

fn encoded(part: AnyRef<'_>) -> Result<Vec<u8>, RequestError> {
    part.to_der().map_err(|_| RequestError::Unreadable)
}

fn verify(kind: &'static dyn VerificationAlgorithm, spki: &[u8], message: &[u8], signature: &[u8]) -> Option<()> {
    let bits = SubjectPublicKeyInfoRef::from_der(spki).ok()?.subject_public_key.as_bytes()?;
    UnparsedPublicKey::new(kind, bits).verify(message, signature).ok()
}

/// How a signature of this name by a key of this kind is verified; any hash of SHA-2 goes with any key (RFC 5758, 3.2).
fn verifier(algorithm: Algorithm, oid: ObjectIdentifier) -> Option<&'static dyn VerificationAlgorithm> {
    Some(match (algorithm, oid) {
        (Algorithm::P256, rfc5912::ECDSA_WITH_SHA_256) => &ECDSA_P256_SHA256_ASN1,
        (Algorithm::P256, rfc5912::ECDSA_WITH_SHA_384) => &ECDSA_P256_SHA384_ASN1,
        (Algorithm::P256, rfc5912::ECDSA_WITH_SHA_512) => &ECDSA_P256_SHA512_ASN1,
        (Algorithm::P384, rfc5912::ECDSA_WITH_SHA_256) => &ECDSA_P384_SHA256_ASN1,
        (Algorithm::P384, rfc5912::ECDSA_WITH_SHA_384) => &ECDSA_P384_SHA384_ASN1,
        (Algorithm::P384, rfc5912::ECDSA_WITH_SHA_512) => &ECDSA_P384_SHA512_ASN1,
        (Algorithm::Ed25519, rfc8410::ID_ED_25519) => &ED25519,
        (rsa, rfc5912::SHA_256_WITH_RSA_ENCRYPTION) if rsa.is_rsa() => &RSA_PKCS1_2048_8192_SHA256,
        (rsa, rfc5912::SHA_384_WITH_RSA_ENCRYPTION) if rsa.is_rsa() => &RSA_PKCS1_2048_8192_SHA384,
        (rsa, rfc5912::SHA_512_WITH_RSA_ENCRYPTION) if rsa.is_rsa() => &RSA_PKCS1_2048_8192_SHA512,
        _ => return None,
    })
}

const BEGIN: &[u8] = b"-----BEGIN ";
const MARK: &[u8] = b"PRIVATE KEY-----";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::sample;
    use proptest::prelude::*;
    use rcgen::{CertificateParams, KeyPair, SanType};

    fn alice() -> Name {
        Name::parse("alice").unwrap()
    }

    fn der(algorithm: Algorithm) -> Vec<u8> {
        let text = request_pem(sample::key(algorithm), &alice()).unwrap();
        pem::decode(pem::REQUEST, text.as_bytes()).unwrap().to_vec()
    }

    /// A request as rcgen makes it, with a host name asked for.
    fn foreign(kind: &'static rcgen::SignatureAlgorithm) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::DnsName("vpn.example.com".try_into().unwrap())];
        let key = KeyPair::generate_for(kind).unwrap();
        params.serialize_request(&key).unwrap().der().to_vec()
    }

    #[test]
    fn what_is_written_is_read_back_with_every_key() {
        for algorithm in Algorithm::ALL {
            let text = request_pem(sample::key(algorithm), &alice()).unwrap();
            for text in [
                text.clone().into_bytes(),
                text.replace("CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST").into_bytes(),
                der(algorithm),
            ] {
                let request = Request::read(&text).unwrap();
                assert_eq!((request.algorithm(), request.common_name()), (algorithm, "alice"));
                assert_eq!(request.spki(), sample::key(algorithm).spki());
            }
        }
    }

    #[test]
    fn another_reader_verifies_what_is_written() {
        for algorithm in [Algorithm::P256, Algorithm::P384, Algorithm::Ed25519, Algorithm::Rsa2048] {
            let der = der(algorithm);
            let (rest, read) = x509_parser::certification_request::X509CertificationRequest::from_der(&der).unwrap();
            assert!(rest.is_empty() && read.verify_signature().is_ok(), "{algorithm}");
        }
    }

    #[test]
    fn requests_of_another_writer_are_read() {
        for (kind, algorithm) in [
            (&rcgen::PKCS_ECDSA_P256_SHA256, Algorithm::P256),
            (&rcgen::PKCS_ECDSA_P384_SHA384, Algorithm::P384),
            (&rcgen::PKCS_ED25519, Algorithm::Ed25519),
            (&rcgen::PKCS_RSA_SHA512, Algorithm::Rsa2048),
        ] {
            assert_eq!(Request::read(&foreign(kind)).map(|request| request.algorithm()), Ok(algorithm));
        }
        let p521 = Request::read(&foreign(&rcgen::PKCS_ECDSA_P521_SHA512));
        assert_eq!(p521, Err(RequestError::Key(PublicKeyError::Unknown)));
    }

    #[test]
    fn no_changed_request_is_taken() {
        let whole = der(Algorithm::Ed25519);
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 0x01;
            assert!(Request::read(&changed).is_err(), "octet {at}");
            assert!(Request::read(&whole[..at]).is_err(), "cut at {at}");
        }
        assert!(Request::read(&[&whole[..], &[0]].concat()).is_err());
    }

    #[test]
    fn a_private_key_is_not_looked_into() {
        let text = [sample::key(Algorithm::P256).to_pem().expose(), b"\n", &der(Algorithm::P256)].concat();
        assert_eq!(Request::read(&text), Err(RequestError::PrivateKey));
        assert!(matches!(Request::read(b"-----BEGIN CERTIFICATE-----\n"), Err(RequestError::Pem(_))));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "[A-Za-z0-9+/=\n]{0,100}") {
            prop_assert!(Request::read(&bytes).is_err());
            let armoured = format!("-----BEGIN CERTIFICATE REQUEST-----\n{text}\n-----END CERTIFICATE REQUEST-----\n");
            prop_assert!(Request::read(armoured.as_bytes()).is_err());
        }

        #[test]
        fn no_damage_panics(at in any::<prop::sample::Index>(), octet in any::<u8>()) {
            let mut der = der(Algorithm::P256);
            let at = at.index(der.len());
            der[at] = octet;
            let _ = Request::read(&der);
        }
    }
}
