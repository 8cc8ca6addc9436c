//! The key that is certified: made here, or its owner's, who sent a request for it and keeps the private half.
//! Knows nothing of how a request arrived.

use crate::{
    authority::{since, AuthorityError},
    bundle::Key,
    inventory::{Certificate, KeyPlace, Reason, Role},
    name::{escape, Name},
    pki::{Algorithm, IssuerCertificate, PrivateKey, Request},
    secret::Secret,
    store::View,
    time::Time,
};

/// A key that is certified.
pub(super) enum Credential {
    /// Made here.
    Made(PrivateKey),
    /// Made by its owner.
    Requested(Request),
}

impl Credential {
    /// So many keys of a kind made here, or the one that was asked for.
    pub fn obtain(
        many: usize,
        algorithm: Algorithm,
        request: Option<&Request>,
    ) -> Result<Vec<Credential>, AuthorityError> {
        let many = if request.is_some() { 1 } else { many };
        (0..many).map(|_| Self::obtain_one(algorithm, request)).collect()
    }

    /// A key of a kind made here, or the one that was asked for.
    pub fn obtain_one(algorithm: Algorithm, request: Option<&Request>) -> Result<Credential, AuthorityError> {
        Ok(match request {
            Some(request) => Self::Requested(request.clone()),
            None => Self::Made(PrivateKey::generate(algorithm)?),
        })
    }

    /// The public key.
    pub fn spki(&self) -> &[u8] {
        match self {
            Self::Made(key) => key.spki(),
            Self::Requested(request) => request.spki(),
        }
    }

    /// The kind of key.
    pub fn algorithm(&self) -> Algorithm {
        match self {
            Self::Made(key) => key.algorithm(),
            Self::Requested(request) => request.algorithm(),
        }
    }

    /// Who will have the private half.
    pub fn place_of(request: Option<&Request>) -> KeyPlace {
        request.map_or(KeyPlace::Here, |_| KeyPlace::WithOwner)
    }

    /// Who has the private half.
    pub fn place(&self) -> KeyPlace {
        match self {
            Self::Made(_) => KeyPlace::Here,
            Self::Requested(_) => KeyPlace::WithOwner,
        }
    }

    /// The private half for the store, where it is here.
    pub fn private(&self) -> Option<Secret> {
        match self {
            Self::Made(key) => Some(key.to_pem()),
            Self::Requested(_) => None,
        }
    }

    /// The private half for a bundle.
    pub fn in_bundle(&self) -> Key {
        self.private().map_or(Key::WithOwner, Key::Here)
    }
}

/// Refuses a request for a key that is not its sender's alone: the CA's, a server's, one that was given up as
/// compromised. Says what else is known of the key, and of the name in the request.
pub(super) fn examine(
    view: &dyn View,
    name: &Name,
    request: &Request,
    now: Time,
) -> Result<Vec<String>, AuthorityError> {
    let refused = |whose: String| AuthorityError::KeyTaken { name: name.clone(), whose };
    let is_ca = |der: &[u8]| IssuerCertificate::parse(der).is_ok_and(|ca| ca.spki() == request.spki());
    if view.issuers()?.iter().any(|issuer| is_ca(&issuer.certificate)) {
        return Err(refused("the CA's own".to_owned()));
    }
    let mut notes = Vec::new();
    for certificate in view.certificates_with_key(request.spki())? {
        match objection(&certificate) {
            Some(whose) => return Err(refused(whose)),
            None => notes.extend(remark(&certificate, name, now)),
        }
    }
    let asked = request.common_name();
    if !asked.is_empty() && asked != name.as_str() {
        notes.push(format!("the request says `{}`, the certificate says `{name}`", escape(asked)));
    }
    notes.dedup();
    Ok(notes)
}

fn objection(certificate: &Certificate) -> Option<String> {
    let holder = certificate.holder.as_ref()?;
    match certificate.revocation {
        _ if holder.role == Role::Server => Some(format!("that of the server `{}`", holder.name)),
        Some(revocation) if revocation.reason == Reason::KeyCompromise => {
            Some(format!("that of serial:{}, {}", certificate.serial, since(&revocation)))
        }
        _ => None,
    }
}

fn remark(certificate: &Certificate, name: &Name, now: Time) -> Option<String> {
    let holder = certificate.holder.as_ref()?;
    let status = certificate.status(now);
    match holder.key {
        KeyPlace::Here => Some(format!(
            "the key of the request was made here for `{}` (serial:{}, {status}), so its owner was not always alone with it",
            holder.name, certificate.serial
        )),
        KeyPlace::WithOwner if holder.name != *name => Some(format!(
            "the same key is certified for `{}` (serial:{}, {status})",
            holder.name, certificate.serial
        )),
        KeyPlace::WithOwner => None,
    }
}
