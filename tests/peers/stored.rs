//! Serials of every first octet through the whole way: store, `revoke`, CRL, `openssl verify`.
//! The store is filled behind the commands, which choose serials of one shape; imported ones will have any.

use std::{fs, time::Duration};

use vpnpki::{
    authority::{Actor, Authority, Keyholder, KeyholderError, Unlocked},
    inventory::{ActId, Certificate, Change, Event, Holder, Peer, Role},
    name::Name,
    pki::{certificate_pem, sign_leaf, Algorithm, LeafProfile, PrivateKey},
    secret::Secret,
    serial::Serial,
    store::{self, Access, Draft},
    validity::Validity,
    vault::{Binding, IdentityFile},
    world::World,
};

use crate::{made::serial, site::Site};

#[test]
#[ignore = "needs root and peers: tests/run"]
fn every_first_octet_goes_through_store_revocation_crl_and_openssl() {
    let site = Site::with_authority("--publish served");
    let serials: Vec<Serial> = (0..=255).map(serial).collect();
    for (index, pem) in fill(&site, &serials).iter().enumerate() {
        fs::write(site.path(&format!("{index}.crt")), pem).unwrap();
    }
    site.run("log verify").succeeds();
    let revoked = |index: usize| index.is_multiple_of(2);
    let subjects: Vec<String> =
        (0..serials.len()).filter(|i| revoked(*i)).map(|i| format!("serial:{}", serials[i])).collect();
    site.run(&format!("revoke {}", subjects.join(" "))).succeeds();
    site.run("log verify").succeeds();
    for (index, serial) in serials.iter().enumerate() {
        let shown = site.run(&format!("show serial:{serial}"));
        assert_eq!(shown.stdout.contains("revoked since"), revoked(index), "{shown}");
        let verify =
            format!("openssl verify -x509_strict -crl_check -CAfile served/ca.crt -CRLfile served/crl.pem {index}.crt");
        let outcome = site.tool(&verify);
        if revoked(index) {
            assert!(!outcome.status.success() && outcome.stderr.contains("certificate revoked"), "{serial}\n{outcome}");
        } else {
            assert!(outcome.status.success(), "{serial}\n{outcome}");
        }
    }
}

/// Certificates with these serials, in the store as `issue` would have recorded them.
fn fill(site: &Site, serials: &[Serial]) -> Vec<String> {
    let dir = site.path("pki");
    let authority = Authority::open(&dir, Access::Write, actor()).unwrap();
    let unlocked = authority.unlock(&*authority.view().unwrap(), &Nobody).unwrap();
    let issuer_key = issuer_key(&authority, &unlocked);
    let key = PrivateKey::generate(Algorithm::P256).unwrap();
    let (now, mut events, mut made) = (authority.now(), Vec::new(), Vec::new());
    drop(authority);
    let store = store::open(&dir, Access::Write).unwrap();
    let mut writing = store.begin(Duration::from_secs(1)).unwrap();
    for (index, &serial) in serials.iter().enumerate() {
        let name = Name::parse(&format!("peer{index}")).unwrap();
        let validity = Validity::of_days(now, 30, 0);
        let profile = LeafProfile { name: name.clone(), role: Role::Client, serial, validity, addresses: Vec::new() };
        let signed = sign_leaf(&profile, key.spki(), unlocked.issuer().unwrap(), &issuer_key).unwrap();
        let holder = Some(Holder {
            name: name.clone(),
            role: Role::Client,
            algorithm: "p256".to_owned(),
            key: vpnpki::inventory::KeyPlace::Here,
        });
        let certificate =
            Certificate { serial, issuer: 1, holder, validity, issued: now, revocation: None, overlap_ends: None };
        let peer = Peer {
            name: name.clone(),
            role: Role::Client,
            created: now,
            current: serial,
            note: None,
            bundle: None,
            recipients: Vec::new(),
        };
        for change in [
            Change::Certificate(certificate),
            Change::CertificateDer(serial, signed.der().to_vec()),
            Change::Peer(peer),
        ] {
            writing.record(&change).unwrap();
        }
        events.push(Event::Issued { name, serial });
        made.push(certificate_pem(signed.der()));
    }
    let mac = |hash: &[u8]| unlocked.vault.mac(hash);
    let (act, by) = (ActId([1; 16]), "a test".to_owned());
    writing.commit(Draft { act, at: now, by, operation: "fill", events, suspect: false, mac: Some(&mac) }).unwrap();
    made
}

fn issuer_key(authority: &Authority, unlocked: &Unlocked) -> PrivateKey {
    let view = authority.view().unwrap();
    let binding = Binding::ca_key(&unlocked.authority, &unlocked.issuer().unwrap().serial());
    let pem = unlocked.vault.unseal(&binding, &view.issuer().unwrap().sealed_key).unwrap();
    PrivateKey::from_pem(pem.expose()).unwrap()
}

fn actor() -> Actor {
    let patience = Duration::from_secs(1);
    Actor { by: "a test".to_owned(), uid: 0, patience, clock_is_right: false, world: World::real() }
}

/// `vault.key` opens the vault.
struct Nobody;

impl Keyholder for Nobody {
    fn identity(&self) -> Result<Option<IdentityFile>, KeyholderError> {
        Ok(None)
    }

    fn passphrase(&self) -> Result<Secret, KeyholderError> {
        Err(KeyholderError::Missing("passphrase"))
    }
}
