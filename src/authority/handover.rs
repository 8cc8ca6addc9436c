//! The last look at a bundle before it is staged: what was made is read back, and what would not work is not handed over.
//! Knows not how bundles are made, and writes nothing.

use crate::{
    authority::{
        workshop::{Own, Shared},
        AuthorityError,
    },
    bundle::Bundle,
    findings::bundle::proof::{self, Expected},
    import::{archive, Package, Part},
    inventory::Role,
    name::Name,
    secret::Secret,
    time::Time,
};

/// What the bundle of one peer must hold, kept beside what it is made of.
pub(super) struct Meant {
    name: Name,
    role: Role,
    certificate_pem: String,
    control_key: Secret,
    now: Time,
}

impl Meant {
    /// A peer's bundle with what all bundles share.
    pub fn of(own: &Own, shared: &Shared) -> Self {
        Self {
            name: own.name.clone(),
            role: own.role,
            certificate_pem: own.certificate_pem.clone(),
            control_key: copy(&shared.control_key),
            now: shared.now,
        }
    }

    /// Refuses a bundle that would not work. `passphrase` opens its private key.
    pub fn refuse_broken(&self, made: &Bundle, passphrase: Option<&Secret>) -> Result<(), AuthorityError> {
        let expected = Expected {
            role: self.role,
            certificate_pem: &self.certificate_pem,
            control_key: &self.control_key,
            passphrase,
            now: self.now,
        };
        match broken(made, &expected) {
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
