//! Live sessions: every server whose management interface is known is asked who is connected, or told to end sessions.
//! Writes nothing, and needs neither vault nor ledger; a server that does not answer keeps nobody from the others.

use std::{path::Path, thread};

use serde::Serialize;

use crate::{
    authority::{target::server_name, Authority, AuthorityError},
    files::{self, FileError, Kind},
    inventory::Status,
    name::Name,
    secret::Secret,
    sessions::{self, Ended, Session, SessionError},
    settings::{ManagedServer, Management, Publishing},
    store::View,
};

/// Which servers were asked, and what each said.
#[derive(Debug, Serialize)]
pub struct Asked<T> {
    /// In the order of the settings.
    pub servers: Vec<Answered<T>>,
    /// Whether the settings name a server that could not be read.
    pub faulty: bool,
    /// What people should know; part of the report's own warnings.
    #[serde(skip)]
    pub warnings: Vec<String>,
    /// The first server by name, whose management interface could become known where none is.
    #[serde(skip)]
    pub first: String,
}

/// One server's answer.
#[derive(Debug, Serialize)]
pub struct Answered<T> {
    /// Whose name its certificate has.
    pub server: String,
    /// Where its management interface is, as in the settings.
    pub management: String,
    /// What it said; nothing when there is a problem.
    #[serde(flatten)]
    pub answer: T,
    /// Why it said nothing that could be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// Who is connected.
#[derive(Debug, Serialize, Default)]
pub struct Connected {
    /// In the server's order.
    pub sessions: Vec<Live>,
}

/// A session and what the store says of its name.
#[derive(Debug, Serialize)]
pub struct Live {
    /// As the server says it.
    #[serde(flatten)]
    pub session: Session,
    /// The status of the name's newest certificate that is accepted, else of its newest; none when the store does not
    /// know the name. Which one the session was begun with no server says.
    pub status: Option<Status>,
}

/// What was ended.
#[derive(Debug, Serialize, Default)]
pub struct Kicked {
    /// Sessions that are gone, read back from the server.
    pub ended: Vec<Session>,
    /// Sessions that the same names have begun since.
    pub back: Vec<Live>,
}

impl Live {
    /// Whether the name still has a certificate that is accepted.
    pub fn has_access(&self) -> bool {
        matches!(self.status, Some(Status::Valid | Status::Superseded))
    }
}

impl<T> Asked<T> {
    /// Whether no server's management interface is known at all.
    pub fn nobody(&self) -> bool {
        self.servers.is_empty() && !self.faulty
    }
}

impl Authority {
    /// A name that does not exist stops a call before anybody is asked.
    pub fn known(&self, names: &[Name]) -> Result<(), AuthorityError> {
        let view = self.view()?;
        names.iter().try_for_each(|name| self.peer(&*view, name).map(drop))
    }

    /// Who is connected to which server; of these names alone unless there are none.
    pub fn connected(&self, names: &[Name], publishing: &Publishing) -> Result<Asked<Connected>, AuthorityError> {
        let asked = self.ask(publishing, &sessions::sessions);
        let view = self.view()?;
        asked.try_map(|found| {
            let wanted = |session: &Session| names.is_empty() || names.iter().any(|name| name.as_str() == session.name);
            let found = found.into_iter().filter(wanted);
            Ok(Connected { sessions: found.map(|session| self.live(&*view, session)).collect::<Result<_, _>>()? })
        })
    }

    /// Ends every live session of these names on every known server. Whoever still has access may come back.
    pub fn kick(&self, names: &[Name], publishing: &Publishing) -> Asked<Kicked> {
        let asked = self.ask(publishing, &|at, password| sessions::kick(at, password, names));
        let view = self.view().ok();
        // what the store does not say is not taken for access
        let live = |session: Session| {
            let status = view.as_ref().and_then(|view| self.status_of(&**view, &session.name).ok().flatten());
            Live { session, status }
        };
        asked.map(|Ended { ended, back }| Kicked { ended, back: back.into_iter().map(live).collect() })
    }

    fn live(&self, view: &dyn View, session: Session) -> Result<Live, AuthorityError> {
        Ok(Live { status: self.status_of(view, &session.name)?, session })
    }

