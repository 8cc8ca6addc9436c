//! Whether bundles can be made as they are asked for: found before a vault is opened, a key made or anything signed.
//! Knows no program; what each is known to fail with is the bundle's.

use std::{
    collections::HashMap,
    path::{Component, Path, PathBuf},
};

use crate::{
    authority::{
        deliver::{Destination, Outputs, Passphrases},
        workshop::Workshop,
        AuthorityError, Keyholder,
    },
    bundle::{
        self,
        program::{Holder, KeyKind},
        BundleError, Format,
    },
    files::{self, FileError, Overwrite},
    inventory::{KeyPlace, Peer, Role},
    name::Name,
    pki::IssuerCertificate,
    store::View,
    time::Time,
};

/// Whose bundle is asked for, and what is known of it beforehand.
pub(super) struct Addressee<'a> {
    pub name: &'a Name,
    pub role: Role,
    /// The kind of key, as the inventory names it.
    pub algorithm: String,
    /// Who has the private key.
    pub key: KeyPlace,
    /// To whom it is encrypted, as it is on record.
    pub recipients: &'a [String],
    pub asked: Asked,
}

/// How somebody came to be addressed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// By name: all that is asked for is meant for them.
    ByName,
    /// Among everyone: what is not for them is left out.
    AmongAll,
}

impl<'a> Addressee<'a> {
    /// A peer that is there, named; `algorithm` and `key` are of the key that it has, or will have.
    pub fn of(peer: &'a Peer, algorithm: String, key: KeyPlace) -> Self {
        let Peer { name, role, recipients, .. } = peer;
        Self { name, role: *role, algorithm, key, recipients, asked: Asked::ByName }
    }

    /// Refuses what is nothing without the private key, where its owner keeps it.
    fn refuse_without_key(&self, outputs: &Outputs) -> Result<(), BundleError> {
        if self.key == KeyPlace::Here {
            return Ok(());
        }
        outputs.order.check_without_key()?;
        match (&outputs.passphrases, self.asked) {
            (Passphrases::None, _) | (_, Asked::AmongAll) => Ok(()),
            (Passphrases::Given(_) | Passphrases::Generated, Asked::ByName) => Err(BundleError::PassphraseElsewhere),
        }
    }
}

/// What becomes of an objection to one of many.
pub(super) enum Objections {
    /// The first one ends the act.
    First,
    /// All are kept, each with the place of whom it is about.
    All(Vec<(usize, AuthorityError)>),
}

impl Objections {
    /// An objection to the one at this place.
    pub fn raise(&mut self, place: usize, error: AuthorityError) -> Result<(), AuthorityError> {
        match self {
            Self::First => Err(error),
            Self::All(raised) => {
                raised.push((place, error));
                Ok(())
            }
        }
    }
}

