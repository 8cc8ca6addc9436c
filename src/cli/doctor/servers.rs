//! Facts about servers for `doctor`: what each shows its clients, and what lies in the directory it runs from.
//! Looks, and changes nothing.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use super::gather::Look;
use crate::{
    authority::publishing::{list_form, Reached, TargetState},
    cli::{status::screen::still_let_in, Failure},
    files,
    findings::{
        lockout::Gate,
        target::{self, Behind, Entry, Others, Purpose, Shown},
        Finding, Severity,
    },
    inventory::{Certificate, Peer, Role},
    pki,
    publish::{self, Form, Reader},
    serial::Serial,
    settings::PublishMode,
};

/// What was found about servers.
pub struct Servers {
    /// Each as clients meet it.
    pub gates: Vec<Gate>,
    /// What is not as it should be.
    pub findings: Vec<Finding>,
    /// Of each target whom it lets in although they are refused.
    pub let_in: Vec<(String, BTreeSet<Serial>)>,
}

/// Looks at every server and its directory.
pub fn look(look: &Look<'_>) -> Result<Servers, Failure> {
    let desk = Desk { look, servers: look.view.servers()? };
    let (mut gates, mut findings, mut let_in) = (Vec::new(), Vec::new(), Vec::new());
    for target in &look.targets {
        let reader = desk.reader(target);
        let shown = reader.as_ref().and_then(|reader| reader.certificate.as_deref()).map(|file| desk.shown(file));
        let shown = shown.transpose()?;
        gates.push(desk.gate(target, shown.as_ref())?);
        let open = if target.reached() { Vec::new() } else { look.authority.let_in(look.view, target)? };
        findings.extend(target::findings(&desk.facts(target, reader.as_ref(), shown.as_ref(), &open)?));
        let_in.push((files::shown(&target.dir), open.into_iter().collect()));
    }
    findings.extend(desk.without_target(&mut gates));
    let entries = look.view.crl_facts(look.issuer_number, look.now)?.map_or(0, |crl| crl.entries);
    findings.extend(target::large_list(entries, list_form(&look.targets, &look.publishing)));
    if look.crls.len() > 1 && look.at > look.now {
        let why = "are taken to arrive in time: `vpnpki crl publish` runs on a timer";
        findings.push(Finding::new("presumed", Severity::Note, "CRLs signed in advance", why));
    }
    Ok(Servers { gates, findings, let_in })
}

struct Desk<'a> {
    look: &'a Look<'a>,
    servers: Vec<(Peer, Certificate)>,
}

/// The certificate that a server shows, and the file it is in.
struct Showing {
    file: PathBuf,
    certificate: Option<Certificate>,
}

