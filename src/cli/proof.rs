//! How it is reported whether a revocation has arrived everywhere (`revoke --prove`).
//! Knows nothing of how that is found out.

use std::fmt;

use crate::{
    authority::proof::{Proof, ProvenList},
    cli::{
        kick::{told, unanswered},
        Failure,
    },
    files,
};

/// Lines about what was read back.
pub fn write_proof(f: &mut fmt::Formatter<'_>, proof: &Proof) -> fmt::Result {
    for list in proof.lists.iter().filter(|list| list.proven) {
        let file = files::shown(list.file.as_deref().unwrap_or(&list.dir));
        writeln!(f, "proven: {file} is the newest CRL, its server can read it, and it lists every serial")?;
    }
    for server in proof.live.iter().flat_map(|live| &live.servers) {
        if server.problem.is_none() && server.answer.sessions.is_empty() {
            writeln!(f, "proven: no session is left on {}", server.server)?;
        }
    }
    Ok(())
}

/// Everything that is missing, one failure each.
pub fn unproven(proof: &Proof) -> Vec<Failure> {
    let mut failures: Vec<Failure> =
        proof.problems.iter().map(|problem| Failure::refused(format!("not proven: {problem}"))).collect();
    if proof.no_list() {
        failures.push(
            Failure::refused("not proven: no directory is known in which a server reads the CRL")
                .hint("`vpnpki crl publish --add DIR` names one"),
        );
    }
    if proof.faulty {
        failures.push(
            Failure::refused("not proven: the settings name a directory that could not be read")
                .hint("mend `vpnpki.toml`, then `vpnpki crl publish`"),
        );
    }
    failures.extend(proof.lists.iter().filter(|list| !list.proven).map(unproven_list));
    for server in proof.live.iter().flat_map(|live| &live.servers) {
        failures.extend(server.answer.sessions.iter().map(|live| {
            let session = told(&live.session, &server.server);
            let which =
                if live.has_access() { "; whether with a certificate that is accepted, no server says" } else { "" };
            Failure::refused(format!("not proven: {session}, goes on{which}"))
                .hint(format!("`vpnpki kick {}` ends it", crate::name::escape(&live.session.name)))
        }));
    }
    let unasked = |failure: Failure| Failure { message: format!("not proven: {}", failure.message), ..failure };
    failures.extend(proof.live.iter().flat_map(unanswered).map(unasked));
    failures
}

fn unproven_list(list: &ProvenList) -> Failure {
    let file = files::shown(list.file.as_deref().unwrap_or(&list.dir));
    let mut faults: Vec<String> = list.problem.iter().cloned().collect();
    if !list.missing.is_empty() {
        let missing: Vec<String> = list.missing.iter().map(|serial| format!("serial:{serial}")).collect();
        faults.push(format!("it lacks {}", missing.join(", ")));
    }
    Failure::refused(format!("not proven: {file}: {}", faults.join("; "))).hint("`vpnpki crl publish` tries again")
}
