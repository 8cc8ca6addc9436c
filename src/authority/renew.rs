//! `renew`: a new key and a new serial for a peer that is there, and an end to what it had, at once or after an overlap.
//! The CRL of the day on which the overlap ends is signed with it, so that nobody has to come back for it.

use std::{ops::ControlFlow, path::PathBuf};

use serde::Serialize;

use crate::{
    authority::{
        admission::Addressee,
        credential::{self, Credential},
        deliver::{self, Delivery, Destination, Outputs, StagedBundle},
        known_peer,
        leaf::{leaf_validity, server_addresses, IssuedCertificate, NewLeaf, Plan},
        publishing::Published,
        revoke::{highest, CrlSummary},
        signing::{self, Wishes},
        verdict::{record_overlaps, supersede},
        workshop::{self, Shared, Workshop},
        Authority, AuthorityError, CurrentBundles, Keyholder, Unlocked,
    },
    files,
    inventory::{due::Thresholds, Certificate, Change, Digest, Event, KeyPlace, Peer, Role, Status},
    name::Name,
    pki::{self, Algorithm, IssuerCertificate, LeafProfile, PrivateKey, Request},
    serial::Serial,
    settings::Publishing,
    store::{View, Writing},
    time::{Time, DAY},
};

/// What `renew` is asked to do.
pub struct RenewRequest {
    /// Who.
    pub whom: Whom,
    /// The key, when not as the settings say.
    pub algorithm: Option<Algorithm>,
    /// Days of validity, when not as the settings say.
    pub days: Option<u32>,
    /// Days for which the old certificate stays accepted.
    pub overlap: u32,
    /// The owner's new request, when the private key stays with them.
    pub csr: Option<Request>,
    /// Where bundles go.
    pub outputs: Outputs,
    /// Leave the targets alone.
    pub no_publish: bool,
    /// Stop before anything changes.
    pub dry_run: bool,
}

/// Who is renewed.
pub enum Whom {
    /// These peers.
    Named(Vec<Name>),
    /// Everyone whose certificate is due, or ends within so many days.
    Due(Option<u32>),
}

/// What `renew` did.
#[derive(Serialize)]
pub struct Renewed {
    /// Whether anything was renewed.
    pub changed: bool,
    /// The new certificates and what they replace.
    pub renewed: Vec<RenewedCertificate>,
    /// Who was due and must send a request, since they keep the key.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<Name>,
    /// What became of the bundles.
    #[serde(flatten)]
    pub delivery: Delivery,
    /// The new CRL.
    pub crl: Option<CrlSummary>,
    /// Where it went, when an old certificate ends at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub published: Option<Published>,
    /// What people should know.
    pub warnings: Vec<String>,
}

/// One new certificate and what it replaces.
#[derive(Debug, Serialize)]
pub struct RenewedCertificate {
    /// The new one.
    #[serde(flatten)]
    pub issued: IssuedCertificate,
    /// The old ones that were accepted.
    pub replaced: Vec<Replaced>,
}

/// An old certificate.
#[derive(Debug, Serialize)]
pub struct Replaced {
    /// Which.
    pub serial: Serial,
    /// Until when it is accepted; revoked from then on.
    pub accepted_until: Time,
}

/// A peer to be renewed and its certificates that are accepted.
struct Candidate {
    peer: Peer,
    accepted: Vec<Certificate>,
    /// Who has the private key to the current one.
    key: KeyPlace,
}

