//! Real handshakes between the client of a bundle and each server of the other side: what came of them.
//! Knows no TLS; `handshake` does it.

use std::sync::Arc;

use serde::Serialize;

use super::{
    identity::{self, Subjects},
    key, server, Against, Fault, Faults, OtherSide, Place,
};
use crate::{
    handshake::{shake, Agreed, End, Judge, Refused, Version},
    import::{Credentials, Directive, Package, Profile},
    name::escape,
    pki::{self, Inspected, PrivateKey},
    secret::Secret,
};

/// A handshake that came to an end.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Shaken {
    /// The server's name.
    pub server: String,
    /// What was agreed on.
    #[serde(flatten)]
    pub agreed: Agreed,
}

/// Tries each server in each version. What fails is a fault of the bundle.
pub fn handshakes(package: &Package, against: &Against) -> (Vec<Shaken>, Vec<Fault>) {
    let nothing = Secret::new(Vec::new());
    let against = &against.meant(package.origin, &nothing);
    let profile = Profile::read(package.profile.bytes.expose());
    let credentials = Credentials::of(package, &profile);
    // what is wrong with them was said already
    let mut subjects = identity::check(&profile, &credentials, against, &mut Faults::default());
    let key = credentials.piece("key").and_then(|piece| key::read(piece.bytes, against.passphrase).ok());
    let key = key.or(subjects.key.take());
    tried(&profile, &subjects, key, against)
}

/// The same for a PKCS#12 file without a profile: its client asks for nothing beyond a chain.
pub fn handshakes_pkcs12(bytes: &[u8], against: &Against) -> (Vec<Shaken>, Vec<Fault>) {
    let mut subjects = identity::check_pkcs12(bytes, against, &mut Faults::default());
    let key = subjects.key.take();
    tried(&Profile::read(b""), &subjects, key, against)
}

fn tried(
    profile: &Profile<'_>,
    subjects: &Subjects<'_>,
    key: Option<PrivateKey>,
    against: &Against,
) -> (Vec<Shaken>, Vec<Fault>) {
    let (mut shaken, mut faults) = (Vec::new(), Faults::default());
    match (against.other, subjects.own.as_ref(), key) {
        (None, ..) => faults.notes(Place::WHOLE, "no handshake was tried, since no server is known"),
        (Some(other), Some((own, _)), Some(key)) => {
            let client = client(own, subjects, &key);
            for (place, certificate) in other.certificates.iter().enumerate() {
                one_server(&client.end(), profile, other, place, certificate, against, &mut shaken, &mut faults);
            }
            if other.certificates.is_empty() {
                faults.notes(
                    Place::WHOLE,
                    format!("no handshake was tried: {} has no server's certificate", other.whose),
                );
            }
        }
        _ => faults.notes(Place::WHOLE, "no handshake was tried, since the client's key was not opened"),
    }
    (shaken, faults.sorted())
}

/// The client's half, owned.
struct Client<'a> {
    authorities: Vec<Vec<u8>>,
    chain: Vec<Vec<u8>>,
    key: &'a PrivateKey,
}

impl Client<'_> {
    fn end(&self) -> End<'_> {
        End { authorities: &self.authorities, chain: &self.chain, key: self.key }
    }
}

fn client<'k>(own: &Inspected, subjects: &Subjects<'_>, key: &'k PrivateKey) -> Client<'k> {
    // OpenSSL adds to the chain what it finds among the CAs (SSL_CTX_build_cert_chain)
    let between =
        subjects.extra.iter().chain(subjects.authorities.iter().filter(|authority| !authority.is_self_issued()));
    Client {
        authorities: ders(&subjects.authorities),
        chain: [own].into_iter().chain(between).map(|certificate| certificate.der.clone()).collect(),
        key,
    }
}

#[expect(clippy::too_many_arguments, reason = "both ends, and where what comes of it goes")]
fn one_server(
    client: &End<'_>,
    profile: &Profile<'_>,
    other: &OtherSide,
    place: usize,
    certificate: &Inspected,
    against: &Against,
    shaken: &mut Vec<Shaken>,
    faults: &mut Faults,
) {
    let name = escape(certificate.common_names.last().map_or("", String::as_str));
    let key = other.keys.get(place).map(|key| key::read(key.expose(), None));
    let Some(Ok(key)) = key else {
        let why = format!("no handshake with `{name}` was tried, since its private key was not opened");
        return faults.notes(Place::WHOLE, why);
    };
    let authorities = ders(&other.authorities);
    let chain = [certificate.der.clone()];
    let server = End { authorities: &authorities, chain: &chain, key: &key };
    let crl = other.revocations.as_ref().and_then(|list| list.as_ref().ok()).map(|list| list.der.as_slice());
    let mut refused: Vec<(Refused, Version)> = Vec::new();
    for version in Version::ALL {
        match shake(version, against.now, client, judge(profile), &server, crl) {
            Ok(agreed) => shaken.push(Shaken { server: name.clone(), agreed }),
            Err(why) => refused.push((why, version)),
        }
    }
    match refused.as_slice() {
        [] => {}
        [(one, _), (other, _)] if one == other => {
            faults.fails(Place::WHOLE, format!("handshakes of TLS 1.2 and 1.3 with `{name}`: {one}"));
        }
        several => {
            for (why, version) in several {
                faults.fails(Place::WHOLE, format!("a handshake of {version} with `{name}`: {why}"));
            }
        }
    }
}

/// `verify-x509-name` and `remote-cert-tls server` of the profile.
fn judge(profile: &Profile<'_>) -> Judge {
    let copy = |directive: &Directive<'_>| directive.words.clone();
    let named = profile.last("verify-x509-name").map(copy);
    let strict = profile.last("remote-cert-tls").is_some_and(|directive| directive.parameter(1) == Some("server"));
    Arc::new(move |der| {
        let certificate = pki::inspect(der).map_err(|error| error.to_string())?;
        if strict && (certificate.key_usage.is_none() || !certificate.purposes.is_some_and(|purposes| purposes.server))
        {
            return Err("its certificate lacks what `remote-cert-tls server` asks for".to_owned());
        }
        match named.as_deref() {
            Some([_, wanted, kind @ ..]) if !server::fits(kind.first().map(String::as_str), wanted, &certificate) => {
                Err(format!("`{}` is not the name that `verify-x509-name` asks for", escape(&certificate.subject)))
            }
            _ => Ok(()),
        }
    })
}

fn ders(certificates: &[Inspected]) -> Vec<Vec<u8>> {
    certificates.iter().map(|certificate| certificate.der.clone()).collect()
}
