//! Live sessions, through `OpenVPN`'s management interface (`management-notes.txt`, `manage.c`): who is connected, and ending it.
//! The only sockets there are. Knows no store and no revocation; whose sessions end is decided before.

mod listing;
mod talk;

use std::{
    thread,
    time::{Duration, Instant},
};

use serde::Serialize;

use crate::{name::Name, secret::Secret, settings::Management, time::Time};
use talk::Talk;

/// A client that is connected to a server.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Session {
    /// The certificate's common name, as the server says it: any text. With `username-as-common-name` or
    /// `x509-username-field` it is something else, and the server has no word for the certificate's.
    pub name: String,
    /// Where it comes from: address and port, as the server says it.
    pub real_address: String,
    /// Its address in the VPN; none until it has one.
    pub virtual_address: Option<String>,
    /// Its IPv6 address in the VPN.
    pub virtual_ipv6: Option<String>,
    /// When it began.
    pub since: Time,
    /// The server's number for it, never given twice while the server runs (`OpenVPN` 2.4 and newer).
    pub id: Option<u64>,
}

/// What came of ending sessions on one server, read back from it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Ended {
    /// The sessions that are gone.
    pub ended: Vec<Session>,
    /// Those that the same names have begun since.
    pub back: Vec<Session>,
}

/// Why a server's sessions are not known, or did not end.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// Nobody listens there, or not for us.
    #[error("its management interface cannot be reached: {0}")]
    Unreached(#[source] std::io::Error),
    /// It was reached and says nothing: `OpenVPN` listens on while one program is connected, and talks to that one alone.
    #[error("its management interface does not answer within {PATIENCE:?}; it serves one program at a time, and another may hold it")]
    Silent,
    /// It fell silent in the middle.
    #[error("its management interface stopped in the middle of an answer")]
    Stopped,
    /// It hung up.
    #[error("its management interface ended the connection")]
    Closed,
    /// No password is known.
    #[error("its management interface asks for a password, and `management-password-file` is not set")]
    PasswordWanted,
    /// The password is wrong.
    #[error("its management interface does not take the password in `management-password-file`")]
    PasswordRefused,
    /// What listens there is something else.
    #[error("what listens there is no management interface of OpenVPN: it said `{0}`")]
    Foreign(String),
    /// An answer that makes no sense, as far as it is shown.
    #[error("its management interface said what cannot be understood: `{0}`")]
    Garbled(String),
    /// A line or an answer without end.
    #[error("its management interface said more than any server has to say")]
    TooMuch,
    /// A process without clients.
    #[error("this is no server: it has no list of clients")]
    NoServer,
    /// The server was told, and a session goes on.
    #[error("`{0}` is still connected {GONE:?} after its session was ended")]
    StillThere(String),
}

/// Who is connected. Handshakes that are not done yet are left out.
pub fn sessions(at: &Management, password: Option<&Secret>) -> Result<Vec<Session>, SessionError> {
    Talk::begin(at, password)?.sessions()
}

/// Ends every session of these names, and reads back until those that there were are gone.
///
/// By `kill`, which drops the instance at once (`multi.c`, `multi_signal_instance`). `client-kill` first tells the client and
/// leaves it connected for some five seconds. A client over UDP is told nothing by `kill`, and tries again when its
/// ping-restart is over; one over TCP at once.
pub fn kick(at: &Management, password: Option<&Secret>, names: &[Name]) -> Result<Ended, SessionError> {
    let mut talk = Talk::begin(at, password)?;
    let ended = of(names, talk.sessions()?);
    // also of whom the list does not have: a session may have begun since
    names.iter().try_for_each(|name| talk.kill(name))?;
    let end = Instant::now() + GONE;
    loop {
        let (still, back): (Vec<_>, Vec<_>) =
            of(names, talk.sessions()?).into_iter().partition(|now| ended.iter().any(|before| before.is(now)));
        match still.first() {
            None => return Ok(Ended { ended, back }),
            Some(left) if Instant::now() >= end => return Err(SessionError::StillThere(left.name.clone())),
            Some(_) => thread::sleep(PAUSE),
        }
    }
}

fn of(names: &[Name], sessions: Vec<Session>) -> Vec<Session> {
    sessions.into_iter().filter(|session| names.iter().any(|name| name.as_str() == session.name)).collect()
}

impl Session {
    /// Whether this is the same session, not a later one of the same client. Its address in the VPN may have come since.
    fn is(&self, other: &Self) -> bool {
        let key = |session: &Self| (session.name.clone(), session.real_address.clone(), session.since, session.id);
        match (self.id, other.id) {
            (Some(one), Some(another)) => one == another,
            _ => key(self) == key(other),
        }
    }
}

/// How long a server may say nothing.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a session may go on once it was ended.
const GONE: Duration = Duration::from_secs(3);

const PAUSE: Duration = Duration::from_millis(50);
