//! The control channel key of a bundle: well-formed, used in one way, and that of the server.
//! Knows no key's bytes but to compare them.

use super::{
    other::{Control, ControlKey, OtherSide, V2, WORDS},
    Faults, Place,
};
use crate::{
    import::{Credentials, Profile},
    openvpn::{
        tls_crypt_v2::{ClientKey, TlsCryptV2Error},
        StaticKey,
    },
};

pub(super) fn check(
    profile: &Profile<'_>,
    credentials: &Credentials<'_>,
    other: Option<&OtherSide>,
    faults: &mut Faults,
) {
    let words: Vec<&str> = WORDS.into_iter().filter(|word| profile.last(word).is_some()).collect();
    if let [_, second, ..] = words.as_slice() {
        let line = profile.last(second).map_or(1, |directive| directive.line);
        faults.fails(Place::line(line), format!("`{}` and `{second}` exclude each other in a client", words[0]));
        return;
    }
    let own = Control::all_of(profile, credentials).pop();
    let place = own.as_ref().map_or(Place::WHOLE, |own| place_of(profile, &own.word));
    if let Some(own) = &own {
        well_formed(own, credentials, faults);
    }
    let Some(other) = other else {
        if own.as_ref().is_some_and(|own| own.word == "tls-auth" && own.direction.is_none()) {
            faults.notes(place, "`tls-auth` without a direction: works only where the server sets none either");
        }
        return;
    };
    match (&own, other.controls.as_slice()) {
        (None, []) => {}
        (None, theirs) => {
            faults.fails(place, format!("has no {} key, without which {} does not answer", named(theirs), other.whose));
        }
        (Some(own), []) => faults.fails(place, format!("has a `{}` key, and {} has none", own.word, other.whose)),
        (Some(own), theirs) => match theirs.iter().find(|theirs| theirs.word == own.word) {
            Some(theirs) => compare(own, theirs, place, &other.whose, faults),
            None => {
                faults.fails(place, format!("has a `{}` key, and {} wants {}", own.word, other.whose, named(theirs)));
            }
        },
    }
}

fn named(controls: &[Control]) -> String {
    controls.iter().map(|control| format!("`{}`", control.word)).collect::<Vec<_>>().join(" or ")
}

fn well_formed(own: &Control, credentials: &Credentials<'_>, faults: &mut Faults) {
    let Some(piece) = credentials.piece(&own.word) else { return };
    let place = Place::of(piece);
    if own.word == V2 {
        let has = |label: &[u8]| piece.bytes.windows(label.len()).any(|window| window == label);
        if has(b"-----BEGIN OpenVPN tls-crypt-v2 server key-----") {
            faults.fails(place, "`tls-crypt-v2` holds the key of a server; a client has one of its own");
        } else if let Err(error) = ClientKey::parse(piece.bytes) {
            faults.fails(place, format!("`tls-crypt-v2` holds no client's key: {error}"));
        }
        return;
    }
    if let Err(error) = StaticKey::parse(piece.bytes) {
        faults.fails(place, format!("`{}`: {error}", own.word));
    }
    if !matches!(own.direction.as_deref(), None | Some("0" | "1")) {
        faults.fails(place, "the direction of `tls-auth` is 0 or 1");
    }
}

fn compare(own: &Control, theirs: &Control, place: Place<'_>, whose: &str, faults: &mut Faults) {
    if let Some(what) = difference(own, theirs) {
        let why = format!("`{}` {what} {whose}, which drops every packet of this client without a word", own.word);
        faults.fails(place, why);
    }
    if own.word != "tls-auth" || theirs.word != "tls-auth" {
        return;
    }
    let fits = match (own.direction.as_deref(), theirs.direction.as_deref()) {
        (None, None) => true,
        (Some(own), Some(theirs)) => own != theirs,
        _ => false,
    };
    if !fits {
        let said =
            |direction: &Option<String>| direction.clone().map_or("none".to_owned(), |said| crate::name::escape(&said));
        let why = format!(
            "the directions of `tls-auth` do not fit: {} here, {} at {whose}",
            said(&own.direction),
            said(&theirs.direction)
        );
        faults.fails(place, why);
    }
}

/// How the client's key is none for the server, as far as both are known.
fn difference(own: &Control, theirs: &Control) -> Option<&'static str> {
    match (own.key.as_ref()?, theirs.key.as_ref()?) {
        (ControlKey::Static(own), ControlKey::Static(theirs)) => {
            (own.to_pem().expose() != theirs.to_pem().expose()).then_some("is not the key of")
        }
        (ControlKey::Client(own), ControlKey::Server(theirs)) => match own.unwrap(theirs) {
            Ok(_) => None,
            // what the client encrypts with is not what the server unwraps (tls_crypt.c, tls_crypt_v2_unwrap_client_key)
            Err(TlsCryptV2Error::Twofold) => Some("holds one key for the client and another for"),
            Err(_) => Some("was wrapped for another server, or is damaged: it does not open with the key of"),
        },
        _ => None,
    }
}

fn place_of(profile: &Profile<'_>, word: &str) -> Place<'static> {
    profile.last(word).map_or(Place::WHOLE, |directive| Place::line(directive.line))
}
