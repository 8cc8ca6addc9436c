//! The last look at a bundle before it is staged: what was made is read back, and what would not work is not handed over.
//! Knows not how bundles are made, and writes nothing.

use crate::{
    authority::{
        workshop::{Own, Shared},
        AuthorityError,
    },
    bundle::{Bundle, Key},
    findings::bundle::proof::{self, Anchor, Expected},
    import::{archive, Package, Part},
    inventory::Role,
    name::Name,
    pki::SignedLeaf,
    secret::Secret,
    time::Time,
};

/// What the bundle of one peer must hold, kept beside what it is made of.
pub(super) struct Meant<'a> {
    name: Name,
    role: Role,
    authority: &'a Anchor,
    certificate_pem: String,
    signed: Option<SignedLeaf>,
    with_key: bool,
    control_key: Secret,
    now: Time,
}

impl<'a> Meant<'a> {
    /// A peer's bundle with this `ta.key`.
    pub fn of(own: &Own, control_key: &Secret, shared: &'a Shared) -> Self {
        Self {
            name: own.name.clone(),
            role: own.role,
            authority: &shared.authority,
            certificate_pem: own.certificate_pem.clone(),
            signed: own.signed.clone(),
            with_key: matches!(own.key, Key::Here(_)),
            control_key: copy(control_key),
            now: own.now,
        }
    }

    /// Refuses a bundle that would not work. `passphrase` opens its private key.
    pub fn refuse_broken(&self, made: &Bundle, passphrase: Option<&Secret>) -> Result<(), AuthorityError> {
        self.refuse(broken(made, &self.expected(passphrase)))
    }

    /// Refuses a certificate and a key for the directory where their server runs, which would not work there.
    pub fn refuse_unfit(&self, key_pem: &Secret) -> Result<(), AuthorityError> {
        self.refuse(proof::broken_credentials(key_pem, &self.expected(None)))
    }

    fn expected<'e>(&'e self, passphrase: Option<&'e Secret>) -> Expected<'e> {
        Expected {
            role: self.role,
            authority: self.authority,
            certificate_pem: &self.certificate_pem,
            signed: self.signed.as_ref(),
            control_key: &self.control_key,
            with_key: self.with_key,
            passphrase,
            now: self.now,
        }
    }

    fn refuse(&self, why: Option<String>) -> Result<(), AuthorityError> {
        match why {
            None => Ok(()),
            Some(why) => Err(AuthorityError::Broken { name: self.name.clone(), why }),
        }
    }
}

fn broken(made: &Bundle, expected: &Expected) -> Option<String> {
    let parts = match made {
        Bundle::Parts(parts) => {
            Ok(parts.iter().map(|part| Part { name: part.name.clone(), bytes: copy(&part.bytes) }).collect())
        }
        Bundle::File(bytes) if archive::is_zip(bytes.expose()) => archive::files(bytes.expose()),
        // PKCS#12 is DER, which no profile begins as
        Bundle::File(bytes) if bytes.expose().starts_with(&[0x30]) => {
            return proof::broken_pkcs12(bytes.expose(), expected)
        }
        // and no profile begins as JSON
        Bundle::File(bytes) if bytes.expose().starts_with(b"{") => {
            Ok(vec![Part { name: "network.onc".to_owned(), bytes: copy(bytes) }])
        }
        Bundle::File(bytes) => Ok(vec![Part { name: "profile.ovpn".to_owned(), bytes: copy(bytes) }]),
    };
    let parts: Vec<Part> = match parts {
        Ok(parts) => parts,
        Err(error) => return Some(error.to_string()),
    };
    match Package::of(parts) {
        Ok(package) => proof::broken(&package, expected),
        Err(error) => Some(error.to_string()),
    }
}

fn copy(secret: &Secret) -> Secret {
    Secret::new(secret.expose().to_vec())
}
