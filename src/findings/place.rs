//! Whether the authority's own place is in order: its clock, vault, settings, bundles, and what was exported beside it.
//! Knows the files as facts; it has not seen them.

use super::{Finding, Severity};
use crate::time::Time;

/// A private file that was exported and still lies near the PKI directory.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Stray {
    /// As a shell takes it.
    pub path: String,
    /// Its permission bits.
    pub mode: u32,
}

/// A clock that was set back, or far ahead: what it signs begins or ends at the wrong time.
pub fn clock(newest: Option<Time>, now: Time) -> Option<Finding> {
    let newest = newest?;
    let (days, seconds) = (newest.days_until(now), newest.unix() - now.unix());
    let why = if seconds > TOLERATED {
        format!("says {now}, but the newest entry of the ledger is of {newest}: it is behind")
    } else if days > FAR {
        format!("says {now}, {days} days after the newest entry of the ledger: it may be ahead")
    } else {
        return None;
    };
    Some(Finding::new("clock", Severity::Check, "the clock", why).mend("date -u"))
}

/// A vault that opens without anything that somebody knows or has.
pub fn vault_key(path: &str) -> Finding {
    let why = "lies beside the store: whoever can read this directory, or a copy of it, has the CA's key";
    Finding::new("vault-key", Severity::Note, path, why)
}

/// One way into the vault, and none when that is lost.
pub fn single_unlocker(count: usize) -> Option<Finding> {
    let why = "has one unlocker: when that is lost, nobody can revoke or issue any more; a second one is a recovery";
    (count == 1).then(|| Finding::new("one-unlocker", Severity::Note, "the vault", why))
}

/// Bundles made with other settings or templates than those of now.
pub fn stale_bundles(names: &[String], total: usize) -> Option<Finding> {
    let first = names.first()?;
    let more = total.saturating_sub(names.len());
    let and_more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let why = format!(
        "{total} {} made with other settings or templates than those of now: {}{and_more}",
        if total == 1 { "bundle was" } else { "bundles were" },
        names.join(", ")
    );
    let whom = if total == 1 { first.clone() } else { "--all".to_owned() };
    Some(
        Finding::new("stale-bundles", Severity::Check, "bundles", why)
            .mend(format!("vpnpki export {whom} --force -o DIR")),
    )
}

/// Exported private files: open to others they are a leak, closed they are still better handed over and gone.
pub fn stray(stray: &Stray) -> Finding {
    let Stray { path, mode } = stray;
    if mode & 0o077 != 0 {
        let why = format!("holds a private key and can be read by others (mode {mode:04o})");
        return Finding::new("exported", Severity::Due, path, why).mend(format!("chmod 0600 {path}"));
    }
    // as a shell takes it, it may end in a quote
    let why = if path.trim_end_matches('\'').rsplit('.').next() == Some("key") {
        "holds a private key alone: delete it when an export was handed over, but nothing makes one of `vpnpki enroll` again"
    } else {
        "holds a private key; hand it over, then delete it: `vpnpki export` makes it again"
    };
    Finding::new("exported", Severity::Note, path, why)
}

/// Entries are written by several hosts whose clocks differ a little.
const TOLERATED: i64 = 300;

/// Days after which a clock is questioned, as acts question it.
const FAR: i64 = 400;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_behind_or_far_ahead_is_named() {
        let entry = Time::parse("2027-03-01").unwrap();
        assert_eq!(clock(None, entry), None);
        assert_eq!(clock(Some(entry), entry.plus_seconds(-200)), None);
        assert_eq!(clock(Some(entry), entry.plus_days(400)), None);
        assert!(clock(Some(entry), entry.plus_seconds(-301)).unwrap().why.ends_with("behind"));
        assert!(clock(Some(entry), entry.plus_days(401)).unwrap().why.ends_with("ahead"));
    }

    #[test]
    fn an_exported_file_is_due_only_when_others_can_read_it() {
        let file = |mode| stray(&Stray { path: "anna.ovpn".to_owned(), mode });
        assert_eq!((file(0o600).severity, file(0o400).severity), (Severity::Note, Severity::Note));
        assert_eq!(file(0o640).mend.as_deref(), Some("chmod 0600 anna.ovpn"));
        assert!(file(0o604).counts());
        for alone in ["anna.key", "'our keys/anna.key'"] {
            let why = stray(&Stray { path: alone.to_owned(), mode: 0o600 }).why;
            assert!(why.contains("nothing makes one of `vpnpki enroll` again"), "{alone}: {why}");
        }
        assert!(file(0o600).why.contains("`vpnpki export` makes it again"));
    }

    #[test]
    fn stale_bundles_are_counted() {
        assert_eq!(stale_bundles(&[], 0), None);
        let one = stale_bundles(&["anna".to_owned()], 1).unwrap();
        assert_eq!(one.mend.as_deref(), Some("vpnpki export anna --force -o DIR"));
        let many = stale_bundles(&["anna".to_owned(), "ben".to_owned()], 9).unwrap();
        assert!(many.why.ends_with("anna, ben and 7 more"), "{}", many.why);
        assert_eq!((single_unlocker(2), single_unlocker(1).is_some()), (None, true));
    }
}
