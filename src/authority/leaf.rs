//! A peer's certificate: planned before it is signed, and recorded with its key and its peer after that.
//! Knows nothing of who asked for it, or of bundles but what is a peer's own in them.

use serde::Serialize;

use crate::{
    authority::{credential::Credential, workshop::Own, AuthorityError, Unlocked},
    inventory::{Certificate, Digest, Event, Holder, Issuance, KeyPlace, Peer, Role, Status},
    name::Name,
    pki::{self, Address, Algorithm, LeafProfile, SignedLeaf},
    serial::Serial,
    settings::{Keep, Settings},
    store::Writing,
    time::{Time, DAY},
    validity::Validity,
    vault::Binding,
};

/// One new certificate.
#[derive(Debug, Serialize, Clone)]
pub struct IssuedCertificate {
    /// To whom.
    pub name: Name,
    /// What for.
    pub role: Role,
    /// Its serial; none where nothing was issued (`--dry-run`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial: Option<Serial>,
    /// Its key.
    pub algorithm: String,
    /// First and last second.
    #[serde(flatten)]
    pub validity: Validity,
    /// The certificate that had the name before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub formerly: Option<Former>,
}

/// Whose name it was.
#[derive(Debug, Serialize, Clone, PartialEq, Eq)]
pub struct Former {
    /// The serial, which stays on record for ever.
    pub serial: Serial,
    /// Revoked or expired.
    pub status: Status,
    /// Since when, for people.
    pub since: String,
}

/// What will be signed.
pub(super) struct Plan {
    pub profile: LeafProfile,
    pub algorithm: Algorithm,
    pub issued: Time,
    /// When the name was first given.
    pub created: Time,
    pub note: Option<String>,
    /// How to reach whoever gets it.
    pub contact: Option<String>,
    /// The digest of what its bundle is made of; none where none is made.
    pub bundle: Option<Digest>,
    /// To whom its bundles are encrypted.
    pub recipients: Vec<String>,
    pub former: Option<Former>,
}

impl Plan {
    /// With the digest of what its bundle is made of.
    pub(super) fn with_bundle(self, bundle: Option<Digest>) -> Self {
        Self { bundle, ..self }
    }

    /// For a peer that is there: what is known of it stays.
    pub(super) fn of_peer(self, peer: &Peer) -> Self {
        Self { created: peer.created, contact: peer.note.clone(), recipients: peer.recipients.clone(), ..self }
    }

    /// For a peer that never was.
    pub(super) fn new(profile: LeafProfile, algorithm: Algorithm, issued: Time) -> Self {
        Self {
            profile,
            algorithm,
            issued,
            created: issued,
            note: None,
            contact: None,
            bundle: None,
            recipients: Vec::new(),
            former: None,
        }
    }

    /// The peer's own part of its bundle.
    pub(super) fn own(&self, key: &Credential, signed: &SignedLeaf) -> Own {
        Own {
            name: self.profile.name.clone(),
            role: self.profile.role,
            certificate_pem: pki::certificate_pem(signed.der()),
            signed: Some(signed.clone()),
            key: key.in_bundle(),
            recipients: self.recipients.clone(),
            now: self.issued,
        }
    }

    pub(super) fn summary(&self) -> IssuedCertificate {
        IssuedCertificate {
            name: self.profile.name.clone(),
            role: self.profile.role,
            serial: Some(self.profile.serial),
            algorithm: self.algorithm.to_string(),
            validity: self.profile.validity,
            formerly: self.former.clone(),
        }
    }
}

/// A serial that was only tried belongs to nobody.
pub(super) fn forget_serials(tried: &mut [IssuedCertificate]) {
    for leaf in tried {
        leaf.serial = None;
    }
}

/// The remotes, which clients connect to, and what was asked for beside them.
pub(super) fn server_addresses(settings: &Settings, more: &[Address]) -> Vec<Address> {
    let mut addresses: Vec<Address> =
        settings.client.remotes.iter().filter_map(|remote| Address::parse(&remote.host).ok()).collect();
    addresses.extend(more.iter().cloned());
    let mut distinct: Vec<Address> = Vec::new();
    for address in addresses {
        if !distinct.contains(&address) {
            distinct.push(address);
        }
    }
    distinct
}

