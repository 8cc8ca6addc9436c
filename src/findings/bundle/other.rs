//! The side that answers, as facts: from the settings of an authority, or from the directory of a server.
//! Knows not which of the two it was.

use std::collections::{BTreeSet, HashMap};

use crate::{
    import::{package, Credentials, Package, Profile},
    inventory::Revocation,
    openvpn::{
        tls_crypt_v2::{ClientKey, ServerKey},
        StaticKey,
    },
    pki::{self, Crl, CrlError, Inspected, IssuerCertificate},
    secret::Secret,
    serial::Serial,
    validity::Validity,
};

/// A server and what it holds clients against.
pub struct OtherSide {
    /// What people call it.
    pub whose: String,
    /// The CAs by which it knows clients.
    pub authorities: Vec<Inspected>,
    /// The certificates of the servers that may answer.
    pub certificates: Vec<Inspected>,
    /// Their private keys, PEM, in the same order, as far as they are known.
    pub keys: Vec<Secret>,
    /// Whom it refuses; none where it reads no list.
    pub revocations: Option<Result<Revocations, String>>,
    /// The serials that it refuses by the names in a directory, whichever CA they are of; none where it has no such.
    pub serials: Option<BTreeSet<Serial>>,
    /// Its control channel keys: beside that of `tls-crypt-v2` a server may have one of the others, and takes clients with
    /// either (`options.c`, `options_postprocess_verify_ce`: they exclude each other in client mode only).
    pub controls: Vec<Control>,
    /// Its configuration, each line as words.
    pub directives: Vec<Vec<String>>,
}

/// A revocation list that is in force.
pub struct Revocations {
    /// When it holds.
    pub validity: Validity,
    /// Each serial that it refuses, of the CA whose name comes with it.
    pub refused: HashMap<Serial, Revocation>,
    /// Its issuer's name as it is encoded.
    pub issuer_der: Vec<u8>,
    /// The list itself.
    pub der: Vec<u8>,
}

/// The control channel key of one side.
pub struct Control {
    /// `tls-auth`, `tls-crypt` or `tls-crypt-v2`.
    pub word: String,
    /// The direction that is set.
    pub direction: Option<String>,
    /// None where it was not opened, or is of another kind than the directive.
    pub key: Option<ControlKey>,
}

/// The key itself.
pub enum ControlKey {
    /// Of `tls-auth` and `tls-crypt`: both sides have the same.
    Static(StaticKey),
    /// A client's own of `tls-crypt-v2`.
    Client(ClientKey),
    /// The one by which a server opens each client's.
    Server(ServerKey),
}

impl OtherSide {
    /// A server by its configuration and the files that it names. What of them is missing or broken is left out, and said.
    pub fn of(whose: String, package: &Package) -> (Self, Vec<String>) {
        let profile = Profile::read(package.profile.bytes.expose());
        let credentials = Credentials::of(package, &profile);
        let mut said = Vec::new();
        let mut certificates = |name: &str| match credentials.piece(name) {
            None => Vec::new(),
            Some(piece) => match inspected(piece.bytes) {
                Ok(found) => found,
                Err(why) => {
                    said.push(format!("`{name}` of {whose} {why}"));
                    Vec::new()
                }
            },
        };
        let authorities = certificates("ca");
        let own = certificates("cert").into_iter().next().into_iter().collect();
        let revocations = credentials.piece("crl-verify").map(|piece| Revocations::read(piece.bytes, &authorities));
        let controls = Control::all_of(&profile, &credentials);
        let keys = credentials.piece("key").map(|piece| Secret::new(piece.bytes.to_vec())).into_iter().collect();
        for (_, name, path) in &credentials.missing {
            said.push(format!(
                "`{name}` of {whose} names `{}`, which is not there: not compared",
                crate::name::escape(path)
            ));
        }
        let serials = package::serials(&profile).map(|dir| {
            let names = Names::of(package, dir);
            if names.count == 0 {
                said.push(format!(
                    "`crl-verify` of {whose} names `{}`, where nothing is: nobody is refused",
                    crate::name::escape(dir)
                ));
            }
            names.serials
        });
        for control in controls.iter().filter(|control| control.is_damaged(&credentials)) {
            said.push(format!("`{}` of {whose} holds no key of its kind: not compared", control.word));
        }
        let directives = profile.directives.into_iter().map(|directive| directive.words).collect();
        (Self { whose, authorities, certificates: own, keys, revocations, serials, controls, directives }, said)
    }

