//! With which programs a profile is known to fail: one line for each cause, the programs together.
//! Knows no rule; they stand in `bundle::program`.

use super::{identity::Subjects, Faults, OtherSide, Place, Severity};
use crate::{
    bundle::program::{self, Facts, Holder, Program, Refusal},
    import::Profile,
    pki::{inspect::KeyKind, Inspected},
};

pub(super) fn check(
    profile: &Profile<'_>,
    bytes: usize,
    subjects: &Subjects<'_>,
    other: Option<&OtherSide>,
    wanted: &[Program],
    faults: &mut Faults,
) {
    let directives: Vec<Vec<String>> = profile.directives.iter().map(words).collect();
    let keys: Vec<(Holder, program::KeyKind)> = keys(subjects, other);
    let facts = Facts { directives: &directives, keys: &keys, lock: subjects.lock, bytes: Some(bytes) };
    let programs = if wanted.is_empty() { &PROMISED[..] } else { wanted };
    let mut causes: Vec<(Refusal, Vec<Program>)> = Vec::new();
    for &program in programs {
        for refusal in program::refusals(program, &facts) {
            match causes.iter_mut().find(|(known, _)| known.what == refusal.what && known.why == refusal.why) {
                Some((_, whom)) => whom.push(program),
                None => causes.push((refusal, vec![program])),
            }
        }
    }
    for (refusal, whom) in causes {
        // what the newest OpenVPN refuses, or the program that is meant, fails; elsewhere it works
        let fails = !wanted.is_empty() || whom.contains(&Program::Openvpn);
        let severity = if fails { Severity::Fails } else { Severity::Warning };
        let place = line_of(profile, &refusal.what).map_or(Place::WHOLE, Place::line);
        let titles = whom.into_iter().map(Program::title).collect();
        faults.on(severity, titles, place, format!("{}: {}; {}", refusal.what, refusal.why, refusal.way));
    }
}

/// As `Facts` wants them: an inline block is the one word `<ca>`.
fn words(directive: &crate::import::Directive<'_>) -> Vec<String> {
    let is_block = directive.block.is_some() || directive.name() == crate::import::profile::CONNECTION;
    if is_block {
        vec![format!("<{}>", directive.name())]
    } else {
        directive.words.clone()
    }
}

fn keys(subjects: &Subjects<'_>, other: Option<&OtherSide>) -> Vec<(Holder, program::KeyKind)> {
    let own = subjects.own.iter().map(|(certificate, _)| (Holder::Client, kind(certificate)));
    let authorities = subjects.authorities.iter().map(|authority| (Holder::Ca, kind(authority)));
    let servers = other.into_iter().flat_map(|other| &other.certificates).map(|server| (Holder::Server, kind(server)));
    own.chain(authorities).chain(servers).collect()
}

fn kind(certificate: &Inspected) -> program::KeyKind {
    match certificate.key {
        KeyKind::Rsa(_) => program::KeyKind::Rsa,
        KeyKind::Ec(256 | 384) => program::KeyKind::Nist,
        KeyKind::Ec(_) => program::KeyKind::P521,
        KeyKind::Edwards => program::KeyKind::Edwards,
        KeyKind::OtherCurve | KeyKind::Other => program::KeyKind::Other,
    }
}

/// The line of the directive that a refusal names in backticks.
fn line_of(profile: &Profile<'_>, what: &str) -> Option<usize> {
    let named = what.strip_prefix('`')?.strip_suffix('`')?;
    let bare = named.trim_start_matches('<').trim_end_matches('>');
    let fits =
        |directive: &&crate::import::Directive<'_>| directive.words.join(" ") == named || directive.name() == bare;
    profile.directives.iter().find(fits).map(|directive| directive.line)
}

/// With what a profile that is for nobody in particular should work: what the default profile is promised for.
const PROMISED: [Program; 11] = [
    Program::Openvpn24,
    Program::Openvpn25,
    Program::Openvpn,
    Program::Windows,
    Program::Tunnelblick,
    Program::NetworkManager,
    Program::Connect,
    Program::Ios,
    Program::Android,
    Program::IcsOpenvpn,
    Program::Openwrt,
];