impl Authority {
    /// Renews all of them, or nobody.
    pub fn renew(&self, request: &RenewRequest, keyholder: &dyn Keyholder) -> Result<Renewed, AuthorityError> {
        let mut workshop = self.workshop()?;
        let mut outcome = Renewed {
            changed: false,
            renewed: Vec::new(),
            left: Vec::new(),
            delivery: Delivery::default(),
            crl: None,
            published: None,
            warnings: workshop.settings.notes.clone(),
        };
        let asked = request.csr.as_ref().map(Request::algorithm).or(request.algorithm);
        let algorithm = asked.unwrap_or(workshop.settings.algorithm);
        let place = Credential::place_of(request.csr.as_ref());
        let (unlocked, many) = {
            let view = self.view()?;
            let found = candidates(&*view, &request.whom, workshop.settings.due, self.now())?;
            let (candidates, left) = with_keys(found, request)?;
            outcome.warnings.extend(left.iter().map(left_to_owner));
            outcome.left = left;
            if candidates.is_empty() {
                return Ok(outcome);
            }
            request.outputs.check_for(candidates.len())?;
            let mut addressees = Vec::new();
            for Candidate { peer, .. } in &candidates {
                if matches!(request.whom, Whom::Named(_)) {
                    request.outputs.order.check(peer.role)?;
                }
                if own_dirs(&*view, peer, &request.outputs)?.is_empty() {
                    addressees.push(Addressee::of(peer, algorithm.to_string(), place));
                }
            }
            workshop.admit(&addressees, &request.outputs, &*view, self.now(), keyholder)?;
            (self.unlock(&*view, keyholder)?, candidates.len())
        };
        let keys = Credential::obtain(many, algorithm, request.csr.as_ref())?;
        self.renew_with(request, &workshop, &unlocked, keys, &mut outcome)?;
        Ok(outcome)
    }

    fn renew_with(
        &self,
        request: &RenewRequest,
        workshop: &Workshop,
        unlocked: &Unlocked,
        keys: Vec<Credential>,
        outcome: &mut Renewed,
    ) -> Result<(), AuthorityError> {
        let publishing = Publishing::of(&workshop.settings);
        let mut writing = self.begin()?;
        let now = self.now();
        let found = candidates(&*writing, &request.whom, workshop.settings.due, now)?;
        let (mut candidates, _) = with_keys(found, request)?;
        // who became due since the keys were made comes next time
        candidates.truncate(keys.len());
        let touched = candidates.iter().map(|candidate| Change::Peer(candidate.peer.clone()));
        unlocked.refuse_mismatch(&*writing, touched.collect())?;
        let mut events = self.take_over(&mut *writing, unlocked, &publishing, &mut outcome.warnings)?;
        events.extend(record_overlaps(&mut *writing, unlocked, now, workshop.settings.keep)?);
        let above = highest(&events);
        let servers = candidates.iter().any(|candidate| candidate.peer.role == Role::Server);
        let shared = unlocked.shared(&*writing, servers, now)?;
        let bundles = workshop.bundles(shared.has_dh())?;
        let (issuer, issuer_key) = (unlocked.issuer()?, unlocked.issuer_key(&*writing)?);
        let desk = Desk { authority: self, request, workshop, unlocked, issuer, issuer_key, shared, bundles, now };
        let mut staged = Vec::new();
        for (candidate, key) in candidates.into_iter().zip(keys) {
            staged.extend(desk.renew(&mut *writing, candidate, &key, &mut events, outcome)?);
        }
        drop(desk);
        let clients = outcome.renewed.iter().filter(|renewed| renewed.issued.role == Role::Client).count();
        outcome.warnings.extend(request.outputs.notes(clients));
        let wishes = Wishes { days: publishing.crl_days, above };
        let (crl, signed) = signing::sign_crl(&mut *writing, unlocked, now, wishes, &events)?;
        outcome.crl = Some(CrlSummary::of(&crl));
        events.extend(signed);
        if request.dry_run {
            outcome.renewed.iter_mut().for_each(|renewed| renewed.issued.serial = None);
            outcome.crl = None;
            return Ok(());
        }
        self.commit(writing, "renew", events, false, Some(unlocked))?;
        outcome.changed = !outcome.renewed.is_empty();
        outcome.delivery.extend(deliver::release(staged));
        outcome.warnings.extend(outcome.delivery.warnings());
        if request.overlap == 0 {
            outcome.published = Some(self.publish_unless(request.no_publish, &publishing));
        } else if !request.no_publish {
            self.publish_quietly(&publishing, &mut outcome.warnings);
        }
        Ok(())
    }
}

/// All that every renewal of a call needs.
struct Desk<'a> {
    authority: &'a Authority,
    request: &'a RenewRequest,
    workshop: &'a Workshop<'a>,
    unlocked: &'a Unlocked,
    issuer: &'a IssuerCertificate,
    issuer_key: PrivateKey,
    shared: Shared,
    bundles: CurrentBundles,
    now: Time,
}

