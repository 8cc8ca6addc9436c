use super::*;
use crate::{
    inventory::Role,
    pki::{read_leaf, sample, Algorithm, IssuerCertificate},
};
use proptest::prelude::*;

struct Made {
    name: Name,
    certificate: Vec<u8>,
    ca: Vec<u8>,
    key: &'static PrivateKey,
}

fn made(algorithm: Algorithm) -> Made {
    let profile = sample::leaf("laptop-7", Role::Client);
    let ca = crate::pki::certificates_from_pem(sample::issuer(algorithm).0.pem().as_bytes()).unwrap().remove(0);
    Made {
        name: profile.name.clone(),
        certificate: sample::signed(algorithm, &profile),
        ca,
        key: sample::key(algorithm),
    }
}

impl Made {
    fn file(&self, passphrase: &str, encryption: Pkcs12Encryption) -> Secret {
        let contents = Pkcs12Contents { name: &self.name, key: self.key, certificate: &self.certificate, ca: &self.ca };
        write_pkcs12(&contents, &Secret::from(passphrase.to_owned()), encryption).unwrap()
    }
}

fn read(bytes: &[u8], passphrase: &str) -> Result<Pkcs12, Pkcs12Error> {
    read_pkcs12(bytes, &Secret::from(passphrase.to_owned()))
}

#[test]
fn every_key_comes_back_with_its_certificate_and_the_ca() {
    for algorithm in [Algorithm::P256, Algorithm::Rsa2048, Algorithm::Ed25519] {
        let made = made(algorithm);
        for encryption in [Pkcs12Encryption::Modern, Pkcs12Encryption::Legacy] {
            let file = made.file("correct horse", encryption);
            let back = read(file.expose(), "correct horse").ok().unwrap();
            assert_eq!((back.key.algorithm(), back.key.pkcs8()), (algorithm, made.key.pkcs8()));
            assert_eq!(back.certificates, [made.certificate.clone(), made.ca.clone()]);
            assert_eq!(read_leaf(&back.certificates[0]).unwrap().spki, back.key.spki());
            assert!(IssuerCertificate::parse(&back.certificates[1]).is_ok());
        }
    }
}

#[test]
fn another_passphrase_opens_nothing() {
    let made = made(Algorithm::P256);
    for encryption in [Pkcs12Encryption::Modern, Pkcs12Encryption::Legacy] {
        let file = made.file("correct horse", encryption);
        for wrong in ["", "Correct horse", "correct horse "] {
            let refused = read(file.expose(), wrong).err().expect("a refusal");
            assert!(matches!(refused, Pkcs12Error::Locked(LockError::Wrong)), "{wrong}: {refused}");
        }
    }
}

#[test]
fn what_was_changed_is_not_read() {
    let file = made(Algorithm::P256).file("correct horse", Pkcs12Encryption::Legacy);
    let bytes = file.expose();
    // the MAC itself comes last; its identifier has parameters that nobody looks at
    for at in (0..bytes.len() - 100).step_by(97) {
        let mut damaged = bytes.to_vec();
        damaged[at] ^= 0x01;
        assert!(read(&damaged, "correct horse").is_err(), "octet {at}");
    }
    assert!(matches!(read(&bytes[..bytes.len() - 1], "correct horse"), Err(Pkcs12Error::Damaged)));
    assert!(matches!(read(&vec![0; LARGEST + 1], ""), Err(Pkcs12Error::TooLarge(_))));
}

#[test]
fn a_file_without_mac_or_with_too_many_rounds_is_refused() {
    let made = made(Algorithm::P256);
    let file = made.file("correct horse", Pkcs12Encryption::Legacy);
    let mut pfx = Pfx::from_der(file.expose()).unwrap();
    pfx.mac.as_mut().unwrap().rounds = 2_000_000_000;
    let refused = read(&pfx.to_der().unwrap(), "correct horse").err().unwrap();
    assert!(matches!(refused, Pkcs12Error::Locked(LockError::TooMuchWork)), "{refused}");
    pfx.mac = None;
    let refused = read(&pfx.to_der().unwrap(), "correct horse").err().unwrap();
    assert!(matches!(refused, Pkcs12Error::Protection(_)), "{refused}");
}

/// Everything that stands behind the MAC, made with one round of everything.
fn safe(made: &Made) -> Vec<u8> {
    let lock = Lock { scheme: Scheme::Pkcs12DesEde3, rounds: NonZeroU32::MIN };
    let certificates = vec![certificate_bag(&made.certificate, None).unwrap()];
    let key = encrypted::seal_pkcs8(lock, b"secret", made.key.pkcs8()).unwrap();
    let key = SafeBag { kind: SHROUDED_KEY_BAG, value: Any::from_der(&key).unwrap(), attributes: None };
    let encrypted = encrypted_part(lock, b"secret", &certificates.to_der().unwrap()).unwrap();
    vec![encrypted, clear_part(&vec![key].to_der().unwrap()).unwrap()].to_der().unwrap()
}

/// A file with this behind a MAC that fits.
fn file(safe: &[u8]) -> Vec<u8> {
    let tag = hmac::sign(&mac_key(SHA1, b"secret", b"salt", NonZeroU32::MIN).unwrap(), safe);
    let algorithm = pbe::identifier(SHA1, None::<&Any>).unwrap();
    let mac = DigestInfo { algorithm, digest: pbe::octets(tag.as_ref()).unwrap() };
    let mac = Some(MacData { mac, salt: pbe::octets(b"salt").unwrap(), rounds: 1 });
    Pfx { version: 3, auth_safe: clear_part(safe).unwrap(), mac }.to_der().unwrap()
}

#[test]
fn a_key_is_in_it_once() {
    let made = made(Algorithm::P256);
    let whole = safe(&made);
    assert!(read(&file(&whole), "secret").is_ok());
    let parts = Vec::<ContentInfo>::from_der(&whole).unwrap();
    let [certificates, key] = <[ContentInfo; 2]>::try_from(parts).ok().unwrap();
    let none = file(&vec![certificates].to_der().unwrap());
    assert!(matches!(read(&none, "secret"), Err(Pkcs12Error::NoKey)));
    let key = key.to_der().unwrap();
    let two: Vec<ContentInfo> = [&key, &key].map(|der| ContentInfo::from_der(der).unwrap()).into();
    assert!(matches!(read(&file(&two.to_der().unwrap()), "secret"), Err(Pkcs12Error::Keys(2))));
}

proptest! {
    #[test]
    fn no_damage_behind_a_mac_that_fits_panics(place: usize, octet: u8) {
        let mut safe = safe(&made(Algorithm::P256));
        let length = safe.len();
        safe[place % length] = octet;
        let _ = read(&file(&safe), "secret");
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(read(&bytes, "correct horse").is_err());
    }
}
