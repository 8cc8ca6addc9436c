//! Host files from what an authority says of itself, by templates that stand whole under `templates/`.
//! Knows no disk: paths come in, texts go out.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::template;

/// What the units of systemd are filled with. All paths are absolute.
pub struct Host<'a> {
    /// This program.
    pub program: &'a Path,
    /// The PKI directory.
    pub pki: &'a Path,
    /// The directories in which servers read their CRL.
    pub written: &'a [PathBuf],
    /// User and group of the PKI directory, where that is not root.
    pub owner: Option<(u32, u32)>,
    /// Whether a program runs after publishing.
    pub after: bool,
}

/// One file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Unit {
    /// Its name under `/etc/systemd/system`.
    pub name: &'static str,
    /// What is in it.
    pub text: String,
}

/// Why no unit was made.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum RenderError {
    /// systemd has no way to write it that is the same in every directive (systemd.syntax(7), systemd.exec(5)).
    #[error("`{0}` cannot stand in a unit of systemd: it holds a quote, a backslash, a control character or no UTF-8")]
    Path(String),
}

/// The service that publishes, and the timer that starts it.
pub fn systemd(host: &Host) -> Result<[Unit; 2], RenderError> {
    let holes = Holes::of(host)?;
    Ok([unit("vpnpki-crl.service", SERVICE, &holes), unit("vpnpki-crl.timer", TIMER, &holes)])
}

#[derive(Serialize)]
struct Holes {
    program: String,
    pki: String,
    written: String,
    uid: Option<u32>,
    gid: Option<u32>,
    after: bool,
}

impl Holes {
    fn of(host: &Host) -> Result<Self, RenderError> {
        let mut written = vec![word(host.pki, "")?];
        for dir in host.written {
            // without the `-` a directory that is gone would keep the others from being served
            written.push(word(dir, "-")?);
        }
        written.dedup();
        Ok(Self {
            program: argument(host.program)?,
            pki: argument(host.pki)?,
            written: written.join(" "),
            uid: host.owner.map(|(uid, _)| uid),
            gid: host.owner.map(|(_, gid)| gid),
            after: host.after,
        })
    }
}

fn unit(name: &'static str, text: &str, holes: &Holes) -> Unit {
    let text = template::fill(name, text, holes)
        .expect("the built-in templates name only fields of `Holes`, and nobody overrides them");
    Unit { name, text }
}

/// A path in `ExecStart`, where `$` begins a variable (systemd.service(5)).
fn argument(path: &Path) -> Result<String, RenderError> {
    Ok(word(path, "")?.replace('$', "$$"))
}

/// A path as one word; `%` begins a specifier everywhere (systemd.unit(5)).
fn word(path: &Path, prefix: &str) -> Result<String, RenderError> {
    let refused = || RenderError::Path(crate::name::escape_whole(&path.to_string_lossy()));
    let text = path.to_str().ok_or_else(refused)?;
    if text.chars().any(|character| character.is_control() || matches!(character, '"' | '\'' | '\\')) {
        return Err(refused());
    }
    let text = format!("{prefix}{}", text.replace('%', "%%"));
    let plain = |character: char| character.is_ascii_alphanumeric() || "/._-%@+$:".contains(character);
    Ok(if text.chars().all(plain) { text } else { format!("\"{text}\"") })
}

const SERVICE: &str = include_str!("../templates/vpnpki-crl.service");
const TIMER: &str = include_str!("../templates/vpnpki-crl.timer");

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn service(pki: &str, written: &[&str], owner: Option<(u32, u32)>, after: bool) -> Result<String, RenderError> {
        let written: Vec<PathBuf> = written.iter().map(PathBuf::from).collect();
        let program = Path::new("/usr/local/bin/vpnpki");
        systemd(&Host { program, pki: Path::new(pki), written: &written, owner, after })
            .map(|[service, _]| service.text)
    }

    #[test]
    fn the_service_names_what_it_runs_and_what_it_writes() {
        let text = service("/srv/vpn/pki", &["/etc/openvpn/server", "/srv/west"], None, false).unwrap();
        assert!(text.contains("\nExecStart=/usr/local/bin/vpnpki --pki /srv/vpn/pki --batch crl publish\n"), "{text}");
        assert!(text.contains("\nReadWritePaths=/srv/vpn/pki -/etc/openvpn/server -/srv/west\n"), "{text}");
        assert!(text.contains("\nPrivateNetwork=yes\n") && !text.contains("\nUser="), "{text}");
    }

    #[test]
    fn whose_authority_it_is_and_what_runs_after_it_change_the_service() {
        let text = service("/srv/vpn/pki", &[], Some((1000, 100)), true).unwrap();
        assert!(text.contains("\nUser=1000\nGroup=100\n"), "{text}");
        assert!(!text.contains("PrivateNetwork") && text.contains("AF_INET"), "{text}");
    }

    #[test]
    fn paths_are_quoted_as_systemd_reads_them() {
        let text = service("/srv/my vpn/50%/$HOME", &[], None, false).unwrap();
        assert!(text.contains(" --pki \"/srv/my vpn/50%%/$$HOME\" --batch"), "{text}");
        assert!(text.contains("\nReadWritePaths=\"/srv/my vpn/50%%/$HOME\"\n"), "{text}");
        for bad in ["/srv/a\nUser=root", "/srv/\"x", "/srv/\\x", "/srv/it's"] {
            assert!(matches!(service(bad, &[], None, false), Err(RenderError::Path(_))), "{bad}");
            assert!(matches!(service("/srv", &[bad], None, false), Err(RenderError::Path(_))), "{bad}");
        }
    }

    #[test]
    fn the_timer_makes_up_for_what_it_missed() {
        let host = Host { program: Path::new("/x"), pki: Path::new("/p"), written: &[], owner: None, after: false };
        let [_, timer] = systemd(&host).unwrap();
        assert!(timer.text.contains("\nPersistent=true\n") && timer.text.contains("\nOnCalendar=hourly\n"));
    }

    proptest! {
        #[test]
        fn no_path_adds_a_line(path in "/\\PC{0,20}|/[%$ \"'\\\\\n\r-]{0,8}") {
            let lines = |text: Result<String, _>| text.map(|text: String| text.lines().count());
            if let Ok(count) = lines(service(&path, &[&path], None, false)) {
                prop_assert_eq!(Ok(count), lines(service("/srv", &["/srv"], None, false)));
            }
        }
    }
}
