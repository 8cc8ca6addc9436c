//! Faults that no bundle of ours can have: certificates of others, made by hand, and damage at every place.
//! What our own bundles can have wrong is in `tests/cli/verify.rs`.

use proptest::prelude::*;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};

use super::*;
use crate::{
    import::{archive, Origin, Part},
    pki::{self, Algorithm, CaProfile, IssuerCertificate, LeafProfile, PrivateKey, SignedLeaf},
    validity::Validity,
};

/// A CA of another program.
fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A client's profile whose certificate was changed before it was signed, CA and key with it.
fn profile(change: impl FnOnce(&mut CertificateParams)) -> String {
    let ca = authority("ca");
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "client");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    change(&mut params);
    let certificate = params.signed_by(&key, &ca).unwrap();
    text(&ca.pem(), &certificate.pem(), &key.serialize_pem())
}

fn text(ca: &str, certificate: &str, key: &str) -> String {
    format!(
        "client\ndev tun\nremote vpn 1194\nremote-cert-tls server\n<ca>\n{ca}</ca>\n<cert>\n{certificate}</cert>\n<key>\n{key}</key>\n"
    )
}

fn package(text: &[u8]) -> Package {
    Package {
        origin: Origin::OpenVpn,
        profile: Part { name: "a.ovpn".to_owned(), bytes: Secret::new(text.to_vec()) },
        parts: Vec::new(),
    }
}

fn against(now: &str) -> Against<'static> {
    Against { now: Time::parse(now).unwrap(), passphrase: None, other: None, programs: &[], inventory: None }
}

fn said(text: &str) -> Vec<String> {
    let faults = check(&package(text.as_bytes()), &against("2026-11-22"));
    faults.iter().map(|fault| format!("{}: {}", fault.severity, fault.why)).collect()
}

#[track_caller]
fn says(text: &str, wanted: &str) {
    let said = said(text);
    assert!(said.iter().any(|line| line.starts_with(wanted)), "{said:?}");
}

#[test]
fn a_good_bundle_of_another_program_is_good() {
    assert_eq!(said(&profile(|_| {})), [] as [String; 0]);
}

#[test]
fn what_a_client_may_not_be_is_said() {
    says(
        &profile(|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]),
        "fails: the certificate is not for clients",
    );
    says(&profile(|params| params.extended_key_usages.clear()), "warning: the certificate has no extendedKeyUsage");
    says(
        &profile(|params| params.key_usages = vec![KeyUsagePurpose::KeyEncipherment]),
        "fails: the certificate's keyUsage has neither",
    );
    says(&profile(|params| params.key_usages.clear()), "warning: the certificate has no keyUsage");
    says(
        &profile(|params| params.distinguished_name = rcgen::DistinguishedName::new()),
        "fails: the certificate's subject has no CN",
    );
    says(
        &profile(|params| params.distinguished_name.push(DnType::CommonName, "n".repeat(65))),
        "fails: the certificate's CN has 65 bytes",
    );
}

#[test]
fn a_client_of_another_ca_is_warned_of_and_refused_where_the_server_is_known() {
    let good = profile(|_| {});
    let other = authority("other");
    let begin = good.find("<ca>\n").unwrap() + 5;
    let end = good.find("</ca>").unwrap();
    let mixed = format!("{}{}{}", &good[..begin], other.pem(), &good[end..]);
    assert_eq!(said(&mixed), ["warning: no CA in `ca` signed the certificate, but `CN=ca`: it works only where the server knows clients by another CA"]);
    let (server, _) = OtherSide::of(
        "the server".to_owned(),
        &Package {
            origin: Origin::OpenVpn,
            profile: Part { name: "server.conf".to_owned(), bytes: Secret::from("ca ca.crt\n".to_owned()) },
            parts: vec![Part { name: "ca.crt".to_owned(), bytes: Secret::from(other.pem()) }],
        },
    );
    let faults = check(&package(good.as_bytes()), &Against { other: Some(&server), ..against("2026-11-22") });
    assert!(
        faults.iter().any(|fault| fault.why == "no CA by which the server knows clients signed the certificate"),
        "{faults:?}"
    );
}

#[test]
fn an_intermediate_is_found_where_it_is_and_only_with_its_root() {
    let (root, key) = (authority("root"), KeyPair::generate().unwrap());
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "between");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let between = CertifiedIssuer::signed_by(params, KeyPair::generate().unwrap(), &root).unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "client");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let leaf = params.signed_by(&key, &between).unwrap().pem();
    let with = |ca: &str| text(ca, &leaf, &key.serialize_pem());
    assert_eq!(said(&with(&(root.pem() + &between.pem()))), [] as [String; 0]);
    for lacking in [root.pem(), between.pem()] {
        says(&with(&lacking), "warning: no CA in `ca` signed the certificate, but `CN=between`");
    }
    let extra = format!("{}<extra-certs>\n{}</extra-certs>\n", with(&root.pem()), between.pem());
    assert_eq!(said(&extra), [] as [String; 0]);
}

#[test]
fn two_control_channel_keys_and_broken_ones_are_said() {
    let good = profile(|_| {});
    says(
        &format!("{good}<tls-crypt>\nx\n</tls-crypt>\n<tls-auth>\nx\n</tls-auth>\n"),
        "fails: `tls-auth` and `tls-crypt` exclude each other",
    );
    says(&format!("{good}<tls-crypt>\nx\n</tls-crypt>\n"), "fails: `tls-crypt`: this is no OpenVPN static key");
    says(
        &format!("{good}<tls-crypt-v2>\n-----BEGIN OpenVPN tls-crypt-v2 server key-----\n</tls-crypt-v2>\n"),
        "fails: `tls-crypt-v2` holds the key of a server",
    );
}

