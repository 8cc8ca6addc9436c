//! Opening the vault and what lies sealed in the store, each key held against its certificate.
//! Knows nothing of terminals; a [`Keyholder`] brings the passphrase or identity.

use std::{io::Read, path::Path};

use crate::{
    authority::{
        issue::DH,
        listing, publishing,
        trust::{self, Written},
        workshop::{Own, ServerShare, Shared},
        Authority, AuthorityError,
    },
    bundle::Key,
    files::{self, FileError},
    findings::bundle::proof::Anchor,
    inventory::{Change, KeyPlace, Parameter, Peer, SecretKind, Unlocker},
    pki::{self, IssuerCertificate, PrivateKey},
    secret::Secret,
    store::{StoreError, View},
    time::Time,
    vault::{self, Binding, IdentityError, IdentityFile, Plugins, VaultKeys},
};

/// Who can open the vault.
pub trait Keyholder {
    /// The age or SSH identity that was named; none when none was.
    fn identity(&self) -> Result<Option<IdentityFile>, KeyholderError>;
    /// The passphrase, asked for at most once.
    fn passphrase(&self) -> Result<Secret, KeyholderError>;
    /// How age plugins reach people.
    fn plugins(&self) -> Plugins {
        Plugins::unattended()
    }
}

/// Why nobody opened the vault.
#[derive(Debug, thiserror::Error)]
pub enum KeyholderError {
    /// No way to ask.
    #[error("the vault is locked and no {0} was given")]
    Missing(&'static str),
    /// Two ways at once.
    #[error("{0}")]
    Conflict(String),
    /// Not usable as a passphrase.
    #[error("{0}")]
    Unusable(String),
    /// The file could not be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The identity could not be used.
    #[error("the identity cannot be used: {0}")]
    Identity(#[from] IdentityError),
}

/// The open vault and the issuer that signs.
pub struct Unlocked {
    /// The vault.
    pub vault: VaultKeys,
    /// The issuer's certificate; none when what lies in its place is no CA's.
    pub(super) issuer: Option<IssuerCertificate>,
    /// The issuer's number in the store.
    pub number: u32,
    /// The authority's id.
    pub authority: String,
    /// What opened it; none while there is nothing yet that could.
    pub(super) by: Option<Unlocker>,
}

/// An open vault, and what opened it.
pub(super) struct Opened {
    pub(super) vault: VaultKeys,
    pub(super) by: Unlocker,
    /// The private keys, unless it was a passphrase.
    pub(super) identity: Option<IdentityFile>,
}

impl Authority {
    /// Opens the vault by `vault.key`, by the identity that was named, or by a passphrase.
    pub fn unlock(&self, view: &dyn View, keyholder: &dyn Keyholder) -> Result<Unlocked, AuthorityError> {
        self.question_clock(view)?;
        let opened = open_vault(&view.unlockers()?, Some(&self.dir().join(VAULT_KEY)), keyholder)?;
        Unlocked::of(opened.vault, opened.by, view)
    }
}

/// Opens the vault by the identity that was named, by the `vault.key` beside it, or by a passphrase.
pub(super) fn open_vault(
    unlockers: &[Unlocker],
    key_file: Option<&Path>,
    keyholder: &dyn Keyholder,
) -> Result<Opened, AuthorityError> {
    let (phrases, keys): (Vec<&Unlocker>, Vec<&Unlocker>) =
        unlockers.iter().partition(|unlocker| unlocker.kind == PASSPHRASE);
    // a `vault.key` that a kill left behind its unlocker opens nothing
    let key_file = key_file.filter(|_| keys.iter().any(|unlocker| unlocker.kind == KEY_FILE));
    let identity = match (keyholder.identity()?, key_file) {
        (Some(identity), _) => Some(identity),
        (None, Some(path)) if files::exists(path).unwrap_or(false) => {
            let text = files::read_secret(path)?;
            Some(IdentityFile::parse(text.expose()).map_err(KeyholderError::Identity)?)
        }
        (None, _) => None,
    };
    if identity.is_none() && phrases.is_empty() {
        return Err(KeyholderError::Missing("identity").into());
    }
    let open = |those: &[&Unlocker], key: &vault::Key<'_>| {
        let copies = those.iter().map(|unlocker| &*unlocker.wrapped);
        let (place, vault) = vault::open_which(copies, key)?;
        Ok::<_, AuthorityError>((vault, those[place].clone()))
    };
    let (vault, by) = match &identity {
        Some(identity) => open(&keys, &vault::Key::Identities(identity))?,
        None => open(&phrases, &vault::Key::Passphrase(&keyholder.passphrase()?))?,
    };
    Ok(Opened { vault, by, identity })
}

impl Unlocked {
    /// The vault of the store that the view shows.
    pub(super) fn of(vault: VaultKeys, by: Unlocker, view: &dyn View) -> Result<Self, AuthorityError> {
        let issuer = view.issuer()?;
        Ok(Self {
            vault,
            issuer: IssuerCertificate::parse(&issuer.certificate).ok(),
            number: issuer.number,
            authority: view.identity()?.id,
            by: Some(by),
        })
    }

    /// Whether the vault is still the store's: another may have locked it anew, and what is sealed with the old one
    /// would never open again.
    pub(super) fn is_current(&self, view: &dyn View) -> Result<bool, StoreError> {
        let Some(by) = &self.by else { return Ok(true) };
        Ok(view.unlockers()?.iter().any(|unlocker| unlocker.wrapped == by.wrapped))
    }

    /// The issuer's certificate. Only what is signed needs it: a revocation is recorded without.
    pub fn issuer(&self) -> Result<&IssuerCertificate, AuthorityError> {
        self.issuer.as_ref().ok_or(AuthorityError::NoCaCertificate)
    }

