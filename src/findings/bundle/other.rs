//! The side that answers, as facts: from the settings of an authority, or from the directory of a server.
//! Knows not which of the two it was.

use std::collections::HashMap;

use crate::{
    import::{Credentials, Package, Profile},
    inventory::Revocation,
    openvpn::StaticKey,
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
    /// Its control channel key: the directive, its direction, and the key where it is known.
    pub control: Option<Control>,
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
    /// The file as it is written; none where it was not opened.
    pub key: Option<StaticKey>,
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
        let control = Control::of(&profile, &credentials);
        let keys = credentials.piece("key").map(|piece| Secret::new(piece.bytes.to_vec())).into_iter().collect();
        for (_, name, path) in &credentials.missing {
            said.push(format!(
                "`{name}` of {whose} names `{}`, which is not there: not compared",
                crate::name::escape(path)
            ));
        }
        let directives = profile.directives.into_iter().map(|directive| directive.words).collect();
        (Self { whose, authorities, certificates: own, keys, revocations, control, directives }, said)
    }

    /// The parameters of a directive, as often as it stands.
    pub fn all<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s [String]> + 's {
        let named = move |words: &&Vec<String>| words.first().is_some_and(|first| first == name);
        self.directives.iter().filter(named).map(|words| &words[1..])
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
    /// The control channel key of a configuration.
    pub(super) fn of(profile: &Profile<'_>, credentials: &Credentials<'_>) -> Option<Self> {
        let word = WORDS.into_iter().find(|word| profile.last(word).is_some())?;
        let piece = credentials.piece(word);
        let own = profile.last(word).filter(|directive| directive.block.is_none()).and_then(|found| found.parameter(2));
        let said = profile.last("key-direction").and_then(|directive| directive.parameter(1));
        let direction = if word == "tls-auth" { own.or(said).map(str::to_owned) } else { None };
        let key = piece.and_then(|piece| StaticKey::parse(piece.bytes).ok());
        Some(Self { word: word.to_owned(), direction, key })
    }
}

/// The certificates in a text, or why there are none.
pub(super) fn inspected(text: &[u8]) -> Result<Vec<Inspected>, String> {
    let ders = pki::certificates_from_pem(text).map_err(|error| format!("holds no certificate: {error}"))?;
    let read = ders.iter().map(|der| pki::inspect(der)).collect::<Result<Vec<_>, _>>();
    read.map_err(|error| format!("holds a certificate that cannot be read: {error}"))
}

/// The directives of a control channel key; a client has at most one (`options.c`, `options_postprocess_verify_ce`).
pub(super) const WORDS: [&str; 3] = ["tls-auth", "tls-crypt", "tls-crypt-v2"];