    fn status_of(&self, view: &dyn View, name: &str) -> Result<Option<Status>, AuthorityError> {
        let Ok(name) = Name::parse(name) else { return Ok(None) };
        if view.peer(&name)?.is_none_or(|peer| peer.name != name) {
            return Ok(None);
        }
        let (all, now) = (view.certificates_of(&name)?, self.now());
        let accepted = all.iter().rfind(|certificate| certificate.is_accepted(now));
        Ok(accepted.or(all.last()).map(|certificate| certificate.status(now)))
    }

    /// Asks all servers at once, so that a dead one delays no other.
    fn ask<T: Send + Default>(&self, publishing: &Publishing, question: &Question<'_, T>) -> Asked<T> {
        let first = self.view().and_then(|view| server_name(&*view)).unwrap_or_else(|_| "server".to_owned());
        let mut warnings = Vec::new();
        let doors: Vec<Door> =
            publishing.servers.iter().map(|server| self.door(server, &first, &mut warnings)).collect();
        let servers = thread::scope(|scope| {
            let waiting: Vec<_> = doors.iter().map(|door| scope.spawn(move || door.ask(question))).collect();
            // a panic in there is a bug, and goes on here
            let joined = |thread: thread::ScopedJoinHandle<'_, _>| {
                thread.join().unwrap_or_else(|bug| std::panic::resume_unwind(bug))
            };
            waiting.into_iter().map(joined).collect()
        });
        Asked { servers, faulty: publishing.servers_faulty, warnings, first }
    }

    fn door<'a>(&self, server: &'a ManagedServer, first: &str, warnings: &mut Vec<String>) -> Door<'a> {
        let name = server.name.as_ref().map_or_else(|| first.to_owned(), Name::to_string);
        let password = server.password_file.as_ref().map(|file| password(&self.dir().join(file), warnings));
        Door { name, at: &server.management, password: password.transpose() }
    }
}

/// What every server is asked, or told.
type Question<'q, T> = dyn Fn(&Management, Option<&Secret>) -> Result<T, SessionError> + Sync + 'q;

/// A server that can be asked, once its password is there.
struct Door<'a> {
    name: String,
    at: &'a Management,
    password: Result<Option<Secret>, String>,
}

impl Door<'_> {
    fn ask<T: Default>(&self, question: &Question<'_, T>) -> Answered<T> {
        let said = match &self.password {
            Ok(password) => question(self.at, password.as_ref()).map_err(|error| error.to_string()),
            Err(problem) => Err(problem.clone()),
        };
        let (answer, problem) = match said {
            Ok(answer) => (answer, None),
            Err(problem) => (T::default(), Some(problem)),
        };
        Answered { server: self.name.clone(), management: self.at.to_string(), answer, problem }
    }
}

impl<T> Asked<T> {
    fn map<U>(self, change: impl Fn(T) -> U) -> Asked<U> {
        let Self { servers, faulty, warnings, first } = self;
        Asked { servers: servers.into_iter().map(|one| one.map(&change)).collect(), faulty, warnings, first }
    }

    fn try_map<U>(self, change: impl Fn(T) -> Result<U, AuthorityError>) -> Result<Asked<U>, AuthorityError> {
        let Asked { servers, faulty, warnings, first } = self.map(change);
        let settled = |one: Answered<Result<U, AuthorityError>>| {
            let Answered { server, management, answer, problem } = one;
            Ok(Answered { server, management, answer: answer?, problem })
        };
        let servers = servers.into_iter().map(settled).collect::<Result<_, AuthorityError>>()?;
        Ok(Asked { servers, faulty, warnings, first })
    }
}

impl<T> Answered<T> {
    fn map<U>(self, change: impl Fn(T) -> U) -> Answered<U> {
        let Self { server, management, answer, problem } = self;
        Answered { server, management, answer: change(answer), problem }
    }
}

/// The first line, as the server reads it (`misc.c`, `get_user_pass_cr`).
fn password(file: &Path, warnings: &mut Vec<String>) -> Result<Secret, String> {
    let unread = |error: FileError| format!("the password of its management interface was not read: {error}");
    let open = files::standing(file).map_err(unread)?;
    if open.is_some_and(|found| found.kind == Kind::File && found.mode & 0o077 != 0) {
        warnings.push(format!("`{0}` can be read by others; `chmod 0600 {0}`", files::shown(file)));
    }
    let text = files::read_secret(file).map_err(unread)?;
    let line = text.expose().split(|&byte| byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.is_empty() {
        return Err(format!(
            "`{}`, the password of its management interface, begins with an empty line",
            files::shown(file)
        ));
    }
    Ok(Secret::new(line.to_vec()))
}
