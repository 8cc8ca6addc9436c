//! Opening the vault and what lies sealed in the store, each key held against its certificate.
//! Knows nothing of terminals; a [`Keyholder`] brings the passphrase or identity.

use crate::{
    authority::{
        deliver::{Own, ServerShare, Shared},
        issue::DH,
        publishing, trust, Authority, AuthorityError,
    },
    files::{self, FileError},
    inventory::{Change, Peer, SecretKind, Unlocker},
    pki::{self, IssuerCertificate, PrivateKey},
    secret::Secret,
    store::{StoreError, View},
    time::Time,
    vault::{self, Binding, IdentityError, IdentityFile, Key, VaultKeys},
};

/// Who can open the vault.
pub trait Keyholder {
    /// The age or SSH identity that was named; none when none was.
    fn identity(&self) -> Result<Option<IdentityFile>, KeyholderError>;
    /// The passphrase, asked for at most once.
    fn passphrase(&self) -> Result<Secret, KeyholderError>;
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
}

impl Authority {
    /// Opens the vault by `vault.key`, by the identity that was named, or by a passphrase.
    pub fn unlock(&self, view: &dyn View, keyholder: &dyn Keyholder) -> Result<Unlocked, AuthorityError> {
        self.question_clock(view)?;
        let vault = self.open_vault(&view.unlockers()?, keyholder)?;
        let issuer = view.issuer()?;
        Ok(Unlocked {
            vault,
            issuer: IssuerCertificate::parse(&issuer.certificate).ok(),
            number: issuer.number,
            authority: view.identity()?.id,
        })
    }

    /// Whether the vault opens without asking anyone.
    pub fn opens_by_itself(&self) -> bool {
        files::exists(&self.dir().join(VAULT_KEY)).unwrap_or(false)
    }

    fn open_vault(&self, unlockers: &[Unlocker], keyholder: &dyn Keyholder) -> Result<VaultKeys, AuthorityError> {
        let copies = |passphrase: bool| {
            unlockers
                .iter()
                .filter(move |unlocker| (unlocker.kind == "passphrase") == passphrase)
                .map(|unlocker| &*unlocker.wrapped)
        };
        let identity = match keyholder.identity()? {
            Some(identity) => Some(identity),
            None if self.opens_by_itself() => {
                let text = files::read_secret(&self.dir().join(VAULT_KEY))?;
                Some(IdentityFile::parse(text.expose()).map_err(KeyholderError::Identity)?)
            }
            None => None,
        };
        if let Some(identity) = identity {
            return Ok(vault::open_any(copies(false), &Key::Identities(&identity))?);
        }
        if copies(true).next().is_none() {
            return Err(KeyholderError::Missing("identity").into());
        }
        Ok(vault::open_any(copies(true), &Key::Passphrase(&keyholder.passphrase()?))?)
    }
}

impl Unlocked {
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
    pub(super) fn refuse_mismatch(&self, view: &dyn View, mut touched: Vec<Change>) -> Result<(), AuthorityError> {
        touched.push(Change::Issuer(view.issuer()?));
        touched.extend(view.secret(SecretKind::ControlChannel)?.map(Change::Secret));
        match trust::check(view, &self.vault, &touched)? {
            problems if problems.is_empty() => Ok(()),
            problems => Err(AuthorityError::Mismatch(problems)),
        }
    }

    /// What all bundles of an act hold.
    pub(super) fn shared(&self, view: &dyn View, servers: bool, now: Time) -> Result<Shared, AuthorityError> {
        let kind = SecretKind::ControlChannel;
        let secret = view.secret(kind)?.ok_or_else(|| StoreError::Damaged("it holds no ta.key".to_owned()))?;
        let binding = Binding::control_channel_key(&self.authority, None);
        let server = servers.then(|| server_share(view, now)).transpose()?;
        Ok(Shared { ca_pem: self.issuer()?.pem(), control_key: self.vault.unseal(&binding, &secret.sealed)?, server })
    }

    /// What is a peer's own, the key held against the certificate.
    pub(super) fn own(&self, view: &dyn View, peer: &Peer) -> Result<Own, AuthorityError> {
        let sealed = view.sealed_key(&peer.current)?.ok_or_else(|| AuthorityError::NoKey(peer.name.clone()))?;
        let binding = Binding::private_key(&self.authority, &peer.name, &peer.current);
        let key_pem = self.vault.unseal(&binding, &sealed)?;
        let der = view.certificate_der(&peer.current)?.ok_or(AuthorityError::UnknownSerial(peer.current))?;
        if PrivateKey::from_pem(key_pem.expose())?.spki() != pki::read_leaf(&der)?.spki {
            return Err(AuthorityError::ForeignKey(peer.name.clone()));
        }
        let certificate_pem = pki::certificate_pem(&der);
        Ok(Own { name: peer.name.clone(), role: peer.role, certificate_pem, key_pem })
    }
}

fn server_share(view: &dyn View, now: Time) -> Result<ServerShare, AuthorityError> {
    let (_, crl) = publishing::newest(view, now)?;
    Ok(ServerShare { dh_pem: view.parameter(DH)?, crl_pem: pki::crl_pem(&crl.der) })
}

/// The clear identity of `--no-passphrase`.
pub(super) const VAULT_KEY: &str = "vault.key";
