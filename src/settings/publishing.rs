//! What revoking and `status` need of the settings: where the CRL goes and who reads it, live sessions, what is due.
//! Depends on no other setting: faults elsewhere, even a file that is no TOML, become warnings here.

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use toml_edit::{Table, Value};

use super::{
    crl_file::CrlPlace,
    fault::Fault,
    reader::{self, Read, Reader, Section},
    servers::{self, ManagedServer},
    Settings,
};
use crate::inventory::due::Thresholds;

/// `[publish]`, or `[[publish]]` once for each directory.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Publish {
    /// Whether revoking publishes.
    pub mode: PublishMode,
    /// Servers' directories, absolute or relative to the PKI directory.
    pub dirs: Vec<PathBuf>,
    /// The program that is run after publishing, by its absolute path, and its arguments.
    pub after: Option<Vec<String>>,
}

/// Whether revoking publishes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum PublishMode {
    /// In the same act.
    #[default]
    Auto,
    /// Something else carries the CRL to the servers.
    Manual,
}

/// What publishing needs, read leniently.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Publishing {
    /// Whether revoking publishes.
    pub mode: PublishMode,
    /// Servers' directories, absolute or relative to the PKI directory.
    pub dirs: Vec<PathBuf>,
    /// The program that is run after publishing, by its absolute path, and its arguments.
    pub after: Option<Vec<String>>,
    /// How long a CRL holds; as long as the CA when not set.
    pub crl_days: Option<u32>,
    /// Where the next export lets servers read it.
    pub crl: CrlPlace,
    /// Who must be able to read the CRL, when the server drops its privileges.
    pub user: Option<String>,
    /// And with which group.
    pub group: Option<String>,
    /// Seconds between renegotiations, where set.
    pub reneg_sec: Option<u32>,
    /// Seconds for which an old key lives on, where set.
    pub tran_window: Option<u32>,
    /// How long before its end something is due.
    pub due: Thresholds,
    /// Servers whose live sessions can be seen and ended.
    pub servers: Vec<ManagedServer>,
    /// Whether a server's management interface could not be read: one may be missing.
    pub servers_faulty: bool,
    /// Whether something about publishing or the CRL itself could not be read: a target may be missing.
    pub faulty: bool,
}

impl Publishing {
    /// What settings without a fault say.
    pub fn of(settings: &Settings) -> Self {
        let Settings { publish, server, servers, crl_days, due, .. } = settings;
        Self {
            mode: publish.mode,
            dirs: publish.dirs.clone(),
            after: publish.after.clone(),
            crl_days: *crl_days,
            crl: server.crl.clone(),
            user: server.user.clone(),
            group: server.group.clone(),
            reneg_sec: server.reneg_sec,
            tran_window: server.tran_window,
            due: *due,
            servers: servers::of(servers, server),
            servers_faulty: false,
            faulty: false,
        }
    }

    /// Seconds until a revoked client that is connected carries no traffic any more.
    pub fn lockout_seconds(&self) -> u32 {
        crate::openvpn::lockout_seconds(self.reneg_sec, self.tran_window)
    }
}

/// Reads what publishing needs. Never fails; the warnings are complete sentences that name file, line and field.
pub fn load_publishing(text: &str, file: &str) -> (Publishing, Vec<String>) {
    let (publishing, faults) = match reader::document(text) {
        Ok(document) => lenient(text, document.as_table()),
        Err(fault) => salvage(text, fault),
    };
    (publishing, faults.into_iter().map(|fault| format!("{file}:{fault}")).collect())
}

pub fn read(reader: &mut Reader, root: &Table) -> Publish {
    if let Some(tables) = reader.tables(root, "publish", &["dir"]) {
        let dirs = tables.iter().filter_map(|table| dir(reader, table)).collect();
        return Publish { mode: PublishMode::Auto, dirs, after: None };
    }
    let section = reader.section(root, "publish", &["mode", "dirs", "after"]);
    let dirs = reader.many(&section, "dirs", &directory).unwrap_or_default();
    Publish {
        mode: reader.one(&section, "mode", &reader::parsed).map_or_else(PublishMode::default, Read::into_value),
        dirs: dirs.into_iter().map(Read::into_value).collect(),
        after: after(reader, &section),
    }
}

/// All of the words or none: a program with an argument missing does something else.
fn after(reader: &mut Reader, section: &Section) -> Option<Vec<String>> {
    let words = reader.many(section, "after", &word)?;
    if reader.has_fault(section, "after") {
        return None;
    }
    let words: Vec<String> = words.into_iter().map(Read::into_value).collect();
    if words.first().is_some_and(|program| Path::new(program).is_absolute()) {
        return Some(words);
    }
    let line = reader.line(section, "after");
    reader.fault(section, "after", line, "must begin with a program's absolute path: `[\"/usr/local/sbin/push-crl\"]`");
    None
}