impl Workshop<'_> {
    /// Refuses what cannot be made, what its program is known to fail with, and what lies there already; finds the plugins
    /// that recipients need.
    pub fn admit(
        &mut self,
        addressees: &[Addressee],
        outputs: &Outputs,
        view: &dyn View,
        now: Time,
        keyholder: &dyn Keyholder,
    ) -> Result<(), AuthorityError> {
        self.admit_each(addressees, outputs, view, now, &mut Objections::First)?;
        self.plugins = outputs.sealing.prepare(outputs, addressees, keyholder)?;
        Ok(())
    }

    /// The same but for plugins, with a say in what becomes of objections.
    pub fn admit_each(
        &self,
        addressees: &[Addressee],
        outputs: &Outputs,
        view: &dyn View,
        now: Time,
        objections: &mut Objections,
    ) -> Result<(), AuthorityError> {
        if outputs.destination == Destination::Nowhere {
            return Ok(());
        }
        let keys = if outputs.order.program.is_some() { keys_of_authority(view, now)? } else { Vec::new() };
        for (place, addressee) in addressees.iter().enumerate() {
            if let Err(error) = self.admit_one(addressee, outputs, &keys) {
                objections.raise(place, error)?;
            }
        }
        self.collisions(addressees.iter().map(|addressee| (addressee, outputs)), objections)
    }

    fn admit_one(
        &self,
        addressee: &Addressee,
        outputs: &Outputs,
        keys: &[(Holder, KeyKind)],
    ) -> Result<(), AuthorityError> {
        let Addressee { name, role, algorithm, .. } = addressee;
        outputs.order.check(*role)?;
        match role {
            Role::Client => {
                let named = |source| AuthorityError::OwnersBundle { name: (*name).clone(), source };
                addressee.refuse_without_key(outputs).map_err(named)?;
                let own = (Holder::Client, KeyKind::of(algorithm));
                let keys = [keys, &[own]].concat();
                bundle::check_fit(&self.settings, &self.templates, name, &outputs.order, &keys)?;
            }
            Role::Server if matches!(outputs.passphrases, Passphrases::None) => {}
            Role::Server => return Err(AuthorityError::ServersPassphrase((*name).clone())),
        }
        Ok(self.refuse_existing(addressee, outputs)?)
    }

    /// A directory that exists is filled: its files are looked at one by one when they are staged.
    fn refuse_existing(&self, addressee: &Addressee, outputs: &Outputs) -> Result<(), FileError> {
        let filled = outputs.order.format(addressee.role) == Format::Dir;
        match self.path(addressee.name, addressee.role, addressee.recipients, outputs) {
            Some(path) if !filled && outputs.overwrite == Overwrite::Refuse && files::exists(&path)? => {
                Err(FileError::Exists { path })
            }
            _ => Ok(()),
        }
    }

    /// Whether two bundles would have one name, also where names that differ in case only are one: `client.file-name` may
    /// make of a client's name what a server is called.
    pub fn refuse_collisions<'p>(
        &self,
        bundles: impl IntoIterator<Item = (&'p Addressee<'p>, &'p Outputs)>,
    ) -> Result<(), AuthorityError> {
        self.collisions(bundles, &mut Objections::First)
    }

    fn collisions<'p>(
        &self,
        bundles: impl IntoIterator<Item = (&'p Addressee<'p>, &'p Outputs)>,
        objections: &mut Objections,
    ) -> Result<(), AuthorityError> {
        let mut paths: HashMap<String, &Name> = HashMap::new();
        for (place, (Addressee { name, role, recipients, .. }, outputs)) in bundles.into_iter().enumerate() {
            let Some(path) = self.path(name, *role, recipients, outputs) else { continue };
            let error = match paths.insert(compared(&path), name) {
                None => continue,
                Some(other) if other == *name => AuthorityError::Twice(other.clone()),
                Some(other) => {
                    let (one, other) = (other.clone(), (*name).clone());
                    AuthorityError::Collision { one, other, path }
                }
            };
            objections.raise(place, error)?;
        }
        Ok(())
    }
}

/// The CA's key and those of the servers, which a program has to get on with.
fn keys_of_authority(view: &dyn View, now: Time) -> Result<Vec<(Holder, KeyKind)>, AuthorityError> {
    let issuer = IssuerCertificate::parse(&view.issuer()?.certificate)?;
    let mut keys = vec![(Holder::Ca, KeyKind::of(&issuer.algorithm().to_string()))];
    for (_, certificate) in view.servers()? {
        if let (Some(holder), true) = (&certificate.holder, certificate.is_accepted(now)) {
            keys.push((Holder::Server, KeyKind::of(&holder.algorithm)));
        }
    }
    Ok(keys)
}

/// A path as it is compared with others: without `.` and without regard to case.
fn compared(path: &Path) -> String {
    let named = path.components().filter(|component| *component != Component::CurDir);
    named.collect::<PathBuf>().to_string_lossy().to_ascii_lowercase()
}