/// From a day ago, since a time zone set wrong is the usual fault of clocks, but not before the CA; until the CA ends at
/// most: a default is shortened with a note, a wish beyond it is refused.
pub(super) fn leaf_validity(
    role: Role,
    days: Option<u32>,
    settings: &Settings,
    ca: Validity,
    now: Time,
) -> Result<(Validity, Option<String>), AuthorityError> {
    if now > ca.not_after() {
        return Err(AuthorityError::CaEnded(ca.not_after()));
    }
    let usual = match role {
        Role::Client => Some(settings.client.days),
        Role::Server => settings.server.days,
    };
    let begin = now.plus_seconds(-DAY).max(ca.not_before());
    let whole = Validity::new(begin, ca.not_after()).map_err(|_| AuthorityError::CaEnded(ca.not_after()))?;
    let Some(wanted) = days.or(usual) else { return Ok((whole, None)) };
    let end = Validity::of_days(now, wanted, 0).not_after();
    match (end > ca.not_after(), days) {
        (true, Some(days)) => Err(AuthorityError::OutlivesCa { days, ends: ca.not_after() }),
        (true, None) => {
            let note = format!("shortened from {wanted} days: the CA ends on {}", ca.not_after().date());
            Ok((whole, Some(note)))
        }
        (false, _) => Ok((Validity::new(begin, end).unwrap_or(whole), None)),
    }
}

/// A certificate that was signed, with all that is recorded of it.
pub(super) struct NewLeaf {
    pub plan: Plan,
    /// Who has the private key.
    pub place: KeyPlace,
    pub signed: SignedLeaf,
    /// The private key, where it is kept.
    pub sealed: Option<Vec<u8>>,
}

impl NewLeaf {
    /// With the private key sealed for the store.
    pub(super) fn new(
        unlocked: &Unlocked,
        plan: Plan,
        key: &Credential,
        signed: SignedLeaf,
        keep: Keep,
    ) -> Result<Self, AuthorityError> {
        let sealed = seal(unlocked, &plan.profile.name, &plan.profile.serial, key, keep)?;
        Ok(Self { plan, place: key.place(), signed, sealed })
    }

    /// Records certificate, key and peer.
    pub(super) fn record(self, writing: &mut dyn Writing, unlocked: &Unlocked) -> Result<Event, AuthorityError> {
        let (issuance, event) = self.issuance(unlocked);
        writing.record_issued(vec![issuance])?;
        Ok(event)
    }

    /// What is recorded of it.
    pub(super) fn issuance(self, unlocked: &Unlocked) -> (Issuance, Event) {
        let Self { plan, place, signed, sealed } = self;
        let LeafProfile { name, role, serial, validity, .. } = plan.profile;
        let holder = Holder { name: name.clone(), role, algorithm: plan.algorithm.to_string(), key: place };
        let certificate = Certificate {
            serial,
            issuer: unlocked.number,
            holder: Some(holder),
            validity,
            issued: plan.issued,
            revocation: None,
            overlap_ends: None,
        };
        let Plan { created, contact: note, bundle, recipients, .. } = plan;
        let peer = Peer { name: name.clone(), role, created, current: serial, note, bundle, recipients };
        let issuance = Issuance { certificate, der: signed.into_der(), sealed, peer };
        (issuance, Event::Issued { name, serial })
    }
}

/// A private key as the store keeps it; none where it is not here, or not to be kept.
pub(super) fn seal(
    unlocked: &Unlocked,
    name: &Name,
    serial: &Serial,
    key: &Credential,
    keep: Keep,
) -> Result<Option<Vec<u8>>, AuthorityError> {
    let Some(pem) = key.private().filter(|_| keep != Keep::Never) else { return Ok(None) };
    Ok(Some(unlocked.vault.seal(&Binding::private_key(&unlocked.authority, name, serial), &pem)?))
}