fn word(value: &Value) -> Result<String, String> {
    let text = reader::text(value)?;
    if text.contains('\0') {
        return Err("must not hold the character NUL, which ends a word".to_owned());
    }
    Ok(text)
}

fn dir(reader: &mut Reader, table: &Section) -> Option<PathBuf> {
    let found = reader.one(table, "dir", &directory);
    if found.is_none() && !reader.has_fault(table, "dir") {
        reader.fault(table, "dir", table.line(), "is missing: write `dir = \"/etc/openvpn/server\"`");
    }
    found.map(Read::into_value)
}

fn directory(value: &Value) -> Result<PathBuf, String> {
    let text = reader::text(value)?;
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err("must be the path of a directory".to_owned());
    }
    if text.starts_with('~') {
        return Err("`~` is a shell's word; write the whole path".to_owned());
    }
    Ok(PathBuf::from(text))
}

fn lenient(text: &str, root: &Table) -> (Publishing, Vec<Fault>) {
    let (settings, faults) = super::read(text, root);
    let read = Publishing {
        faulty: faults.iter().any(about_publishing),
        servers_faulty: faults.iter().any(about_servers),
        ..Publishing::of(&settings)
    };
    (read, faults)
}

fn about_publishing(fault: &Fault) -> bool {
    let section = fault.field.split('.').next().unwrap_or_default();
    // a section that is spelled almost like ours was meant to be ours
    section.starts_with("publi") || section == "crl"
}

/// A fault in these may hide a target or shorten a CRL.
fn about_targets(section: &str) -> bool {
    matches!(section, "publish" | "crl")
}

/// Also of a section that is spelled almost like ours, or has one bracket too many.
fn about_servers(fault: &Fault) -> bool {
    let (section, key) = fault.field.split_once('.').unwrap_or((&fault.field, ""));
    section.starts_with("serv") && (section != "server" || key.is_empty() || key.starts_with("manag"))
}

/// Reads each section for itself where the whole cannot be read, so that a typing error in one leaves the others.
fn salvage(text: &str, fault: Fault) -> (Publishing, Vec<Fault>) {
    let mut publishing = Publishing::default();
    let mut faults = vec![fault];
    for name in ["publish", "crl", "server", "servers", "due"] {
        let piece = only(text, name);
        match reader::document(&piece) {
            Ok(document) => {
                let (read, found) = lenient(&piece, document.as_table());
                faults.extend(found.into_iter().filter(|fault| fault.field.starts_with(name)));
                publishing.take(name, read);
            }
            Err(_) => publishing.miss(name),
        }
    }
    // what stands before the first header may name publishing, too, and cannot be told apart
    let headless = reader::document(&only(text, "")).is_err();
    publishing.faulty |= headless;
    publishing.servers_faulty |= headless;
    (publishing, faults)
}

impl Publishing {
    fn take(&mut self, section: &str, read: Self) {
        match section {
            "publish" => (self.mode, self.dirs, self.after) = (read.mode, read.dirs, read.after),
            "crl" => self.crl_days = read.crl_days,
            "due" => self.due = read.due,
            // comes last, and replaces the one of `[server]`
            "servers" if read.servers.is_empty() => {}
            "servers" => self.servers = read.servers,
            _ => {
                (self.user, self.group, self.crl) = (read.user, read.group, read.crl);
                (self.reneg_sec, self.tran_window) = (read.reneg_sec, read.tran_window);
                self.servers = read.servers;
            }
        }
        self.faulty |= about_targets(section) && read.faulty;
        self.servers_faulty |= section.starts_with("server") && read.servers_faulty;
    }

    /// A section that cannot be read at all.
    fn miss(&mut self, section: &str) {
        self.servers_faulty |= section.starts_with("server");
        self.faulty |= about_targets(section);
    }
}

/// The text with every line blank that does not belong to this section: lines keep their numbers.
fn only(text: &str, section: &str) -> String {
    let mut current = String::new();
    let mut kept = String::new();
    for line in text.lines() {
        if let Some(name) = header(line) {
            current = name;
        }
        if current == section {
            kept.push_str(line);
        }
        kept.push('\n');
    }
    kept
}

/// The name in `[name]` or `[[name]]`.
fn header(line: &str) -> Option<String> {
    let line = line.split('#').next().unwrap_or_default().trim();
    let inside = line.strip_prefix('[')?.strip_suffix(']')?;
    let name = inside.strip_prefix('[').and_then(|inside| inside.strip_suffix(']')).unwrap_or(inside).trim();
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (!name.is_empty() && name.bytes().all(bare)).then(|| name.to_owned())
}