#[test]
fn a_servers_credentials_are_proven_before_they_go_where_it_runs() {
    let (ca, other) = (authority("ca"), authority("other"));
    let (key, foreign) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let made = |change: &dyn Fn(&mut CertificateParams)| {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "server");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        change(&mut params);
        params.signed_by(&key, &ca).unwrap().pem()
    };
    let broken = |ca: &str, certificate: &str, key: &KeyPair| {
        let nothing = Secret::new(Vec::new());
        let authority = proof::Anchor::of(ca.to_owned()).unwrap();
        let expected = proof::Expected {
            authority: &authority,
            signed: None,
            role: crate::inventory::Role::Server,
            certificate_pem: certificate,
            control_key: &nothing,
            with_key: true,
            passphrase: None,
            now: Time::parse("2026-11-22").unwrap(),
        };
        proof::broken_credentials(&Secret::from(key.serialize_pem()), &expected)
    };
    let good = made(&|_| {});
    assert_eq!(broken(&ca.pem(), &good, &key), None);
    assert!(proof::Anchor::of(String::new()).is_none());
    for (found, why) in [
        (broken(&other.pem(), &good, &key), "the CA in it did not sign the certificate"),
        (broken(&ca.pem(), &good, &foreign), "the private key in it is not that of the certificate"),
        (
            broken(&ca.pem(), &made(&|params| params.not_after = rcgen::date_time_ymd(2026, 1, 1)), &key),
            "the certificate in it ended on 2026-01-01",
        ),
        (
            broken(&ca.pem(), &made(&|params| params.extended_key_usages.clear()), &key),
            "the certificate in it is not that of a server",
        ),
    ] {
        assert!(found.as_ref().is_some_and(|found| found.starts_with(why)), "{why}: {found:?}");
    }
}

/// The proof of a profile with this CA in it, made of a certificate that is as it was signed under another, or not.
fn proof_under(ca: &[u8], certificate: &SignedLeaf, key: &PrivateKey, signed: Option<&SignedLeaf>) -> Option<String> {
    let (ca, own) = (pki::certificate_pem(ca), pki::certificate_pem(certificate.der()));
    let nothing = Secret::new(Vec::new());
    let text = text(&ca, &own, key.to_pem().expose_text().unwrap()) + "<tls-crypt>\n</tls-crypt>\n";
    let authority = proof::Anchor::of(ca).unwrap();
    let expected = proof::Expected {
        role: crate::inventory::Role::Client,
        authority: &authority,
        certificate_pem: &own,
        signed,
        control_key: &nothing,
        with_key: true,
        passphrase: None,
        now: Time::parse("2026-11-22").unwrap(),
    };
    proof::broken(&package(text.as_bytes()), &expected)
}

#[test]
fn a_signature_that_was_verified_counts_for_its_own_certificate_and_ca_alone() {
    let validity = Validity::of_days(Time::parse("2026-11-21").unwrap(), 30, 0);
    let profile = |name: &str, octet: u8| LeafProfile {
        name: name.parse().unwrap(),
        role: crate::inventory::Role::Client,
        serial: Serial::fresh([octet; 16]),
        validity,
        addresses: Vec::new(),
    };
    let ca = CaProfile { common_name: "twins".to_owned(), serial: Serial::fresh([1; 16]), validity };
    let made = || PrivateKey::generate(Algorithm::P256).ok().unwrap();
    let (key, twin_key, own) = (made(), made(), made());
    let [one, twin] = [&key, &twin_key].map(|key| pki::self_sign(&ca, key).unwrap());
    let issuer = IssuerCertificate::parse(&one).unwrap();
    let signed = |name: &str, octet| pki::sign_leaf(&profile(name, octet), own.spki(), &issuer, &key).unwrap();
    let (leaf, other) = (signed("client1", 2), signed("client1", 3));
    for verified in [None, Some(&leaf), Some(&other)] {
        assert_eq!(proof_under(&one, &leaf, &own, verified), None);
        let why = proof_under(&twin, &leaf, &own, verified);
        assert_eq!(why.as_deref(), Some("the CA in it did not sign the certificate"));
    }
    assert!(leaf.is_verified(leaf.der(), &one) && !leaf.is_verified(other.der(), &one));
    assert!(!leaf.is_verified(leaf.der(), &twin));
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = (check(&package(&bytes), &against("2026-11-22")), check_pkcs12(&bytes, &against("2026-11-22")));
    }

    /// A good profile that was cut, or in which some bytes are others: it is refused or read, and the lines that are named
    /// are there.
    #[test]
    fn damage_never_panics(cut in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), octets in prop::collection::vec(any::<u8>(), 1..9)) {
        static GOOD: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| profile(|_| {}));
        let mut bytes = GOOD.as_bytes().to_vec();
        let place = at.index(bytes.len());
        bytes.splice(place..(place + octets.len()).min(GOOD.len()), octets);
        bytes.truncate(GOOD.len().saturating_sub(cut.index(GOOD.len()) / 9));
        let lines = bytes.split(|&byte| byte == b'\n').count();
        let faults = check(&package(&bytes), &against("2026-11-22"));
        prop_assert!(faults.iter().all(|fault| fault.line.is_none_or(|line| line <= lines)), "{:?}", faults);
        let _ = archive::files(&bytes).is_ok();
    }
}
