//! The conversation with one management interface: connecting, the password, lines with bounds in time and length.
//! Trusts nothing that it hears, and knows only the two commands that are needed.

use std::{
    io::{self, Read, Write},
    os::unix::net::UnixStream,
    thread,
    time::{Duration, Instant},
};

use rustix::io::Errno;

use super::{
    listing::{garbled, shown, Listing},
    Session, SessionError, PATIENCE, PAUSE,
};
use crate::{name::Name, secret::Secret, settings::Management};

/// A management interface that has greeted us.
pub struct Talk {
    channel: Box<dyn Channel>,
    /// What came and was not taken yet, from `taken` on.
    heard: Vec<u8>,
    taken: usize,
    /// Whether anything came at all.
    spoke: bool,
    /// What the answer that is being read may still have.
    left: usize,
    /// When that answer must be complete.
    end: Instant,
}

/// Both kinds of sockets.
trait Channel: Read + Write {
    /// How long the next read or write may take; more than nothing.
    fn allow(&self, time: Duration) -> io::Result<()>;
}

impl Channel for UnixStream {
    fn allow(&self, time: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(time))?;
        self.set_write_timeout(Some(time))
    }
}

impl Channel for std::net::TcpStream {
    fn allow(&self, time: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(time))?;
        self.set_write_timeout(Some(time))
    }
}

impl Talk {
    /// Connects, gives the password where one is asked for, and waits for the greeting.
    pub fn begin(at: &Management, password: Option<&Secret>) -> Result<Self, SessionError> {
        let channel: Box<dyn Channel> = match at {
            Management::Unix(path) => Box::new(connect(path)?),
            Management::Tcp(address) => {
                Box::new(std::net::TcpStream::connect_timeout(address, PATIENCE).map_err(SessionError::Unreached)?)
            }
        };
        Self::over(channel, password)
    }

    fn over(channel: Box<dyn Channel>, password: Option<&Secret>) -> Result<Self, SessionError> {
        let mut talk = Self { channel, heard: Vec::new(), taken: 0, spoke: false, left: 0, end: Instant::now() };
        talk.expect_answer();
        talk.greet(password)?;
        Ok(talk)
    }

    /// Who is connected.
    pub fn sessions(&mut self) -> Result<Vec<Session>, SessionError> {
        self.say(b"status 3\n")?;
        let mut listing = Listing::default();
        while !listing.take(&self.reply()?)? {}
        listing.finish()
    }

    /// Ends every session of this name; that there is none is no error. A name needs no quoting (`name`).
    pub fn kill(&mut self, name: &Name) -> Result<(), SessionError> {
        self.say(format!("kill {name}\n").as_bytes())?;
        let reply = self.reply()?;
        if reply.starts_with("SUCCESS:") || (reply.starts_with("ERROR:") && reply.ends_with("not found")) {
            Ok(())
        } else {
            Err(garbled(&reply))
        }
    }

    /// A wrong password is answered by asking again, up to three times (`manage.c`, `man_check_password`).
    fn greet(&mut self, password: Option<&Secret>) -> Result<(), SessionError> {
        let mut asked = false;
        loop {
            let line = self.line(Some(PROMPT)).map_err(|error| match error {
                SessionError::Closed if asked => SessionError::PasswordRefused,
                other => other,
            })?;
            match (line.as_str(), password) {
                (PROMPT, None) => return Err(SessionError::PasswordWanted),
                (PROMPT, Some(_)) if asked => return Err(SessionError::PasswordRefused),
                (PROMPT, Some(password)) => {
                    asked = true;
                    self.say(password.expose())?;
                    self.say(b"\n")?;
                }
                (info, _) if info.starts_with(GREETING) => return Ok(()),
                (taken, _) if asked && taken.starts_with("SUCCESS:") => {}
                (refused, _) if asked && refused.starts_with("ERROR:") => return Err(SessionError::PasswordRefused),
                (foreign, _) => return Err(SessionError::Foreign(shown(foreign))),
            }
        }
    }

    /// The next line that answers a command; notices, which begin with `>`, come at any time.
    fn reply(&mut self) -> Result<String, SessionError> {
        loop {
            let line = self.line(None)?;
            if !line.starts_with('>') {
                return Ok(line);
            }
        }
    }

    fn say(&mut self, bytes: &[u8]) -> Result<(), SessionError> {
        self.expect_answer();
        self.channel.allow(PATIENCE).and_then(|()| self.channel.write_all(bytes)).map_err(|error| failed(&error, true))
    }