impl FromStr for PublishMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "manual" => Ok(Self::Manual),
            _ => Err("must be `auto` or `manual`".to_owned()),
        }
    }
}

impl fmt::Display for PublishMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Auto => "auto",
            Self::Manual => "manual",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn publishing(text: &str) -> (Publishing, Vec<String>) {
        load_publishing(text, "vpnpki.toml")
    }

    fn dirs(publishing: &Publishing) -> Vec<&str> {
        publishing.dirs.iter().map(|dir| dir.to_str().unwrap()).collect()
    }

    #[test]
    fn both_shapes_are_read() {
        let remote = "[client]\nremotes = [\"vpn.example.com\"]\n";
        let (tables, warnings) = publishing(&format!("{remote}[[publish]]\ndir = \"/a\"\n[[publish]]\ndir = \"b\"\n"));
        assert_eq!((dirs(&tables), tables.mode, warnings.len()), (vec!["/a", "b"], PublishMode::Auto, 0));
        let (table, warnings) = publishing(&format!("{remote}[publish]\nmode = \"manual\"\ndirs = [\"/a\"]\n"));
        assert_eq!((dirs(&table), table.mode, warnings.len()), (vec!["/a"], PublishMode::Manual, 0));
    }

    #[test]
    fn a_fault_elsewhere_is_a_warning() {
        let text = "[client]\nremotes = [\"vpn.example.com\"]\n[network]\nroutes = [\"172.16.0.1/16\"]\n\
                    [server]\nuser = \"nobody\"\nreneg-sec = 10\ntran-window = 5\nport = 0\n[crl]\ndays = 30\n[[publish]]\ndir = \"/a\"\n";
        let (read, warnings) = publishing(text);
        assert_eq!((dirs(&read), read.crl_days, read.user.as_deref()), (vec!["/a"], Some(30), Some("nobody")));
        assert_eq!((read.faulty, read.lockout_seconds()), (false, 15));
        assert_eq!(warnings.len(), 2, "{warnings:?}");
        assert!(warnings[0].starts_with("vpnpki.toml:4: network.routes: "), "{warnings:?}");
        assert!(warnings[1].starts_with("vpnpki.toml:9: server.port: "), "{warnings:?}");
    }

    #[test]
    fn a_fault_in_publishing_is_marked() {
        let remote = "[client]\nremotes = [\"vpn.example.com\"]\n";
        for text in [
            "[[publish]]\ndir = 1\n[[publish]]\ndir = \"/a\"\n",
            "[[publish]]\n[[publish]]\ndir = \"/a\"\n",
            "[[publish]]\ndir = \"~/a\"\n[[publish]]\ndir = \"/a\"\n",
            "[publish]\nmode = \"never\"\ndirs = [\"/a\"]\n",
            "[crl]\ndays = 0\n[[publish]]\ndir = \"/a\"\n",
        ] {
            let (read, warnings) = publishing(&format!("{remote}{text}"));
            assert_eq!((dirs(&read), read.faulty, warnings.len()), (vec!["/a"], true, 1), "{text}: {warnings:?}");
        }
        let (read, warnings) = publishing(&format!("{remote}[[publis]]\ndir = \"/a\"\n"));
        assert!(read.faulty && warnings[0].contains("did you mean `publish`?"), "{warnings:?}");
    }

    #[test]
    fn when_something_is_due_is_read_and_a_fault_there_is_no_fault_of_publishing() {
        let remote = "[client]\nremotes = [\"vpn.example.com\"]\n";
        let (read, warnings) = publishing(&format!("{remote}[due]\nca-days = 90\nclient-days = 7\n"));
        assert_eq!((read.due.ca_days, read.due.server_days, read.due.client_days), (90, 30, 7));
        assert!(warnings.is_empty(), "{warnings:?}");
        let (read, warnings) = publishing(&format!("{remote}[due]\nserver-days = 0\nclient-day = 7\n"));
        assert_eq!((read.due, read.faulty, warnings.len()), (Thresholds::default(), false, 2));
    }

    #[test]
    fn a_broken_file_still_says_where_to_publish() {
        let text = "[client]\nremotes = [\"vpn.example.com]\n\n[server]\nuser = \"nobody\"\n\n[[publish]]\ndir = \"/a\"\n[crl]\ndays = 9\n[due]\nca-days = 7\n";
        let (read, warnings) = publishing(text);
        assert_eq!((dirs(&read), read.crl_days, read.user.as_deref()), (vec!["/a"], Some(9), Some("nobody")));
        assert_eq!(read.due, Thresholds { ca_days: 7, ..Thresholds::default() });
        assert!(!read.faulty);
        assert!(warnings[0].starts_with("vpnpki.toml:2: this is no TOML: "), "{warnings:?}");
        let (read, _) = publishing("[[publish]]\ndir = /a\n[crl]\ndays = 9\n");
        assert_eq!((read.dirs.len(), read.crl_days, read.faulty), (0, Some(9), true));
    }

    #[test]
    fn what_runs_after_publishing_is_read_whole_or_not_at_all() {
        let after = |text: &str| publishing(&format!("[client]\nremotes = [\"vpn.example.com\"]\n[publish]\n{text}"));
        let (read, warnings) = after("after = [\"/bin/push\", \"vpn 2\", \"\"]");
        assert_eq!((read.after, read.faulty), (Some(["/bin/push", "vpn 2", ""].map(str::to_owned).to_vec()), false));
        assert!(warnings.is_empty());
        for text in [
            "after = [\"push\"]",
            "after = []",
            "after = [\"/bin/push\", 1]",
            "after = \"/bin/push\"",
            "after = [\"/bin/a\\u0000\"]",
        ] {
            let (read, warnings) = after(text);
            assert_eq!((read.after, read.faulty, warnings.len()), (None, true, 1), "{text}: {warnings:?}");
            assert!(warnings[0].starts_with("vpnpki.toml:4: publish.after: must "), "{warnings:?}");
        }
        // also out of a file that is broken elsewhere
        let (read, _) = publishing("[publish]\nafter = [\"/bin/push\"]\n[client]\nremotes = [\n");
        assert_eq!((read.after.map(|words| words.len()), read.faulty), (Some(1), false));
    }

    fn servers(publishing: &Publishing) -> Vec<String> {
        let shown = |server: &ManagedServer| {
            let name = server.name.as_ref().map_or("-", crate::name::Name::as_str);
            let file = server.password_file.as_ref().map_or_else(String::new, |file| format!(" {}", file.display()));
            format!("{name} {}{file}", server.management)
        };
        publishing.servers.iter().map(shown).collect()
    }

    #[test]
    fn servers_come_in_place_of_the_one_server() {
        let own = "[client]\nremotes = [\"vpn.example.com\"]\n[server]\nmanagement = \"/a unix\"\nmanagement-password-file = \"/w\"\n";
        let (read, warnings) = publishing(own);
        assert_eq!((servers(&read), read.servers_faulty, warnings.len()), (vec!["- /a unix /w".to_owned()], false, 0));
        let entry = "[[servers]]\nname = \"server\"\nmanagement = \"/b unix\"\n";
        let other = entry.replace("/b unix", "127.0.0.1 7505") + "management-password-file = \"w\"\n";
        let (read, warnings) = publishing(&format!("{own}{entry}{other}"));
        assert_eq!(servers(&read), ["server /b unix", "server 127.0.0.1 7505 w"]);
        assert_eq!((read.faulty, read.servers_faulty, warnings.len()), (false, false, 0));
    }

    #[test]
    fn a_server_that_cannot_be_read_is_marked_and_the_others_stay() {
        let good = "[[servers]]\nname = \"server\"\nmanagement = \"/b unix\"\n";
        for text in [
            format!("[[servers]]\nname = \"server2\"\n{good}"),
            format!(
                "[[servers]]\nname = \"server2\"\nmanagement = \"/a unix\"\nmanagement-password-file = \"\"\n{good}"
            ),
            format!("[[server]]\nmanagement = \"/a unix\"\n{good}"),
            format!("[server]\nmanagment = \"/a unix\"\n{good}"),
            format!("[vpn]\nname = \"x\n[server]\nmanagement = \"a\"\n{good}"),
        ] {
            let (read, warnings) = publishing(&text);
            assert_eq!((servers(&read), read.servers_faulty), (vec!["server /b unix".to_owned()], true), "{text}");
            assert!(!read.faulty && !warnings.is_empty(), "{text}: {warnings:?}");
        }
        let (read, _) = publishing(&format!("[vpn]\nname = \"x\n{good}"));
        assert_eq!((servers(&read), read.servers_faulty), (vec!["server /b unix".to_owned()], false));
        let (read, _) = publishing(&good.replace("\"server\"", "\"server"));
        assert_eq!((servers(&read).len(), read.servers_faulty), (0, true));
        // what is wrong with a port says nothing about where sessions are ended
        let (read, _) = publishing(&format!("[server]\nport = 0\n{good}"));
        assert!(!read.servers_faulty);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,80}", lines in "((\\[\\[?(publish|crl|server)\\]\\]?|(dir|days|mode|after) ?= ?[\"/a0-9\\[]{0,5})\n){0,6}") {
            let _ = (publishing(&text), publishing(&lines));
        }
    }
}
