//! Whether a bundle that was just made is what was meant: read back by the reader of anybody's bundles, before it is
//! handed over.
//! Knows not how it was made; what is expected of it comes in.

use std::borrow::Cow;

use super::{
    check,
    identity::{self, ended, hangs_from},
    key::{proven, KeyProof},
    other::{inspected, WORDS},
    Against, Faults, Severity,
};
use crate::{
    import::{Credentials, Package, Piece, Profile},
    inventory::Role,
    name::escape,
    openvpn::StaticKey,
    pki::{self, inspect::Signed, Inspected, SignedLeaf},
    secret::Secret,
    time::Time,
};

/// The CA of all bundles of an act, read once.
pub struct Anchor {
    pem: String,
    certificates: Vec<Inspected>,
}

impl Anchor {
    /// Reads the CA's certificate, PEM; none when it is no certificate.
    pub fn of(pem: String) -> Option<Self> {
        let certificates = inspected(pem.as_bytes()).ok()?;
        Some(Self { pem, certificates })
    }

    /// As bundles hold it.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// What stands in a bundle as its CA: read anew unless it is this one, octet for octet.
    fn read(&self, text: &[u8]) -> Result<Cow<'_, [Inspected]>, String> {
        if text == self.pem.as_bytes() {
            return Ok(Cow::Borrowed(&self.certificates));
        }
        inspected(text).map(Cow::Owned)
    }
}

/// What a bundle is expected to hold.
#[derive(Clone, Copy)]
pub struct Expected<'a> {
    /// Whose it is.
    pub role: Role,
    /// The CA of the act.
    pub authority: &'a Anchor,
    /// The certificate, PEM.
    pub certificate_pem: &'a str,
    /// That certificate as it was signed, where that was in this act: its signature is not verified twice.
    pub signed: Option<&'a SignedLeaf>,
    /// The control channel key as it is written.
    pub control_key: &'a Secret,
    /// Whether it holds the private key; else its owner keeps that.
    pub with_key: bool,
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

/// The same of a server's certificate and key that go where the server runs, beside what is there already.
pub fn broken_credentials(key_pem: &Secret, expected: &Expected) -> Option<String> {
    prove_credentials(key_pem, expected).err()
}

/// What keeps a profile from working that was put together by its owner, who knows of no server: anything that fails
/// everywhere, and a chain that does not lead to the CA in it, by which an authority of ours knows clients, too.
pub fn flaw(package: &Package, now: Time) -> Option<String> {
    let against = Against { now, passphrase: None, other: None, programs: &[], inventory: None };
    let failing = check(package, &against).into_iter().find(|fault| fault.severity == Severity::Fails);
    if let Some(fault) = failing {
        return Some(fault.why);
    }
    let profile = Profile::read(package.profile.bytes.expose());
    let subjects = identity::check(&profile, &Credentials::of(package, &profile), &against, &mut Faults::default());
    let (own, _) = subjects.own.as_ref()?;
    let hangs = hangs_from(own, &subjects.authorities, &subjects.extra, now, None) != Signed::No;
    (!hangs).then(|| "the CA in it did not sign the certificate".to_owned())
}

fn prove_credentials(key_pem: &Secret, expected: &Expected) -> Result<(), String> {
    let own = inspected(expected.certificate_pem.as_bytes()).map_err(|why| format!("the certificate {why}"))?;
    let own = own.first().ok_or("there is no certificate")?;
    certified(own, &expected.authority.certificates, expected)?;
    own_key(key_pem.expose(), own, expected)
}

fn prove(package: &Package, expected: &Expected) -> Result<(), String> {
    let profile = Profile::read(package.profile.bytes.expose());
    if let Some(fault) = profile.faults.iter().find(|fault| fault.fatal) {
        return Err(format!("line {} of its profile: {}", fault.line, fault.what));
    }
    let credentials = Credentials::of(package, &profile);
    match expected.role {
        Role::Client => whole(&profile, &credentials, expected)?,
        // a server's template may name its files by where they will lie; they are looked at under their own names
        Role::Server => return prove_server(package, expected),
    }
    control_key(&profile, &credentials, expected)?;
    let authorities = match credentials.piece("ca") {
        None => Cow::default(),
        Some(piece) => expected.authority.read(piece.bytes).map_err(|why| format!("`ca` in it {why}"))?,
    };
    if let Some(piece) = credentials.piece("pkcs12") {
        return prove_pkcs12(piece.bytes, expected);
    }
    let own = match credentials.piece("cert") {
        None => Vec::new(),
        Some(piece) => inspected(piece.bytes).map_err(|why| format!("`cert` in it {why}"))?,
    };
    let own = own.first().ok_or("it holds no certificate")?;
    certified(own, &authorities, expected)?;
    if !expected.with_key {
        return Ok(());
    }
    own_key(piece(&credentials, "key")?.bytes, own, expected)
}

/// A client has all that it needs in the bundle.
fn whole(profile: &Profile<'_>, credentials: &Credentials<'_>, expected: &Expected) -> Result<(), String> {
    let with_owner = |name: &str| name == "key" && !expected.with_key;
    if let Some((line, name, path)) = credentials.missing.iter().find(|(_, name, _)| !with_owner(name)) {
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
    let unread = |name: &str, why| format!("`{name}` in it {why}");
    let authorities = expected.authority.read(file("ca.crt")?).map_err(|why| unread("ca.crt", why))?;
    let own = inspected(file("server.crt")?).map_err(|why| unread("server.crt", why))?;
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
    same_key(piece(credentials, word)?.bytes, word, expected)
}

fn same_key(text: &[u8], word: &str, expected: &Expected) -> Result<(), String> {
    let wanted = expected.control_key.expose();
    if text.trim_ascii() == wanted.trim_ascii() {
        return Ok(());
    }
    let same = match StaticKey::parse(wanted) {
        Ok(wanted) => {
            StaticKey::parse(text).map_err(|error| error.to_string())?.to_pem().expose() == wanted.to_pem().expose()
        }
        // a client's own key of tls-crypt-v2, or the servers', which has one form
        Err(_) => false,
    };
    same.then_some(()).ok_or_else(|| format!("the key in `{word}` is not the one that was meant"))
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
    if hangs_from(own, authorities, &[], expected.now, expected.signed) != Signed::Yes {
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

fn piece<'c, 'a>(credentials: &'c Credentials<'a>, name: &str) -> Result<&'c Piece<'a>, String> {
    credentials.piece(name).ok_or_else(|| format!("it holds no `{name}`"))
}
