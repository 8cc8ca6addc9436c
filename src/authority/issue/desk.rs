//! What is made for somebody: key, serial and sealed key, certificate and bundle.
//! Knows of the store only what everybody's are made of, read once, so that every core can work on them.

use super::{admit::Admitted, IssueRequest};
use crate::{
    authority::{
        credential::Credential,
        deliver::{Destination, StagedBundle},
        leaf::{self, NewLeaf},
        recipients,
        workshop::{CurrentBundles, Shared, Workshop},
        AuthorityError, Unlocked,
    },
    files::Tray,
    import::people::Person,
    inventory::{Issuer, SealedSecret, SecretKind},
    pki::{self, IssuerCertificate, PrivateKey},
    serial::Serial,
    store::View,
    time::Time,
};

/// Who makes keys.
#[derive(Clone, Copy)]
pub(super) struct Maker<'a> {
    pub request: &'a IssueRequest,
    pub workshop: &'a Workshop<'a>,
    pub unlocked: &'a Unlocked,
}

/// A key for somebody.
pub(super) struct Ready {
    pub key: Credential,
    serial: Serial,
    /// The private key as the store keeps it.
    sealed: Option<Vec<u8>>,
}

/// All that somebody gets. Until it is recorded nobody has it: the certificate is in memory, the bundle has no name.
pub(super) struct Made {
    pub leaf: NewLeaf,
    pub bundle: Option<StagedBundle>,
}

impl Maker<'_> {
    pub fn ready(&self, person: &Person) -> Result<Ready, AuthorityError> {
        self.request.stop.check()?;
        let settings = &self.workshop.settings;
        let algorithm = self.request.algorithm(person).unwrap_or(settings.algorithm);
        let key = Credential::obtain_one(algorithm, self.request.csr.as_ref())?;
        let serial = Serial::fresh(self.workshop.world.random()?);
        let sealed = leaf::seal(self.unlocked, &person.name, &serial, &key, settings.keep)?;
        Ok(Ready { key, serial, sealed })
    }
}

/// All that certificates and bundles are made of.
pub(super) struct Desk<'a> {
    pub maker: Maker<'a>,
    issuer: &'a IssuerCertificate,
    issuer_key: PrivateKey,
    shared: Shared,
    /// The digests of what bundles are made of; none where none is made.
    bundles: Option<CurrentBundles>,
    /// To whom this call says that bundles are encrypted.
    recipients: Vec<String>,
    stored: Stored,
}

/// What of it lies in the store.
#[derive(PartialEq, Eq)]
struct Stored {
    issuer: Issuer,
    control_key: Option<SealedSecret>,
}

impl Stored {
    fn of(view: &dyn View) -> Result<Self, AuthorityError> {
        Ok(Self { issuer: view.issuer()?, control_key: view.secret(SecretKind::ControlChannel)? })
    }
}

impl<'a> Desk<'a> {
    /// With what only servers' bundles hold, where there are servers.
    pub fn open(maker: Maker<'a>, view: &dyn View, servers: bool, now: Time) -> Result<Self, AuthorityError> {
        let Maker { request, workshop, unlocked } = maker;
        let shared = unlocked.shared(view, servers, now)?;
        let goes = request.outputs.destination != Destination::Nowhere;
        let bundles = goes.then(|| workshop.bundles(shared.has_dh())).transpose()?;
        Ok(Self {
            maker,
            issuer: unlocked.issuer()?,
            issuer_key: unlocked.issuer_key(view)?,
            shared,
            bundles,
            recipients: recipients::texts(&request.recipients),
            stored: Stored::of(view)?,
        })
    }

    /// Whether the store still holds what clients' certificates and bundles were made of.
    pub fn is_of(&self, view: &dyn View) -> Result<bool, AuthorityError> {
        Ok(Stored::of(view)? == self.stored)
    }

    pub fn make(&self, tray: &Tray, admitted: &Admitted, ready: Ready, now: Time) -> Result<Made, AuthorityError> {
        let Maker { request, workshop, .. } = self.maker;
        let Ready { key, serial, sealed } = ready;
        let bundle = self.bundles.map(|bundles| bundles.of(admitted.person.role));
        let made_of = (serial, key.algorithm());
        let plan = admitted.plan(&self.recipients, &workshop.settings, self.issuer, now, made_of)?.with_bundle(bundle);
        let signed = pki::sign_leaf(&plan.profile, key.spki(), self.issuer, &self.issuer_key)?;
        let bundle = match request.outputs.destination {
            Destination::Nowhere => None,
            _ => workshop.stage_on(tray, &self.shared, plan.own(&key, &signed), &request.outputs)?,
        };
        Ok(Made { leaf: NewLeaf { plan, place: key.place(), signed, sealed }, bundle })
    }
}
