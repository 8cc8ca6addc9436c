//! Identifiers of what is imported: the same for a client of an authority whenever its bundle is made, so that importing a
//! newer one replaces the older.
//! Knows no format.

use crate::{inventory::Digest, name::Name};

/// A UUID of version 8 (RFC 9562, 5.8) for one thing in a client's bundle; the CA's certificate stands for the authority.
pub fn guid(ca_pem: &str, name: &Name, what: &str) -> String {
    let digest = Digest::of([ca_pem, "\0", name.as_str(), "\0", what].concat().as_bytes()).to_string();
    // the version's digit, and one of the four that begin with the bits 10
    format!("{}-{}-8{}-a{}-{}", &digest[..8], &digest[8..12], &digest[13..16], &digest[17..20], &digest[20..32])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guid_is_the_same_again_and_another_for_anything_else() {
        let [anna, ben] = ["anna", "ben"].map(|name| Name::parse(name).unwrap());
        let first = guid("ca", &anna, "network");
        assert_eq!(first, guid("ca", &anna, "network"));
        for other in [guid("cb", &anna, "network"), guid("ca", &ben, "network"), guid("ca", &anna, "ca")] {
            assert_ne!(first, other);
        }
        let lengths: Vec<usize> = first.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
        assert_eq!((&first[14..15], &first[19..20]), ("8", "a"));
    }
}
