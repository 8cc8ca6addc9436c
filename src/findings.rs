//! What is due, wrong or worth knowing about an authority, its servers and bundles: facts in, findings out.
//! Touches nothing: whoever asks has looked at the store, the disk and the clock before.

use serde::Serialize;

use crate::{
    inventory::due::{Due, Subject},
    time::Time,
};

pub mod bundle;
pub mod lockout;
pub mod place;
pub mod target;

/// One thing that somebody should do or know.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Finding {
    /// What kind of thing, for scripts.
    pub kind: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What it is about: a name, a file, a setting.
    pub subject: String,
    /// When it ends or ended, where it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub date: Option<Time>,
    /// What is so, and what follows.
    pub why: String,
    /// A command that mends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mend: Option<String>,
}

/// How bad a finding is; the worst comes first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Somebody is or will be let in or locked out by mistake, or secrets are open.
    Due,
    /// Something is not as it was written.
    Check,
    /// Worth knowing.
    Note,
}

impl Finding {
    /// Without date and mend.
    pub fn new(kind: &'static str, severity: Severity, subject: impl Into<String>, why: impl Into<String>) -> Self {
        Self { kind, severity, subject: subject.into(), date: None, why: why.into(), mend: None }
    }

    /// With a command that mends it.
    #[must_use]
    pub fn mend(self, mend: impl Into<String>) -> Self {
        Self { mend: Some(mend.into()), ..self }
    }

    /// With the day on which it ends.
    #[must_use]
    pub fn on(self, date: Time) -> Self {
        Self { date: Some(date), ..self }
    }

    /// Whether somebody has to act.
    pub fn counts(&self) -> bool {
        self.severity != Severity::Note
    }
}

/// What ends soon or has ended, with the command that goes on.
pub fn ending(due: &Due) -> Finding {
    let tense = if due.days_left < 0 { "ended" } else { "ends" };
    let (kind, subject, after, mend) = match &due.what {
        Subject::Ca => ("ca-ends", "the CA".to_owned(), "nobody gets in after that", None),
        Subject::Crl => {
            ("crl-ends", "the CRL".to_owned(), "nobody gets in after that", Some("vpnpki crl refresh".to_owned()))
        }
        Subject::Server(name) => {
            ("server-ends", name.to_string(), "nobody gets in there after that", Some(format!("vpnpki renew {name}")))
        }
        Subject::Client(name) => {
            ("client-ends", name.to_string(), "it does not get in after that", Some(format!("vpnpki renew {name}")))
        }
    };
    let why = format!("{tense} on {} ({} days); {after}", due.ends.date(), due.days_left);
    Finding { mend, ..Finding::new(kind, Severity::Due, subject, why).on(due.ends) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::Name;

    #[test]
    fn what_ends_says_when_and_what_to_type() {
        let ends = Time::parse("2027-03-01").unwrap();
        let client = Due { what: Subject::Client(Name::parse("laptop-7").unwrap()), ends, days_left: 5 };
        let finding = ending(&client);
        assert_eq!(finding.why, "ends on 2027-03-01 (5 days); it does not get in after that");
        assert_eq!((finding.mend.as_deref(), finding.date), (Some("vpnpki renew laptop-7"), Some(ends)));
        let over = ending(&Due { what: Subject::Ca, ends, days_left: -1 });
        assert!(over.why.starts_with("ended on") && over.mend.is_none() && over.counts());
    }
}