    fn expect_answer(&mut self) {
        self.left = LONGEST_ANSWER;
        self.end = Instant::now() + LONGEST_TALK;
    }

    /// The next line without its end, or a prompt, which has none.
    fn line(&mut self, prompt: Option<&str>) -> Result<String, SessionError> {
        let mut searched = 0;
        loop {
            let waiting = &self.heard[self.taken..];
            if let Some(end) = waiting[searched..].iter().position(|&byte| byte == b'\n').map(|end| searched + end) {
                let line = String::from_utf8_lossy(&waiting[..end]).trim_end_matches('\r').to_owned();
                self.taken += end + 1;
                return Ok(line);
            }
            if let Some(prompt) = prompt.filter(|prompt| waiting == prompt.as_bytes()) {
                self.taken = self.heard.len();
                return Ok(prompt.to_owned());
            }
            if waiting.len() > LONGEST_LINE {
                return Err(SessionError::TooMuch);
            }
            searched = waiting.len();
            self.hear()?;
        }
    }

    /// Waits for more, and forgets what was taken.
    fn hear(&mut self) -> Result<(), SessionError> {
        self.heard.drain(..self.taken);
        self.taken = 0;
        let time = PATIENCE.min(self.end.saturating_duration_since(Instant::now()));
        if time.is_zero() {
            return Err(SessionError::Stopped);
        }
        let mut piece = [0; 16 * 1024];
        let count = self
            .channel
            .allow(time)
            .and_then(|()| self.channel.read(&mut piece))
            .map_err(|error| failed(&error, self.spoke))?;
        if count == 0 {
            return Err(SessionError::Closed);
        }
        self.spoke = true;
        self.left = self.left.checked_sub(count).ok_or(SessionError::TooMuch)?;
        self.heard.extend_from_slice(&piece[..count]);
        Ok(())
    }
}

/// Connects without ever being stuck: a socket whose queue is full keeps a usual connect waiting without end.
fn connect(path: &str) -> Result<UnixStream, SessionError> {
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
    let unreached = |errno: Errno| SessionError::Unreached(errno.into());
    let address = SocketAddrUnix::new(path).map_err(unreached)?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let end = Instant::now() + PATIENCE;
    loop {
        let socket =
            rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).map_err(unreached)?;
        match rustix::net::connect(&socket, &address) {
            Ok(()) => {
                let stream = UnixStream::from(socket);
                stream.set_nonblocking(false).map_err(SessionError::Unreached)?;
                return Ok(stream);
            }
            Err(Errno::AGAIN) if Instant::now() < end => thread::sleep(PAUSE),
            Err(Errno::AGAIN) => return Err(SessionError::Silent),
            Err(errno) => return Err(unreached(errno)),
        }
    }
}

/// What a failed read or write means, after something came or nothing.
fn failed(error: &io::Error, something: bool) -> SessionError {
    match (error.kind(), something) {
        (io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut, false) => SessionError::Silent,
        (io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut, true) => SessionError::Stopped,
        _ => SessionError::Closed,
    }
}

/// Stands at the end of what was said, without an end of line (`manage.c`, `man_prompt`).
const PROMPT: &str = "ENTER PASSWORD:";

const GREETING: &str = ">INFO:OpenVPN Management Interface";

/// A row of a client has some 300 bytes.
const LONGEST_LINE: usize = 8 * 1024;

/// A server with a hundred thousand clients says less.
const LONGEST_ANSWER: usize = 64 * 1024 * 1024;

