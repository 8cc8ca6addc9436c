//! Whether a directory that a server runs from is still what was written there.
//! Knows the files as facts; it has not seen them.

use super::{Finding, Severity};
use crate::{name::Name, serial::Serial, time::Time};

/// What was found in one directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Facts {
    /// The directory, as it is shown.
    pub dir: String,
    /// And as a shell takes it.
    pub quoted: String,
    /// Why its server does not have the CRL of now.
    pub behind: Option<Behind>,
    /// The certificate that its server shows, where it could be looked at.
    pub certificate: Option<Shown>,
    /// The directory itself, and the files that a server reads there.
    pub entries: Vec<Entry>,
    /// Whom a directory of serials refuses although this authority does not.
    pub others: Option<Others>,
}

/// Serials in a directory that no list of ours has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Others {
    /// The directory of serials, as a shell takes it.
    pub quoted: String,
    /// How many there are.
    pub count: usize,
    /// Certificates of ours among them that would be accepted without, and their serials.
    pub ours: Vec<(String, Serial)>,
}

/// Why a server does not have the CRL of now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Behind {
    /// What is wrong.
    pub why: String,
    /// The command that mends it.
    pub mend: String,
    /// Whom the server lets in although they are refused.
    pub let_in: Option<String>,
}

/// A server's certificate in its directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Shown {
    /// The newest of this server.
    Current,
    /// An older one of ours.
    Old {
        /// Whose.
        name: Name,
        /// Which one is there.
        serial: Serial,
        /// When it ends.
        ends: Time,
    },
    /// None that this authority knows, or a client's.
    Foreign {
        /// The file.
        file: String,
    },
    /// The newest of this server, which was revoked.
    Revoked {
        /// Whose.
        name: Name,
        /// Until when clients accept it all the same.
        ends: Time,
    },
}

/// A file or directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// As a shell takes it.
    pub path: String,
    /// What it is for.
    pub purpose: Purpose,
    /// Its permission bits.
    pub mode: u32,
    /// Whose it is.
    pub uid: u32,
}

/// What an entry is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// The directory: whoever writes there chooses what the server does.
    Directory,
    /// A private or shared key.
    Secret,
    /// The CRL and a directory of its own, which may belong to whoever publishes.
    Crl,
    /// Anything else that the server reads.
    Public,
}

/// What of it is not as it should be.
pub fn findings(facts: &Facts) -> Vec<Finding> {
    let mut found = Vec::new();
    found.extend(facts.behind.as_ref().map(|behind| crl(&facts.dir, behind)));
    found.extend(facts.certificate.as_ref().and_then(|shown| certificate(facts, shown)));
    found.extend(facts.entries.iter().filter_map(modes));
    found.extend(owners(&facts.entries));
    found.extend(facts.others.iter().flat_map(|others| strangers(&facts.dir, others)));
    found
}

/// A list that every server loads whole each time it changes, in the loop that also moves everybody's packets
/// (`ssl.c`, `tls_ctx_reload_crl`): `form` is the one of the settings.
pub fn large_list(entries: u64, form: ListForm) -> Option<Finding> {
    (entries > LARGE && form == ListForm::File).then(|| {
        let why = format!(
            "has {entries} serials, and a server that reads it as one file carries nobody's traffic while it loads it after each \
             change: 1.6 s and half a gigabyte for a million; `crl-dir = \"crl\"` under `[server]` and another export make it \
             a file for each serial, of which a server looks at one"
        );
        Finding::new("large-crl", Severity::Note, "the CRL", why)
    })
}

/// In which form servers read the list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ListForm {
    /// As one file, some of them at least.
    File,
    /// As a directory of serials, all of them.
    Serials,
}

/// How many serials a list in one file has before its length is worth knowing.
pub const LARGE: u64 = 20_000;

fn crl(dir: &str, behind: &Behind) -> Finding {
    let let_in = behind.let_in.as_ref().map(|whom| format!("; until then it lets in {whom}")).unwrap_or_default();
    Finding::new("crl-behind", Severity::Due, dir, format!("{}{let_in}", behind.why)).mend(&behind.mend)
}

fn certificate(facts: &Facts, shown: &Shown) -> Option<Finding> {
    let finding = |severity, why| Finding::new("server-certificate", severity, &facts.dir, why);
    match shown {
        Shown::Current => None,
        Shown::Old { name, serial, ends } => {
            let why = format!(
                "`{name}` was renewed, but its old certificate (serial:{serial}) lies here and ends on {}; restart OpenVPN \
                 after the new one is here",
                ends.date()
            );
            let mend = format!("vpnpki export {name} --force -o {}", facts.quoted);
            Some(finding(Severity::Check, why).on(*ends).mend(mend))
        }
        Shown::Foreign { file } => {
            Some(finding(Severity::Check, format!("`{file}` is no server's certificate of this authority")))
        }
        Shown::Revoked { name, ends } => {
            let why = format!("the certificate of `{name}` is revoked, and clients accept it until {}", ends.date());
            Some(finding(Severity::Note, why).on(*ends))
        }
    }
}

fn modes(entry: &Entry) -> Option<Finding> {
    let Entry { path, purpose, mode, .. } = entry;
    let (kind, why, mend) = if mode & 0o022 != 0 {
        ("writable", "can be written by others", format!("chmod go-w {path}"))
    } else if *purpose == Purpose::Secret && mode & 0o077 != 0 {
        ("readable", "is secret and can be read by others", format!("chmod 0600 {path}"))
    } else {
        return None;
    };
    Some(Finding::new(kind, Severity::Due, path, format!("{why} (mode {mode:04o})")).mend(mend))
}

