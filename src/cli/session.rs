//! What every command needs: the global options resolved, the authority opened, whoever can open the vault.
//! Knows nothing of single commands.

use std::{
    cell::OnceCell,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    authority::{Actor, Authority, Keyholder, KeyholderError},
    cli::{
        environment::{self, Environment},
        failure,
        plugins::Person,
        terminal, Exit, Failure, Global,
    },
    files::{self, Kind},
    secret::Secret,
    store::Access,
    vault::{IdentityFile, Plugins, Unlocker},
    world::World,
};

/// One call of the program.
pub struct Session {
    global: Global,
    environment: Environment,
    passphrase: OnceCell<Secret>,
    /// That the environment holds only what plugins may know.
    cleared: std::sync::Once,
}

impl Session {
    pub fn new(global: Global, environment: Environment) -> Self {
        Self { global, environment, passphrase: OnceCell::new(), cleared: std::sync::Once::new() }
    }

    /// The PKI directory.
    pub fn dir(&self) -> PathBuf {
        let named = self.global.pki.clone().or_else(|| self.environment.dir.clone());
        named.unwrap_or_else(|| PathBuf::from("pki"))
    }

    /// Whether somebody said which directory that is.
    pub fn names_a_directory(&self) -> bool {
        self.global.pki.is_some() || self.environment.dir.is_some()
    }

    pub fn json(&self) -> bool {
        self.global.json
    }

    pub fn quiet(&self) -> bool {
        self.global.quiet
    }

    /// How commands that are printed begin, so that they work as they are typed.
    pub fn program(&self) -> String {
        self.global
            .pki
            .as_ref()
            .map_or_else(|| "vpnpki".to_owned(), |dir| format!("vpnpki --pki {}", files::quoted(dir)))
    }

    /// Says what went wrong. A hint works as it is typed, so it names the directory that was named.
    pub fn fail(&self, mut failure: Failure, command: &str) -> Exit {
        let named = format!("`{} ", self.program());
        failure.hints = failure.hints.iter().map(|hint| hint.replace("`vpnpki ", &named)).collect();
        failure.print(command, self.json())
    }

    /// Opens the authority and says what is to be known about its place.
    pub fn open(&self, access: Access) -> Result<Authority, Failure> {
        let authority = Authority::open(&self.dir(), access, self.actor())?;
        for notice in authority.notices() {
            self.warn(notice);
        }
        Ok(authority)
    }

    /// Who acts.
    pub fn actor(&self) -> Actor {
        let uid = rustix::process::getuid().as_raw();
        let by = self.environment.user.clone().unwrap_or_else(|| format!("uid {uid}"));
        let patience = Duration::from_secs(self.global.wait);
        Actor { by, uid, patience, clock_is_right: self.global.clock_is_right, world: World::real() }
    }

    /// A question with yes or no. `--yes` answers it; without a terminal, or with `--batch`, nobody does.
    pub fn agreed(&self, question: &str) -> Option<bool> {
        match (self.global.yes, self.global.batch) {
            (true, _) => Some(true),
            (false, true) => None,
            (false, false) => terminal::ask(question),
        }
    }

    /// A warning on standard error; in JSON they are part of the object.
    pub fn warn(&self, warning: &str) {
        if !self.global.json && !self.global.quiet {
            failure::say(&format!("{}warning:{} {warning}\n", failure::YELLOW, failure::PLAIN));
        }
    }

    /// A new passphrase, asked for twice.
    pub fn new_passphrase(&self) -> Result<Secret, Failure> {
        match self.given_passphrase()? {
            Some(given) => Ok(given),
            None => self.ask_new_passphrase("New passphrase for the vault: "),
        }
    }

    /// A passphrase that is not the vault's yet, asked for twice.
    pub fn ask_new_passphrase(&self, prompt: &str) -> Result<Secret, Failure> {
        let first = self.ask_passphrase(prompt)?;
        let again = self.ask_passphrase("The same again: ")?;
        if first.expose() == again.expose() {
            Ok(first)
        } else {
            Err(Failure::usage("the two passphrases differ; nothing was made"))
        }
    }

    /// The passphrase from `--passphrase-file` or the environment; two at once are refused.
    pub fn given_passphrase(&self) -> Result<Option<Secret>, KeyholderError> {
        self.refuse_two_passphrases()?;
        let file = self.global.passphrase_file.as_deref().or(self.environment.passphrase_file.as_deref());
        match (file, &self.environment.passphrase) {
            (Some(file), _) => self.read_passphrase(file).map(Some),
            (None, Some(text)) => first_line(text, "VPNPKI_PASSPHRASE").map(Some),
            (None, None) => Ok(None),
        }
    }