/// For one whole answer.
const LONGEST_TALK: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Says what it was given, in pieces, and then hangs up or falls silent.
    struct Script {
        pieces: Vec<Vec<u8>>,
        end: Option<io::ErrorKind>,
    }

    impl Read for Script {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.pieces.is_empty() {
                return self.end.map_or(Ok(0), |kind| Err(kind.into()));
            }
            let piece = self.pieces.remove(0);
            let count = piece.len().min(buffer.len());
            buffer[..count].copy_from_slice(&piece[..count]);
            if count < piece.len() {
                self.pieces.insert(0, piece[count..].to_vec());
            }
            Ok(count)
        }
    }

    impl Write for Script {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Channel for Script {
        fn allow(&self, time: Duration) -> io::Result<()> {
            assert!(!time.is_zero(), "the kernel refuses it");
            Ok(())
        }
    }

    fn talk(pieces: &[&str], end: Option<io::ErrorKind>, password: Option<&str>) -> Result<Talk, SessionError> {
        let pieces = pieces.iter().map(|piece| piece.as_bytes().to_vec()).collect();
        let password = password.map(|password| Secret::from(password.to_owned()));
        Talk::over(Box::new(Script { pieces, end }), password.as_ref())
    }

    const HELLO: &str = ">INFO:OpenVPN Management Interface Version 5 -- type 'help' for more info\r\n";
    const EMPTY: &str = "HEADER\tCLIENT_LIST\tCommon Name\tReal Address\tConnected Since (time_t)\r\nEND\r\n";

    #[test]
    fn lines_may_come_in_any_pieces_and_notices_between_them() {
        let said = format!("{HELLO}>HOLD:Waiting\r\n{EMPTY}");
        let (one, rest) = said.split_at(20);
        let mut talk = talk(&[one, rest, ">LOG:1,,x\r\nSUCC", "ESS: killed\r\n"], None, None).unwrap();
        assert_eq!(talk.sessions().unwrap(), []);
        talk.kill(&Name::parse("client1").unwrap()).unwrap();
        assert!(matches!(talk.sessions(), Err(SessionError::Closed)));
    }

    #[test]
    fn a_name_that_is_not_connected_is_no_error_and_another_answer_is() {
        let name = Name::parse("client1").unwrap();
        let heard = |answer: &str| talk(&[HELLO, answer], None, None).unwrap().kill(&name);
        heard("ERROR: common name 'client1' not found\r\n").unwrap();
        assert!(matches!(heard("ERROR: The 'kill' command is not supported\r\n"), Err(SessionError::Garbled(_))));
        assert!(matches!(heard("END\r\n"), Err(SessionError::Garbled(_))));
    }

    #[test]
    fn each_way_to_begin_badly_is_told_apart() {
        let silent = Some(io::ErrorKind::WouldBlock);
        let begun = |pieces: &[&str], end, password| talk(pieces, end, password).err().map(|error| error.to_string());
        let told = |pieces: &[&str], end, password, text: &str| {
            let error = begun(pieces, end, password).expect("an error");
            assert!(error.contains(text), "{error}");
        };
        told(&[], silent, None, "does not answer within 5s");
        told(&[">INFO"], silent, None, "stopped in the middle");
        told(&[], None, None, "ended the connection");
        told(&[PROMPT], silent, None, "asks for a password");
        told(&[PROMPT, PROMPT], silent, Some("x"), "does not take the password");
        told(&[PROMPT, "ERROR: bad password\r\n"], silent, Some("x"), "does not take the password");
        told(&[PROMPT], None, Some("x"), "does not take the password");
        told(&["SSH-2.0-\u{1b}\r\n"], None, None, "it said `SSH-2.0-\\u{1b}`");
        told(&["HTTP/1.1 400 Bad Request\n"], None, Some("x"), "no management interface of OpenVPN");
        told(&[&"a".repeat(9000)], silent, None, "more than any server has to say");
        assert_eq!(begun(&[PROMPT, "SUCCESS: password is correct\r\n", HELLO], silent, Some("x")), None);
        assert_eq!(begun(&[HELLO], silent, Some("x")), None);
    }

    #[test]
    fn a_server_that_trickles_is_left_alone_in_the_end() {
        let mut talk = talk(&[HELLO, "TITLE\tx", "\r\n"], None, None).unwrap();
        talk.expect_answer();
        talk.hear().unwrap();
        talk.end = Instant::now();
        assert!(matches!(talk.line(None), Err(SessionError::Stopped)));
    }

    #[test]
    fn an_answer_without_end_is_not_kept() {
        let row = format!("ROUTING_TABLE\t{}\r\n", "x".repeat(8000)).repeat(2);
        let mut pieces = vec![HELLO];
        pieces.extend(std::iter::repeat_n(row.as_str(), 5000));
        assert!(matches!(talk(&pieces, None, None).unwrap().sessions(), Err(SessionError::TooMuch)));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..60), 0..8), greeted: bool) {
            let hello = if greeted { vec![HELLO.as_bytes().to_vec()] } else { Vec::new() };
            let script = Script { pieces: [hello, pieces].concat(), end: None };
            if let Ok(mut talk) = Talk::over(Box::new(script), Some(&Secret::from("x".to_owned()))) {
                let _ = (talk.sessions(), talk.kill(&Name::parse("a").unwrap()));
            }
        }
    }
}
