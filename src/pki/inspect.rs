//! Anybody's certificate as far as it decides whether a connection comes about: names, dates, usages, key, signature.
//! Refuses nothing that can be read; whoever asks judges.

use std::sync::LazyLock;

use x509_parser::{
    certificate::X509Certificate,
    error::X509Error,
    extensions::ParsedExtension,
    oid_registry::{self as oid, Oid, OidRegistry},
    prelude::FromDer,
    public_key::PublicKey,
    x509::{AttributeTypeAndValue, SubjectPublicKeyInfo, X509Name},
};

use crate::{
    pki::{read, CertificateError},
    serial::Serial,
    time::Time,
};

/// A certificate, ours or not. Texts in it come from outside: escape them before showing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Inspected {
    /// As it was signed.
    pub der: Vec<u8>,
    /// Its serial; none for one that RFC 5280 forbids.
    pub serial: Option<Serial>,
    /// From when it holds.
    pub not_before: Time,
    /// Until when it holds.
    pub not_after: Time,
    /// Its subject as it is encoded.
    pub subject_der: Vec<u8>,
    /// Its issuer's name as it is encoded.
    pub issuer_der: Vec<u8>,
    /// Its subject as `OpenVPN` writes it: `C=KG, ST=NA, CN=x`.
    pub subject: String,
    /// Every CN of its subject.
    pub common_names: Vec<String>,
    /// Its public key as a `SubjectPublicKeyInfo` in DER.
    pub spki: Vec<u8>,
    /// The kind and size of its key.
    pub key: KeyKind,
    /// How it was signed.
    pub signature: SignatureKind,
    /// Whether it is a CA by its basicConstraints; then how many CAs may stand below it.
    pub authority: Option<Option<u32>>,
    /// The bits of its keyUsage, bit 0 (digitalSignature) lowest; none where the extension is absent.
    pub key_usage: Option<u16>,
    /// Whether its extendedKeyUsage lets it serve and be a client; none where the extension is absent.
    pub purposes: Option<Purposes>,
    subject_key_id: Option<Vec<u8>>,
    authority_key_id: Option<Vec<u8>>,
    authority_serial: Option<Vec<u8>>,
    raw_serial: Vec<u8>,
}

/// What an extendedKeyUsage allows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Purposes {
    /// serverAuth, or any.
    pub server: bool,
    /// clientAuth, or any.
    pub client: bool,
}

/// The kind of a key, as far as programs differ about it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyKind {
    /// RSA, with the bits of its modulus.
    Rsa(usize),
    /// ECDSA on a NIST curve of so many bits.
    Ec(usize),
    /// ECDSA on another curve.
    OtherCurve,
    /// Ed25519 or Ed448.
    Edwards,
    /// Anything else.
    Other,
}

/// The digest of a signature, as far as programs differ about it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SignatureKind {
    /// SHA-256, SHA-384, SHA-512, or an `EdDSA`.
    Sound,
    /// SHA-1.
    Sha1,
    /// MD5.
    Md5,
    /// Anything else.
    Other,
}

/// Whether one certificate signed another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signed {
    /// It did.
    Yes,
    /// It did not.
    No,
    /// By its names it did; its algorithm is none that can be verified here.
    Unverified,
}

/// Reads a certificate in DER.
pub fn inspect(der: &[u8]) -> Result<Inspected, CertificateError> {
    let certificate = read::certificate(der)?;
    let (subject, issuer, dates) = (certificate.subject(), certificate.issuer(), certificate.validity());
    let usage = certificate.key_usage().ok().flatten().map(|usage| usage.value.flags);
    let constraints = certificate.basic_constraints().ok().flatten().map(|constraints| constraints.value);
    let mut inspected = Inspected {
        der: der.to_vec(),
        serial: read::serial(certificate.raw_serial()),
        raw_serial: certificate.raw_serial().to_vec(),
        not_before: read::time(dates.not_before),
        not_after: read::time(dates.not_after),
        subject_der: subject.as_raw().to_vec(),
        issuer_der: issuer.as_raw().to_vec(),
        subject: one_line(subject),
        common_names: subject.iter_common_name().map(text).collect(),
        spki: certificate.public_key().raw.to_vec(),
        key: key_kind(certificate.public_key()),
        signature: signature_kind(&certificate.signature_algorithm.algorithm),
        authority: constraints.filter(|constraints| constraints.ca).map(|constraints| constraints.path_len_constraint),
        key_usage: usage,
        purposes: purposes(&certificate),
        subject_key_id: None,
        authority_key_id: None,
        authority_serial: None,
    };
    inspected.take_key_ids(&certificate);
    Ok(inspected)
}

