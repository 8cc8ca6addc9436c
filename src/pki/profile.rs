//! What our certificates say: the profiles of the CA, of servers and of clients, and their extensions.
//! Knows no key but the public one that is certified, and nothing of signing.

use std::net::IpAddr;

use const_oid::{
    db::rfc5280::{ID_KP_CLIENT_AUTH, ID_KP_SERVER_AUTH},
    AssociatedOid,
};
use der::{
    asn1::{Ia5String, OctetString},
    flagset::FlagSet,
    Encode,
};
use x509_cert::ext::{
    pkix::{
        name::GeneralName, AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages,
        SubjectAltName, SubjectKeyIdentifier,
    },
    Extension,
};

use crate::{
    inventory::Role,
    name::Name,
    pki::{Address, Algorithm},
    serial::Serial,
    validity::Validity,
};

/// A certificate authority that signs itself: critical basicConstraints with pathlen 0, and nothing but leaves below it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CaProfile {
    /// The subject's only attribute, 1 to 64 characters (RFC 5280, appendix A.1, ub-common-name).
    pub common_name: String,
    /// Its own serial.
    pub serial: Serial,
    /// When it holds.
    pub validity: Validity,
}

/// A server or a client.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LeafProfile {
    /// The subject's only attribute.
    pub name: Name,
    /// Which extended key usage it gets.
    pub role: Role,
    /// Unique for the issuer.
    pub serial: Serial,
    /// When it holds: inside the issuer's.
    pub validity: Validity,
    /// The subjectAltName of a server; a client has none.
    pub addresses: Vec<Address>,
}

impl LeafProfile {
    /// `OpenVPN` Connect compares a server's key usage for equality with these (openvpn3, ssl/kuparse.hpp: `a0`, `88`).
    /// An Ed25519 key can only sign (RFC 8410, 5).
    fn key_usage(&self, key: Algorithm) -> FlagSet<KeyUsages> {
        let signing = KeyUsages::DigitalSignature;
        match (self.role, key) {
            (Role::Client, _) | (Role::Server, Algorithm::Ed25519) => signing.into(),
            (Role::Server, Algorithm::P256 | Algorithm::P384) => signing | KeyUsages::KeyAgreement,
            (Role::Server, _) => signing | KeyUsages::KeyEncipherment,
        }
    }
}

/// The CA's extensions, in the order in which rcgen writes them: any order is right, the same order can be compared.
pub(super) fn authority_extensions(key_id: &[u8]) -> der::Result<Vec<Extension>> {
    Ok(vec![
        authority_key_id(key_id)?,
        extension(true, &KeyUsage(KeyUsages::KeyCertSign | KeyUsages::CRLSign))?,
        subject_key_id(key_id)?,
        extension(true, &BasicConstraints { ca: true, path_len_constraint: Some(0) })?,
    ])
}

/// A leaf's extensions. No basicConstraints: it may be absent, and says nothing more when it is there
/// (RFC 5280, 4.2.1.9).
pub(super) fn leaf_extensions(
    profile: &LeafProfile,
    key: Algorithm,
    key_id: &[u8],
    issuer_key_id: &[u8],
) -> der::Result<Vec<Extension>> {
    let purpose = match profile.role {
        Role::Server => ID_KP_SERVER_AUTH,
        Role::Client => ID_KP_CLIENT_AUTH,
    };
    let mut extensions = vec![authority_key_id(issuer_key_id)?];
    if !profile.addresses.is_empty() {
        let names = profile.addresses.iter().map(general_name).collect::<der::Result<Vec<_>>>()?;
        extensions.push(extension(false, &SubjectAltName(names))?);
    }
    extensions.push(extension(true, &KeyUsage(profile.key_usage(key)))?);
    extensions.push(extension(false, &ExtendedKeyUsage(vec![purpose]))?);
    extensions.push(subject_key_id(key_id)?);
    Ok(extensions)
}

/// Key identifier only: an issuer and serial in it would tie the leaf to one certificate of its CA, so that a
/// renewed CA certificate would no longer verify it.
pub(super) fn authority_key_id(key_id: &[u8]) -> der::Result<Extension> {
    let key_identifier = Some(OctetString::new(key_id)?);
    extension(false, &AuthorityKeyIdentifier { key_identifier, ..Default::default() })
}

pub(super) fn extension<T: AssociatedOid + Encode>(critical: bool, value: &T) -> der::Result<Extension> {
    Ok(Extension { extn_id: T::OID, critical, extn_value: OctetString::new(value.to_der()?)? })
}

fn subject_key_id(key_id: &[u8]) -> der::Result<Extension> {
    extension(false, &SubjectKeyIdentifier(OctetString::new(key_id)?))
}

fn general_name(address: &Address) -> der::Result<GeneralName> {
    Ok(match address {
        Address::Dns(host) => GeneralName::DnsName(Ia5String::new(host)?),
        Address::Ip(IpAddr::V4(address)) => GeneralName::IpAddress(OctetString::new(address.octets())?),
        Address::Ip(IpAddr::V6(address)) => GeneralName::IpAddress(OctetString::new(address.octets())?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::sample;

    #[test]
    fn key_usage_is_what_openvpn_connect_compares_with() {
        let alone = [3, 2, 7, 0x80];
        for (key, server) in [
            (Algorithm::P256, [3, 2, 3, 0x88]),
            (Algorithm::P384, [3, 2, 3, 0x88]),
            (Algorithm::Rsa2048, [3, 2, 5, 0xa0]),
            (Algorithm::Rsa3072, [3, 2, 5, 0xa0]),
            (Algorithm::Rsa4096, [3, 2, 5, 0xa0]),
            (Algorithm::Ed25519, alone),
        ] {
            for (role, octets) in [(Role::Server, server), (Role::Client, alone)] {
                let profile = sample::leaf("server1", role);
                assert_eq!(KeyUsage(profile.key_usage(key)).to_der().unwrap(), octets, "{role} {key}");
            }
        }
    }

    #[test]
    fn a_server_without_addresses_has_no_alternative_names() {
        let profile = LeafProfile { addresses: vec![], ..sample::leaf("server1", Role::Server) };
        let extensions = leaf_extensions(&profile, Algorithm::P256, &[1; 20], &[2; 20]).unwrap();
        assert!(extensions.iter().all(|extension| extension.extn_id != SubjectAltName::OID));
    }
}