    /// How plugins reach whoever runs this; the environment is cleared for those that these unlockers need.
    pub fn plugins_of(&self, unlockers: &[Unlocker]) -> Plugins {
        let needed = |unlocker: &Unlocker| unlocker.recipient().is_some_and(crate::vault::Recipient::needs_plugin);
        if unlockers.iter().any(needed) {
            self.plugins()
        } else {
            Plugins::unattended()
        }
    }

    /// Which of two is meant nobody can tell, also where an identity opens the vault and neither is needed.
    fn refuse_two_passphrases(&self) -> Result<(), KeyholderError> {
        let sources = [
            ("--passphrase-file", self.global.passphrase_file.is_some()),
            ("VPNPKI_PASSPHRASE_FILE", self.environment.passphrase_file.is_some()),
            ("VPNPKI_PASSPHRASE", self.environment.passphrase.is_some()),
        ];
        let named: Vec<&str> = sources.iter().filter(|(_, given)| *given).map(|(name, _)| *name).collect();
        match named.len() {
            0 | 1 => Ok(()),
            _ => Err(KeyholderError::Conflict(format!("the passphrase is given twice, by {}", named.join(" and ")))),
        }
    }

    /// The file that the vault's passphrase is in.
    pub fn vault_passphrase_file(&self) -> Option<&PathBuf> {
        self.global.passphrase_file.as_ref().or(self.environment.passphrase_file.as_ref())
    }

    /// The passphrase in a file.
    pub fn read_passphrase(&self, path: &Path) -> Result<Secret, KeyholderError> {
        self.warn_of_readers(path)?;
        first_line(&files::read_secret(path)?, &files::shown(path))
    }

    /// Whoever reads the file opens the vault.
    fn warn_of_readers(&self, path: &Path) -> Result<(), KeyholderError> {
        let open = files::standing(path)?.is_some_and(|found| found.kind == Kind::File && found.mode & 0o077 != 0);
        if open {
            self.warn(&format!("`{0}` can be read by others; `chmod 0600 {0}`", files::shown(path)));
        }
        Ok(())
    }

    /// One that is there, asked for once.
    pub fn ask_passphrase(&self, prompt: &str) -> Result<Secret, KeyholderError> {
        let answer = if self.global.batch { None } else { terminal::ask_passphrase(prompt) };
        match answer {
            Some(passphrase) if passphrase.expose().is_empty() => {
                Err(KeyholderError::Unusable("an empty passphrase protects nothing".to_owned()))
            }
            Some(passphrase) => Ok(passphrase),
            None => Err(KeyholderError::Missing("passphrase")),
        }
    }
}

impl Keyholder for Session {
    fn identity(&self) -> Result<Option<IdentityFile>, KeyholderError> {
        self.refuse_two_passphrases()?;
        let Some(path) = self.global.identity.as_deref().or(self.environment.identity.as_deref()) else {
            return Ok(None);
        };
        self.warn_of_readers(path)?;
        let mut identity = IdentityFile::parse(files::read_secret(path)?.expose())?;
        if identity.is_locked() {
            identity.unlock(&self.passphrase()?)?;
        }
        if identity.needs_plugins() {
            identity.connect(&self.plugins())?;
        }
        Ok(Some(identity))
    }

    fn plugins(&self) -> Plugins {
        self.cleared.call_once(environment::clear_for_plugins);
        Plugins::before(Person::new(self.global.batch, self.global.json))
    }

    fn passphrase(&self) -> Result<Secret, KeyholderError> {
        if let Some(given) = self.given_passphrase()? {
            return Ok(given);
        }
        if self.passphrase.get().is_none() {
            // asked once; a second question would only repeat the first
            let _ = self.passphrase.set(self.ask_passphrase("Passphrase: ")?);
        }
        let kept = self.passphrase.get().map(|kept| Secret::new(kept.expose().to_vec()));
        kept.ok_or(KeyholderError::Missing("passphrase"))
    }
}

/// The first line without its end; editors add one, and nobody means it.
fn first_line(text: &Secret, source: &str) -> Result<Secret, KeyholderError> {
    let line = text.expose().split(|&byte| byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.is_empty() {
        return Err(KeyholderError::Unusable(format!(
            "`{source}` begins with an empty line: an empty passphrase protects nothing"
        )));
    }
    Ok(Secret::new(line.to_vec()))
}