    /// The parameters of a directive, as often as it stands.
    pub fn all<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s [String]> + 's {
        let named = move |words: &&Vec<String>| words.first().is_some_and(|first| first == name);
        self.directives.iter().filter(named).map(|words| &words[1..])
    }

    /// Whether a serial is a name in its directory of serials.
    pub(super) fn names(&self, serial: &Serial) -> bool {
        self.serials.as_ref().is_some_and(|serials| serials.contains(serial))
    }

    /// Whether a directive stands there.
    pub fn says(&self, name: &str) -> bool {
        self.all(name).next().is_some()
    }

    /// The first parameter of a directive, the last time it stands.
    pub fn value(&self, name: &str) -> Option<&str> {
        let named = |words: &&Vec<String>| words.first().is_some_and(|first| first == name);
        self.directives.iter().rev().find(named)?.get(1).map(String::as_str)
    }
}

/// The names in a directory.
struct Names {
    count: usize,
    serials: BTreeSet<Serial>,
}

impl Names {
    fn of(package: &Package, dir: &str) -> Self {
        let path = package::joined(&package.profile.name, dir) + "/";
        let names: Vec<&str> = package.parts.iter().filter_map(|part| part.name.strip_prefix(&path)).collect();
        let serials = names.iter().filter_map(|name| Serial::from_decimal(name)).collect();
        Self { count: names.len(), serials }
    }
}

impl Revocations {
    /// Reads a list, which must be that of one of these CAs.
    pub fn read(pem: &[u8], authorities: &[Inspected]) -> Result<Self, String> {
        let crl = Crl::from_pem(pem).map_err(|error| error.to_string())?;
        let of =
            |authority: &Inspected| IssuerCertificate::parse(&authority.der).is_ok_and(|ca| crl.verify(&ca).is_ok());
        if !authorities.iter().any(of) {
            return Err(CrlError::OtherIssuer.to_string());
        }
        Ok(Self::of(&crl))
    }

    /// A list that was verified already.
    pub fn of(crl: &Crl) -> Self {
        let refused = crl.entries().iter().map(|entry| (entry.serial, entry.revocation)).collect();
        Self { validity: crl.validity(), refused, issuer_der: crl.issuer_der().to_vec(), der: crl.der().to_vec() }
    }
}

impl Control {
    /// The control channel keys of a configuration.
    pub(super) fn all_of(profile: &Profile<'_>, credentials: &Credentials<'_>) -> Vec<Self> {
        let named = WORDS.into_iter().filter(|word| profile.last(word).is_some());
        named.map(|word| Self::of(word, profile, credentials)).collect()
    }

    fn of(word: &str, profile: &Profile<'_>, credentials: &Credentials<'_>) -> Self {
        let piece = credentials.piece(word);
        let own = profile.last(word).filter(|directive| directive.block.is_none()).and_then(|found| found.parameter(2));
        let said = profile.last("key-direction").and_then(|directive| directive.parameter(1));
        let direction = if word == "tls-auth" { own.or(said).map(str::to_owned) } else { None };
        let key = piece.and_then(|piece| ControlKey::read(word, piece.bytes));
        Self { word: word.to_owned(), direction, key }
    }

    /// Whether the file is there and is none that a server has.
    fn is_damaged(&self, credentials: &Credentials<'_>) -> bool {
        matches!(self.key, None | Some(ControlKey::Client(_))) && credentials.piece(&self.word).is_some()
    }
}

impl ControlKey {
    fn read(word: &str, text: &[u8]) -> Option<Self> {
        if word != V2 {
            return StaticKey::parse(text).ok().map(Self::Static);
        }
        let client = || ClientKey::parse(text).ok().map(Self::Client);
        ServerKey::parse(text).ok().map(Self::Server).or_else(client)
    }
}

/// The certificates in a text, or why there are none.
pub(super) fn inspected(text: &[u8]) -> Result<Vec<Inspected>, String> {
    let ders = pki::certificates_from_pem(text).map_err(|error| format!("holds no certificate: {error}"))?;
    let read = ders.iter().map(|der| pki::inspect(der)).collect::<Result<Vec<_>, _>>();
    read.map_err(|error| format!("holds a certificate that cannot be read: {error}"))
}

/// The directives of a control channel key; a client has at most one (`options.c`, `options_postprocess_verify_ce`).
pub(super) const WORDS: [&str; 3] = ["tls-auth", "tls-crypt", V2];

/// The directive whose keys differ between clients and server.
pub(super) const V2: &str = "tls-crypt-v2";
