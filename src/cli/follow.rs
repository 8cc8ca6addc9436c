//! What follows an end of access once the CRL is published: live sessions are ended (`--kick`), and all of it is read
//! back (`--prove`). Shared by the commands that end access; knows nothing of how either is done.

use std::fmt;

use clap::Args;
use serde::{ser::SerializeMap, Serialize};

use crate::{
    authority::{
        live::{Asked, Kicked},
        proof::{self, Proof},
        revoke::{Revoked, RevokedCertificate},
        Authority,
    },
    cli::{
        kick::{came_back, unanswered, write_kicked},
        proof::{unproven, write_proof},
        Failure,
    },
    serial::Serial,
};

/// What is asked for.
#[derive(Args)]
pub struct FollowOptions {
    /// Then end their live sessions, through the management interface of every server
    #[arg(long, conflicts_with = "no_publish")]
    kick: bool,
    /// Then read back that every published CRL is the new one and that no session is left; exit 1 says what is missing
    #[arg(long, conflicts_with = "no_publish")]
    prove: bool,
}

/// What came of it. The end of access stands, whatever that is.
#[derive(Serialize, Default)]
pub struct Followed {
    #[serde(skip_serializing_if = "Option::is_none")]
    kicked: Option<Asked<Kicked>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    proof: Option<Proof>,
    /// Certificates whose sessions could not be ended, since only their serials are known.
    #[serde(skip)]
    nameless: Vec<Serial>,
}

impl FollowOptions {
    /// Does what is asked for, once `authority.revoke` has returned; warnings go to the other ones of the act.
    pub fn done(&self, authority: &Authority, revoked: &mut Revoked, dry_run: bool) -> Followed {
        let mut followed = Followed::default();
        if dry_run {
            return followed;
        }
        // what is wrong in the settings was said by the act itself
        let (publishing, _) = authority.publishing();
        let all: Vec<&RevokedCertificate> = revoked.revoked.iter().chain(&revoked.already).collect();
        let names = proof::names(&all);
        let mut warnings = Vec::new();
        if self.kick {
            followed.nameless = all.iter().filter(|one| one.name.is_none()).map(|one| one.serial).collect();
        }
        if self.kick && !names.is_empty() {
            let mut kicked = authority.kick(&names, &publishing);
            warnings.append(&mut kicked.warnings);
            followed.kicked = Some(kicked);
        }
        if self.prove {
            let mut proof = authority.prove(&all, &publishing);
            warnings.extend(proof.live.iter_mut().flat_map(|live| live.warnings.drain(..)));
            followed.proof = Some(proof);
        }
        warnings.sort();
        warnings.dedup();
        revoked.warnings.extend(warnings);
        followed
    }
}

impl Followed {
    /// Whether no live session can go on: every server was told, and nobody came back.
    pub fn ended(&self) -> bool {
        self.nameless.is_empty()
            && self.kicked.as_ref().is_some_and(|kicked| unanswered(kicked).is_empty() && came_back(kicked).is_empty())
    }

    /// What did not come true.
    pub fn failures(&self) -> Vec<Failure> {
        let mut failures = Vec::new();
        failures.extend(self.kicked.iter().flat_map(|kicked| [unanswered(kicked), came_back(kicked)]).flatten());
        let unnamed = |serial: &Serial| {
            Failure::refused(format!("no session was ended for serial:{serial}: the store does not know whose it is"))
        };
        failures.extend(self.nameless.iter().map(unnamed));
        failures.extend(self.proof.iter().flat_map(unproven));
        failures
    }

    /// Lines about what was done.
    pub fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kicked.iter().try_for_each(|kicked| write_kicked(f, kicked))?;
        self.proof.iter().try_for_each(|proof| write_proof(f, proof))
    }

    /// Its fields, in a report that writes its own.
    pub fn fields<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        self.kicked.iter().try_for_each(|kicked| map.serialize_entry("kicked", kicked))?;
        self.proof.iter().try_for_each(|proof| map.serialize_entry("proof", proof))
    }
}
