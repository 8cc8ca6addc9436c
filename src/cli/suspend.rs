//! `vpnpki suspend` and `vpnpki resume`.
//! Knows nothing of how a hold is recorded or published.

use std::fmt;

use clap::Args;
use serde::{ser::SerializeMap, Serialize, Serializer};

use crate::{
    authority::{
        revoke::{Revocations, Revoked, RevokedCertificate},
        verdict::{Subject, Verdict},
        Authority,
    },
    cli::{
        follow::{FollowOptions, Followed},
        report::Report,
        revoke::{recorded_only, subject, whose, write_published, write_refused},
        session::Session,
        Exit, Failure,
    },
    store::Access,
};

/// End someone's access for a time: on the CRL as certificateHold, published like a revocation
///
/// `vpnpki resume` gives it back with the same bundle; `vpnpki revoke` ends it for good.
#[derive(Args)]
#[command(after_help = SUSPEND_EXAMPLES)]
pub struct Suspend {
    #[command(flatten)]
    whom: Whom,
    #[command(flatten)]
    follow: FollowOptions,
}

/// Give someone who is suspended their access back
///
/// The next CRL no longer lists them, and the bundle they have works again.
#[derive(Args)]
#[command(after_help = RESUME_EXAMPLES)]
pub struct Resume {
    #[command(flatten)]
    whom: Whom,
}

#[derive(Args)]
struct Whom {
    /// A name, or serial:HEX for one certificate
    #[arg(required = true, value_name = "NAME|serial:HEX", value_parser = subject)]
    subjects: Vec<Subject>,
    /// Leave every server as it is
    #[arg(long)]
    no_publish: bool,
    /// Say what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
}

impl Suspend {
    pub fn run(self, session: &Session) -> Result<Exit, Failure> {
        let (authority, mut done, dry_run) = self.whom.done(session, Verdict::Suspend)?;
        let followed = self.follow.done(&authority, &mut done, dry_run);
        session.report(&Suspended { done, followed, dry_run })
    }
}

impl Resume {
    pub fn run(self, session: &Session) -> Result<Exit, Failure> {
        let (_, done, dry_run) = self.whom.done(session, Verdict::Resume)?;
        session.report(&Resumed { done, dry_run })
    }
}

impl Whom {
    fn done(self, session: &Session, verdict: Verdict) -> Result<(Authority, Revoked, bool), Failure> {
        let Self { subjects, no_publish, dry_run } = self;
        let authority = session.open(Access::Write)?;
        let request = Revocations { subjects, verdict, ladder: None, no_publish, dry_run };
        let done = authority.revoke(&request, session)?;
        Ok((authority, done, dry_run))
    }
}

struct Suspended {
    done: Revoked,
    followed: Followed,
    dry_run: bool,
}

struct Resumed {
    done: Revoked,
    dry_run: bool,
}

impl Serialize for Suspended {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        fields(serializer, "suspended", &self.done, &self.followed, self.dry_run)
    }
}

impl Serialize for Resumed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        fields(serializer, "resumed", &self.done, &Followed::default(), self.dry_run)
    }
}

/// A revocation's fields, with whom it was about under the command's own word.
fn fields<S: Serializer>(
    serializer: S,
    word: &'static str,
    done: &Revoked,
    followed: &Followed,
    dry_run: bool,
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(None)?;
    map.serialize_entry("changed", &done.changed)?;
    map.serialize_entry(word, &done.revoked)?;
    map.serialize_entry("already", &done.already)?;
    map.serialize_entry("crl", &done.crl)?;
    map.serialize_entry("unsigned", &done.unsigned)?;
    map.serialize_entry("published", &done.published)?;
    map.serialize_entry("live_session_seconds", &done.live_session_seconds)?;
    followed.fields(&mut map)?;
    map.serialize_entry("warnings", &done.warnings)?;
    map.serialize_entry("dry_run", &dry_run)?;
    map.end()
}

impl Report for Suspended {
    const COMMAND: &'static str = "suspend";

    fn warnings(&self) -> &[String] {
        &self.done.warnings
    }

    fn failures(&self) -> Vec<Failure> {
        if self.dry_run {
            return Vec::new();
        }
        let mut failures = recorded_only(&self.done, "suspension", "suspend");
        failures.extend(self.followed.failures());
        failures
    }
}

impl Report for Resumed {
    const COMMAND: &'static str = "resume";

    fn warnings(&self) -> &[String] {
        &self.done.warnings
    }

    fn failures(&self) -> Vec<Failure> {
        if self.dry_run {
            return Vec::new();
        }
        recorded_only(&self.done, "end of the suspension", "resume")
    }
}

impl fmt::Display for Suspended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_each(f, &self.done.revoked, if self.dry_run { "would suspend" } else { "suspended" })?;
        for one in &self.done.already {
            if let Some(revocation) = one.revocation {
                writeln!(f, "{} is suspended since {}", whose(one), revocation.at)?;
            }
        }
        if self.dry_run {
            return Ok(());
        }
        write_published(f, &self.done.published)?;
        write_refused(f, &self.done, &self.followed)
    }
}

impl fmt::Display for Resumed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_each(f, &self.done.revoked, if self.dry_run { "would resume" } else { "resumed" })?;
        for one in &self.done.already {
            writeln!(f, "{} is not suspended", whose(one))?;
        }
        if self.dry_run {
            return Ok(());
        }
        write_published(f, &self.done.published)
    }
}

fn write_each(f: &mut fmt::Formatter<'_>, certificates: &[RevokedCertificate], verb: &str) -> fmt::Result {
    certificates.iter().try_for_each(|one| writeln!(f, "{verb} {}", whose(one)))
}

const SUSPEND_EXAMPLES: &str = "\
Examples:
  vpnpki suspend laptop-7 --kick
  vpnpki suspend laptop-7 client1 --json";

const RESUME_EXAMPLES: &str = "\
Examples:
  vpnpki resume laptop-7";
