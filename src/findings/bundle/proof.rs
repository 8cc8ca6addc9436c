//! Whether a bundle that was just made is what was meant: read back by the reader of anybody's bundles, before it is
//! handed over.
//! Knows not how it was made; what is expected of it comes in.

use super::{
    identity::{ended, hangs_from},
    key::{proven, KeyProof},
    other::{inspected, WORDS},
};
use crate::{
    import::{Credentials, Package, Piece, Profile},
    inventory::Role,
    name::escape,
    openvpn::StaticKey,
    pki::{self, inspect::Signed, Inspected},
    secret::Secret,
    time::Time,
};

/// What a bundle is expected to hold.
#[derive(Clone, Copy)]
pub struct Expected<'a> {
    /// Whose it is.
    pub role: Role,
    /// The certificate, PEM.
    pub certificate_pem: &'a str,
    /// The control channel key as it is written.
    pub control_key: &'a Secret,
    /// What opens the private key, where that is encrypted.
    pub passphrase: Option<&'a Secret>,
    /// As of when it must work.
    pub now: Time,
}

/// What keeps a bundle from working; none when it works.
pub fn broken(package: &Package, expected: &Expected) -> Option<String> {
    prove(package, expected).err()
}

/// The same of a PKCS#12 file.
pub fn broken_pkcs12(bytes: &[u8], expected: &Expected) -> Option<String> {
    prove_pkcs12(bytes, expected).err()
}

fn prove(package: &Package, expected: &Expected) -> Result<(), String> {
    let profile = Profile::read(package.profile.bytes.expose());
    if let Some(fault) = profile.faults.iter().find(|fault| fault.fatal) {
        return Err(format!("line {} of its profile: {}", fault.line, fault.what));
    }
    let credentials = Credentials::of(package, &profile);
    match expected.role {
        Role::Client => whole(&profile, &credentials)?,
        // a server's template may name its files by where they will lie; they are looked at under their own names
        Role::Server => return prove_server(package, expected),
    }
    control_key(&profile, &credentials, expected)?;
    let authorities = certificates(&credentials, "ca")?;
    if let Some(piece) = credentials.piece("pkcs12") {
        return prove_pkcs12(piece.bytes, expected);
    }
    let own = certificates(&credentials, "cert")?;
    let own = own.first().ok_or("it holds no certificate")?;
    certified(own, &authorities, expected)?;
    own_key(piece(&credentials, "key")?.bytes, own, expected)
}

/// A client has all that it needs in the bundle.
fn whole(profile: &Profile<'_>, credentials: &Credentials<'_>) -> Result<(), String> {
    if let Some((line, name, path)) = credentials.missing.first() {
        return Err(format!("line {line} of its profile names `{}` for `{name}`, which is not in it", escape(path)));
    }
    let lacking = |names: &&[&str]| names.iter().all(|name| profile.last(name).is_none());
    let needed: [&[&str]; 3] = [&["client", "tls-client"], &["dev"], &["remote"]];
    match needed.iter().find(|names| lacking(names)) {
        Some(names) => Err(format!("its profile has no `{}`", names[0])),
        None => Ok(()),
    }
}

fn prove_server(package: &Package, expected: &Expected) -> Result<(), String> {
    let file = |name: &str| {
        let found = package.parts.iter().find(|part| part.name == name);
        found.map(|part| part.bytes.expose()).ok_or_else(|| format!("it holds no `{name}`"))
    };
    let read = |name: &str| inspected(file(name)?).map_err(|why| format!("`{name}` in it {why}"));
    let (authorities, own) = (read("ca.crt")?, read("server.crt")?);
    let own = own.first().ok_or("it holds no certificate")?;
    certified(own, &authorities, expected)?;
    same_key(file("ta.key")?, "ta.key", expected)?;
    own_key(file("server.key")?, own, expected)
}

