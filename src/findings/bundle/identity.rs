//! The certificates and the key of a bundle: whether they belong together, hold now, and may do what a client does.
//! Knows no server; `server` holds them against one.

use super::{
    key::{proven, KeyProof},
    other::inspected,
    Against, Faults, Place,
};
use crate::{
    import::{Credentials, Piece, Profile},
    name::escape,
    pki::{
        self,
        inspect::{KeyKind, SignatureKind, Signed, DIGITAL_SIGNATURE, KEY_AGREEMENT},
        Inspected, KeyLock, Pkcs12Error, PrivateKey, SignedLeaf,
    },
    secret::Secret,
    time::Time,
};

/// The certificates of a bundle.
#[derive(Default)]
pub(super) struct Subjects<'a> {
    /// In `ca`.
    pub authorities: Vec<Inspected>,
    /// The client's own, and where it stands.
    pub own: Option<(Inspected, Place<'a>)>,
    /// What comes with it for its chain.
    pub extra: Vec<Inspected>,
    /// The client's key out of a PKCS#12 that was opened.
    pub key: Option<PrivateKey>,
    /// What the client's key is encrypted by, where it stands by itself.
    pub lock: Option<KeyLock>,
}

pub(super) fn check<'a>(
    profile: &Profile<'a>,
    credentials: &Credentials<'a>,
    against: &Against,
    faults: &mut Faults,
) -> Subjects<'a> {
    let mut subjects = Subjects::default();
    authorities(profile, credentials, against.now, &mut subjects, faults);
    let (certificate, key) = (credentials.piece("cert"), credentials.piece("key"));
    subjects.lock = key.and_then(|piece| pki::key_lock(piece.bytes));
    let lacks = credentials.lacks("cert") || credentials.lacks("key");
    match (certificate, key) {
        (Some(certificate), key) => {
            own(certificate, credentials, &mut subjects, faults);
            if let (Some(key), Some((certificate, place))) = (key, &subjects.own) {
                private_key(key, certificate, *place, against, faults);
            } else if key.is_none() && !lacks {
                faults.fails(Place::of(certificate), "there is a certificate and no private key");
            }
        }
        (None, Some(key)) if !lacks => faults.fails(Place::of(key), "there is a private key and no certificate"),
        (None, _) if lacks => {}
        (None, _) => match credentials.piece("pkcs12") {
            Some(piece) => pkcs12(piece, against, &mut subjects, faults),
            None if profile.last("cryptoapicert").or(profile.last("pkcs11-id")).is_some() => {
                faults.notes(Place::WHOLE, "the certificate is in a store of the client's, and was not checked");
            }
            None => faults.notes(Place::WHOLE, NO_CERTIFICATE),
        },
    }
    judge_own(&subjects, against, faults);
    subjects
}

/// A PKCS#12 file that stands for itself.
pub(super) fn check_pkcs12<'a>(bytes: &'a [u8], against: &Against, faults: &mut Faults) -> Subjects<'a> {
    let mut subjects = Subjects::default();
    open_pkcs12(bytes, Place::WHOLE, against, &mut subjects, faults);
    judge_own(&subjects, against, faults);
    subjects
}

fn judge_own(subjects: &Subjects<'_>, against: &Against, faults: &mut Faults) {
    if let Some((certificate, place)) = &subjects.own {
        judge(certificate, *place, against.now, faults);
        chain(certificate, *place, subjects, against, faults);
    }
}

/// In a block it is base64, in a file DER (`tls_ctx_load_pkcs12`, `ssl_openssl.c`).
fn pkcs12<'a>(piece: &Piece<'a>, against: &Against, subjects: &mut Subjects<'a>, faults: &mut Faults) {
    let place = Place::of(piece);
    if piece.part.is_some() {
        return open_pkcs12(piece.bytes, place, against, subjects, faults);
    }
    match pki::from_base64(piece.bytes) {
        Some(der) => open_pkcs12(der.expose(), place, against, subjects, faults),
        None => faults.fails(place, "`pkcs12` is no base64"),
    }
}

fn open_pkcs12<'a>(der: &[u8], place: Place<'a>, against: &Against, subjects: &mut Subjects<'a>, faults: &mut Faults) {
    let nothing = Secret::new(Vec::new());
    let opened = match pki::read_pkcs12(der, against.passphrase.unwrap_or(&nothing)) {
        Ok(opened) => opened,
        Err(Pkcs12Error::Locked(_)) if against.passphrase.is_none() => {
            return faults.notes(place, "the PKCS#12 was not opened; `--key-passphrase-file` opens it");
        }
        Err(error) => return faults.fails(place, format!("the PKCS#12 cannot be used: {error}")),
    };
    let mut found = Vec::new();
    for der in &opened.certificates {
        match pki::inspect(der) {
            Ok(certificate) => found.push(certificate),
            Err(error) => faults.fails(place, format!("a certificate in the PKCS#12 cannot be used: {error}")),
        }
    }
    let is_own = |certificate: &Inspected| pki::proves(&opened.key, &certificate.spki);
    match found.iter().position(is_own) {
        Some(own) => subjects.own = Some((found.remove(own), place)),
        None => faults.fails(place, "the private key in the PKCS#12 is that of no certificate in it"),
    }
    if subjects.authorities.is_empty() {
        subjects.authorities = found.iter().filter(|certificate| certificate.authority.is_some()).cloned().collect();
    }
    subjects.extra = found;
    subjects.key = Some(opened.key);
}