/// A name in DER as `OpenVPN` writes it; empty when it cannot be read.
pub fn name_text(der: &[u8]) -> String {
    X509Name::from_der(der).map_or_else(|_| String::new(), |(_, name)| one_line(&name))
}

impl Inspected {
    /// Whether `issuer` signed it: by names and key identifiers as OpenSSL looks for an issuer (`X509_check_issued`), then
    /// by its signature.
    pub fn signed_by(&self, issuer: &Self) -> Signed {
        if !self.names(issuer) {
            return Signed::No;
        }
        let Ok(certificate) = read::certificate(&self.der) else { return Signed::No };
        let Ok((_, key)) = SubjectPublicKeyInfo::from_der(&issuer.spki) else { return Signed::No };
        match certificate.verify_signature(Some(&key)) {
            Ok(()) => Signed::Yes,
            Err(X509Error::SignatureUnsupportedAlgorithm) => Signed::Unverified,
            Err(_) => Signed::No,
        }
    }

    /// Whether its issuer's name is its own.
    pub fn is_self_issued(&self) -> bool {
        self.subject_der == self.issuer_der
    }

    /// Whether it may sign certificates: a CA, whose keyUsage does not forbid it.
    pub fn may_sign(&self) -> bool {
        self.authority.is_some() && self.key_usage.is_none_or(|usage| usage & KEY_CERT_SIGN != 0)
    }

    fn names(&self, issuer: &Self) -> bool {
        let same = |stated: &Option<Vec<u8>>, of: Option<&Vec<u8>>| match (stated, of) {
            (Some(stated), Some(of)) => stated == of,
            _ => true,
        };
        self.issuer_der == issuer.subject_der
            && same(&self.authority_key_id, issuer.subject_key_id.as_ref())
            && same(&self.authority_serial, Some(&issuer.raw_serial))
    }

    fn take_key_ids(&mut self, certificate: &X509Certificate<'_>) {
        for extension in certificate.extensions() {
            match extension.parsed_extension() {
                ParsedExtension::SubjectKeyIdentifier(id) => self.subject_key_id = Some(id.0.to_vec()),
                ParsedExtension::AuthorityKeyIdentifier(id) => {
                    self.authority_key_id = id.key_identifier.as_ref().map(|id| id.0.to_vec());
                    self.authority_serial = id.authority_cert_serial.map(<[u8]>::to_vec);
                }
                _ => {}
            }
        }
    }
}

fn purposes(certificate: &X509Certificate<'_>) -> Option<Purposes> {
    let usage = certificate.extended_key_usage().ok()??.value;
    Some(Purposes { server: usage.server_auth || usage.any, client: usage.client_auth || usage.any })
}

fn key_kind(key: &SubjectPublicKeyInfo<'_>) -> KeyKind {
    let curve = || key.algorithm.parameters.as_ref()?.as_oid().ok();
    match key.parsed() {
        Ok(PublicKey::RSA(rsa)) => {
            let modulus = rsa.modulus.iter().copied().skip_while(|octet| *octet == 0).collect::<Vec<u8>>();
            let unused = modulus.first().map_or(0, |first| first.leading_zeros() as usize);
            KeyKind::Rsa(modulus.len() * 8 - unused)
        }
        Ok(PublicKey::EC(_)) => match curve() {
            Some(curve) if curve == oid::OID_EC_P256 => KeyKind::Ec(256),
            Some(curve) if curve == oid::OID_NIST_EC_P384 => KeyKind::Ec(384),
            Some(curve) if curve == oid::OID_NIST_EC_P521 => KeyKind::Ec(521),
            _ => KeyKind::OtherCurve,
        },
        _ if EDWARDS.contains(&key.algorithm.algorithm.to_id_string().as_str()) => KeyKind::Edwards,
        _ => KeyKind::Other,
    }
}

fn signature_kind(algorithm: &Oid<'_>) -> SignatureKind {
    match algorithm.to_id_string().as_str() {
        // RFC 3279, 2.2; RFC 4055, 5; RFC 5758, 3.2; RFC 8410, 3
        "1.2.840.113549.1.1.4" => SignatureKind::Md5,
        "1.2.840.113549.1.1.5" | "1.2.840.10045.4.1" | "1.3.14.3.2.29" => SignatureKind::Sha1,
        "1.2.840.113549.1.1.11"
        | "1.2.840.113549.1.1.12"
        | "1.2.840.113549.1.1.13"
        | "1.2.840.10045.4.3.2"
        | "1.2.840.10045.4.3.3"
        | "1.2.840.10045.4.3.4" => SignatureKind::Sound,
        other if EDWARDS.contains(&other) => SignatureKind::Sound,
        _ => SignatureKind::Other,
    }
}