impl Desk<'_> {
    fn renew(
        &self,
        writing: &mut dyn Writing,
        candidate: Candidate,
        key: &Credential,
        events: &mut Vec<Event>,
        outcome: &mut Renewed,
    ) -> Result<Vec<StagedBundle>, AuthorityError> {
        let Self { unlocked, workshop, request, .. } = *self;
        let Candidate { peer, accepted, .. } = candidate;
        if let Credential::Requested(csr) = key {
            outcome.warnings.extend(credential::examine(&*writing, &peer.name, csr, self.now)?);
        }
        let dirs = own_dirs(&*writing, &peer, &request.outputs)?;
        let (plan, note) = self.plan(&peer, key)?;
        let plan = plan.with_bundle(self.bundle(&peer, &dirs));
        outcome.warnings.extend(note);
        let signed = pki::sign_leaf(&plan.profile, key.spki(), self.issuer, &self.issuer_key)?;
        let (own, summary) = (plan.own(key, &signed), plan.summary());
        let leaf = NewLeaf::new(unlocked, plan, key, signed, workshop.settings.keep)?;
        events.push(leaf.record(writing, unlocked)?);
        let ends = overlap_end(self.now, request.overlap);
        let mut replaced = Vec::new();
        for certificate in accepted {
            let serial = certificate.serial;
            let (event, accepted_until) = supersede(writing, certificate, ends, self.now, workshop.settings.keep)?;
            events.extend(event);
            replaced.push(Replaced { serial, accepted_until });
        }
        outcome.renewed.push(RenewedCertificate { issued: summary, replaced });
        if dirs.is_empty() {
            return Ok(workshop.stage(&self.shared, own, &request.outputs)?.into_iter().collect());
        }
        let mut staged = Vec::new();
        for dir in dirs {
            staged.extend(workshop.stage_credentials(&self.shared, &dir, &own)?);
        }
        Ok(staged)
    }

    /// What the peer's bundle is made of now. Where only certificate and key are replaced, the rest is what it was.
    fn bundle(&self, peer: &Peer, dirs: &[PathBuf]) -> Option<Digest> {
        match &self.request.outputs.destination {
            _ if !dirs.is_empty() => peer.bundle,
            Destination::Nowhere => None,
            _ => Some(self.bundles.of(peer.role)),
        }
    }

    fn plan(&self, peer: &Peer, key: &Credential) -> Result<(Plan, Option<String>), AuthorityError> {
        let settings = &self.workshop.settings;
        let ca = self.issuer.validity();
        let (validity, note) = leaf_validity(peer.role, self.request.days, settings, ca, self.now)?;
        let addresses = match peer.role {
            Role::Client => Vec::new(),
            Role::Server => server_addresses(settings, &[]),
        };
        let serial = Serial::fresh(self.authority.actor.world.random()?);
        let profile = LeafProfile { name: peer.name.clone(), role: peer.role, serial, validity, addresses };
        Ok((Plan::new(profile, key.algorithm(), self.now).of_peer(peer), note))
    }
}

/// Where a server runs from: its targets that hold its certificate and key under their usual names. None when the bundle
/// was asked for elsewhere.
fn own_dirs(view: &dyn View, peer: &Peer, outputs: &Outputs) -> Result<Vec<PathBuf>, AuthorityError> {
    let elsewhere = !matches!(outputs.destination, Destination::Into(_)) || outputs.sealing.seals(&peer.recipients);
    if peer.role == Role::Client || elsewhere {
        return Ok(Vec::new());
    }
    let targets = view.targets()?.into_iter().filter(|target| target.server == peer.name.as_str());
    let holds =
        |dir: &PathBuf| workshop::CREDENTIALS.iter().all(|name| files::exists(&dir.join(name)).unwrap_or(false));
    Ok(targets.map(|target| PathBuf::from(target.dir)).filter(holds).collect())
}

/// The first moment of the day after the overlap, so that all of one day end with one CRL; now, when there is none.
fn overlap_end(now: Time, overlap: u32) -> Time {
    if overlap == 0 {
        return now;
    }
    let end = now.plus_days(i64::from(overlap));
    end.plus_seconds(DAY - 1 - (end.unix() - 1).rem_euclid(DAY))
}

