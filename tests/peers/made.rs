//! An authority made through the library alone: for serials and lists that no command would make.
//! Knows no store and no setting; the dates are around now.

use std::time::{SystemTime, UNIX_EPOCH};

use vpnpki::{
    inventory::{Reason, Revocation, Role},
    name::Name,
    pki::{
        certificate_pem, crl_pem, self_sign, sign_crl, sign_leaf, Algorithm, CaProfile, CrlProfile, IssuerCertificate,
        LeafProfile, PrivateKey, RevokedEntry,
    },
    secret::Secret,
    serial::Serial,
    time::Time,
    validity::Validity,
};

/// A CA with its key.
pub struct Made {
    key: PrivateKey,
    issuer: IssuerCertificate,
    now: Time,
}

impl Made {
    /// A new one, good for a year.
    pub fn new(algorithm: Algorithm) -> Self {
        let key = PrivateKey::generate(algorithm).expect("a key");
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_secs();
        let now = Time::from_unix(i64::try_from(seconds).expect("a clock before the end of days"));
        let profile = CaProfile { common_name: "made by a test".to_owned(), serial: serial(0x41), validity: year(now) };
        let der = self_sign(&profile, &key).expect("a CA certificate");
        Self { key, issuer: IssuerCertificate::parse(&der).expect("a CA certificate"), now }
    }

    /// Its certificate.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A certificate with a new key.
    pub fn leaf(&self, name: &str, role: Role, serial: Serial) -> (String, Secret) {
        let key = PrivateKey::generate(Algorithm::P256).expect("a key");
        let name = Name::parse(name).expect("a name");
        let profile = LeafProfile { name, role, serial, validity: year(self.now), addresses: Vec::new() };
        let signed = sign_leaf(&profile, key.spki(), &self.issuer, &self.key).expect("a certificate");
        (certificate_pem(signed.der()), key.to_pem())
    }

    /// A CRL with these serials.
    pub fn crl(&self, number: u64, serials: &[Serial]) -> String {
        let revocation = Revocation { at: self.now, reason: Reason::KeyCompromise };
        let entries: Vec<_> = serials.iter().map(|&serial| RevokedEntry { serial, revocation }).collect();
        let profile = CrlProfile { number, validity: year(self.now), signed_at: self.now };
        crl_pem(&sign_crl(&profile, &entries, &self.issuer, &self.key).expect("a CRL"))
    }
}

/// Sixteen octets of which the first is given: some serials differ in nothing else.
pub fn serial(first: u8) -> Serial {
    let mut octets = [0xA5; 16];
    octets[0] = first;
    Serial::from_octets(&octets).expect("a serial")
}

fn year(now: Time) -> Validity {
    Validity::of_days(now, 365, 86_400)
}