    /// The issuer's private key, which is that of the issuer's certificate.
    pub(super) fn issuer_key(&self, view: &dyn View) -> Result<PrivateKey, AuthorityError> {
        let issuer = self.issuer()?;
        let binding = Binding::ca_key(&self.authority, &issuer.serial());
        let key = PrivateKey::from_pem(self.vault.unseal(&binding, &view.issuer()?.sealed_key)?.expose())?;
        if issuer.matches(&key) && issuer.sha256() == *self.vault.ca_sha256() {
            Ok(key)
        } else {
            Err(AuthorityError::ForeignCaKey)
        }
    }

    /// Refuses to go on over a store that is not what was written; `touched` is what the act relies on.
    pub(super) fn refuse_mismatch(&self, view: &dyn View, touched: Vec<Change>) -> Result<(), AuthorityError> {
        self.refuse_mismatch_after(view, touched, None)
    }

    /// The same, where an act has perhaps written the newest entry itself.
    pub(super) fn refuse_mismatch_after(
        &self,
        view: &dyn View,
        mut touched: Vec<Change>,
        written: Option<&Written>,
    ) -> Result<(), AuthorityError> {
        touched.push(Change::Issuer(view.issuer()?));
        touched.extend(view.secret(SecretKind::ControlChannel)?.map(Change::Secret));
        let problems = match written {
            Some(written) => trust::check_after(view, &self.vault, &touched, written)?,
            None => trust::check(view, &self.vault, &touched)?,
        };
        if problems.is_empty() {
            Ok(())
        } else {
            Err(AuthorityError::Mismatch(problems))
        }
    }

    /// What all bundles of an act hold.
    pub(super) fn shared(&self, view: &dyn View, servers: bool, now: Time) -> Result<Shared, AuthorityError> {
        let kind = SecretKind::ControlChannel;
        let secret = view.secret(kind)?.ok_or_else(|| StoreError::Damaged("it holds no ta.key".to_owned()))?;
        let binding = Binding::control_channel_key(&self.authority, None);
        let server = servers.then(|| server_share(view, now)).transpose()?;
        let control_key = self.vault.unseal(&binding, &secret.sealed)?;
        let authority = Anchor::of(self.issuer()?.pem()).ok_or(AuthorityError::NoCaCertificate)?;
        Ok(Shared { authority, control_key, server })
    }

    /// What is a peer's own, the key held against the certificate.
    pub(super) fn own(&self, view: &dyn View, peer: &Peer, now: Time) -> Result<Own, AuthorityError> {
        self.open_own(StoredOwn::of(view, peer)?, now)
    }

    /// The same of what was read from the store already.
    pub(super) fn open_own(&self, stored: StoredOwn, now: Time) -> Result<Own, AuthorityError> {
        let StoredOwn { peer, der, sealed } = stored;
        let key = match sealed {
            Some(sealed) => Key::Here(self.private_key(&peer, &der, &sealed)?),
            None => Key::WithOwner,
        };
        let Peer { name, role, recipients, .. } = peer;
        let certificate_pem = pki::certificate_pem(&der);
        Ok(Own { name, role, certificate_pem, signed: None, key, recipients, now })
    }

    fn private_key(&self, peer: &Peer, der: &[u8], sealed: &[u8]) -> Result<Secret, AuthorityError> {
        let binding = Binding::private_key(&self.authority, &peer.name, &peer.current);
        let key_pem = self.vault.unseal(&binding, sealed)?;
        if PrivateKey::from_pem(key_pem.expose())?.spki() != pki::read_leaf(der)?.spki {
            return Err(AuthorityError::ForeignKey(peer.name.clone()));
        }
        Ok(key_pem)
    }
}

/// What is a peer's own, as it lies in the store.
pub(super) struct StoredOwn {
    peer: Peer,
    der: Vec<u8>,
    /// The private key; none where its owner keeps it.
    sealed: Option<Vec<u8>>,
}

impl StoredOwn {
    pub(super) fn of(view: &dyn View, peer: &Peer) -> Result<Self, AuthorityError> {
        let unknown = || AuthorityError::UnknownSerial(peer.current);
        let certificate = view.certificate(&peer.current)?.ok_or_else(unknown)?;
        let der = view.certificate_der(&peer.current)?.ok_or_else(unknown)?;
        let with_owner = certificate.holder.is_some_and(|holder| holder.key == KeyPlace::WithOwner);
        let sealed = if with_owner { None } else { view.sealed_key(&peer.current)? };
        if !with_owner && sealed.is_none() {
            return Err(AuthorityError::NoKey(peer.name.clone()));
        }
        Ok(Self { peer: peer.clone(), der, sealed })
    }
}

fn server_share(view: &dyn View, now: Time) -> Result<ServerShare, AuthorityError> {
    let (crl, _) = publishing::newest(view, now)?;
    let mut crl_pem = String::new();
    crl.pem().read_to_string(&mut crl_pem).map_err(listing::fault)?;
    Ok(ServerShare { dh_pem: view.parameter(DH)?, crl_pem })
}

/// The vault's public key as it is recorded.
pub(super) fn vault_recipient(vault: &VaultKeys) -> Change {
    Change::Parameter(Parameter { name: VAULT_RECIPIENT.to_owned(), text: vault.recipient() })
}

/// The parameter that holds the vault's public key, so that a backup can be sealed while the vault is closed.
pub(super) const VAULT_RECIPIENT: &str = "vault-recipient";

/// The kinds of unlockers that are told apart here.
pub(super) const PASSPHRASE: &str = "passphrase";
pub(super) const KEY_FILE: &str = "key-file";

/// The clear identity of `--no-passphrase`.
pub(super) const VAULT_KEY: &str = "vault.key";
