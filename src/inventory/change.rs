//! What an act changes, as whole facts: the state of a thing after the act, never a patch.
//! Knows nothing of tables; its digests are what the ledger commits to.

use serde::{Deserialize, Serialize};

use crate::{
    inventory::{
        ledger::{Digest, Hasher},
        Certificate, KeyPlace, Peer,
    },
    serial::Serial,
    time::Time,
    validity::Validity,
};

/// One thing as it is after the act. Whoever reads the store gets the same facts back, so that their
/// digests can be compared with those in the ledger.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// The authority itself; recorded once.
    Authority(Identity),
    /// A CA.
    Issuer(Issuer),
    /// A public parameter, such as the Diffie-Hellman group.
    Parameter(Parameter),
    /// A sealed secret that belongs to no certificate.
    Secret(SealedSecret),
    /// One way into the vault.
    Unlocker(Unlocker),
    /// A way into the vault that is gone, by its number.
    UnlockerRemoved(u32),
    /// A peer.
    Peer(Peer),
    /// A certificate and its standing.
    Certificate(Certificate),
    /// The certificate itself, DER.
    CertificateDer(Serial, Vec<u8>),
    /// A certificate's private key, sealed; none once it is dropped.
    SealedKey(Serial, Option<Vec<u8>>),
    /// The newest CRL of an issuer that was due when it was signed.
    Crl(SignedCrl),
    /// The CRLs of an issuer that were signed in advance, in the order of their numbers.
    Ladder(u32, Vec<SignedCrl>),
    /// A directory in which a server reads the CRL.
    Target(Target),
}

/// Which authority this is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Identity {
    /// Random, hexadecimal; sealed secrets are bound to it.
    pub id: String,
    /// When it was made.
    pub created: Time,
}

/// A CA: its certificate and its sealed key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Issuer {
    /// Counted from 1; the highest signs.
    pub number: u32,
    /// The issuer above, none for a root.
    pub parent: Option<u32>,
    /// DER.
    pub certificate: Vec<u8>,
    /// An age file.
    pub sealed_key: Vec<u8>,
}

/// A public parameter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Parameter {
    /// `dh` or `vault-recipient`.
    pub name: String,
    /// PEM, or an age recipient.
    pub text: String,
}

/// A sealed secret of the authority or of one server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SealedSecret {
    /// What it is.
    pub kind: SecretKind,
    /// The server it belongs to; empty for the whole authority.
    pub scope: String,
    /// An age file.
    pub sealed: Vec<u8>,
}

/// Secrets that belong to no certificate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SecretKind {
    /// The server's `ta.key`: the static key of the control channel (tls-crypt, tls-auth), or the server key of tls-crypt-v2.
    ControlChannel,
}

/// One way into the vault: the vault wrapped for whoever holds a passphrase or an identity.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unlocker {
    /// Counted from 1.
    pub number: u32,
    /// `passphrase`, `recipient` or `key-file`.
    pub kind: String,
    /// What people call it; unique.
    pub label: String,
    /// The public key, by which the vault can be locked anew; none for a passphrase.
    pub recipient: Option<String>,
    /// Since when; none for one of format 1, which did not record it.
    pub since: Option<Time>,
    /// An age file.
    pub wrapped: Vec<u8>,
}

/// A CRL as it was signed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SignedCrl {
    /// Whose.
    pub issuer: u32,
    /// The CRL number (RFC 5280, 5.2.3).
    pub number: u64,
    /// thisUpdate and nextUpdate.
    pub validity: Validity,
    /// How many serials it lists.
    pub entries: u64,
    /// From when on servers should have it; later than the signing for one that was signed in advance.
    pub due: Time,
    /// DER.
    pub der: Vec<u8>,
}

/// A directory in which a server reads the CRL, named by the user.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Target {
    /// Absolute path.
    pub dir: String,
    /// The server peer that runs there.
    pub server: String,
    /// Since when.
    pub added: Time,
}

impl SecretKind {
    /// The word in the store and in the sealed text.
    pub fn word(self) -> &'static str {
        match self {
            Self::ControlChannel => "control-channel-key",
        }
    }
}