/// `C=KG, ST=NA, CN=x`: what `verify-x509-name N subject` is compared with (`x509_get_subject`, `ssl_verify_openssl.c`).
fn one_line(name: &X509Name<'_>) -> String {
    let attribute = |attribute: &AttributeTypeAndValue<'_>| {
        let known = ATTRIBUTES.get(attribute.attr_type()).map(|entry| short(entry.sn()));
        format!("{}={}", known.unwrap_or(attribute.attr_type().to_id_string()), text(attribute))
    };
    name.iter_attributes().map(attribute).collect::<Vec<_>>().join(", ")
}

/// The registry's names of attributes are those of the RFC, OpenSSL's are shorter.
fn short(name: &str) -> String {
    match name {
        "commonName" => "CN",
        "countryName" => "C",
        "stateOrProvinceName" => "ST",
        "localityName" => "L",
        "organizationName" => "O",
        "organizationalUnit" | "organizationalUnitName" => "OU",
        other => other,
    }
    .to_owned()
}

fn text(attribute: &AttributeTypeAndValue<'_>) -> String {
    attribute.as_str().map_or_else(|_| String::from_utf8_lossy(attribute.as_slice()).into_owned(), str::to_owned)
}

/// What attributes are called; it takes longer to make than to use.
static ATTRIBUTES: LazyLock<OidRegistry<'static>> = LazyLock::new(|| OidRegistry::default().with_x509());

/// id-Ed25519 and id-Ed448 (RFC 8410, 3).
const EDWARDS: [&str; 2] = ["1.3.101.112", "1.3.101.113"];

/// digitalSignature, keyEncipherment and keyAgreement as bits of [`Inspected::key_usage`] (RFC 5280, 4.2.1.3).
pub const DIGITAL_SIGNATURE: u16 = 1;
/// See above.
pub const KEY_ENCIPHERMENT: u16 = 1 << 2;
/// See above.
pub const KEY_AGREEMENT: u16 = 1 << 4;
const KEY_CERT_SIGN: u16 = 1 << 5;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        inventory::Role,
        pki::{sample, Algorithm},
    };
    use proptest::prelude::*;

    #[test]
    fn what_was_signed_is_read() {
        let profile = sample::leaf("server1", Role::Server);
        let leaf = inspect(&sample::signed(Algorithm::P256, &profile)).unwrap();
        let (issuer, _) = sample::issuer(Algorithm::P256);
        let issuer = inspect(issuer.der()).unwrap();
        assert_eq!((leaf.serial, leaf.not_after), (Some(profile.serial), profile.validity.not_after()));
        assert_eq!((leaf.subject.as_str(), leaf.common_names.as_slice()), ("CN=server1", &["server1".to_owned()][..]));
        assert_eq!(leaf.key_usage, Some(DIGITAL_SIGNATURE | KEY_AGREEMENT));
        assert_eq!(leaf.purposes, Some(Purposes { server: true, client: false }));
        assert_eq!((leaf.key, leaf.signature, leaf.authority), (KeyKind::Ec(256), SignatureKind::Sound, None));
        assert_eq!((issuer.authority, issuer.may_sign(), leaf.may_sign()), (Some(Some(0)), true, false));
        assert_eq!((leaf.signed_by(&issuer), issuer.signed_by(&issuer)), (Signed::Yes, Signed::Yes));
        assert_eq!(leaf.signed_by(&leaf), Signed::No);
    }

    #[test]
    fn another_ca_of_the_same_name_did_not_sign() {
        let leaf = inspect(&sample::signed(Algorithm::P256, &sample::leaf("client1", Role::Client))).unwrap();
        let twin = inspect(sample::issuer(Algorithm::P384).0.der()).unwrap();
        assert_eq!(leaf.issuer_der, twin.subject_der);
        assert_eq!(leaf.signed_by(&twin), Signed::No);
    }

    #[test]
    fn kinds_of_keys_are_told_apart() {
        let kinds = [
            KeyKind::Ec(256),
            KeyKind::Ec(384),
            KeyKind::Rsa(2048),
            KeyKind::Rsa(3072),
            KeyKind::Rsa(4096),
            KeyKind::Edwards,
        ];
        for (algorithm, kind) in Algorithm::ALL.into_iter().zip(kinds) {
            assert_eq!(inspect(sample::issuer(algorithm).0.der()).unwrap().key, kind);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), at in any::<prop::sample::Index>(), octet: u8) {
            prop_assert!(inspect(&bytes).is_err());
            let mut der = sample::signed(Algorithm::P256, &sample::leaf("server1", Role::Server));
            let at = at.index(der.len());
            der[at] = octet;
            if let Ok(read) = inspect(&der) {
                let _ = read.signed_by(&read);
            }
        }
    }
}