fn own_key(text: &[u8], own: &Inspected, expected: &Expected) -> Result<(), String> {
    match proven(text, expected.passphrase, own) {
        KeyProof::Proven => Ok(()),
        KeyProof::Foreign => Err("the private key in it is not that of the certificate".to_owned()),
        KeyProof::Closed => Err("the private key in it does not open without a passphrase".to_owned()),
        KeyProof::Unread(error) | KeyProof::Damaged(error) => Err(format!("the private key in it: {error}")),
    }
}

fn control_key(profile: &Profile<'_>, credentials: &Credentials<'_>, expected: &Expected) -> Result<(), String> {
    let words: Vec<&str> = WORDS.into_iter().filter(|word| profile.last(word).is_some()).collect();
    let [word] = words.as_slice() else { return Err("it has no control channel key, or several".to_owned()) };
    // a key for `tls-crypt-v2` is a client's own and made for it; only the others are the same for all
    if *word == "tls-crypt-v2" {
        return Ok(());
    }
    same_key(piece(credentials, word)?.bytes, word, expected)
}

fn same_key(text: &[u8], word: &str, expected: &Expected) -> Result<(), String> {
    let read = |bytes: &[u8]| StaticKey::parse(bytes).map_err(|error| error.to_string());
    let (found, wanted) = (read(text)?, read(expected.control_key.expose())?);
    let same = found.to_pem().expose() == wanted.to_pem().expose();
    same.then_some(()).ok_or_else(|| format!("the key in `{word}` is not that of the servers"))
}

fn certified(own: &Inspected, authorities: &[Inspected], expected: &Expected) -> Result<(), String> {
    let meant = pki::certificates_from_pem(expected.certificate_pem.as_bytes()).map_err(|error| error.to_string())?;
    if meant.first() != Some(&own.der) {
        return Err("the certificate in it is another than was asked for".to_owned());
    }
    for (whose, certificate) in
        authorities.iter().map(|ca| ("the CA in it", ca)).chain([("the certificate in it", own)])
    {
        if let Some(ended) = ended(certificate, expected.now) {
            return Err(format!("{whose} {ended}"));
        }
    }
    if hangs_from(own, authorities, &[], expected.now) != Signed::Yes {
        return Err("the CA in it did not sign the certificate".to_owned());
    }
    let fits = own.purposes.is_some_and(|purposes| match expected.role {
        Role::Client => purposes.client,
        Role::Server => purposes.server,
    });
    fits.then_some(()).ok_or_else(|| format!("the certificate in it is not that of a {}", expected.role))
}

fn prove_pkcs12(bytes: &[u8], expected: &Expected) -> Result<(), String> {
    let nothing = Secret::new(Vec::new());
    let opened = pki::read_pkcs12(bytes, expected.passphrase.unwrap_or(&nothing));
    let opened = opened.map_err(|error| format!("the PKCS#12 in it: {error}"))?;
    let read = opened.certificates.iter().map(|der| pki::inspect(der)).collect::<Result<Vec<_>, _>>();
    let read = read.map_err(|error| format!("a certificate in its PKCS#12: {error}"))?;
    let (authorities, others): (Vec<_>, Vec<_>) = read.into_iter().partition(|found| found.authority.is_some());
    let own = others.first().ok_or("its PKCS#12 holds no certificate")?;
    certified(own, &authorities, expected)?;
    let signs = pki::proves(&opened.key, &own.spki);
    signs.then_some(()).ok_or_else(|| "the private key in its PKCS#12 is not that of the certificate".to_owned())
}

fn certificates(credentials: &Credentials<'_>, name: &str) -> Result<Vec<Inspected>, String> {
    match credentials.piece(name) {
        None => Ok(Vec::new()),
        Some(piece) => inspected(piece.bytes).map_err(|why| format!("`{name}` in it {why}")),
    }
}

fn piece<'c, 'a>(credentials: &'c Credentials<'a>, name: &str) -> Result<&'c Piece<'a>, String> {
    credentials.piece(name).ok_or_else(|| format!("it holds no `{name}`"))
}