/// All facts of a certificate that nobody had.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Issuance {
    /// The certificate, with its holder.
    pub certificate: Certificate,
    /// As it was signed.
    pub der: Vec<u8>,
    /// The private key, where it is kept.
    pub sealed: Option<Vec<u8>>,
    /// The holder, whose current certificate it is.
    pub peer: Peer,
}

impl Issuance {
    /// The facts, in the order in which they are recorded.
    pub fn into_changes(self) -> impl Iterator<Item = Change> {
        let Self { certificate, der, sealed, peer } = self;
        let serial = certificate.serial;
        let key = sealed.map(|sealed| Change::SealedKey(serial, Some(sealed)));
        [Change::Certificate(certificate), Change::CertificateDer(serial, der)]
            .into_iter()
            .chain(key)
            .chain([Change::Peer(peer)])
    }
}

impl Change {
    /// Which thing it is: a key into the ledger's digests.
    pub fn key(&self) -> String {
        match self {
            Self::Authority(_) => "authority".to_owned(),
            Self::Issuer(issuer) => format!("issuer/{}", issuer.number),
            Self::Parameter(parameter) => format!("parameter/{}", parameter.name),
            Self::Secret(secret) => format!("secret/{}/{}", secret.kind.word(), secret.scope),
            Self::Unlocker(Unlocker { number, .. }) | Self::UnlockerRemoved(number) => format!("unlocker/{number}"),
            Self::Peer(peer) => format!("peer/{}", peer.name.folded()),
            Self::Certificate(certificate) => format!("certificate/{}", certificate.serial),
            Self::CertificateDer(serial, _) => format!("der/{serial}"),
            Self::SealedKey(serial, _) => format!("key/{serial}"),
            Self::Crl(crl) => format!("crl/{}", crl.issuer),
            Self::Ladder(issuer, _) => format!("ladder/{issuer}"),
            Self::Target(target) => format!("target/{}", target.dir),
        }
    }

    /// What the ledger keeps of it; none when the thing is gone.
    pub fn digest(&self) -> Option<Digest> {
        self.keyed().1
    }

    /// Its key and its digest.
    pub fn keyed(&self) -> (String, Option<Digest>) {
        let key = self.key();
        let digest = self.digest_under(&key);
        (key, digest)
    }

    fn digest_under(&self, key: &str) -> Option<Digest> {
        let mut hasher = Hasher::new(key);
        match self {
            Self::Authority(identity) => hasher.text(&identity.id).time(identity.created),
            Self::Issuer(issuer) => {
                hasher.number(issuer.parent.unwrap_or(0).into()).bytes(&issuer.certificate).bytes(&issuer.sealed_key)
            }
            Self::Parameter(parameter) => hasher.text(&parameter.text),
            Self::Secret(secret) => hasher.bytes(&secret.sealed),
            Self::Unlocker(unlocker) => digest_unlocker(&mut hasher, unlocker),
            Self::UnlockerRemoved(_) => return None,
            Self::Peer(peer) => digest_peer(&mut hasher, peer),
            Self::Certificate(certificate) => digest_certificate(&mut hasher, certificate),
            Self::CertificateDer(_, der) => hasher.bytes(der),
            Self::SealedKey(_, sealed) => hasher.bytes(sealed.as_ref()?),
            Self::Crl(crl) => digest_crl(&mut hasher, crl),
            Self::Ladder(_, rungs) if rungs.is_empty() => return None,
            Self::Ladder(_, rungs) => {
                rungs.iter().fold(&mut hasher, |hasher, rung| digest_crl(hasher.time(rung.due), rung))
            }
            Self::Target(target) => hasher.text(&target.server).time(target.added),
        };
        Some(hasher.finish())
    }
}

fn digest_crl<'a>(hasher: &'a mut Hasher, crl: &SignedCrl) -> &'a mut Hasher {
    begin_crl(hasher, crl.number, crl.entries, crl.validity, crl.der.len() as u64).piece(&crl.der)
}

/// What stands before the DER of a CRL in the digest of [`Change::Crl`]; the pieces of the DER follow. In that of
/// [`Change::Ladder`] the moment from which each is due comes first.
pub fn begin_crl(hasher: &mut Hasher, number: u64, entries: u64, validity: Validity, length: u64) -> &mut Hasher {
    hasher.number(number).number(entries).validity(validity).long(length)
}