/// Whoever put them there, another authority or somebody by hand, has to take them away: nobody else knows whether they may go.
fn strangers(dir: &str, others: &Others) -> Vec<Finding> {
    let Others { quoted, count, ours } = others;
    let refused = |(name, serial): &(String, Serial)| {
        let file = serial.decimal();
        let why =
            format!("refuses `{name}` (serial:{serial}), whom nobody revoked: a file `{file}` was put there by hand");
        Finding::new("strange-serial", Severity::Due, dir, why).mend(format!("rm {quoted}/{file}"))
    };
    let mut found: Vec<Finding> = ours.iter().map(refused).collect();
    let left = count.saturating_sub(ours.len());
    if left > 0 {
        let why = format!(
            "{left} serials in it are not on this authority's list; they stay refused, as whoever put them there meant"
        );
        found.push(Finding::new("other-serials", Severity::Note, dir, why));
    }
    found
}

/// Files belong to root or to whoever has the directory: somebody else could change what the server does.
fn owners(entries: &[Entry]) -> Vec<Finding> {
    let Some(home) = entries.iter().find(|entry| entry.purpose == Purpose::Directory) else { return Vec::new() };
    let strange =
        entries.iter().filter(|entry| entry.purpose != Purpose::Crl && entry.uid != 0 && entry.uid != home.uid);
    strange
        .map(|entry| {
            let why = format!("belongs to uid {}, the directory to uid {}", entry.uid, home.uid);
            let mend = format!("chown {} {}", home.uid, entry.path);
            Finding::new("owner", Severity::Check, &entry.path, why).mend(mend)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(path: &str, purpose: Purpose, mode: u32, uid: u32) -> Entry {
        Entry { path: path.to_owned(), purpose, mode, uid }
    }

    fn facts(entries: Vec<Entry>) -> Facts {
        Facts {
            dir: "/s".to_owned(),
            quoted: "/s".to_owned(),
            behind: None,
            certificate: Some(Shown::Current),
            entries,
            others: None,
        }
    }

    #[test]
    fn a_list_is_large_from_the_first_serial_on_that_is_too_many() {
        assert_eq!(large_list(20_000, ListForm::File), None);
        let found = large_list(20_001, ListForm::File).unwrap();
        assert!(!found.counts() && found.why.contains("20001 serials") && found.why.contains("crl-dir"), "{found:?}");
        assert_eq!(large_list(1_000_000, ListForm::Serials), None);
    }

    #[test]
    fn serials_of_others_are_counted_and_one_of_ours_is_named_with_the_mend() {
        let serial = Serial::from_octets(&[1, 0]).unwrap();
        let others = Others { quoted: "/s/crl".to_owned(), count: 3, ours: vec![("anna".to_owned(), serial)] };
        let found = findings(&Facts { others: Some(others), ..facts(Vec::new()) });
        assert_eq!((found[0].severity, found[0].mend.as_deref()), (Severity::Due, Some("rm /s/crl/256")));
        assert!(found[1].why.starts_with("2 serials") && !found[1].counts(), "{found:?}");
    }

    #[test]
    fn what_was_written_is_fine() {
        let entries = vec![
            entry("/s", Purpose::Directory, 0o755, 7),
            entry("/s/server.key", Purpose::Secret, 0o600, 7),
            entry("/s/server.crt", Purpose::Public, 0o644, 0),
            entry("/s/crl", Purpose::Crl, 0o755, 9),
        ];
        assert_eq!(findings(&facts(entries)), []);
    }

    #[test]
    fn modes_and_owners_are_named_with_the_mend() {
        for (purpose, mode, uid, mend) in [
            (Purpose::Secret, 0o640, 7, "chmod 0600 /s/f"),
            (Purpose::Secret, 0o604, 7, "chmod 0600 /s/f"),
            (Purpose::Public, 0o664, 7, "chmod go-w /s/f"),
            (Purpose::Crl, 0o646, 9, "chmod go-w /s/f"),
            (Purpose::Public, 0o644, 8, "chown 7 /s/f"),
        ] {
            let entries = vec![entry("/s", Purpose::Directory, 0o755, 7), entry("/s/f", purpose, mode, uid)];
            let found = findings(&facts(entries));
            assert_eq!(found.len(), 1, "{found:?}");
            assert_eq!(found[0].mend.as_deref(), Some(mend));
        }
    }

    #[test]
    fn an_older_certificate_is_drift() {
        let (name, ends) = (Name::parse("server").unwrap(), Time::parse("2030-01-01").unwrap());
        let shown = Shown::Old { name, serial: Serial::fresh([1; 16]), ends };
        let found = findings(&Facts { certificate: Some(shown), ..facts(Vec::new()) });
        assert_eq!(found[0].mend.as_deref(), Some("vpnpki export server --force -o /s"));
        assert!(found[0].counts() && found[0].why.contains("2030-01-01"));
    }

    #[test]
    fn whom_a_server_still_lets_in_is_said() {
        let behind = Behind { why: "older".to_owned(), mend: "mend".to_owned(), let_in: Some("anna".to_owned()) };
        let found = findings(&Facts { behind: Some(behind), ..facts(Vec::new()) });
        assert_eq!((found[0].severity, found[0].why.as_str()), (Severity::Due, "older; until then it lets in anna"));
    }
}
