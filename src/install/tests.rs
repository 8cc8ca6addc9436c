use super::*;
use crate::{
    files::{Overwrite, Visibility},
    inventory::{Reason, Revocation},
    pki::{self_sign, sign_crl, Algorithm, CaProfile, CrlProfile, PrivateKey, RevokedEntry},
    serial::Serial,
    time::DAY,
    validity::Validity,
};
use proptest::prelude::*;

/// A CA with its key, and a server's directory that believes it.
struct Host {
    dir: tempfile::TempDir,
    issuer: IssuerCertificate,
    key: PrivateKey,
}

fn now() -> Time {
    Time::parse("2026-11-22T10:00:00Z").unwrap()
}

fn authority(name: &str) -> (IssuerCertificate, PrivateKey) {
    let key = PrivateKey::generate(Algorithm::P256).ok().unwrap();
    let validity = Validity::of_days(now(), 3650, DAY);
    let profile = CaProfile { common_name: name.to_owned(), serial: Serial::fresh([7; 16]), validity };
    (IssuerCertificate::parse(&self_sign(&profile, &key).unwrap()).unwrap(), key)
}

impl Host {
    fn new() -> Self {
        let (issuer, key) = authority("ours");
        let host = Self { dir: tempfile::tempdir().unwrap(), issuer, key };
        host.write("ca.crt", host.issuer.pem().as_bytes());
        host.write("server.conf", b"ca ca.crt\ncrl-verify crl.pem\n");
        host
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.dir.path().join(name);
        files::stage(&path, bytes, Visibility::Public, Overwrite::Replace, None).unwrap().release().unwrap();
    }

    fn read(&self, name: &str) -> Option<Vec<u8>> {
        publish::current(&self.dir.path().join(name)).unwrap()
    }

    /// A list from a day ago on, for so many days, with one entry for each number of revoked certificates.
    fn list(&self, number: u64, days: u32, revoked: u8) -> Vec<u8> {
        self.list_at(now(), number, days, revoked)
    }

    fn list_at(&self, at: Time, number: u64, days: u32, revoked: u8) -> Vec<u8> {
        let revocation = Revocation { at, reason: Reason::Unspecified };
        let entry = |octet| RevokedEntry { serial: Serial::fresh([octet; 16]), revocation };
        let entries: Vec<RevokedEntry> = (1..=revoked).map(entry).collect();
        let profile = CrlProfile { number, validity: Validity::of_days(at, days, DAY), signed_at: at };
        pki::crl_pem(&sign_crl(&profile, &entries, &self.issuer, &self.key).unwrap()).into_bytes()
    }

    fn install(&self, pem: &[u8]) -> Result<Installed, InstallError> {
        self.install_against("ca.crt", pem, false)
    }

    fn install_against(&self, ca: &str, pem: &[u8], dry_run: bool) -> Result<Installed, InstallError> {
        let ca = &self.dir.path().join(ca);
        install(&Installation { dir: self.dir.path(), ca, pem, now: now(), patience: Duration::ZERO, dry_run })
    }

    /// Refused with these words, and nothing new, gone or different.
    #[track_caller]
    fn refuses(&self, pem: &[u8], words: &str) {
        let look = || {
            let names = files::list(self.dir.path()).unwrap();
            let bytes = names.iter().map(|name| files::read(&self.dir.path().join(name), 1 << 20).unwrap()).collect();
            names.into_iter().zip::<Vec<_>>(bytes).collect::<Vec<_>>()
        };
        let before = look();
        let error = self.install(pem).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
        assert_eq!(look(), before);
    }
}

#[test]
fn a_newer_list_replaces_and_the_same_one_is_left_alone() {
    let host = Host::new();
    let (one, two) = (host.list(1, 30, 0), host.list(2, 30, 1));
    let first = host.install(&one).unwrap();
    assert_eq!((first.changed, first.number, first.entries, first.files[0].replaced), (true, 1, 0, None));
    assert_eq!(host.read("crl.pem"), Some(one.clone()));
    assert!(!host.install(&one).unwrap().changed);
    let second = host.install(&two).unwrap();
    assert_eq!((second.changed, second.entries, second.files[0].replaced), (true, 1, Some(1)));
    assert_eq!(host.read("crl.pem"), Some(two));
}

#[test]
fn a_dry_run_tells_and_changes_nothing() {
    let host = Host::new();
    let told = host.install_against("ca.crt", &host.list(1, 30, 0), true).unwrap();
    assert_eq!((told.changed, told.dry_run, told.files[0].state), (false, true, PlaceState::Installed));
    assert_eq!(host.read("crl.pem"), None);
}