/// What came with format 2 is hashed where it is there, so that the digests of before stay what they were.
fn digest_unlocker<'a>(hasher: &'a mut Hasher, unlocker: &Unlocker) -> &'a mut Hasher {
    hasher.text(&unlocker.kind).text(&unlocker.label).bytes(&unlocker.wrapped);
    if let Some(recipient) = &unlocker.recipient {
        hasher.text("recipient").text(recipient);
    }
    match unlocker.since {
        Some(since) => hasher.text("since").time(since),
        None => hasher,
    }
}

/// As with unlockers.
fn digest_peer<'a>(hasher: &'a mut Hasher, peer: &Peer) -> &'a mut Hasher {
    hasher.text(peer.name.as_str()).text(&peer.role.to_string()).time(peer.created).bytes(peer.current.octets());
    if let Some(note) = &peer.note {
        hasher.text("note").text(note);
    }
    if let Some(bundle) = &peer.bundle {
        hasher.text("bundle").bytes(&bundle.0);
    }
    peer.recipients.iter().fold(hasher, |hasher, recipient| hasher.text("recipient").text(recipient))
}

fn digest_certificate<'a>(hasher: &'a mut Hasher, certificate: &Certificate) -> &'a mut Hasher {
    hasher.number(certificate.issuer.into()).validity(certificate.validity).time(certificate.issued);
    if let Some(holder) = &certificate.holder {
        hasher.text(holder.name.as_str()).text(&holder.role.to_string()).text(&holder.algorithm);
        if holder.key == KeyPlace::WithOwner {
            hasher.text("key with owner");
        }
    }
    match certificate.revocation {
        Some(revocation) => hasher.text("revoked").time(revocation.at).number(revocation.reason.code().into()),
        None => hasher.text("not revoked"),
    };
    match certificate.overlap_ends {
        Some(ends) => hasher.text("overlap").time(ends),
        None => hasher,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::{Holder, Reason, Revocation, Role};

    fn certificate() -> Certificate {
        Certificate {
            serial: Serial::fresh([7; 16]),
            issuer: 1,
            holder: None,
            validity: Validity::of_days(Time::from_unix(0), 1, 0),
            issued: Time::from_unix(0),
            revocation: None,
            overlap_ends: None,
        }
    }

    #[test]
    fn a_revocation_changes_the_digest_and_not_the_key() {
        let valid = Change::Certificate(certificate());
        let revocation = Some(Revocation { at: Time::from_unix(9), reason: Reason::Unspecified });
        let revoked = Change::Certificate(Certificate { revocation, ..certificate() });
        assert_eq!(valid.key(), revoked.key());
        assert_ne!(valid.digest(), revoked.digest());
    }

    #[test]
    fn who_has_the_key_and_who_reads_bundles_changes_the_digest() {
        let name: crate::name::Name = "a".parse().unwrap();
        let digest = |key| {
            let holder = Holder { name: name.clone(), role: Role::Client, algorithm: "p256".to_owned(), key };
            Change::Certificate(Certificate { holder: Some(holder), ..certificate() }).digest()
        };
        assert_ne!(digest(KeyPlace::Here), digest(KeyPlace::WithOwner));
        let digest = |recipients: &[&str]| {
            let recipients = recipients.iter().map(|text| (*text).to_owned()).collect();
            let (role, created, current) = (Role::Client, Time::from_unix(0), Serial::fresh([7; 16]));
            let name = name.clone();
            Change::Peer(Peer { name, role, created, current, note: None, bundle: None, recipients }).digest()
        };
        assert_ne!(digest(&[]), digest(&["age1a"]));
        assert_ne!(digest(&["age1a", "age1b"]), digest(&["age1b", "age1a"]));
    }

    #[test]
    fn the_same_bytes_under_another_serial_have_another_digest() {
        let [one, two] = [1, 2].map(|octet| Change::SealedKey(Serial::fresh([octet; 16]), Some(vec![0; 8])));
        assert_ne!(one.digest(), two.digest());
        assert_eq!(Change::SealedKey(Serial::fresh([1; 16]), None).digest(), None);
    }
}