impl Desk<'_> {
    /// The configuration that reads the CRL of this target.
    fn reader(&self, target: &Reached) -> Option<Reader> {
        let there = publish::inspect(&target.dir, self.look.issuer.der()).ok()?;
        there.readers.into_iter().find(|reader| Some(&reader.crl.path) == target.file.as_ref())
    }

    fn shown(&self, file: &Path) -> Result<Showing, Failure> {
        let pem = files::read(file, TEXT_LIMIT).ok();
        let der = pem.and_then(|pem| pki::certificates_from_pem(&pem).ok()?.into_iter().next());
        let leaf = der.as_deref().and_then(|der| pki::read_leaf(der).ok());
        let known = leaf.map(|leaf| self.look.view.certificate(&leaf.serial)).transpose()?.flatten();
        // the same serial in another certificate is another authority's
        let ours = known.filter(|known| {
            let signed = self.look.view.certificate_der(&known.serial).ok().flatten();
            signed.is_some() && signed == der
        });
        Ok(Showing { file: file.to_owned(), certificate: ours.filter(is_server) })
    }

    /// What clients of this target's server meet. A target that was reached reads the CRLs of the store as they become
    /// due; any other goes on with the one that it has. A directory of serials has no date on which it ends.
    fn gate(&self, target: &Reached, shown: Option<&Showing>) -> Result<Gate, Failure> {
        let crls = if target.form == Some(Form::Serials) {
            Vec::new()
        } else if matches!(target.state, TargetState::Current | TargetState::Ahead) {
            self.look.crls.clone()
        } else {
            let there = self.look.authority.validity_there(self.look.view, target)?;
            there.map(|validity| (validity.not_before(), validity)).into_iter().collect()
        };
        let certificate = shown.and_then(|shown| shown.certificate.as_ref()).or_else(|| self.only_server());
        let name = certificate.and_then(|found| found.holder.as_ref()).map(|holder| holder.name.clone());
        let dir = files::shown(&target.dir);
        let server = name.as_ref().map_or_else(|| dir.clone(), |name| format!("{name} in {dir}"));
        Ok(Gate { server, certificate: certificate.map(|found| found.validity), name, crls })
    }

    fn only_server(&self) -> Option<&Certificate> {
        match self.servers.as_slice() {
            [(_, certificate)] => Some(certificate),
            _ => None,
        }
    }

    fn facts(
        &self,
        target: &Reached,
        reader: Option<&Reader>,
        shown: Option<&Showing>,
        let_in: &[Serial],
    ) -> Result<target::Facts, Failure> {
        let dir = &target.dir;
        Ok(target::Facts {
            dir: files::shown(dir),
            quoted: files::quoted(dir),
            behind: self.behind(target, let_in)?,
            certificate: shown.map(|shown| self.standing_of(shown)),
            entries: entries(dir, reader)?,
            others: self.others(target)?,
        })
    }

    /// Who of those that only the names of a directory refuse would get in without.
    fn others(&self, target: &Reached) -> Result<Option<Others>, Failure> {
        let (Some(serials), false) = (&target.file, target.others.is_empty()) else { return Ok(None) };
        let mut ours = Vec::new();
        for serial in &target.others {
            let known = self.look.view.certificate(serial)?.filter(|known| known.is_accepted(self.look.now));
            let holder = known.and_then(|known| known.holder);
            ours.extend(holder.map(|holder| (holder.name.to_string(), *serial)));
        }
        Ok(Some(Others { quoted: files::quoted(serials), count: target.others.len(), ours }))
    }

    fn behind(&self, target: &Reached, let_in: &[Serial]) -> Result<Option<Behind>, Failure> {
        if target.reached() {
            return Ok(None);
        }
        Ok(Some(Behind {
            why: target.problem.clone().unwrap_or_else(|| "it has an older CRL".to_owned()),
            mend: target.mend.clone().unwrap_or_else(|| "vpnpki crl publish".to_owned()),
            let_in: still_let_in(self.look.view, let_in, self.look.now)?,
        }))
    }

    fn standing_of(&self, shown: &Showing) -> Shown {
        let foreign = || Shown::Foreign { file: files::shown(&shown.file) };
        let Some(certificate) = &shown.certificate else { return foreign() };
        let Some(name) = certificate.holder.as_ref().map(|holder| holder.name.clone()) else { return foreign() };
        let (serial, ends) = (certificate.serial, certificate.validity.not_after());
        let newest = self.servers.iter().any(|(peer, _)| peer.name == name && peer.current == serial);
        match (newest, certificate.refusal(self.look.now)) {
            (false, _) => Shown::Old { name, serial, ends },
            (true, Some(_)) => Shown::Revoked { name, ends },
            (true, None) => Shown::Current,
        }
    }

    /// Servers whose directory nobody named: they are met all the same, with what somebody carries to them.
    fn without_target(&self, gates: &mut Vec<Gate>) -> Vec<Finding> {
        let mut found = Vec::new();
        for (peer, certificate) in &self.servers {
            let name = &peer.name;
            if gates.iter().any(|gate| gate.name.as_ref() == Some(name)) {
                continue;
            }
            gates.push(Gate {
                server: name.to_string(),
                certificate: Some(certificate.validity),
                name: Some(name.clone()),
                crls: self.look.crls.clone(),
            });
            let carried = self.look.publishing.mode == PublishMode::Manual || self.look.publishing.after.is_some();
            let severity = if self.look.targets.is_empty() && !carried { Severity::Due } else { Severity::Note };
            let why = "runs from a directory that is not known here, so its CRL is taken to be carried there in time";
            let mend = format!("vpnpki export {name} --publish -o DIR");
            found.push(Finding::new("no-target", severity, name.as_str(), why).mend(mend));
        }
        if self.look.publishing.mode == PublishMode::Manual {
            let why = "`publish.mode` is manual: revoking does not reach a server by itself";
            found.push(Finding::new("manual", Severity::Note, "vpnpki.toml", why));
        }
        found
    }
}

fn is_server(certificate: &Certificate) -> bool {
    certificate.holder.as_ref().is_some_and(|holder| holder.role == Role::Server)
}

/// The directory and the files that the server reads there, with modes and owners.
fn entries(dir: &Path, reader: Option<&Reader>) -> Result<Vec<Entry>, Failure> {
    let mut paths = vec![(dir.to_owned(), Purpose::Directory), (dir.join("ca.crt"), Purpose::Public)];
    if let Some(Reader { config, crl, certificate, secrets, .. }) = reader {
        let public = [Some(config), certificate.as_ref()];
        paths.extend(public.into_iter().flatten().map(|path| (path.clone(), Purpose::Public)));
        paths.push((crl.path.clone(), Purpose::Crl));
        paths.extend(crl.path.parent().filter(|parent| *parent != dir).map(|parent| (parent.to_owned(), Purpose::Crl)));
        paths.extend(secrets.iter().map(|path| (path.clone(), Purpose::Secret)));
    }
    let mut entries = Vec::new();
    for (path, purpose) in paths {
        // what a link points to counts; what is not there is said elsewhere
        let Ok(real) = files::real_path(&path) else { continue };
        let Some(standing) = files::standing(&real)? else { continue };
        let path = files::quoted(&path);
        entries.push(Entry { path, purpose, mode: standing.mode, uid: standing.uid });
    }
    Ok(entries)
}

const TEXT_LIMIT: usize = 1 << 20;
