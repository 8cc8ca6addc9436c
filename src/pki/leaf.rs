//! What a leaf certificate says of itself, ours or anybody's.
//! Knows no issuer and judges nothing; `check` does.

use x509_parser::{
    certificate::X509Certificate,
    extensions::{GeneralName, ParsedExtension},
};

use crate::{
    inventory::Role,
    pki::{read, Address, Algorithm, CertificateError},
    serial::Serial,
    validity::Validity,
};

/// The facts of a leaf certificate. Text in it comes from outside: escape it before showing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LeafFacts {
    /// Its serial.
    pub serial: Serial,
    /// When it holds.
    pub validity: Validity,
    /// The first CN of its subject, empty when there is none.
    pub common_name: String,
    /// Its subject as it is encoded.
    pub subject_der: Vec<u8>,
    /// Its issuer's name as it is encoded.
    pub issuer_der: Vec<u8>,
    /// Its public key as a `SubjectPublicKeyInfo` in DER.
    pub spki: Vec<u8>,
    /// The kind of its key; none for a kind that we do not make.
    pub algorithm: Option<Algorithm>,
    /// What its extended key usage makes it; none when that is absent, both, or something else.
    pub role: Option<Role>,
    /// The host names and IP addresses in its subjectAltName.
    pub addresses: Vec<Address>,
}

/// Reads a certificate in DER.
pub fn read_leaf(der: &[u8]) -> Result<LeafFacts, CertificateError> {
    let certificate = read::certificate(der)?;
    let spki = certificate.public_key().raw;
    Ok(LeafFacts {
        serial: read::serial(certificate.raw_serial()).ok_or(CertificateError::Serial)?,
        validity: read::validity(&certificate)?,
        common_name: read::common_name(certificate.subject()),
        subject_der: certificate.subject().as_raw().to_vec(),
        issuer_der: certificate.issuer().as_raw().to_vec(),
        spki: spki.to_vec(),
        algorithm: Algorithm::of(spki).ok(),
        role: role(&certificate),
        addresses: addresses(&certificate),
    })
}

fn role(certificate: &X509Certificate<'_>) -> Option<Role> {
    let usage = certificate.extended_key_usage().ok()??;
    match (usage.value.server_auth, usage.value.client_auth) {
        (true, false) => Some(Role::Server),
        (false, true) => Some(Role::Client),
        _ => None,
    }
}

fn addresses(certificate: &X509Certificate<'_>) -> Vec<Address> {
    let names = certificate.extensions().iter().filter_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectAlternativeName(names) => Some(&names.general_names),
        _ => None,
    });
    names.flatten().filter_map(address).collect()
}

fn address(name: &GeneralName<'_>) -> Option<Address> {
    match name {
        GeneralName::DNSName(host) => Some(Address::Dns((*host).to_owned())),
        GeneralName::IPAddress(octets) => match octets.len() {
            4 => <[u8; 4]>::try_from(*octets).ok().map(|octets| Address::Ip(octets.into())),
            16 => <[u8; 16]>::try_from(*octets).ok().map(|octets| Address::Ip(octets.into())),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::sample;
    use proptest::prelude::*;

    #[test]
    fn what_was_signed_is_read() {
        for role in [Role::Server, Role::Client] {
            let profile = sample::leaf("server1", role);
            let (issuer, key) = sample::issuer(Algorithm::P256);
            let facts = read_leaf(&sample::signed(Algorithm::P256, &profile)).unwrap();
            assert_eq!((facts.serial, facts.validity), (profile.serial, profile.validity));
            assert_eq!((facts.common_name.as_str(), facts.role), ("server1", Some(role)));
            assert_eq!((facts.issuer_der.as_slice(), facts.addresses), (issuer.subject_der(), profile.addresses));
            assert_eq!((facts.algorithm, facts.spki.as_slice()), (Some(Algorithm::P256), key.spki()));
        }
    }

    #[test]
    fn a_ca_has_no_role() {
        assert_eq!(read_leaf(sample::issuer(Algorithm::P256).0.der()).unwrap().role, None);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(read_leaf(&bytes).is_err());
        }

        #[test]
        fn no_damage_panics(at in any::<prop::sample::Index>(), octet in any::<u8>()) {
            let mut der = sample::signed(Algorithm::P256, &sample::leaf("server1", Role::Server));
            let at = at.index(der.len());
            der[at] = octet;
            let _ = read_leaf(&der);
        }
    }
}