fn authorities(
    profile: &Profile<'_>,
    credentials: &Credentials<'_>,
    now: Time,
    subjects: &mut Subjects<'_>,
    faults: &mut Faults,
) {
    let Some(piece) = credentials.piece("ca") else {
        let otherwise = ["peer-fingerprint", "capath", "pkcs12"].iter().any(|name| profile.last(name).is_some());
        if !credentials.lacks("ca") && !otherwise {
            faults.fails(Place::WHOLE, "there is no `ca`: a client does not start without");
        }
        return;
    };
    let place = Place::of(piece);
    match inspected(piece.bytes) {
        Ok(found) => subjects.authorities = found,
        Err(why) => faults.fails(place, format!("`ca` {why}")),
    }
    let over = |authority: &&Inspected| ended(authority, now).is_some();
    let ended_ones = subjects.authorities.iter().filter(over).count();
    for authority in subjects.authorities.iter().filter(over) {
        let why = format!("the CA `{}` {}", escape(&authority.subject), ended(authority, now).unwrap_or_default());
        if ended_ones == subjects.authorities.len() {
            faults.fails(place, why);
        } else {
            faults.warns(place, why);
        }
    }
    for authority in &subjects.authorities {
        if !authority.may_sign() {
            let why = format!("`{}` in `ca` is no CA that may sign certificates", escape(&authority.subject));
            faults.fails(place, why);
        }
    }
}

fn own<'a>(piece: &Piece<'a>, credentials: &Credentials<'a>, subjects: &mut Subjects<'a>, faults: &mut Faults) {
    let place = Place::of(piece);
    match inspected(piece.bytes) {
        Err(why) => faults.fails(place, format!("`cert` {why}")),
        Ok(mut found) => {
            // at least one, else there would have been an error
            let certificate = found.remove(0);
            if !found.is_empty() {
                faults.warns(place, "`cert` holds a chain, of which OpenVPN Connect reads the first certificate only; put the others into `ca`");
            }
            subjects.extra = found;
            subjects.own = Some((certificate, place));
        }
    }
    if let Some(extra) = credentials.piece("extra-certs") {
        match inspected(extra.bytes) {
            Ok(found) => subjects.extra.extend(found),
            Err(why) => faults.fails(Place::of(extra), format!("`extra-certs` {why}")),
        }
    }
}

fn private_key(piece: &Piece<'_>, certificate: &Inspected, place: Place<'_>, against: &Against, faults: &mut Faults) {
    let at = Place::of(piece);
    match proven(piece.bytes, against.passphrase, certificate) {
        KeyProof::Proven => {}
        KeyProof::Foreign => {
            let other = place.line.map_or_else(String::new, |line| format!(" in line {line}"));
            faults.fails(at, format!("the private key is not that of the certificate{other}"));
        }
        KeyProof::Closed => {
            faults.notes(at, "the private key is encrypted and was not opened; `--key-passphrase-file` opens it");
        }
        KeyProof::Unread(error) => faults.notes(at, format!("the private key was not compared: {error}")),
        KeyProof::Damaged(error) => faults.fails(at, format!("the private key cannot be used: {error}")),
    }
}

fn judge(certificate: &Inspected, place: Place<'_>, now: Time, faults: &mut Faults) {
    if let Some(ended) = ended(certificate, now) {
        faults.fails(place, format!("the certificate {ended}"));
    } else if now.days_until(certificate.not_after) < SOON {
        faults.warns(place, format!("the certificate ends on {}", certificate.not_after.date()));
    }
    common_name(certificate, place, faults);
    strength(certificate, place, faults);
    match certificate.purposes {
        Some(purposes) if !purposes.client => {
            faults.fails(place, "the certificate is not for clients: its extendedKeyUsage lacks clientAuth");
        }
        None => faults.warns(
            place,
            "the certificate has no extendedKeyUsage: a server that says `remote-cert-tls client` refuses it",
        ),
        Some(_) => {}
    }
    match certificate.key_usage {
        // OpenSSL's purpose of an SSL client (v3_purp.c, check_purpose_ssl_client)
        Some(usage) if usage & (DIGITAL_SIGNATURE | KEY_AGREEMENT) == 0 => {
            faults.fails(
                place,
                "the certificate's keyUsage has neither digitalSignature nor keyAgreement, so no server takes it",
            );
        }
        None => faults
            .warns(place, "the certificate has no keyUsage: a server that says `remote-cert-tls client` refuses it"),
        Some(_) => {}
    }
}