fn candidates(
    view: &dyn View,
    whom: &Whom,
    thresholds: Thresholds,
    now: Time,
) -> Result<Vec<Candidate>, AuthorityError> {
    let peers = match whom {
        Whom::Named(names) => {
            let mut peers: Vec<Peer> = Vec::new();
            for name in names {
                let peer = known_peer(view, name)?;
                if peers.iter().any(|other| other.name == peer.name) {
                    return Err(AuthorityError::Twice(name.clone()));
                }
                peers.push(peer);
            }
            peers
        }
        Whom::Due(within) => due_peers(view, *within, thresholds, now)?,
    };
    peers.into_iter().map(|peer| candidate(view, peer, now)).collect()
}

/// Those for whom there will be a key, and those who must make theirs. A server's is made here.
fn with_keys(found: Vec<Candidate>, request: &RenewRequest) -> Result<(Vec<Candidate>, Vec<Name>), AuthorityError> {
    if request.csr.is_some() {
        return match found.iter().find(|candidate| candidate.peer.role == Role::Server) {
            Some(candidate) => Err(AuthorityError::ServerRequest(candidate.peer.name.clone())),
            None => Ok((found, Vec::new())),
        };
    }
    let (left, ours): (Vec<Candidate>, Vec<Candidate>) =
        found.into_iter().partition(|candidate| candidate.key == KeyPlace::WithOwner);
    let left: Vec<Name> = left.into_iter().map(|candidate| candidate.peer.name).collect();
    match (&request.whom, left.first()) {
        (Whom::Named(_), Some(name)) => Err(AuthorityError::OwnersKey(name.clone())),
        _ => Ok((ours, left)),
    }
}

fn left_to_owner(name: &Name) -> String {
    format!("`{name}` was not renewed: its owner keeps the private key; `vpnpki renew {name} --csr FILE` takes a new request")
}

/// Who is revoked, suspended or over gets no access by a renewal.
fn candidate(view: &dyn View, peer: Peer, now: Time) -> Result<Candidate, AuthorityError> {
    let current = view.certificate(&peer.current)?.ok_or(AuthorityError::UnknownSerial(peer.current))?;
    if current.status(now) == Status::Suspended {
        let mend = Some(format!("vpnpki resume {}", peer.name));
        let (whose, what) = (peer.name.to_string(), "suspended".to_owned());
        return Err(AuthorityError::Vain { verb: "renew", whose, what, mend });
    }
    if let Some(refusal) = current.refusal(now) {
        let (verb, whose, mend) = ("renew", peer.name.to_string(), Some(format!("vpnpki issue {}", peer.name)));
        return Err(AuthorityError::Vain { verb, whose, what: super::since(&refusal), mend });
    }
    let all = view.certificates_of(&peer.name)?;
    let accepted = all.into_iter().filter(|certificate| certificate.is_accepted(now)).collect();
    let key = current.holder.map_or(KeyPlace::Here, |holder| holder.key);
    Ok(Candidate { peer, accepted, key })
}

fn due_peers(
    view: &dyn View,
    within: Option<u32>,
    thresholds: Thresholds,
    now: Time,
) -> Result<Vec<Peer>, AuthorityError> {
    let mut peers = Vec::new();
    view.peers(&mut |peer, certificate| {
        let wanted = match within {
            Some(days) => now.days_until(certificate.validity.not_after()) < i64::from(days),
            None => thresholds.certificate(&certificate, now).is_some(),
        };
        if wanted && certificate.status(now) == Status::Valid {
            peers.push(peer);
        }
        ControlFlow::Continue(())
    })?;
    Ok(peers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overlap_ends_with_a_day() {
        let day = |days: i64| Time::from_unix(days * DAY);
        assert_eq!(overlap_end(day(10), 14), day(24));
        assert_eq!(overlap_end(day(10).plus_seconds(1), 14), day(25));
        assert_eq!(overlap_end(day(11).plus_seconds(-1), 14), day(25));
        assert_eq!(overlap_end(day(10).plus_seconds(5), 0), day(10).plus_seconds(5));
    }
}