#[test]
fn an_older_list_and_another_with_the_same_number_are_refused() {
    let host = Host::new();
    host.install(&host.list(5, 30, 1)).unwrap();
    host.refuses(&host.list(4, 30, 1), "has CRL 5, and CRL 4 is older");
    host.refuses(&host.list(5, 30, 0), "has another CRL 5");
}

#[test]
fn dates_that_would_lock_everybody_out_are_refused() {
    let host = Host::new();
    host.refuses(&host.list_at(now().plus_days(3), 1, 30, 0), "begins on 2026-11-24T10:00:00Z");
    host.refuses(&host.list_at(now().plus_days(-40), 1, 30, 0), "ended on ");
}

#[test]
fn another_ca_and_a_broken_signature_are_refused() {
    let (host, other) = (Host::new(), Host::new());
    host.refuses(&other.list(9, 30, 0), "was signed by another CA");
    let mut der = Crl::from_pem(&host.list(9, 30, 0)).unwrap().der().to_vec();
    *der.last_mut().unwrap() ^= 1;
    host.refuses(pki::crl_pem(&der).as_bytes(), "signature of the revocation list is broken");
    // the certificate that was named is not the one that the server believes
    host.write("other.crt", other.issuer.pem().as_bytes());
    let error = host.install_against("other.crt", &other.list(9, 30, 0), false).unwrap_err();
    assert!(matches!(error, InstallError::Publish(PublishError::AnotherCa { .. })), "{error}");
}

#[test]
fn what_is_no_list_or_two_is_refused() {
    let host = Host::new();
    host.refuses(b"", "holds no revocation list");
    host.refuses(host.issuer.pem().as_bytes(), "holds no revocation list");
    host.refuses(&[host.list(1, 30, 0), host.list(2, 30, 0)].concat(), "holds 2 revocation lists");
    let whole = host.list(1, 30, 0);
    host.refuses(&whole[..whole.len() / 2], "holds no revocation list");
}

#[test]
fn what_is_there_and_is_no_list_of_ours_is_replaced() {
    let host = Host::new();
    for there in [b"nonsense".to_vec(), Host::new().list(99, 30, 0)] {
        host.write("crl.pem", &there);
        let list = host.list(1, 30, 0);
        assert!(host.install(&list).unwrap().changed);
        assert_eq!(host.read("crl.pem"), Some(list));
    }
}

#[test]
fn several_servers_in_one_directory_get_it_and_a_blind_one_is_told() {
    let host = Host::new();
    host.write("west.conf", b"ca ca.crt\ncrl-verify west.pem\n");
    host.write("open.conf", b"ca ca.crt\n");
    let installed = host.install(&host.list(3, 30, 0)).unwrap();
    assert_eq!((installed.files.len(), installed.blind.len()), (2, 1));
    assert_eq!(host.read("crl.pem"), host.read("west.pem"));
    // one that has a newer list keeps it, and the other is not touched either
    host.write("west.pem", &host.list(9, 30, 0));
    host.refuses(&host.list(5, 30, 0), "has CRL 9, and CRL 5 is older");
}

#[test]
fn of_several_certificates_in_the_file_the_one_that_signed_counts() {
    let host = Host::new();
    let both = format!("{}{}", authority("elder").0.pem(), host.issuer.pem());
    host.write("both.crt", both.as_bytes());
    assert!(host.install_against("both.crt", &host.list(1, 30, 0), false).unwrap().changed);
    host.write("none.crt", b"");
    let error = host.install_against("none.crt", &host.list(2, 30, 0), false).unwrap_err();
    assert!(matches!(error, InstallError::NoCa { .. }), "{error}");
}

#[test]
fn one_at_a_time() {
    let host = Host::new();
    let _other = files::lock(host.dir.path(), Duration::ZERO).unwrap();
    host.refuses(&host.list(1, 30, 0), "another");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_bytes_panic_and_none_get_in(bytes in prop::collection::vec(any::<u8>(), 0..300), text in "\\PC{0,60}") {
        let host = Host::new();
        let armoured = format!("-----BEGIN X509 CRL-----\n{text}\n-----END X509 CRL-----\n");
        for arrived in [bytes.clone(), pki::crl_pem(&bytes).into_bytes(), armoured.into_bytes()] {
            prop_assert!(host.install(&arrived).is_err());
        }
        prop_assert_eq!(host.read("crl.pem"), None);
    }

    #[test]
    fn no_damage_gets_in(at in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let host = Host::new();
        let mut der = Crl::from_pem(&host.list(1, 30, 2)).unwrap().der().to_vec();
        let at = at.index(der.len());
        der[at] ^= 1 << bit;
        prop_assert!(host.install(pki::crl_pem(&der).as_bytes()).is_err());
        prop_assert_eq!(host.read("crl.pem"), None);
    }
}
