//! `verify`: faults that no bundle of ours can have, each with its exact line: certificates of other programs, and servers
//! put together by hand.
//! What our own bundles can have wrong is in `verify.rs`.

use std::fs;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevocationReason, RevokedCertParams,
    SerialNumber,
};

use crate::site::Site;

type Ca = CertifiedIssuer<'static, KeyPair>;

fn ca_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn authority(params: CertificateParams) -> Ca {
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a CA")
}

/// A certificate and its key, PEM.
struct Leaf(String, String);

fn leaf(ca: &Ca, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Leaf {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.serial_number = Some(SerialNumber::from(7));
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    change(&mut params);
    Leaf(params.signed_by(&key, ca).expect("a certificate").pem(), key.serialize_pem())
}

fn server(ca: &Ca, name: &str, usages: &[KeyUsagePurpose]) -> Leaf {
    leaf(ca, name, |params| {
        params.serial_number = Some(SerialNumber::from(8));
        params.key_usages = usages.to_vec();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    })
}

fn profile(ca: &str, Leaf(certificate, key): &Leaf, more: &str) -> String {
    format!(
        "client\ndev tun\nremote vpn 1194\nremote-cert-tls server\n<ca>\n{ca}</ca>\n<cert>\n{certificate}</cert>\n<key>\n{key}</key>\n{more}"
    )
}

/// A list of `ca` on which this serial stands.
fn crl(ca: &Ca, serial: u64) -> String {
    let revoked = RevokedCertParams {
        serial_number: SerialNumber::from(serial),
        revocation_time: rcgen::date_time_ymd(2026, 2, 3),
        reason_code: Some(RevocationReason::KeyCompromise),
        invalidity_date: None,
    };
    let params = CertificateRevocationListParams {
        this_update: rcgen::date_time_ymd(2026, 1, 1),
        next_update: rcgen::date_time_ymd(2036, 1, 1),
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: vec![revoked],
        key_identifier_method: KeyIdMethod::Sha256,
    };
    params.signed_by(ca).expect("a list").pem().expect("PEM")
}

/// The directory of a server.
fn serve(site: &Site, ca: &str, Leaf(certificate, key): &Leaf, crl: Option<&str>) {
    fs::create_dir_all(site.path("server")).expect("a directory");
    let list = if crl.is_some() { "crl-verify crl.pem\n" } else { "" };
    let config = format!("port 1194\nproto udp\ndev tun\nserver 10.8.0.0 255.255.255.0\nca ca.crt\ncert server.crt\nkey server.key\ndh none\n{list}");
    let files = [("server.conf", config.as_str()), ("ca.crt", ca), ("server.crt", certificate), ("server.key", key)];
    for (name, text) in files.into_iter().chain(crl.map(|text| ("crl.pem", text))) {
        site.write(&format!("server/{name}"), text);
    }
}

fn line(profile: &str, begin: &str) -> usize {
    profile.lines().position(|line| line.starts_with(begin)).expect("the line") + 1
}

/// What `verify` says of this profile, without the file's name; the last line is the verdict.
#[track_caller]
fn said(site: &Site, profile: &str, options: &str) -> Vec<String> {
    site.write("a.ovpn", profile);
    let outcome = site.run(&format!("verify a.ovpn --at 2026-12-24{options}"));
    let fails = outcome.stdout.contains(": does not work: ");
    let outcome = outcome.exits(i32::from(fails));
    outcome.stdout.lines().map(|line| line.strip_prefix("a.ovpn").expect("the file").to_owned()).collect()
}

#[test]
fn intermediates_are_looked_for_where_they_may_stand() {
    let site = Site::empty();
    let root = authority(ca_params("root"));
    let key = KeyPair::generate().expect("a key");
    let between = CertifiedIssuer::signed_by(ca_params("between"), key, &root).expect("a CA");
    let Leaf(certificate, key) = leaf(&between, "client", |_| {});
    let own = Leaf(certificate.clone(), key.clone());
    let whole = profile(&(root.pem() + &between.pem()), &own, "");
    assert_eq!(said(&site, &whole, ""), [": works"]);

    let lacking = profile(&root.pem(), &own, "");
    let at = line(&lacking, "<cert>");
    let why = "no CA in `ca` signed the certificate, but `CN=between`: it works only where the server knows clients by another CA";
    assert_eq!(said(&site, &lacking, ""), [format!(":{at}: warning: {why}"), ": works, 1 warning".to_owned()]);

    let chained = profile(&root.pem(), &Leaf(certificate + &between.pem(), key), "");
    let why =
        "`cert` holds a chain, of which OpenVPN Connect reads the first certificate only; put the others into `ca`";
    assert_eq!(said(&site, &chained, ""), [format!(":{at}: warning: {why}"), ": works, 1 warning".to_owned()]);

    let both = [KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
    serve(&site, &root.pem(), &server(&root, "vpn", &both), None);
    assert_eq!(said(&site, &chained, " --server server")[1], ": works, 1 warning");
    let why = "no CA by which the server in `server` knows clients signed the certificate";
    let refused = [format!(":{at}: fails: {why}"), ": does not work: 1 fault".to_owned()];
    assert_eq!(said(&site, &lacking, " --server server"), refused);
}

#[test]
fn several_names_in_a_certificate_are_told() {
    let site = Site::empty();
    let ca = authority(ca_params("ca"));
    let own = leaf(&ca, "first", |params| {
        // rcgen keeps one of each kind: the second is named by its number, which is that of a CN
        params.distinguished_name.push(DnType::CustomDnType(vec![2, 5, 4, 3]), "second");
    });
    let text = profile(&ca.pem(), &own, "");
    let at = line(&text, "<cert>");
    let why = "the certificate has several CNs: servers take the last with OpenSSL, the first with mbed TLS";
    assert_eq!(said(&site, &text, ""), [format!(":{at}: warning: {why}"), ": works, 1 warning".to_owned()]);
}

#[test]
fn weak_signatures_and_keys_are_told() {
    let site = Site::empty();
    // by openssl 3.0: `x509 -req -sha1`, `-md5`, and a key of `genrsa 1024`
    let [sha1, md5, rsa] =
        [include_str!("weak/sha1.ovpn"), include_str!("weak/md5.ovpn"), include_str!("weak/rsa1024.ovpn")];
    let at = line(sha1, "<cert>");
    let why = "the certificate is signed with SHA-1, which builds with OpenSSL 3 refuse (`ca md too weak`)";
    assert_eq!(said(&site, sha1, ""), [format!(":{at}: fails: {why}"), ": does not work: 1 fault".to_owned()]);
    let faults = [
        format!(":{at}: fails: the certificate is signed with MD5, which no current build accepts"),
        format!(":{at}: note: the signature of the certificate is of a kind that was not verified here"),
        ": does not work: 1 fault".to_owned(),
    ];
    assert_eq!(said(&site, md5, ""), faults);
    let why = "an RSA key of 1024 bits is weak, and refused with `tls-cert-profile preferred`";
    assert_eq!(said(&site, rsa, "")[0], format!(":{at}: warning: {why}"));
}

#[test]
fn a_ca_that_ended_is_told() {
    let site = Site::empty();
    let mut params = ca_params("ca");
    params.not_before = rcgen::date_time_ymd(2016, 1, 1);
    params.not_after = rcgen::date_time_ymd(2026, 1, 1);
    let ca = authority(params);
    let text = profile(&ca.pem(), &leaf(&ca, "client", |_| {}), "");
    let at = line(&text, "<ca>");
    let faults = [format!(":{at}: fails: the CA `CN=ca` ended on 2026-01-01"), ": does not work: 1 fault".to_owned()];
    assert_eq!(said(&site, &text, ""), faults);
    // one that holds beside it takes its place
    let other = authority(ca_params("other"));
    let text = profile(&(ca.pem() + &other.pem()), &leaf(&other, "client", |_| {}), "");
    let faults = [format!(":{at}: warning: the CA `CN=ca` ended on 2026-01-01"), ": works, 1 warning".to_owned()];
    assert_eq!(said(&site, &text, ""), faults);
}

#[test]
fn lists_in_a_profile_are_read() {
    let site = Site::empty();
    let (ca, other) = (authority(ca_params("ca")), authority(ca_params("other")));
    let own = leaf(&ca, "client", |_| {});
    let with = |list: &str| profile(&ca.pem(), &own, &format!("<crl-verify>\n{list}</crl-verify>\n"));
    assert_eq!(said(&site, &with(&crl(&ca, 9)), ""), [": works"]);
    let text = with(&crl(&ca, 7));
    let (cert, list) = (line(&text, "<cert>"), line(&text, "<crl-verify>"));
    let one = || ": does not work: 1 fault".to_owned();
    let why = "the certificate is revoked since 2026-02-03 (keyCompromise)";
    assert_eq!(said(&site, &text, ""), [format!(":{cert}: fails: {why}"), one()]);
    let why = "the CRL in the profile is of no use: the revocation list was signed by another CA";
    assert_eq!(said(&site, &with(&crl(&other, 7)), ""), [format!(":{list}: fails: {why}"), one()]);

    let both = [KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
    serve(&site, &ca.pem(), &server(&ca, "vpn", &both), Some(&crl(&ca, 9)));
    assert_eq!(said(&site, &with(&crl(&ca, 9)), " --server server"), [": works"]);
    let why = "the CRL in the profile refuses the server `vpn`";
    assert_eq!(said(&site, &with(&crl(&ca, 8)), " --server server"), [format!(":{list}: fails: {why}"), one()]);
}

#[test]
fn a_server_with_the_list_of_another_ca_is_told() {
    let site = Site::empty();
    let (ca, other) = (authority(ca_params("ca")), authority(ca_params("other")));
    let text = profile(&ca.pem(), &leaf(&ca, "client", |_| {}), "");
    let at = line(&text, "<cert>");
    let both = [KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyAgreement];
    let own = server(&ca, "vpn", &both);
    for (list, why) in [
        (
            crl(&other, 7),
            "the CRL of the server in `server` is of no use: the revocation list was signed by another CA",
        ),
        (crl(&ca, 7), "the certificate is revoked since 2026-02-03 (keyCompromise)"),
    ] {
        serve(&site, &ca.pem(), &own, Some(&list));
        let faults = [format!(":{at}: fails: {why}"), ": does not work: 1 fault".to_owned()];
        assert_eq!(said(&site, &text, " --server server"), faults);
    }
}

#[test]
fn connect_wants_the_exact_key_usage_of_a_server() {
    use KeyUsagePurpose::{DigitalSignature, KeyAgreement, KeyEncipherment};

    let site = Site::empty();
    let ca = authority(ca_params("ca"));
    let text = profile(&ca.pem(), &leaf(&ca, "client", |_| {}), "");
    let at = line(&text, "<ca>");
    let why = "the keyUsage of the server `vpn` is neither digitalSignature with keyEncipherment nor with keyAgreement";
    for (usages, fits) in [
        (&[DigitalSignature][..], false),
        (&[DigitalSignature, KeyEncipherment, KeyAgreement], false),
        (&[DigitalSignature, KeyEncipherment], true),
        (&[DigitalSignature, KeyAgreement], true),
    ] {
        serve(&site, &ca.pem(), &server(&ca, "vpn", usages), None);
        let found = said(&site, &text, " --server server");
        let warned = [format!(":{at}: warning: fails on OpenVPN Connect: {why}"), ": works, 1 warning".to_owned()];
        assert_eq!(found, if fits { vec![": works".to_owned()] } else { warned.to_vec() }, "{usages:?}");
    }
}