/// What a server makes of the CN (`verify_cert`, `ssl_verify.c`; `TLS_USERNAME_LEN` is 64).
fn common_name(certificate: &Inspected, place: Place<'_>, faults: &mut Faults) {
    match certificate.common_names.as_slice() {
        [] => faults.fails(place, "the certificate's subject has no CN, without which servers refuse it"),
        [name] if name.is_empty() => faults.fails(place, "the certificate's CN is empty, and servers refuse it"),
        [name] if name.len() > 64 => {
            faults.fails(place, format!("the certificate's CN has {} bytes, servers take at most 64", name.len()));
        }
        [_] => {}
        _ => faults.warns(
            place,
            "the certificate has several CNs: servers take the last with OpenSSL, the first with mbed TLS",
        ),
    }
}

/// OpenSSL's security level 1, which `tls-cert-profile legacy` means (`tls_ctx_set_cert_profile`, `ssl_openssl.c`).
fn strength(certificate: &Inspected, place: Place<'_>, faults: &mut Faults) {
    match certificate.key {
        KeyKind::Rsa(bits) if bits < 1024 => {
            faults.fails(place, format!("an RSA key of {bits} bits is refused by every current build"));
        }
        KeyKind::Rsa(bits) if bits < 2048 => {
            faults.warns(
                place,
                format!("an RSA key of {bits} bits is weak, and refused with `tls-cert-profile preferred`"),
            );
        }
        KeyKind::OtherCurve => {
            faults.fails(place, "the certificate's curve is none of P-256, P-384 and P-521, and refused");
        }
        _ => {}
    }
    match certificate.signature {
        SignatureKind::Md5 => faults.fails(place, "the certificate is signed with MD5, which no current build accepts"),
        SignatureKind::Sha1 => faults.fails(
            place,
            "the certificate is signed with SHA-1, which builds with OpenSSL 3 refuse (`ca md too weak`)",
        ),
        SignatureKind::Sound | SignatureKind::Other => {}
    }
}

/// Whether the client's certificate hangs from one of its own CAs. Where the server is known, `server` looks at the
/// server's, which decide.
fn chain(certificate: &Inspected, place: Place<'_>, subjects: &Subjects<'_>, against: &Against, faults: &mut Faults) {
    if against.other.is_some() || subjects.authorities.is_empty() {
        return;
    }
    match hangs_from(certificate, &subjects.authorities, &subjects.extra, against.now, None) {
        Signed::Yes => {}
        Signed::Unverified => faults.notes(place, "the signature of the certificate is of a kind that was not verified here"),
        Signed::No => faults.warns(
            place,
            format!(
                "no CA in `ca` signed the certificate, but `{}`: it works only where the server knows clients by another CA",
                escape(&certificate_issuer(certificate))
            ),
        ),
    }
}

fn certificate_issuer(certificate: &Inspected) -> String {
    pki::inspect::name_text(&certificate.issuer_der)
}

/// Whether a chain leads from a certificate through others to a root among `anchors`. As OpenSSL builds it: a root is
/// self-issued, each CA may sign, and its pathLenConstraint holds (RFC 5280, 6.1.4). Whether a CA has ended is said apart.
/// A signature that was verified already when it was made is not verified again.
pub(super) fn hangs_from(
    certificate: &Inspected,
    anchors: &[Inspected],
    between: &[Inspected],
    now: Time,
    verified: Option<&SignedLeaf>,
) -> Signed {
    let mut verdict = Signed::Yes;
    let mut below = certificate;
    for depth in 0..LONGEST_CHAIN {
        let signed = |issuer| {
            let issuer: &Inspected = issuer;
            let room = issuer.authority.flatten().is_none_or(|most| most >= depth);
            let signed = match verified {
                _ if !issuer.may_sign() || !room => Signed::No,
                Some(leaf) if leaf.is_verified(&below.der, &issuer.der) => Signed::Yes,
                _ => below.signed_by(issuer),
            };
            (signed != Signed::No).then_some((issuer, signed))
        };
        let all = || anchors.iter().chain(between);
        // one that holds goes before its twin that does not
        let holding = all().filter(|issuer| ended(issuer, now).is_none()).find_map(signed);
        let Some((issuer, signed)) = holding.or_else(|| all().find_map(signed)) else { return Signed::No };
        if signed == Signed::Unverified {
            verdict = Signed::Unverified;
        }
        if issuer.is_self_issued() {
            return if anchors.contains(issuer) { verdict } else { Signed::No };
        }
        below = issuer;
    }
    Signed::No
}

/// How it is said that a certificate does not hold now.
pub(super) fn ended(certificate: &Inspected, now: Time) -> Option<String> {
    if now > certificate.not_after {
        Some(format!("ended on {}", certificate.not_after.date()))
    } else if now < certificate.not_before {
        Some(format!("begins on {} only: it is not valid yet, or the clock is behind", certificate.not_before.date()))
    } else {
        None
    }
}

const NO_CERTIFICATE: &str =
    "there is neither certificate nor key in it: the program asks for them, or the server knows its users otherwise";

/// Days before the end in which it is worth a warning.
const SOON: i64 = 30;

const LONGEST_CHAIN: u32 = 8;
